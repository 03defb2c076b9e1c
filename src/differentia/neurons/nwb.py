"""Recordings in files of NWB 2 (Neurodata Without Borders)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from differentia.errors import InputError, nearest_names, short_tracebacks, unknown_name
from differentia.neurons.dynamic_tables import Table, described, values_of, whole_numbers
from differentia.neurons.intervals import INVALID, interval_table, spans_of
from differentia.neurons.nwb_contents import (
    Contents,
    Series,
    contents_of_file,
    contents_of_object,
    is_pynwb,
)
from differentia.neurons.recording import AREA, Recording
from differentia.neurons.spikes import RaggedSpikes
from differentia.neurons.times import number, regular_times, sample_times, spans
from differentia.neurons.traces import SampledTraces, is_traces, require_as_many, require_traces
from differentia.system.files import user_path

if TYPE_CHECKING:
    import pandas as pd

#: Columns of a table of units.
SPIKES, OBSERVED, ELECTRODES, PEAK_CHANNEL = "spike_times", "obs_intervals", "electrodes", "peak_channel_id"

#: What PyNWB has people write for an area that they do not know, and what programs write.
UNKNOWN = ("unknown", "nan", "None")


@short_tracebacks
def read_recording(
    source: str | os.PathLike[str] | Any, *, units: str | None = None, traces: str | None = None
) -> Recording:
    """Read spikes or traces, and what was shown when, from an NWB file.

    Tables are read at once; spike times and samples when they are asked for.

    Parameters
    ----------
    source
        The path of a file of NWB 2 in HDF5, or an open ``NWBFile`` of PyNWB.
    units
        A query on the columns of the table of units, of which those it is true of are taken; see
        `Recording.select`. All without.
    traces
        Which series is read: its place in the file, such as
        ``"processing/ophys/DfOverF/RoiResponseSeries"``, or a part of it that no other has, ``"DfOverF"``.
        Without, spike times are read, where the file has some; else the only series of regions of interest;
        else the only series.

    Returns
    -------
    Recording
        Its units have the columns of one value each. ``location``, unless it is one of them, is that of a
        unit's electrodes, or of its ``peak_channel_id``, or else of its group of electrodes; "" where these
        lie in several areas, or in one that is "unknown". Of intervals the table ``invalid_times`` becomes
        `Recording.invalid`; tables in processing modules are among them, too.

    Raises
    ------
    InputError
        There is no such file, it is no NWB 2, it is damaged, some of it lies in another file, it holds no
        spikes and no single series, or what it holds can't be: times that are missing or go back, an index
        that points outside, columns of other lengths.

    Notes
    -----
    Nothing outside the file is read. Series are in the unit that the file names: ``conversion`` and
    ``offset`` are applied. Columns with several numbers for a row, or with anything but numbers and text,
    are left out.
    """
    if isinstance(source, str | os.PathLike):
        path = str(user_path(source))
        contents = contents_of_file(Path(path), str(source))
    elif is_pynwb(source):
        path, contents = "", contents_of_object(source)
    else:
        raise InputError(
            f"the recording is of type {type(source).__name__}; expected the path of an NWB file, or an open "
            "NWBFile: as_recording takes arrays and what pynapple holds"
        )
    activity = _spikes(contents) if traces is None and _has_spikes(contents) else _traces(contents, traces)
    tables = {name: _intervals(table) for name, table in contents.intervals.items()}
    more, told = _more_intervals(contents)
    recording = Recording(
        activity=activity.activity,
        units=activity.units,
        intervals={name: table for name, table in tables.items() if name != INVALID} | more,
        observed=activity.observed,
        invalid=spans_of(tables[INVALID]) if INVALID in tables else np.empty((0, 2)),
        session=contents.session,
        subject=contents.subject,
        source=path,
        told=told,
    )
    return recording if units is None else recording.select(units)


@dataclass(frozen=True)
class _Activity:
    activity: RaggedSpikes | SampledTraces
    units: pd.DataFrame
    observed: tuple[Float[np.ndarray, "_ 2"], ...] | None = None


def _has_spikes(contents: Contents) -> bool:
    return contents.units is not None and SPIKES in contents.units


def _intervals(table: Table) -> pd.DataFrame:
    return interval_table(table.frame(), table.where)


def _more_intervals(contents: Contents) -> tuple[dict[str, pd.DataFrame], tuple[str, ...]]:
    """Return the tables of intervals that lie elsewhere, by their names, and what is told of those left out.

    One that has the name of another has its place for a name.
    """
    names = [place.rpartition("/")[2] for place in contents.more_intervals]
    taken = [*names, *contents.intervals, INVALID]
    found, told = {}, []
    for name, (place, table) in zip(names, contents.more_intervals.items(), strict=True):
        try:
            found[name if taken.count(name) == 1 else place] = _intervals(table)
        except InputError as error:  # nobody may want it
            told.append(f"the intervals {place} were left out: {error}")
    return found, tuple(told)


def _spikes(contents: Contents) -> _Activity:
    table = contents.units
    assert table is not None
    ends, data = table.ends(SPIKES), table.data[SPIKES]
    if not len(ends):
        raise InputError(f"{table.where}: has no unit; expected some with spike times")
    place = f"{table.where}/{SPIKES}"
    if len(data.shape) != 1 or np.dtype(data.dtype).kind not in "iuf":
        raise InputError(f"{place}: holds {described(data)}; expected times, in seconds")
    units = _without_unknown_areas(table.frame(leave_out=(SPIKES, ELECTRODES)))
    for areas_of in (_areas_of_electrodes, _areas_of_groups):
        known = AREA in units and bool((units[AREA] != "").any())
        if not known and (areas := areas_of(table, contents)) is not None:
            units = _without_unknown_areas(units.assign(**{AREA: areas}))
    spikes = RaggedSpikes(data, ends, tuple(units.index.tolist()), place)
    return _Activity(spikes, units, _observed(table))


def _observed(table: Table) -> tuple[Float[np.ndarray, "_ 2"], ...] | None:
    if OBSERVED not in table:
        return None
    data, ends, place = table.data[OBSERVED], table.ends(OBSERVED), f"{table.where}/{OBSERVED}"
    if len(data.shape) != 2 or data.shape[1] != 2 or np.dtype(data.dtype).kind not in "iuf":
        raise InputError(f"{place}: holds {described(data)}; expected (n, 2), in seconds")
    values = np.asarray(data[:])
    times = spans(values[:, 0], values[:, 1], place)
    return tuple(np.split(times, ends[:-1]))


def _areas_of_groups(units: Table, contents: Contents) -> np.ndarray | None:
    """Return in which area the group of electrodes lies that each unit is of; None where nothing says."""
    if contents.group_areas is not None:
        _require_rows(len(contents.group_areas), units.n_rows, f"{units.where}/electrode_group")
    return contents.group_areas


def _areas_of_electrodes(units: Table, contents: Contents) -> np.ndarray | None:
    """Return in which area each unit's electrodes lie, "" where that is not one; None where nothing says."""
    electrodes = contents.electrodes
    if electrodes is None or AREA not in electrodes:
        return None
    areas = electrodes.column(AREA)
    if areas is None or areas.dtype.kind != "O":
        return None
    if ELECTRODES in units:
        return _areas_of_region(units, areas)
    if PEAK_CHANNEL in units:
        return _areas_of_channels(units, electrodes.labels(), areas)
    return None


