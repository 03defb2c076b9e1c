"""Arrays on disk in whole chunks, each with a checksum, and matrices that are read from them.

A chunk is written beside its place and renamed, and ends in its CRC32C: one that is there is finished, and
one that is not what was written is found.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Num

from differentia.errors import StorageError

#: Rows of a chunk: few, so that a set's last batch fills most of its last chunk.
CHUNK_ROWS = 16

#: Columns of a chunk: with its rows 1 MiB of float32. A disk reads that at full speed; and whoever reads few
#: columns of many images does not read much more than those.
CHUNK_COLUMNS = 2**14

#: What can be kept, and what stands where nothing was written: NaN, so that a chunk that is gone is seen.
FILL_VALUES: dict[str, str | int] = {"float32": "NaN", "float64": "NaN", "uint8": 0}

#: Bytes of a chunk's checksum.
CRC_BYTES = 4

#: Entries of what is read from the disk at once.
READ_ENTRIES = 2**24

#: What reading metadata raises that are not there, or are none. A disk that fails is another matter.
JUNK = (
    *(FileNotFoundError, NotADirectoryError, IsADirectoryError),
    *(ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError),
)

#: The file with the metadata of a group or an array.
METADATA = "zarr.json"

#: What may stand in an array's metadata, whatever it is.
NOTES = ("dimension_names", "attributes")


def _codecs(dtype: np.dtype[Any]) -> list[dict[str, Any]]:
    """Return what Zarr has to do to read what `_encoded` gives."""
    bytes_codec = {"name": "bytes", "configuration": {"endian": "little"}}
    return [bytes_codec if dtype.itemsize > 1 else {"name": "bytes"}, {"name": "crc32c"}]


def _encoded(chunk: np.ndarray) -> tuple[memoryview, bytes]:
    """Return the parts of a chunk's file; zarr, with which the tests read it, takes six times as long."""
    return chunk.data, _crc32c(chunk)


def _is_intact(content: bytes, size: int) -> bool:
    """Return whether a chunk's file is what was written, of as many bytes before the checksum."""
    numbers = content[:-CRC_BYTES]
    return len(numbers) == size and _crc32c(numbers) == content[-CRC_BYTES:]


def _crc32c(numbers: np.ndarray | bytes) -> bytes:
    import google_crc32c

    return google_crc32c.value(numbers).to_bytes(CRC_BYTES, "little")


