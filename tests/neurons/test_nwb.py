"""Recordings from NWB files: what PyNWB reads of them, and nothing but what the file holds."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pynwb
import pytest
from helpers.nwb_files import (
    AREAS,
    allen_ephys,
    allen_ophys,
    new_file,
    write,
    write_allen_ephys,
    write_allen_ophys,
)

import differentia as dif


def spikes_of(recording: dif.Recording) -> list[Any]:
    """Return the spike times of each unit."""
    activity: Any = recording.activity
    return [activity.times(place) for place in range(activity.n_units)]


@pytest.fixture(scope="module")
def ephys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of Neuropixels, which no test may change."""
    return write_allen_ephys(tmp_path_factory.mktemp("ephys") / "session.nwb")


@pytest.fixture(scope="module")
def ophys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of imaging, which no test may change."""
    return write_allen_ophys(tmp_path_factory.mktemp("ophys") / "session.nwb")


@pytest.fixture
def read_by_pynwb(ephys: Path) -> Iterator[Any]:
    """The session of Neuropixels as PyNWB has it."""
    with pynwb.NWBHDF5IO(str(ephys), "r") as io:
        yield io.read()


def test_units_are_those_of_pynwb(ephys: Path, read_by_pynwb: Any) -> None:
    """Each unit has the spikes, the columns of one value, and the observed times that PyNWB gives it."""
    recording = dif.read_recording(ephys)
    expected = read_by_pynwb.units.to_dataframe()
    assert recording.has_spikes
    assert recording.units.index.tolist() == expected.index.tolist()
    assert recording.observed is not None
    for place, spikes in enumerate(spikes_of(recording)):
        np.testing.assert_array_equal(spikes, expected.spike_times.iloc[place])
        np.testing.assert_array_equal(recording.observed[place], expected.obs_intervals.iloc[place])
    single = ["quality", "snr", "firing_rate", "peak_channel_id"]
    assert recording.units.columns.tolist() == [*single, "location"]  # neither waveforms nor spikes
    for name in single:
        np.testing.assert_array_equal(recording.units[name], expected[name])
    known = [area.replace("unknown", "") for area in AREAS]
    assert recording.units["location"].tolist() == known * 2
    assert recording.told == ()
    assert (recording.session, recording.subject) == ("715093703", "699733573")
    assert recording.source == str(ephys)


def test_tables_of_intervals_are_those_of_pynwb(ephys: Path, read_by_pynwb: Any) -> None:
    """All columns come, times as float64; invalid times are no table of presentations."""
    recording = dif.read_recording(ephys)
    assert list(recording.intervals) == ["stimulus_presentations"]
    table = recording.intervals["stimulus_presentations"]
    expected = read_by_pynwb.intervals["stimulus_presentations"].to_dataframe()
    assert table.columns.tolist() == expected.columns.tolist()
    for name in table:
        np.testing.assert_array_equal(table[name], expected[name])
    np.testing.assert_array_equal(recording.invalid, [[16.5, 17.0]])


def test_an_open_file_of_pynwb(ephys: Path, read_by_pynwb: Any) -> None:
    """It gives what its path gives, from the disk or made at hand; areas by rows of electrodes too."""
    expected = dif.read_recording(ephys)
    for file in (read_by_pynwb, allen_ephys(), allen_ephys(region=True)):
        recording = dif.read_recording(file)
        assert recording.units["location"].tolist() == expected.units["location"].tolist()
        table = recording.intervals["stimulus_presentations"]
        assert table.equals(expected.intervals["stimulus_presentations"])
        for found, spikes in zip(spikes_of(recording), spikes_of(expected), strict=True):
            np.testing.assert_array_equal(found, spikes)


def test_areas_by_rows_of_electrodes(tmp_path: Path) -> None:
    """The region that a unit names is read; it is ragged as PyNWB writes it."""
    recording = dif.read_recording(write_allen_ephys(tmp_path / "x.nwb", region=True))
    assert recording.units["location"].tolist()[:4] == ["VISp", "VISp", "VISl", "LGd"]


def test_units_of_several_electrodes(tmp_path: Path) -> None:
    """Their area is that of all their electrodes; where these lie in two, it is none."""
    file = allen_ephys([[0.1], [0.2]], locations=["VISp", "VISp", "LGd"], region=True)
    for electrodes in ([0, 1], [1, 2], []):
        file.add_unit(
            spike_times=[0.5], quality="good", snr=1.0, firing_rate=1.0, electrodes=electrodes,
            obs_intervals=[[0.0, 1.0]], waveform_mean=np.zeros((4, 3)),
        )  # fmt: skip
    recording = dif.read_recording(write(file, tmp_path / "x.nwb"))
    assert recording.units["location"].tolist() == ["VISp", "VISp", "VISp", "", ""]


def test_potentials_of_electrodes(tmp_path: Path) -> None:
    """Each channel has its own factor beside that of the series, and its electrode's area."""
    file = allen_ephys()
    values = np.random.default_rng(0).integers(-99, 99, (50, 2), dtype=np.int16)
    series = pynwb.ecephys.ElectricalSeries(
        name="lfp", data=values, rate=1250.0, starting_time=2.0, conversion=0.5, offset=1.0,
        channel_conversion=[2.0, 4.0], electrodes=file.create_electrode_table_region([2, 0], "two"),
    )  # fmt: skip
    file.add_acquisition(series)
    expected = values * 0.5 * [2.0, 4.0] + 1.0
    for given in (file, write(file, tmp_path / "x.nwb")):
        recording = dif.read_recording(given, traces="lfp")
        activity: Any = recording.activity
        np.testing.assert_array_equal(activity.samples(0, 50), expected)
        np.testing.assert_allclose(activity.times[:2], [2.0, 2.0008])
        assert recording.units["location"].tolist() == ["VISl", "VISp"]
        assert recording.units.index.tolist() == [852, 850]


