"""Arrays on disk in whole chunks, each with a checksum, and matrices that are read from them.

A chunk is written beside its place and renamed, and ends in its CRC32C: one that is there is finished, and
one that is not what was written is found.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Num

from differentia.errors import StorageError

#: Columns of a chunk: with its rows 1 MiB of float32. A disk reads that at full speed; and whoever reads few
#: columns of many images does not read much more than those.
CHUNK_COLUMNS = 2**14

#: What can be kept.
DTYPES = ("float32", "float64", "uint8")

#: Bytes of a checksum.
CHECKSUM = 4

#: Entries of what is read from the disk at once.
READ_ENTRIES = 2**24

#: What reading metadata raises that are not there, or are none. A disk that fails is another matter.
JUNK = (
    *(FileNotFoundError, NotADirectoryError, IsADirectoryError),
    *(ValueError, KeyError, TypeError, IndexError, AttributeError, RecursionError),
)

#: The file with the metadata of a group or an array.
METADATA = "zarr.json"


@dataclass(eq=False)
class StoredArray:
    """One array of the store: its folder, and what its metadata say.

    Attributes
    ----------
    path
        Its folder.
    rows, columns
        How many there are, or may be written.
    dtype
        Of its numbers.
    chunk_rows, chunk_columns
        Of each chunk.
    finished
        The chunks that are there, as (row, column) of the grid.
    """

    path: Path
    rows: int
    columns: int
    dtype: np.dtype[Any]
    chunk_rows: int
    chunk_columns: int
    finished: set[tuple[int, int]]

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
        """Write rows that begin with a chunk, in all chunks that they touch and that are not finished.

        This is what Zarr's bytes and crc32c codecs write (the tests read it with zarr), at a sixth of what
        zarr takes for a chunk, which would be as much as a small network's pass.
        """
        import google_crc32c

        nothing = _fill_value(self.dtype)
        whole = np.full((self.chunk_rows, self.chunk_columns), nothing, dtype=self.dtype)
        for chunk in self.chunks(rows):
            if chunk in self.finished:  # a run was killed between two of them, or one was damaged
                continue
            down, across = chunk[0] * self.chunk_rows - rows.start, chunk[1] * self.chunk_columns
            part = values[down : down + self.chunk_rows, across : across + self.chunk_columns]
            if part.shape != whole.shape:
                whole[:] = nothing
            whole[: part.shape[0], : part.shape[1]] = part
            checksum = google_crc32c.value(whole).to_bytes(CHECKSUM, "little")
            target = self.file(chunk)
            beside = target.with_name(f"{target.name}.partial")
            with beside.open("wb") as file:  # which writes on where the disk takes a part only
                file.write(whole.data)
                file.write(checksum)
            beside.replace(target)
            self.finished.add(chunk)

    def lengthen(self, rows: int) -> None:
        """Make room for more rows."""
        import zarr

        if self.rows < rows:
            array: Any = zarr.open_array(str(self.path), mode="r+")
            array.resize((rows, self.columns))
            self.rows = rows

    def damaged(self, rows: range) -> list[tuple[int, int]]:
        """Return the finished chunks of some rows that are not what was written."""
        import google_crc32c

        found = []
        size = self.chunk_rows * self.chunk_columns * self.dtype.itemsize + CHECKSUM
        for chunk in self.finished.intersection(self.chunks(rows)):
            content, checksum = b"", b""
            with suppress(FileNotFoundError), self.file(chunk).open("rb") as opened:
                content = opened.read(size - CHECKSUM)
                checksum = opened.read(CHECKSUM + 1)
            if google_crc32c.value(content).to_bytes(CHECKSUM, "little") != checksum:
                found.append(chunk)
        return sorted(found)

    def forget(self, chunks: Iterable[tuple[int, int]]) -> None:
        """Remove some chunks."""
        for chunk in chunks:
            self.file(chunk).unlink(missing_ok=True)
            self.finished.discard(chunk)


def create(path: Path, rows: int, columns: int, dtype: np.dtype[Any], chunk_rows: int) -> StoredArray:
    """Make an array's folder and metadata, in place of what may be there."""
    import zarr
    from zarr.codecs import Crc32cCodec

    shutil.rmtree(path, ignore_errors=True)
    chunk_columns = math.ceil(columns / math.ceil(columns / CHUNK_COLUMNS))
    zarr.create_array(
        str(path),
        shape=(rows, columns),
        chunks=(chunk_rows, chunk_columns),
        dtype=dtype,
        compressors=[Crc32cCodec()],
        filters=None,
        fill_value=_fill_value(dtype),
        chunk_key_encoding={"name": "default", "separator": "."},
        dimension_names=("image", "column"),
    )
    return StoredArray(path, rows, columns, dtype, chunk_rows, chunk_columns, set())