@dataclass(eq=False)
class StoredArray:
    """One array of the store: its folder, what its metadata say, and the chunks that are there."""

    path: Path
    rows: int
    columns: int
    dtype: np.dtype[Any]
    chunk_rows: int
    chunk_columns: int
    finished: set[tuple[int, int]]

    @property
    def metadata(self) -> dict[str, Any]:
        """What Zarr has to know."""
        chunk = [self.chunk_rows, self.chunk_columns]
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [self.rows, self.columns],
            "data_type": self.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "fill_value": FILL_VALUES[self.dtype.name],
            "codecs": _codecs(self.dtype),
            "dimension_names": ["image", "column"],
            "attributes": {},
        }

    @property
    def chunks_across(self) -> int:
        """How many chunks hold one row."""
        return math.ceil(self.columns / self.chunk_columns)

    def chunks(self, rows: range) -> list[tuple[int, int]]:
        """Return the chunks that hold some rows."""
        first, last = rows.start // self.chunk_rows, math.ceil(rows.stop / self.chunk_rows)
        return [(down, across) for down in range(first, last) for across in range(self.chunks_across)]

    def file(self, chunk: tuple[int, int]) -> Path:
        """Return where a chunk lies."""
        return self.path / f"c.{chunk[0]}.{chunk[1]}"

    def holds(self, rows: range) -> bool:
        """Return whether all chunks of some rows are finished."""
        return self.finished.issuperset(self.chunks(rows))

    def write(self, rows: range, values: Num[np.ndarray, "b k"]) -> None:
        """Write rows that begin with a chunk, in all chunks that they touch and that are not finished."""
        nothing = float(FILL_VALUES[self.dtype.name])
        whole = np.full((self.chunk_rows, self.chunk_columns), nothing, dtype=self.dtype)
        for chunk in self.chunks(rows):
            if chunk in self.finished:  # a run was killed between two of them, or one was damaged
                continue
            down, across = chunk[0] * self.chunk_rows - rows.start, chunk[1] * self.chunk_columns
            part = values[down : down + self.chunk_rows, across : across + self.chunk_columns]
            if part.shape != whole.shape:
                whole[:] = nothing
            whole[: part.shape[0], : part.shape[1]] = part
            target = self.file(chunk)
            beside = target.with_name(f"{target.name}.partial")
            with beside.open("wb") as file:  # which writes on where the disk takes a part only
                file.writelines(_encoded(whole))
            beside.replace(target)
            self.finished.add(chunk)

    def lengthen(self, rows: int) -> None:
        """Make room for more rows."""
        if self.rows < rows:
            self.rows = rows
            write_metadata(self.path, self.metadata)

    def forget(self, rows: range) -> None:
        """Remove the chunks of some rows."""
        for chunk in self.finished.intersection(self.chunks(rows)):
            self.file(chunk).unlink(missing_ok=True)
            self.finished.discard(chunk)

    def remove_damaged(self, rows: range) -> list[Path]:
        """Remove the finished chunks of some rows that are not what was written, and return their files."""
        removed = []
        size = self.chunk_rows * self.chunk_columns * self.dtype.itemsize
        for chunk in sorted(self.finished.intersection(self.chunks(rows))):
            file, content = self.file(chunk), b""
            with suppress(FileNotFoundError), file.open("rb") as opened:
                content = opened.read(size + CRC_BYTES + 1)
            if not _is_intact(content, size):
                file.unlink(missing_ok=True)
                self.finished.discard(chunk)
                removed.append(file)
        return removed


def create(path: Path, rows: int, columns: int, dtype: np.dtype[Any], chunk_rows: int) -> StoredArray:
    """Make an array's folder and metadata, in place of what may be there."""
    shutil.rmtree(path, ignore_errors=True)
    chunk_columns = math.ceil(columns / math.ceil(columns / CHUNK_COLUMNS))
    array = StoredArray(path, rows, columns, dtype, chunk_rows, chunk_columns, set())
    write_metadata(path, array.metadata)
    return array


def open_array(path: Path, columns: int, chunk_rows: int) -> StoredArray | None:
    """Return an array that is there; None where its metadata are not such as `create` writes."""
    try:
        about = read_metadata(path)
        rows, name = about["shape"][0], about["data_type"]
        chunk_columns = about["chunk_grid"]["configuration"]["chunk_shape"][1]
        sizes = type(rows) is int and type(chunk_columns) is int and 1 <= chunk_columns <= columns
        if not sizes or name not in FILL_VALUES:
            return None
        array = StoredArray(path, rows, columns, np.dtype(name), chunk_rows, chunk_columns, set())
        about["codecs"] = [{key: kept for key, kept in codec.items() if kept} for codec in about["codecs"]]
        if not all(about[key] == value for key, value in array.metadata.items() if key not in NOTES):
            return None
    except JUNK:
        return None
    for left in path.glob("*.partial"):  # by a run that was killed
        left.unlink()
    array.finished.update(_chunks(path))
    array.lengthen(max((down + 1 for down, _ in array.finished), default=0) * chunk_rows)
    return array


def _chunks(path: Path) -> Iterator[tuple[int, int]]:
    """Yield the chunks in an array's folder."""
    with os.scandir(path) as entries:
        for entry in entries:
            match entry.name.split("."):
                case ["c", down, across] if down.isdecimal() and across.isdecimal():
                    yield int(down), int(across)


