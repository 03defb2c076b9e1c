"""NWB files that are malformed, or could do harm, each with one thing wrong with it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from helpers.hdf5_files import zero_heaps

#: What a test may ask of a file that is whole.
N_UNITS, N_SAMPLES = 3, 20

Edit = Callable[[h5py.File], object]


def with_spikes(file: h5py.File) -> None:
    """Fill a file with three units, their electrodes and two trials."""
    file.attrs["nwb_version"] = "2.8.0"
    file["identifier"] = "made"
    electrodes = file.create_group("general/extracellular_ephys/electrodes")
    _table(electrodes, id=[0, 1, 2, 3], location=["V1", "V1", "LM", "unknown"])
    units = file.create_group("units")
    _table(
        units, id=[7, 8, 9], spike_times=[0.1, 0.2, 0.3, 0.15, 0.2], spike_times_index=_places([3, 3, 5]),
        quality=["good", "good", "noise"], electrodes=[0, 1, 1, 2], electrodes_index=_places([2, 3, 4]),
        obs_intervals=[[0.0, 1.0]] * 3, obs_intervals_index=_places([1, 2, 3]),
    )  # fmt: skip
    units["electrodes"].attrs["table"] = electrodes.ref
    trials = {"start_time": [0.0, 0.5], "stop_time": [0.4, 0.9], "stimulus_name": ["film", "grey"]}
    _table(file.create_group("intervals/trials"), id=[0, 1], **trials)


def with_traces(file: h5py.File) -> None:
    """Fill a file with a series of three cells, whose times are another's, and two trials."""
    with_spikes(file)
    del file["units"]
    cells = file.create_group("processing/ophys/ImageSegmentation/cells")
    _table(cells, id=[10, 11, 12, 13], location=["V1", "V1", "LM", "LM"])
    raw = file.create_group("acquisition/raw")
    raw["timestamps"] = np.arange(N_SAMPLES) / 10
    raw["data"] = np.zeros(N_SAMPLES)
    series = file.create_group("processing/ophys/DfOverF/traces")
    series["data"] = np.arange(3.0 * N_SAMPLES).reshape(N_SAMPLES, 3)
    series["rois"] = [0, 1, 3]
    series["rois"].attrs["table"] = cells.ref
    series["timestamps"] = h5py.SoftLink("/acquisition/raw/timestamps")


def _places(values: list[int]) -> np.ndarray:
    return np.array(values, np.uint8)  # as PyNWB writes an index, in as few bits as it takes


def _table(group: h5py.Group, **columns: Any) -> None:
    for name, values in columns.items():
        group[name] = values
    names = [name for name in columns if name != "id" and not name.endswith("_index")]
    group.attrs["colnames"] = np.array(names, h5py.string_dtype())


def made(fill: Edit, edit: Edit, path: Path) -> None:
    """Write a whole file, and do something to it."""
    with h5py.File(path, "w") as file:
        fill(file)
        edit(file)


def _instead(place: str, values: Any, **attributes: Any) -> Edit:
    """Return what puts other values in the place of a dataset, with its attributes."""

    def edit(file: h5py.File) -> None:
        kept = dict(file[place].attrs) if place in file else {}
        if place in file:
            del file[place]
        file[place] = values
        file[place].attrs.update({**kept, **attributes})

    return edit


def _link(place: str, link: Any) -> Edit:
    def edit(file: h5py.File) -> None:
        file.pop(place, None)
        file[place] = link(file) if callable(link) else link

    return edit


def _without(*places: str) -> Edit:
    def edit(file: h5py.File) -> None:
        for place in places:
            del file[place]

    return edit


def _beside(file: h5py.File) -> Path:
    """Return the place of another file, which is whole, and is made unless it is there."""
    path = Path(file.filename).with_suffix(".other")
    if not path.exists():
        with h5py.File(path, "w") as other:
            with_spikes(other)
    return path


def _outside(file: h5py.File) -> h5py.ExternalLink:
    return h5py.ExternalLink(str(_beside(file)), "/units/spike_times")


