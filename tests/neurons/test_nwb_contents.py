"""Files that are malformed, of another kind, or point elsewhere: each is refused in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from helpers.malformed_nwb import MALFORMED, N_SAMPLES, N_UNITS, made, with_spikes, with_traces

import differentia as dif

#: What is told of each malformed file.
TOLD = {
    "empty": r"can't be read as NWB \(it is empty\)",
    "text": r"can't be read as NWB \(it is text\)",
    "cut off": r"can't be read as NWB \(.*truncated file.*\); it may be cut off or damaged",
    "a damaged heap of texts": r"can't be read as HDF5 \(a heap of texts at byte [\d,]+ is damaged\); use",
    "damaged": r"/units/spike_times can't be read \(.*\); it may be cut off or damaged",
    "no NWB": "is an HDF5 file, and no NWB file: it names no nwb_version",
    "NWB 1": "is of NWB '1.0.6'; only NWB 2 is read",
    "NWB 1, as an attribute": "is of NWB '1.0.6'; only NWB 2 is read",
    "a version of terabytes": "is an HDF5 file, and no NWB file: it names no nwb_version",
    "an external link": "/units/spike_times is a link to another file, which is not followed",
    "an external link elsewhere": "/general/more is a link to another file, which is not followed",
    "an external link to a group": "/acquisition is a link to another file, which is not followed",
    "external storage": "/units/spike_times lies in another file, which is not read",
    "a virtual dataset": "/units/spike_times lies in another file, which is not read",
    "a soft link to nowhere": "/units/spike_times is a link to '/units/gone', where nothing is found",
    "soft links in a circle": "/one is a link to '/other', where nothing is found",
    "a soft link through an external link": "/elsewhere is a link to another file, which is not followed",
    "a name of two lines": r"holds '/general/a\\nb\\x1b\[2J', a name with control characters",
    "terabytes declared": "/units/spike_times: declares 8,796,093,022,208 bytes of data, far more",
    "units are a dataset": "/units is a dataset; expected a group",
    "no index of spike times": "/units: holds spike_times without spike_times_index",
    "an index that goes back": "/units/spike_times_index: goes back",
    "an index that points outside": "/units/spike_times_index: ends at 9, and spike_times holds 5 values",
    "an index that ends early": "/units/spike_times_index: ends at 3, and spike_times holds 5 values",
    "a negative index": "/units/spike_times_index: goes from -3 to 5; expected numbers >= 0",
    "an index of fractions": r"/units/spike_times_index: holds float64 of shape \(3,\); expected whole",
    "an index of other length": "/units/spike_times_index: has 2 values, and the table has 3 rows",
    "a spike without a time": "/units/spike_times, unit 7: number 1 of the spike times is nan",
    "a spike at infinity": "/units/spike_times, unit 9: number 1 of the spike times is inf",
    "spikes out of order": r"unit 7: .* out of order \(0.2 s after 0.3 s\); .*, units='id != 7'",
    "spike times as text": r"/units/spike_times: holds text of shape \(5,\); expected times",
    "spike times of two dimensions": r"/units/spike_times: holds float64 of shape \(5, 2\)",
    "spike times as references": "/units/spike_times: holds references, records or lists of shape",
    "spike times as records": "/units/spike_times: holds references, records or lists of shape",
    "spike times as arrays": "/units/spike_times: holds references, records or lists of shape",
    "spike times as one number": "/units/spike_times: is a single value; expected one for each row",
    "columns of unequal length": "/units/quality: has 2 values, and the table has 3 rows",
    "a column that is not there": "/units: names the column 'quality', and holds no such dataset",
    "electrodes outside their table": "/units/electrodes: names row 4 of a table of 4 rows",
    "electrodes as text": "/units/electrodes: holds text of shape",
    "observed times of one column": r"/units/obs_intervals: holds float64 of shape \(3,\); expected \(n, 2\)",
    "observed times that go back": "/units/obs_intervals: interval 1 ends at 0 s, before it begins at 1 s",
    "no start_time": "/intervals/trials: names the column 'start_time', and holds no such",
    "a table of trials without colnames and times": "/intervals/more: has no column; expected start_time",
    "a trial without a start": "/intervals/trials: number 1 of the starts is nan; expected seconds",
    "a trial without an end": "/intervals/trials: number 0 of the ends is nan; expected seconds",
    "a trial that ends before it begins": "/intervals/trials: interval 1 ends at 0.3 s, before it begins at",
    "starts as text": "/intervals/trials: the starts are no numbers",
    "starts as references": "/intervals/trials: has the columns stop_time, stimulus_name; expected start",
    "trials of unequal length": "/intervals/trials/stop_time: has 3 values, and the table has 2 rows",
    "a table of trials that is a dataset": "/intervals/trials is a dataset; expected a group",
    "neither spikes nor traces": "holds neither units with spike times nor a series over time",
    "a rate of 0": "/traces/starting_time: the rate is 0; expected samples per second, above 0",
    "a negative rate": "/traces/starting_time: the rate is -30; expected",
    "an infinite rate": "/traces/starting_time: the rate is inf; expected",
    "no rate": "/traces/starting_time: the rate is None; expected",
    "a rate as text": "/traces/starting_time: the rate is '30 Hz'; expected",
    "no first time": "/traces/starting_time: the first sample is at nan; expected",
    "terabytes of first times": "/traces/starting_time: the first sample is at None; expected a time",
    "samples out of order": r"/traces/timestamps: .* do not ascend \(1.8 s after 1.9 s\)",
    "two samples at one time": r"/traces/timestamps: .* do not ascend \(0 s after 0 s\)",
    "a sample without a time": "/traces/timestamps: number 10 of the times of samples is nan",
    "times of another length": "/traces: has 19 times of samples, and data of 20 samples; expected one",
    "traces the wrong way round": r"/traces: has 20 times .* of 3 samples; it seems to be \(unit, sample\)",
    "times as text": "/traces/timestamps: holds text of shape",
    "traces of three dimensions": r"/traces/data: holds float64 of shape \(20, 3, 2\); expected numbers",
    "traces as text": "/traces/data: holds text of shape",
    "traces without samples": r"/traces/data: holds float64 of shape \(0, 3\); expected numbers",
    "more cells than traces": "/traces/rois: has 4 values; expected 3, one for each",
    "cells outside their table": "/traces/rois: names row 4 of a table of 4 rows",
    "cells of no table": "/traces/rois: refers to no table of the file",
    "cells of a null reference": "/traces/rois: refers to no table of the file",
    "an infinite conversion": "/traces/data: its conversion is inf; expected a finite number",
    "an offset as text": "/traces/data: its offset is 'none'; expected a finite number",
    "one text of many rows": "/intervals/more/text holds more text than a file of .* can; it is damaged",
    "more columns than datasets": "/units: names 9 columns and holds 8 datasets; it is damaged",
    "no columns": "/intervals/trials: has no column; expected start_time among them",
    "codes without a text": "/stimulus_name: goes from 0 to 2, and there are 2 texts",
    "codes that are fractions": "/stimulus_name: holds float64 of .* for text of .*; expected whole",
    "groups of two of three units": "/units/electrode_group: has 2 values; expected 3, one for each",
}


def read_whole(path: Path) -> tuple[dif.Recording, list[Any]]:
    """Return a recording, and all spikes or samples of it, which are read when they are asked for."""
    recording = dif.read_recording(path)
    activity: Any = recording.activity
    if recording.has_spikes:
        return recording, [activity.times(unit) for unit in range(activity.n_units)]
    return recording, [activity.samples(0, len(activity.times))]


def test_whole_files_are_read(tmp_path: Path) -> None:
    """The files that malformed ones are made of: the controls. A soft link within the file is followed."""
    for name, fill in (("spikes.nwb", with_spikes), ("traces.nwb", with_traces)):
        made(fill, lambda _: None, tmp_path / name)
    recording, spikes = read_whole(tmp_path / "spikes.nwb")
    assert [list(train) for train in spikes] == [[0.1, 0.2, 0.3], [], [0.15, 0.2]]
    assert recording.units["location"].tolist() == ["V1", "V1", "LM"]
    assert len(spikes) == N_UNITS
    recording, (samples,) = read_whole(tmp_path / "traces.nwb")
    np.testing.assert_array_equal(samples, np.arange(60.0).reshape(N_SAMPLES, 3))
    assert recording.units.index.tolist() == [10, 11, 13]
    np.testing.assert_array_equal(recording.activity.times, np.arange(20) / 10)


@pytest.mark.parametrize("what", MALFORMED)
def test_malformed_files(tmp_path: Path, what: str) -> None:
    """What is wrong is told, where, in one line."""
    path = tmp_path / "session.nwb"
    MALFORMED[what](path)
    with pytest.raises(dif.InputError, match=rf"^{path}: .*{TOLD[what]}") as caught:
        read_whole(path)
    assert "\n" not in str(caught.value)


def test_each_malformed_file_is_told() -> None:
    """The table of what is told has no other rows."""
    assert set(TOLD) == set(MALFORMED)


FOLLOWED = "import h5py; h5py.File('link.nwb')['units/spike_times']"
READ = """
import differentia as dif
for name in ("link.nwb", "group.nwb", "storage.nwb"):
    try:
        dif.read_recording(name)
    except dif.InputError as error:
        print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_nothing_outside_a_file_is_opened(tmp_path: Path) -> None:
    """What a file points to is a pipe, which hangs whoever opens it: h5py does, the control."""
    os.mkfifo(tmp_path / "pipe")
    outside = str(tmp_path / "pipe")

    def link(file: h5py.File) -> None:
        del file["units/spike_times"]
        file["units/spike_times"] = h5py.ExternalLink(outside, "/x")

    def group(file: h5py.File) -> None:
        file["processing"] = h5py.ExternalLink(outside, "/x")

    def storage(file: h5py.File) -> None:
        del file["units/spike_times"]
        file.create_dataset("units/spike_times", (5,), "f8", external=[(outside, 0, 40)])

    for name, edit in {"link": link, "group": group, "storage": storage}.items():
        made(with_spikes, edit, tmp_path / f"{name}.nwb")
    run = partial(subprocess.run, cwd=tmp_path, capture_output=True, text=True, check=False)
    with pytest.raises(subprocess.TimeoutExpired):
        run([sys.executable, "-c", FOLLOWED], timeout=2)
    found = run([sys.executable, "-c", READ], timeout=60)
    assert found.returncode == 0, found.stderr
    assert found.stdout.count("another file, which is not") == 3