def chunk_rows(path: Path) -> set[int]:
    """Return the rows of chunks of which something is in an array's folder."""
    return {down for down, _ in _chunks(path)} if path.is_dir() else set()


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a group or an array."""
    content: dict[str, Any] = json.loads((path / METADATA).read_text(encoding="utf-8"))
    return content


def write_metadata(path: Path, content: Mapping[str, Any]) -> None:
    """Write the metadata of a group or an array, whole or not at all."""
    path.mkdir(parents=True, exist_ok=True)
    beside = path / f"{METADATA}.partial"
    beside.write_text(json.dumps(content, indent=1), encoding="utf-8")
    beside.replace(path / METADATA)


class Segment(NamedTuple):
    """Columns of a matrix, and the array that they lie in, whose first column is the matrix's `offset`."""

    array: StoredArray
    offset: int
    start: int
    stop: int


class Run(NamedTuple):
    """Rows of a matrix that follow one another in the same arrays."""

    stored: int
    length: int
    parts: tuple[Segment, ...]


class StoredMatrix:
    """A matrix of images x columns that is read as it is needed."""

    def __init__(self, runs: Sequence[Run], width: int) -> None:
        self._runs = runs
        self.shape = (sum(run.length for run in runs), width)
        self.dtype = runs[0].parts[0].array.dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return self[:, :].astype(self.dtype if dtype is None else dtype, copy=False)

    def __getitem__(self, at: Any) -> np.ndarray:
        """Read chosen rows, with all between the first and the last, and columns, each a slice or indices."""
        chosen = at if isinstance(at, tuple) else (at,)
        chosen += (slice(None),) * (2 - len(chosen))
        rows, columns = (np.arange(length)[part] for length, part in zip(self.shape, chosen, strict=True))
        if rows.ndim != 1 or columns.ndim != 1:
            raise IndexError("a stored matrix is read by slices or indices of rows and of columns")
        if not len(rows) or not len(columns):
            return np.empty((len(rows), len(columns)), dtype=self.dtype)
        ascending, places = np.unique(columns, return_inverse=True)
        first = int(rows.min())
        found = self._read_block(range(first, int(rows.max()) + 1), ascending)
        if (np.diff(rows) != 1).any():
            found = found[rows - first]
        return found if len(places) == len(ascending) and (np.diff(places) > 0).all() else found[:, places]

    def _read_block(self, rows: range, columns: np.ndarray) -> np.ndarray:
        found = np.empty((len(rows), len(columns)), dtype=self.dtype)
        reached = 0
        for run in self._runs:
            start, stop = max(rows.start, reached), min(rows.stop, reached + run.length)
            if start < stop:
                stored = range(run.stored + start - reached, run.stored + stop - reached)
                _read_rows(run.parts, stored, columns, found[start - rows.start : stop - rows.start])
            reached += run.length
        return found


def _read_rows(parts: Iterable[Segment], rows: range, columns: np.ndarray, into: np.ndarray) -> None:
    """Read rows of some arrays, one stripe of chunks after another."""
    import zarr

    for part in parts:
        array = part.array
        try:
            opened: Any = zarr.open_array(str(array.path), mode="r")
            for across in range(array.chunks_across):
                low = part.offset + across * array.chunk_columns
                lowest, highest = max(part.start, low), min(part.stop, low + array.chunk_columns)
                begin, end = np.searchsorted(columns, (lowest, highest))
                if begin == end:
                    continue
                wanted = columns[begin:end] - part.offset
                first, last = int(wanted[0]), int(wanted[-1]) + 1
                step = max(array.chunk_rows, READ_ENTRIES // (last - first))
                for start in range(rows.start, rows.stop, step):
                    stop = min(start + step, rows.stop)
                    block = opened[start:stop, first:last]
                    target = into[start - rows.start : stop - rows.start, begin:end]
                    target[:] = block if end - begin == last - first else block[:, wanted - first]
                    if np.issubdtype(target.dtype, np.floating) and np.isnan(target).any():
                        raise StorageError("a chunk is gone")
        except Exception as error:  # zarr raises many kinds on what it can't read
            raise StorageError(
                f"{array.path}: can't be read ({error}); run the same command again: what is damaged is "
                "found, and recorded again"
            ) from error