def _external_storage(file: h5py.File) -> None:
    del file["units/spike_times"]
    file.create_dataset("units/spike_times", (5,), "f8", external=[(str(_beside(file)), 0, 40)])


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((5,), "f8")
    layout[:] = h5py.VirtualSource(_beside(file), "units/spike_times", shape=(5,))
    del file["units/spike_times"]
    file.create_virtual_dataset("units/spike_times", layout)


def _circle(file: h5py.File) -> None:
    file["one"], file["other"] = h5py.SoftLink("/other"), h5py.SoftLink("/one")


def _through_a_link(file: h5py.File) -> None:
    file["elsewhere"] = h5py.ExternalLink(str(_beside(file)), "/units")
    _link("units/spike_times", h5py.SoftLink("/elsewhere/spike_times"))(file)


def _terabytes(file: h5py.File) -> None:
    del file["units/spike_times"]
    _many(file, "units/spike_times")
    _instead("units/spike_times_index", [2**39, 2**39, 2**40])(file)


def _many(file: h5py.File, place: str) -> None:
    file.create_dataset(place, (2**40,), "f8", chunks=(2**16,), fillvalue=1.0)


def _one_text_often(file: h5py.File) -> None:
    """Add a column of 20,000 rows, all of which refer to one text of 20,000 characters: 400 MB."""
    table = file.create_group("intervals/more")
    _table(table, start_time=np.arange(20_000.0), stop_time=np.arange(20_000.0) + 1)
    text = table.create_dataset("text", (20_000,), h5py.string_dtype(), chunks=(20_000,))
    table.attrs["colnames"] = [*table.attrs["colnames"], "text"]
    text[0] = "x" * 20_000
    file.flush()
    _, stored = text.id.read_direct_chunk((0,))
    text.id.write_direct_chunk((0,), stored[:16] * 20_000)


def _coded(codes: Any, texts: Any) -> Edit:
    """Return what makes a column of trials one of numbers, each of which stands for a text."""

    def edit(file: h5py.File) -> None:
        _instead("intervals/trials/stimulus_name", codes)(file)
        file["intervals/trials/stimulus_name_elements"] = texts
        texts_of = file["intervals/trials/stimulus_name_elements"].ref
        file["intervals/trials/stimulus_name"].attrs["elements"] = texts_of

    return edit


def _groups_of_two(file: h5py.File) -> None:
    _without("units/electrodes", "units/electrodes_index", "general/extracellular_ephys/electrodes")(file)
    file["general/extracellular_ephys/probe"] = 0
    file["units/electrode_group"] = np.array([file["general"].ref] * 2, h5py.ref_dtype)
    file["units"].attrs["colnames"] = ["spike_times", "quality", "obs_intervals"]


def _references(file: h5py.File) -> None:
    del file["units/spike_times"]
    file.create_dataset("units/spike_times", data=[file["units"].ref] * 5, dtype=h5py.ref_dtype)


def _compound(file: h5py.File) -> None:
    _instead("units/spike_times", np.zeros(5, [("idx_start", "i4"), ("count", "i4")]))(file)


def _ragged(file: h5py.File) -> None:
    del file["units/spike_times"]
    file.create_dataset("units/spike_times", (5,), h5py.vlen_dtype(np.float64))


def _no_reference(file: h5py.File) -> None:
    file["processing/ophys/DfOverF/traces/rois"].attrs["table"] = "cells"


def _null_reference(file: h5py.File) -> None:
    nowhere = np.array(h5py.Reference(), h5py.ref_dtype)
    file["processing/ophys/DfOverF/traces/rois"].attrs.create("table", nowhere, dtype=h5py.ref_dtype)


def _regular(start: Any, rate: Any) -> Edit:
    """Return what gives the series a rate in the place of times; None for no rate."""

    def edit(file: h5py.File) -> None:
        series = file["processing/ophys/DfOverF/traces"]
        del series["timestamps"]
        series["starting_time"] = start
        if rate is not None:
            series["starting_time"].attrs["rate"] = rate

    return edit