def test_traces_are_those_of_pynwb(ophys: Path) -> None:
    """Values in their unit, times through a link to another series, and the columns of the cells."""
    recording = dif.read_recording(ophys, traces="dff")
    activity: Any = recording.activity
    with pynwb.NWBHDF5IO(str(ophys), "r") as io:
        file = io.read()
        series = file.processing["ophys"]["dff"]["traces"]
        cells = file.processing["ophys"]["image_segmentation"]["cell_specimen_table"].to_dataframe()
        np.testing.assert_array_equal(activity.samples(10, 30), 2 * series.data[10:30] + 0.25)
        np.testing.assert_array_equal(activity.times, series.timestamps[:])
    assert not recording.has_spikes
    assert recording.units.index.tolist() == cells.index.tolist()
    assert recording.units.columns.tolist() == ["cell_specimen_id", "valid_roi", "location"]
    np.testing.assert_array_equal(recording.units["valid_roi"], cells["valid_roi"])
    at_hand: Any = dif.read_recording(allen_ophys(), traces="processing/ophys/dff/traces").activity
    np.testing.assert_array_equal(at_hand.samples(0, 9), activity.samples(0, 9))
    with pytest.raises(dif.InputError, match="unknown series '5'"):
        dif.read_recording(ophys, traces=5)  # type: ignore[arg-type]
    speed: Any = dif.read_recording(ophys, traces="speed").activity
    np.testing.assert_allclose(speed.times[:3], [1.5, 1.6, 1.7])
    assert speed.samples(0, 7).shape == (7, 1)


def test_which_series_is_read(ophys: Path, ephys: Path, tmp_path: Path) -> None:
    """Several are listed, and one is named by a part of its place; where there are spikes, they are read."""
    with pytest.raises(
        dif.InputError, match=r"holds 2 series: processing/ophys/corrected_fluor\w+/traces, pro"
    ):
        dif.read_recording(ophys)
    with pytest.raises(dif.InputError, match=r"calls 'traces' 2 series"):
        dif.read_recording(ophys, traces="traces")
    with pytest.raises(
        dif.InputError, match=r"unknown series 'dfff'. Did you mean 'processing/ophys/dff/tra"
    ):
        dif.read_recording(ophys, traces="dfff")
    file = allen_ephys()
    module = file.create_processing_module("running", "made")
    module.add(pynwb.TimeSeries(name="speed", data=np.arange(9.0), unit="cm/s", rate=10.0))
    path = write(file, tmp_path / "x.nwb")
    assert dif.read_recording(path).has_spikes
    assert dif.read_recording(path, traces="speed").activity.n_units == 1