def test_what_is_no_file(tmp_path: Path) -> None:
    """Folders, one of Zarr among them, what is not there, and pipes, which would never end."""
    zarr = tmp_path / "session.nwb.zarr"
    zarr.mkdir()
    (zarr / ".zgroup").write_text("{}")
    os.mkfifo(tmp_path / "pipe.nwb")
    for path, told in {
        zarr: r"is a folder of Zarr; only NWB files in HDF5 are read: write it as one with PyNWB's NWBHDF5IO",
        tmp_path: "is a folder; only NWB files in HDF5 are read: name a file",
        tmp_path / "gone.nwb": "no such file; expected an NWB file",
        tmp_path / "pipe.nwb": "is no regular file; expected an NWB file",
    }.items():
        with pytest.raises(dif.InputError, match=rf"^{path}: {told}"):
            dif.read_recording(path)
    with pytest.raises(
        dif.InputError, match=r"^the recording is of type list; expected the path of an NWB fi"
    ):
        dif.read_recording([1, 2])


def test_a_series_that_is_not_read_may_be_malformed(tmp_path: Path) -> None:
    """Only what is asked for has to be sound: the speed of a wheel whose rate is lost is no reason."""

    def wheel(file: h5py.File) -> None:
        file["acquisition/speed/data"] = np.zeros(5)
        file["acquisition/speed/starting_time"] = 0.0

    made(with_traces, wheel, tmp_path / "x.nwb")
    assert dif.read_recording(tmp_path / "x.nwb").activity.n_units == 3
    with pytest.raises(dif.InputError, match="the rate is None"):
        dif.read_recording(tmp_path / "x.nwb", traces="speed")


def test_one_series_under_two_names(tmp_path: Path) -> None:
    """A soft link to a series makes no second one, nor does a group that holds itself."""

    def edit(file: h5py.File) -> None:
        file["acquisition/again"] = h5py.SoftLink("/processing/ophys/DfOverF/traces")
        file["processing/ophys/ring"] = file["processing"]

    made(with_traces, edit, tmp_path / "x.nwb")
    assert dif.read_recording(tmp_path / "x.nwb").activity.n_units == 3


def test_a_closed_file_of_pynwb(tmp_path: Path) -> None:
    """It says that the file has to stay open."""
    import pynwb
    from helpers.nwb_files import write_allen_ephys

    with pynwb.NWBHDF5IO(str(write_allen_ephys(tmp_path / "x.nwb")), "r") as io:
        file = io.read()
        activity: Any = dif.read_recording(file).activity
        assert len(activity.times(0))
    for read in (lambda: dif.read_recording(file), lambda: activity.times(0)):
        with pytest.raises(dif.InputError, match=r"^the NWBFile.* keep its file open"):
            read()