def _fill_value(dtype: np.dtype[Any]) -> float:
    """Return what stands where nothing was written: NaN, so that a chunk that is gone is seen."""
    return math.nan if np.issubdtype(dtype, np.floating) else 0


def open_array(path: Path, columns: int, chunk_rows: int) -> StoredArray | None:
    """Return an array that is there; None where its metadata are not such as `create` writes."""
    try:
        about = read_metadata(path)
        dtype = np.dtype(about["data_type"]) if about["data_type"] in DTYPES else None
        rows_of_chunk, chunk_columns = about["chunk_grid"]["configuration"]["chunk_shape"]
        codecs = [codec["name"] for codec in about["codecs"]]
        order = about["codecs"][0].get("configuration", {}).get("endian", "little")
        key = about["chunk_key_encoding"]
        ours = (
            about["node_type"] == "array"
            and about["shape"][1:] == [columns]
            and type(about["shape"][0]) is int
            and rows_of_chunk == chunk_rows
            and isinstance(chunk_columns, int)
            and 1 <= chunk_columns <= columns
            and (codecs, order) == (["bytes", "crc32c"], "little")
            and key == {"name": "default", "configuration": {"separator": "."}}
            and about["fill_value"] == ("NaN" if about["data_type"] != "uint8" else 0)
        )
    except JUNK:
        return None
    if not ours or dtype is None:
        return None
    for left in path.glob("*.partial"):  # by a run that was killed
        left.unlink()
    array = StoredArray(
        path, about["shape"][0], columns, dtype, chunk_rows, chunk_columns, set(_chunks(path))
    )
    array.lengthen(max((down + 1 for down, _ in array.finished), default=0) * chunk_rows)
    return array


def _chunks(path: Path) -> Iterator[tuple[int, int]]:
    """Yield the chunks in an array's folder."""
    with os.scandir(path) as entries:
        for entry in entries:
            kind, _, place = entry.name.partition(".")
            down, _, across = place.partition(".")
            if kind == "c" and down.isdecimal() and across.isdecimal():
                yield int(down), int(across)


def last_chunk_row(path: Path) -> int:
    """Return the last row of chunks in an array's folder; -1 where there is none."""
    return max((down for down, _ in _chunks(path)), default=-1) if path.is_dir() else -1


def read_metadata(path: Path) -> dict[str, Any]:
    """Return the metadata of a group or an array."""
    content: dict[str, Any] = json.loads((path / METADATA).read_text(encoding="utf-8"))
    return content


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
    """A matrix of images x columns that is read as it is needed.

    Parameters
    ----------
    runs
        Where its rows are.
    width
        The number of columns.

    Attributes
    ----------
    shape : (n_images, n_columns)
    dtype
        Of what is read.
    """

    def __init__(self, runs: Sequence[Run], width: int) -> None:
        self._runs = runs
        self.shape = (sum(run.length for run in runs), width)
        self.dtype = runs[0].parts[0].array.dtype

    def __len__(self) -> int:
        """Return the number of rows."""
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Read all of it."""
        return self[:, :].astype(self.dtype if dtype is None else dtype, copy=False)

    def __getitem__(self, at: Any) -> np.ndarray:
        """Read chosen rows and columns, each a slice or indices, as of an array.

        What lies between the first and the last of the rows is read with them.

        Raises
        ------
        StorageError
            What was written is damaged, or gone.
        IndexError
            There are no such rows or columns, or one is a single number.
        """
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