def test_units_are_chosen(ephys: Path) -> None:
    """Those that a query is true of, with their spikes; how many are left out is told."""
    whole, recording = (
        dif.read_recording(ephys),
        dif.read_recording(ephys, units="quality == 'good' and snr > 1"),
    )
    places = [
        place
        for place, unit in enumerate(whole.units.itertuples())
        if unit.quality == "good" and unit.snr > 1
    ]
    assert recording.units.index.tolist() == whole.units.index[places].tolist()
    for spikes, before in zip(spikes_of(recording), places, strict=True):
        np.testing.assert_array_equal(spikes, spikes_of(whole)[before])
    assert recording.told[-1] == "4 of 10 units are left out by \"quality == 'good' and snr > 1\""
    with pytest.raises(dif.InputError, match="no unit of 10 is chosen by 'snr > 99'"):
        dif.read_recording(ephys, units="snr > 99")


def test_areas_by_groups_of_electrodes(tmp_path: Path) -> None:
    """Where nothing else says where units lie; electrodes of a known area count more."""
    file = new_file()
    device = file.create_device("Neuropixels")
    probes = [
        file.create_electrode_group(f"probe{area}", "", area, device) for area in ("V1", "LGd", "unknown")
    ]
    for unit in range(4):
        file.add_unit(spike_times=[0.5], electrode_group=probes[unit % 3])
    path = write(file, tmp_path / "x.nwb")
    assert dif.read_recording(path).units["location"].tolist() == ["V1", "LGd", "", "V1"]
    assert dif.read_recording(file).units["location"].tolist() == ["V1", "LGd", "", "V1"]
    with pynwb.NWBHDF5IO(str(path), "r") as io:
        assert dif.read_recording(io.read()).units["location"].tolist() == ["V1", "LGd", "", "V1"]
    file = allen_ephys([[0.1], [0.2]], locations=["VISp", "VISl"], region=True)
    file.units.add_column("electrode_group", "", data=[file.electrode_groups["probeA"]] * 2)
    assert dif.read_recording(file).units["location"].tolist() == ["VISp", "VISl"]


def test_intervals_of_processing_modules(tmp_path: Path) -> None:
    """They have their names, or their places where a name is taken; those that can't be read are told."""
    file = allen_ephys([[0.1]])
    module = file.create_processing_module("behavior", "made")
    for name, stop in (("licks", 2.0), ("stimulus_presentations", 3.0), ("endless", np.nan)):
        table = pynwb.epoch.TimeIntervals(name=name, description="made")
        table.add_interval(start_time=1.0, stop_time=stop)
        module.add(table)
    path = write(file, tmp_path / "x.nwb")
    for given in (path, file):
        recording = dif.read_recording(given)
        assert recording.intervals["licks"].to_numpy().tolist() == [[1.0, 2.0]]
        assert recording.intervals["processing/behavior/stimulus_presentations"]["stop_time"].tolist() == [
            3.0
        ]
        assert len(recording.intervals["stimulus_presentations"]) == 60
        (told,) = recording.told
        assert re.match("the intervals processing/behavior/endless were left out: .* ends is nan", told)


@pytest.mark.filterwarnings("ignore:EnumData is experimental")
def test_columns_of_coded_texts(tmp_path: Path) -> None:
    """The texts are read, not the numbers that stand for them."""
    file = allen_ephys([[0.1]])
    table = pynwb.epoch.TimeIntervals(name="films", description="made")
    table.add_column("film", "which", enum=True)
    for row, film in enumerate(("fox", "owl", "fox")):
        table.add_interval(start_time=float(row), stop_time=row + 0.5, film=film)
    file.add_time_intervals(table)
    path = write(file, tmp_path / "x.nwb")
    with h5py.File(path) as stored:
        assert stored["intervals/films/film"].dtype.kind == "u"
    for given in (path, file):
        assert dif.read_recording(given).intervals["films"]["film"].tolist() == ["fox", "owl", "fox"]


@pytest.mark.real_data
def test_a_real_file(real_data: Path) -> None:
    """Three sorted units have the spikes that PyNWB reads."""
    path = real_data / "neurons" / "A8604-211122.nwb"
    recording = dif.read_recording(path)
    with warnings.catch_warnings(), pynwb.NWBHDF5IO(str(path), "r", load_namespaces=True) as io:
        warnings.simplefilter("ignore")  # of an old file, whose fields are called otherwise today
        units = io.read().units.to_dataframe()
    spikes = spikes_of(recording)
    for found, expected in zip(spikes, units.spike_times, strict=True):
        np.testing.assert_array_equal(found, expected)
    assert sum(map(len, spikes)) == 21_354
    assert recording.intervals["epochs"]["tags"].tolist() == ["wake"]