def _areas_of_region(units: Table, areas: np.ndarray) -> np.ndarray:
    place = f"{units.where}/{ELECTRODES}"
    rows = _rows(units.data[ELECTRODES], len(areas), place)
    if f"{ELECTRODES}_index" not in units:
        _require_rows(len(rows), units.n_rows, place)
        return areas[rows]
    parts = np.split(rows, units.ends(ELECTRODES)[:-1])
    found = [{*areas[part].tolist()} for part in parts]
    return np.array([one.pop() if len(one) == 1 else "" for one in found], object)


def _areas_of_channels(units: Table, ids: np.ndarray, areas: np.ndarray) -> np.ndarray | None:
    channels = units.column(PEAK_CHANNEL)
    known = dict(zip(ids.tolist(), areas.tolist(), strict=True))
    return None if channels is None else np.array([known.get(one, "") for one in channels.tolist()], object)


def _rows(data: Any, count: int, place: str) -> Int[np.ndarray, " n"]:
    """Return rows of a table by their places, or raise an error where one is beyond its end."""
    rows = whole_numbers(data, place)
    if rows.size and rows.max() >= count:
        raise InputError(
            f"{place}: names row {rows.max()} of a table of {count:,} rows (from 0), outside; "
            "write the file again"
        )
    return rows