def _attribute(place: str, name: str, value: Any) -> Edit:
    return lambda file: file[place].attrs.__setitem__(name, value)


def _of_version_1(file: h5py.File) -> None:
    del file.attrs["nwb_version"]
    file["nwb_version"] = "NWB-1.0.6"


def _terabytes_of_versions(file: h5py.File) -> None:
    del file.attrs["nwb_version"]
    _many(file, "nwb_version")


def _first_times(file: h5py.File) -> None:
    del file[f"{_SERIES}/timestamps"]
    _many(file, f"{_SERIES}/starting_time")
    file[f"{_SERIES}/starting_time"].attrs["rate"] = 30.0


def _no_version(file: h5py.File) -> None:
    del file.attrs["nwb_version"]


def _cut(path: Path) -> None:
    made(with_spikes, lambda _: None, path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _zeroed(path: Path) -> None:
    made(with_spikes, lambda _: None, path)
    zero_heaps(path)


def _damaged(path: Path) -> None:
    """Write a file with a compressed column whose bytes are wrong; nothing but reading it tells."""
    with h5py.File(path, "w") as file:
        with_spikes(file)
        times = np.sort(np.random.default_rng(0).uniform(size=5))
        del file["units/spike_times"]
        stored = file.create_dataset("units/spike_times", data=times, compression=9, chunks=(5,))
        at = stored.id.get_chunk_info(0).byte_offset
    content = bytearray(path.read_bytes())
    content[at : at + 20] = b"\xff" * 20
    path.write_bytes(content)


_SERIES = "processing/ophys/DfOverF/traces"
_COUNTS = np.arange(N_SAMPLES) / 10.0

_OF_SPIKES: dict[str, Edit] = {
    "no NWB": _no_version,
    "NWB 1": _of_version_1,
    "NWB 1, as an attribute": _attribute("/", "nwb_version", "1.0.6"),
    "a version of terabytes": _terabytes_of_versions,
    "an external link": _link("units/spike_times", _outside),
    "an external link elsewhere": _link("general/more", _outside),
    "an external link to a group": _link("acquisition", _outside),
    "external storage": _external_storage,
    "a virtual dataset": _virtual,
    "a soft link to nowhere": _link("units/spike_times", h5py.SoftLink("/units/gone")),
    "soft links in a circle": _circle,
    "a soft link through an external link": _through_a_link,
    "a name of two lines": lambda file: file.create_group("general/a\nb\x1b[2J"),
    "terabytes declared": _terabytes,
    "units are a dataset": _link("units", np.arange(3)),
    "no index of spike times": _without("units/spike_times_index"),
    "an index that goes back": _instead("units/spike_times_index", _places([3, 2, 5])),
    "an index that points outside": _instead("units/spike_times_index", _places([3, 4, 9])),
    "an index that ends early": _instead("units/spike_times_index", _places([1, 2, 3])),
    "a negative index": _instead("units/spike_times_index", [-3, 3, 5]),
    "an index of fractions": _instead("units/spike_times_index", [1.5, 3.0, 5.0]),
    "an index of other length": _instead("units/spike_times_index", _places([3, 5])),
    "a spike without a time": _instead("units/spike_times", [0.1, np.nan, 0.3, 0.15, 0.2]),
    "a spike at infinity": _instead("units/spike_times", [0.1, 0.2, 0.3, 0.15, np.inf]),
    "spikes out of order": _instead("units/spike_times", [0.1, 0.3, 0.2, 0.15, 0.2]),
    "spike times as text": _instead("units/spike_times", ["a", "b", "c", "d", "e"]),
    "spike times of two dimensions": _instead("units/spike_times", np.zeros((5, 2))),
    "spike times as references": _references,
    "spike times as records": _compound,
    "spike times as arrays": _ragged,
    "spike times as one number": _instead("units/spike_times", 0.5),
    "columns of unequal length": _instead("units/quality", ["good", "noise"]),
    "a column that is not there": _without("units/quality"),
    "electrodes outside their table": _instead("units/electrodes", [0, 1, 1, 4]),
    "electrodes as text": _instead("units/electrodes", ["0", "1", "1", "2"]),
    "observed times of one column": _instead("units/obs_intervals", [0.0, 1.0, 0.0]),
    "observed times that go back": _instead("units/obs_intervals", [[0.0, 1.0], [1.0, 0.0], [0.0, 1.0]]),
    "no start_time": _without("intervals/trials/start_time"),
    "a table of trials without colnames and times": lambda file: file.create_group("intervals/more"),
    "a trial without a start": _instead("intervals/trials/start_time", [0.0, np.nan]),
    "a trial without an end": _instead("intervals/trials/stop_time", [np.nan, 0.9]),
    "a trial that ends before it begins": _instead("intervals/trials/stop_time", [0.4, 0.3]),
    "starts as text": _instead("intervals/trials/start_time", ["0", "0.5"]),
    "starts as references": lambda file: _instead("intervals/trials/start_time", [file.ref] * 2)(file),
    "trials of unequal length": _instead("intervals/trials/stop_time", [0.4, 0.9, 1.0]),
    "a table of trials that is a dataset": _link("intervals/trials", np.arange(3)),
}

_OF_TRACES: dict[str, Edit] = {
    "neither spikes nor traces": _without(_SERIES, "acquisition/raw"),
    "a rate of 0": _regular(0.0, 0.0),
    "a negative rate": _regular(0.0, -30.0),
    "an infinite rate": _regular(0.0, np.inf),
    "no rate": _regular(0.0, None),
    "a rate as text": _regular(0.0, "30 Hz"),
    "no first time": _regular(np.nan, 30.0),
    "terabytes of first times": _first_times,
    "samples out of order": _instead(f"{_SERIES}/timestamps", _COUNTS[::-1]),
    "two samples at one time": _instead(f"{_SERIES}/timestamps", np.repeat(_COUNTS[::2], 2)),
    "a sample without a time": _instead(f"{_SERIES}/timestamps", np.where(_COUNTS == 1, np.nan, _COUNTS)),
    "times of another length": _instead(f"{_SERIES}/timestamps", _COUNTS[:-1]),
    "traces the wrong way round": _instead(f"{_SERIES}/data", np.zeros((3, N_SAMPLES))),
    "times as text": _instead(f"{_SERIES}/timestamps", [str(one) for one in _COUNTS]),
    "traces of three dimensions": _instead(f"{_SERIES}/data", np.zeros((N_SAMPLES, 3, 2))),
    "traces as text": _instead(f"{_SERIES}/data", ["a"] * N_SAMPLES),
    "traces without samples": _instead(f"{_SERIES}/data", np.zeros((0, 3))),
    "more cells than traces": _instead(f"{_SERIES}/rois", [0, 1, 2, 3]),
    "cells outside their table": _instead(f"{_SERIES}/rois", [0, 1, 4]),
    "cells of no table": _no_reference,
    "cells of a null reference": _null_reference,
    "an infinite conversion": _attribute(f"{_SERIES}/data", "conversion", np.inf),
    "an offset as text": _attribute(f"{_SERIES}/data", "offset", "none"),
}

_OF_SPIKES |= {
    "one text of many rows": _one_text_often,
    "more columns than datasets": _attribute("units", "colnames", ["quality"] * 9),
    "no columns": _attribute("intervals/trials", "colnames", h5py.Empty("f8")),
    "codes without a text": _coded(np.array([0, 2], np.uint8), ["film", "grey"]),
    "codes that are fractions": _coded([0.0, 1.0], ["film", "grey"]),
    "groups of two of three units": _groups_of_two,
}

#: By what is wrong with it: what writes a malformed NWB file at a path.
MALFORMED: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("subject,session\n1,2\n"),
    "cut off": _cut,
    "damaged": _damaged,
    "a damaged heap of texts": _zeroed,
    **{name: partial(made, with_spikes, edit) for name, edit in _OF_SPIKES.items()},
    **{name: partial(made, with_traces, edit) for name, edit in _OF_TRACES.items()},
}
