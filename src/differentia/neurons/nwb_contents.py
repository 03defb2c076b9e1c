"""What an NWB file holds that can be measured: tables and series, found and not yet read.

https://nwb-schema.readthedocs.io; a file is read with h5py, and an open NWBFile of PyNWB by its attributes.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from differentia.errors import InputError, in_one_line
from differentia.neurons.dynamic_tables import Coded, Table
from differentia.neurons.recording import AREA, START, STOP
from differentia.neurons.stored import StoredFile
from differentia.system.file_kinds import HDF5, head_of
from differentia.system.hdf5 import open_hdf5, require_own_data, unreadable_hdf5
from differentia.system.zarr_folders import METADATA

#: Groups of an NWB file in which series lie.
PLACES_OF_SERIES = ("acquisition", "processing")

#: What a series calls the rows of a table that its columns are of, and the one for spikes' units.
REGIONS = ("rois", "electrodes")


@dataclass(frozen=True)
class Region:
    """The rows of a table that the columns of a series are of, by their places; None for no table."""

    name: str
    rows: Any
    table: Table | None


@dataclass(frozen=True)
class Series:
    """Values over time: when each sample was taken, and the table that its columns are rows of.

    There are `timestamps`, or a first time and a `rate`.
    """

    where: str
    data: Any
    timestamps: Any = None
    start: Any = 0.0
    rate: Any = None
    conversion: Any = 1.0
    offset: Any = 0.0
    channel_conversion: Any = None
    region: Region | None = None


@dataclass(frozen=True)
class Contents:
    """What was found in a file: its session and animal, tables, and series by their places.

    `group_areas` says where the group of electrodes lies that each unit is of; `more_intervals` are those of
    other places than that of intervals.
    """

    where: str
    session: str = ""
    subject: str = ""
    units: Table | None = None
    electrodes: Table | None = None
    group_areas: np.ndarray | None = None
    intervals: Mapping[str, Table] = field(default_factory=dict)
    more_intervals: Mapping[str, Table] = field(default_factory=dict)
    series: Mapping[str, Series] = field(default_factory=dict)


def contents_of_file(path: Path, where: str) -> Contents:
    """Return what a file holds, once it is known that all of it lies in it."""
    _require_file(path, where)
    try:
        with open_hdf5(path, where) as opened:
            require_own_data(opened, where)
            _require_version(opened, where)
            return _File(opened, StoredFile(path, where), where).contents()
    except (InputError, MemoryError):
        raise
    except Exception as error:  # h5py raises many kinds on broken files
        raise unreadable_hdf5(path, where, error, form="NWB") from error


def _require_file(path: Path, where: str) -> None:
    if path.is_dir():
        zarr = any((path / name).exists() for name in METADATA)
        what = "is a folder of Zarr" if zarr else "is a folder"
        raise InputError(
            f"{where}: {what}; only NWB files in HDF5 are read: "
            + ("write it as one with PyNWB's NWBHDF5IO.export" if zarr else "name a file")
        )
    if not path.is_file():
        found = "is no regular file" if path.exists() else "no such file"
        raise InputError(f"{where}: {found}; expected an NWB file")
    if not head_of(path).startswith(HDF5):
        raise unreadable_hdf5(path, where, ValueError(), form="NWB")


def _require_version(opened: Any, where: str) -> None:
    version = opened.attrs.get("nwb_version")
    if version is None and "nwb_version" in opened:  # as NWB 1 has it
        version = _single(opened["nwb_version"])
    if version is None:
        raise InputError(
            f"{where}: is an HDF5 file, and no NWB file: it names no nwb_version; expected one as "
            "PyNWB writes it"
        )
    told = _decoded(version).removeprefix("NWB-")
    if told.partition(".")[0] != "2":
        raise InputError(
            f"{where}: is of NWB {told[:20]!r}; only NWB 2 is read: fetch it in that version, or convert it"
        )


class _File:
    """Finds what an open HDF5 file holds."""

    def __init__(self, opened: Any, stored: StoredFile, where: str) -> None:
        self._opened, self._stored, self._where = opened, stored, where

    def contents(self) -> Contents:
        series, tables = {}, {}
        for place, group in self._walked():
            if _holds(group, "data"):
                if "timestamps" in group or "starting_time" in group:
                    series[place] = self._one_series(group, place)
            elif _holds(group, START) and _holds(group, STOP):
                tables[place] = self._table(place)
        return Contents(
            where=self._where,
            session=self._text("general/session_id") or self._text("identifier"),
            subject=self._text("general/subject/subject_id"),
            units=self._table("units"),
            electrodes=self._table("general/extracellular_ephys/electrodes"),
            group_areas=self._group_areas(),
            intervals=self._intervals(),
            more_intervals={place: table for place, table in tables.items() if table is not None},
            series=series,
        )

    def _group(self, place: str) -> Any:
        import h5py

        found = self._opened.get(place)
        if found is not None and not isinstance(found, h5py.Group):
            raise InputError(f"{self._where}: /{place} is a dataset; expected a group: write the file again")
        return found

    def _text(self, place: str) -> str:
        import h5py

        found = self._opened.get(place)
        if (
            not isinstance(found, h5py.Dataset)
            or found.shape != ()
            or not h5py.check_string_dtype(found.dtype)
        ):
            return ""
        return str(found.asstr(errors="replace")[()])

    def _table(self, place: str) -> Table | None:
        import h5py

        group = self._group(place)
        if group is None:
            return None
        where = f"{self._where}: /{place}"
        data = {name: found for name, found in group.items() if isinstance(found, h5py.Dataset)}
        names = [name for name in data if name != "id" and not name.endswith("_index")]
        if "colnames" in group.attrs:
            # Before they are read: each may be as long as the file.
            if (count := math.prod(group.attrs.get_id("colnames").shape or ())) > len(data):
                raise InputError(
                    f"{where}: names {count:,} columns and holds {len(data):,} datasets; it is damaged: "
                    "write the file again"
                )
            named = group.attrs["colnames"]
            names = [] if isinstance(named, h5py.Empty) else [*map(_decoded, np.ravel(named))]
        columns = {name: self._column(one, f"{where}/{name}") for name, one in data.items()}
        return Table(where, columns, tuple(names))

    def _column(self, found: Any, where: str) -> Any:
        """Return a column of a table; one of numbers that stand for texts as these."""
        import h5py

        column = self._stored.dataset(found)
        texts = self._target(found.attrs.get("elements"))
        return (
            Coded(column, self._stored.dataset(texts), where) if isinstance(texts, h5py.Dataset) else column
        )

    def _group_areas(self) -> np.ndarray | None:
        """Return where the group of electrodes lies that each unit is of; None where nothing says."""
        import h5py

        found = self._opened.get("units/electrode_group")
        if not isinstance(found, h5py.Dataset) or found.ndim != 1:
            return None
        if h5py.check_ref_dtype(found.dtype) is not h5py.Reference:
            return None
        return np.array([self._area_of(self._target(reference)) for reference in found[:]], object)

    def _area_of(self, group: Any) -> str:
        area = "" if group is None else group.attrs.get(AREA, "")
        return (
            area.decode(errors="replace")
            if isinstance(area, bytes)
            else area
            if isinstance(area, str)
            else ""
        )

    def _intervals(self) -> dict[str, Table]:
        tables = {name: self._table(f"intervals/{name}") for name in self._group("intervals") or ()}
        return {name: table for name, table in tables.items() if table is not None}

    def _walked(self) -> Iterator[tuple[str, Any]]:
        """Yield the groups in which series lie by their places, once where links lead there too."""
        import h5py

        groups, seen = [*PLACES_OF_SERIES], set()
        while groups:
            place = groups.pop(0)
            group = self._opened.get(place)
            if not isinstance(group, h5py.Group) or (address := h5py.h5o.get_info(group.id).addr) in seen:
                continue
            seen.add(address)
            yield place, group
            if not _holds(group, "data"):
                hard = [name for name in group if isinstance(group.get(name, getlink=True), h5py.HardLink)]
                groups += [f"{place}/{name}" for name in hard]

    def _one_series(self, group: Any, place: str) -> Series:
        data = group["data"]
        start = group.get("starting_time")
        return Series(
            where=f"{self._where}: /{place}",
            data=self._stored.dataset(data),
            timestamps=self._dataset(group, "timestamps"),
            start=None if start is None else _single(start),
            rate=None if start is None else start.attrs.get("rate"),
            conversion=data.attrs.get("conversion", 1.0),
            offset=data.attrs.get("offset", 0.0),
            channel_conversion=self._dataset(group, "channel_conversion"),
            region=self._region(group),
        )

    def _dataset(self, group: Any, name: str) -> Any:
        import h5py

        found = group.get(name)
        return self._stored.dataset(found) if isinstance(found, h5py.Dataset) else None

    def _region(self, group: Any) -> Region | None:
        name = next((name for name in REGIONS if name in group), None)
        if name is None:
            return None
        table = self._referred(group[name].attrs.get("table"))
        return Region(name, self._dataset(group, name), table)

    def _referred(self, reference: Any) -> Table | None:
        """Return the table that a reference is to, by its place in the file; None where it is to none."""
        import h5py

        target = self._target(reference)
        return self._table(target.name.lstrip("/")) if isinstance(target, h5py.Group) else None

    def _target(self, reference: Any) -> Any:
        """Return the group or dataset that a reference is to, if it has a place in the file."""
        import h5py

        try:
            target = self._opened[reference] if isinstance(reference, h5py.Reference) else None
        except (KeyError, OSError, RuntimeError, ValueError):
            return None
        return target if target is not None and target.name else None


def _decoded(text: Any) -> str:
    return text.decode(errors="replace") if isinstance(text, bytes) else str(text)


def _holds(group: Any, name: str) -> bool:
    import h5py

    return isinstance(group.get(name), h5py.Dataset)


def _single(found: Any) -> Any:
    """Return the value of a dataset that holds one; None for any other, of whatever size."""
    return found[()] if getattr(found, "shape", None) in ((), (1,)) else None


def is_pynwb(given: Any) -> bool:
    """Return whether something is an NWBFile of PyNWB."""
    return all(hasattr(given, name) for name in ("units", "acquisition", "processing", "intervals"))


def contents_of_object(file: Any) -> Contents:
    """Return what an NWBFile of PyNWB holds, from a file that is still open or made at hand."""
    try:
        return _contents_of_object(file)
    except (InputError, MemoryError):
        raise
    except Exception as error:  # a file that was closed meanwhile raises many kinds
        raise _closed(error) from error


def _closed(error: Exception) -> InputError:
    return InputError(
        f"the NWBFile can't be read ({in_one_line(error)}); keep its file open while it is used, or name the "
        "file itself"
    )


def _contents_of_object(file: Any) -> Contents:
    where = "the NWBFile"
    tables = dict(file.intervals or {})
    for name in ("trials", "epochs", "invalid_times"):
        if (table := getattr(file, name, None)) is not None:
            tables[name] = table
    places = {f"acquisition/{name}": found for name, found in file.acquisition.items()}
    for module, holder in file.processing.items():
        places |= {f"processing/{module}/{name}": found for name, found in holder.data_interfaces.items()}
    series: dict[str, Series] = {}
    more_intervals = {}
    for place, found in places.items():
        if {START, STOP} <= {*getattr(found, "colnames", ())}:
            more_intervals[place] = found
        series.update(_series_of_object(found, place, where))
    subject = getattr(file, "subject", None)
    return Contents(
        where=where,
        session=getattr(file, "session_id", None) or getattr(file, "identifier", None) or "",
        subject=getattr(subject, "subject_id", None) or "",
        units=_table_of_object(file.units, f"{where}: /units"),
        electrodes=_table_of_object(getattr(file, "electrodes", None), f"{where}: /electrodes"),
        group_areas=_group_areas_of_object(file.units),
        intervals=_tables_of_objects(tables, f"{where}: /intervals/"),
        more_intervals=_tables_of_objects(more_intervals, f"{where}: /"),
        series=series,
    )


def _table_of_object(table: Any, where: str) -> Table | None:
    if table is None:
        return None
    data = {column.name: _column_of_object(column, f"{where}/{column.name}") for column in table.columns}
    return Table(where, {"id": _as_data(table.id.data), **data}, tuple(table.colnames))


def _tables_of_objects(tables: Mapping[str, Any], where: str) -> dict[str, Table]:
    found = {name: _table_of_object(table, f"{where}{name}") for name, table in tables.items()}
    return {name: table for name, table in found.items() if table is not None}


def _column_of_object(column: Any, where: str) -> Any:
    elements = getattr(column, "elements", None)
    if elements is None:
        return _as_data(column.data)
    return Coded(_as_data(column.data), _as_data(elements.data), where)


def _group_areas_of_object(units: Any) -> np.ndarray | None:
    if units is None or "electrode_group" not in units.colnames:
        return None
    groups = units["electrode_group"].data
    return np.array([getattr(groups[unit], AREA, None) or "" for unit in range(len(groups))], object)


def _series_of_object(found: Any, place: str, where: str) -> Iterator[tuple[str, Series]]:
    if hasattr(found, "data") and hasattr(found, "timestamps"):
        factors = getattr(found, "channel_conversion", None)
        yield (
            place,
            Series(
                where=f"{where}: /{place}",
                data=_as_data(found.data),
                timestamps=None if found.timestamps is None else _as_data(found.timestamps),
                start=found.starting_time,
                rate=found.rate,
                conversion=found.conversion,
                offset=found.offset,
                channel_conversion=None if factors is None else _as_data(factors),
                region=_region_of_object(found, where),
            ),
        )
        return
    for child in getattr(found, "children", ()):
        yield from _series_of_object(child, f"{place}/{child.name}", where)


def _region_of_object(series: Any, where: str) -> Region | None:
    name = next((name for name in REGIONS if getattr(series, name, None) is not None), None)
    if name is None:
        return None
    region = getattr(series, name)
    table = _table_of_object(region.table, f"{where}: /{region.table.name}")
    return Region(name, _as_data(region.data), table)


class _Held:
    """A dataset of a file that someone else has open, and may have closed when it is read."""

    def __init__(self, dataset: Any) -> None:
        self._dataset, self.shape, self.dtype = dataset, tuple(dataset.shape), dataset.dtype

    def __getitem__(self, part: slice) -> np.ndarray:
        try:
            return np.asarray(self._dataset[part])
        except Exception as error:
            raise _closed(error) from error


def _as_data(given: Any) -> Any:
    """Return what has a shape and a type, and gives the values of a slice; lists are such as arrays."""
    given = getattr(given, "data", given) if type(given).__name__.endswith("DataIO") else given
    if isinstance(given, np.ndarray):
        return given
    if isinstance(getattr(given, "dtype", None), np.dtype):
        return _Held(given)
    listed = list(given)
    if all(isinstance(one, str | bytes | int | float | np.number | np.ndarray | list) for one in listed):
        try:
            return np.asarray(listed)
        except ValueError:  # of unequal lengths
            pass
    objects = np.empty(len(listed), object)
    objects[:] = listed
    return objects