def _require_rows(found: int, expected: int, place: str) -> None:
    if found != expected:
        raise InputError(
            f"{place}: has {found:,} values; expected {expected:,}, one for each: write it again"
        )


def _traces(contents: Contents, name: str | None) -> _Activity:
    series = _chosen_series(contents, name)
    data = series.data
    require_traces(data, f"{series.where}/data")
    count = 1 if len(data.shape) == 1 else int(data.shape[1])
    traces = SampledTraces(data, _times(series), _factor(series, count), _finite(series, "offset"))
    return _Activity(traces, _units_of_series(series, count))


def _times(series: Series) -> Float[np.ndarray, " sample"]:
    place, count = f"{series.where}/timestamps", int(series.data.shape[0])
    if series.timestamps is None:
        return regular_times(series.start, series.rate, count, f"{series.where}/starting_time")
    require_as_many(int(np.prod(series.timestamps.shape)), series.data, series.where)
    values = values_of(series.timestamps)
    if values is None or values.dtype.kind not in "iuf":
        raise InputError(f"{place}: holds {described(series.timestamps)}; expected times, in seconds")
    return sample_times(values, place)


def _factor(series: Series, count: int) -> float | Float[np.ndarray, " unit"]:
    factor = _finite(series, "conversion")
    if series.channel_conversion is None:
        return factor
    place, channels = f"{series.where}/channel_conversion", values_of(series.channel_conversion)
    if channels is None or channels.dtype.kind not in "iuf" or not np.isfinite(channels).all():
        raise InputError(f"{place}: holds no finite numbers; expected a factor for each channel")
    _require_rows(len(channels), count, place)
    return factor * channels.astype(np.float64)


def _finite(series: Series, name: str) -> float:
    value = getattr(series, name)
    if not np.isfinite(found := number(value)):
        shown = found if isinstance(value, float) else repr(value)
        raise InputError(f"{series.where}/data: its {name} is {shown}; expected a finite number")
    return found


def _units_of_series(series: Series, count: int) -> pd.DataFrame:
    """Return the rows of the table that the columns of a series are of; without one, their numbers."""
    import pandas as pd

    if series.region is None:
        return pd.DataFrame(index=pd.RangeIndex(count, name="id"))
    place = f"{series.where}/{series.region.name}"
    table = series.region.table
    if table is None:
        raise InputError(
            f"{place}: refers to no table of the file; expected that of which it names rows: write the file "
            "again"
        )
    rows = _rows(series.region.rows, table.n_rows, place)
    _require_rows(len(rows), count, place)
    return _without_unknown_areas(table.frame().iloc[rows])


def _chosen_series(contents: Contents, name: str | None) -> Series:
    found = fitting = contents.series
    if name is not None:
        name = str(name)
        wanted = f"/{name.strip('/')}/"
        fitting = {place: one for place, one in found.items() if wanted in f"/{place}/"}
        if not fitting:
            of_parts = {part: place for place in found for part in place.split("/")}
            close = nearest_names(name, of_parts)
            raise unknown_name("series", name, found, meant=of_parts[close[0]] if close else "")
    else:
        of_rois = {place: one for place, one in found.items() if one.region and one.region.name == "rois"}
        fitting = of_rois or {place: one for place, one in found.items() if is_traces(one.data)} or found
        if not fitting:
            raise InputError(
                f"{contents.where}: holds neither units with spike times nor a series over time; expected an "
                "NWB file with one of them"
            )
    if len(fitting) > 1:
        listed = ", ".join(fitting)
        what = "holds" if name is None else f"calls {name!r}"
        raise InputError(
            f"{contents.where}: {what} {len(fitting)} series: {listed}; name one, such as "
            f"traces={next(iter(fitting))!r} (--traces)"
        )
    return next(iter(fitting.values()))


def _without_unknown_areas(units: pd.DataFrame) -> pd.DataFrame:
    """Return units with "" for an area that the file says is not known."""
    if AREA not in units:
        return units
    unknown = units[AREA].isna() | units[AREA].isin(UNKNOWN)
    return units.assign(**{AREA: units[AREA].astype(object).mask(unknown, "")})
