"""An array of images x columns on disk, in chunks that each have a checksum.

A chunk that is there is finished, and one that is not what was written is found.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int, Num

from differentia.errors import StorageError
from differentia.recording.store.compression import COMPRESSIONS
from differentia.recording.store.metadata import write_metadata
from differentia.recording.store.shards import CRC_BYTES, crc32c

#: What can be kept, and what stands where nothing was written: NaN, so that a chunk that is gone is seen.
FILL_VALUES: dict[str, str | int] = {"float32": "NaN", "float64": "NaN", "uint8": 0}

#: A chunk, by its row and column among the array's.
Chunk = tuple[int, int]

#: A chunk with its bytes, to be used before the next; none where it is gone.
Content = tuple[Chunk, memoryview]


@dataclass(eq=False)
class StoredArray(ABC):
    """One array of a store: its folder, and what its metadata say.

    What is pickled is that alone: an address, which reads in any process that sees the same folder.

    Attributes
    ----------
    compress
        How its chunks are packed.
    """

    path: Path
    rows: int
    columns: int
    dtype: np.dtype[Any]
    chunk_rows: int
    chunk_columns: int
    compress: str

    def __getstate__(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self) if one.init}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    @property
    @abstractmethod
    def grid_shape(self) -> list[int]:
        """The rows and columns of one file."""

    @property
    def codecs(self) -> list[dict[str, Any]]:
        """What Zarr has to do to read a file."""
        return self.chunk_codecs

    @property
    def chunk_codecs(self) -> list[dict[str, Any]]:
        """What Zarr has to do to read a chunk."""
        endian = {"name": "bytes", "configuration": {"endian": "little"}}
        first = endian if self.dtype.itemsize > 1 else {"name": "bytes"}
        return [first, *COMPRESSIONS[self.compress].codecs, {"name": "crc32c"}]

    @property
    def metadata(self) -> dict[str, Any]:
        """What Zarr has to know."""
        return {
            "zarr_format": 3,
            "node_type": "array",
            "shape": [self.rows, self.columns],
            "data_type": self.dtype.name,
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": self.grid_shape}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}},
            "fill_value": FILL_VALUES[self.dtype.name],
            "codecs": self.codecs,
            "dimension_names": ["image", "column"],
            "attributes": {},
        }

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a chunk's numbers."""
        return self.chunk_rows * self.chunk_columns * self.dtype.itemsize

    @property
    def most(self) -> int:
        """Bytes that a chunk takes at most, with its checksum."""
        return COMPRESSIONS[self.compress].most(self.chunk_bytes) + CRC_BYTES

    @property
    def chunks_across(self) -> int:
        """How many chunks hold one row."""
        return math.ceil(self.columns / self.chunk_columns)

    def chunks(self, rows: range) -> list[Chunk]:
        """Return the chunks that hold some rows."""
        first, last = rows.start // self.chunk_rows, math.ceil(rows.stop / self.chunk_rows)
        return [(down, across) for down in range(first, last) for across in range(self.chunks_across)]

    @abstractmethod
    def look(self) -> None:
        """Find what there is."""

    @abstractmethod
    def rows_there(self) -> set[int]:
        """Return the rows of chunks that are finished, all across, whoever wrote them."""

    @property
    @abstractmethod
    def end(self) -> int:
        """The row after the last of which anything may be there."""

    @abstractmethod
    def has(self, chunk: Chunk) -> bool:
        """Return whether a chunk is finished."""

    @abstractmethod
    def put(self, chunk: Chunk, parts: Sequence[Any]) -> None:
        """Write a chunk, of several buffers; it is finished when this returns."""

    @abstractmethod
    def drop(self, chunk: Chunk) -> Path:
        """Take a chunk for one that is not there; return the file that it is in."""

    @abstractmethod
    def known(self, chunks: Sequence[Chunk]) -> Iterator[Content]:
        """Yield chunks that are finished, wherever they lie by now."""

    @abstractmethod
    def read(self, chunks: Sequence[Chunk]) -> Iterator[Content]:
        """Yield chunks as any process finds them in the folder."""

    def finish(self) -> None:
        """Give what was written its place."""
        return

    def close(self) -> None:
        """Let go of what was not finished: whoever opens the array next takes it over."""
        return

    def take_mended(self) -> list[Path]:
        """Return the files that were found damaged as a whole since this was last called."""
        return []

    def holds(self, rows: range) -> bool:
        """Return whether all chunks of some rows are finished."""
        return all(map(self.has, self.chunks(rows)))

    def forget(self, several: Sequence[range]) -> None:
        """Remove the chunks of some rows, at once."""
        if there := [chunk for rows in several for chunk in self.chunks(rows) if self.has(chunk)]:
            for chunk in there:
                self.drop(chunk)
            self.finish()

    def write(self, rows: range, values: Num[np.ndarray, "b k"]) -> None:
        """Write rows that begin with a chunk, in all chunks that they touch and that are not finished."""
        nothing = float(FILL_VALUES[self.dtype.name])
        whole = np.full((self.chunk_rows, self.chunk_columns), nothing, dtype=self.dtype)
        pack = COMPRESSIONS[self.compress].pack
        for chunk in self.chunks(rows):
            if self.has(chunk):  # a run was killed between two of them, or one was damaged
                continue
            down, across = chunk[0] * self.chunk_rows - rows.start, chunk[1] * self.chunk_columns
            part = values[down : down + self.chunk_rows, across : across + self.chunk_columns]
            if part.shape != whole.shape:
                whole[:] = nothing
            whole[: part.shape[0], : part.shape[1]] = part
            packed = pack(whole)  # by zarr, with which the tests read it, this would take six times as long
            self.put(chunk, [packed, crc32c(packed)])

    def unpacked(self, content: memoryview) -> np.ndarray | None:
        """Return the numbers of a chunk; None where it is not what was written."""
        packed = content[:-CRC_BYTES]
        if not 0 < len(packed) <= self.most or crc32c(packed) != content[-CRC_BYTES:]:
            return None
        try:
            numbers = COMPRESSIONS[self.compress].unpack(packed, self.chunk_bytes)
            return np.frombuffer(numbers, self.dtype).reshape(self.chunk_rows, self.chunk_columns)
        except (ValueError, RuntimeError):
            return None

    def lengthen(self, rows: int) -> None:
        """Make room for more rows."""
        if self.rows < rows:
            self.rows = rows
            write_metadata(self.path, self.metadata)

    def remove_damaged(self, rows: range) -> list[Path]:
        """Drop the finished chunks of some rows that are not what was written; return the file of each."""
        there = [chunk for chunk in self.chunks(rows) if self.has(chunk)]
        damaged = [chunk for chunk, content in self.known(there) if self.unpacked(content) is None]
        return [self.drop(chunk) for chunk in damaged]

    def read_into(self, into: Num[np.ndarray, "b k"], rows: range, columns: Int[np.ndarray, " k"]) -> None:
        """Read columns, which ascend, of some rows."""
        edges = np.arange(self.chunks_across + 1) * self.chunk_columns
        places = np.searchsorted(columns, edges)
        taken: dict[int, Any] = {}
        for across in np.flatnonzero(np.diff(places)).tolist():
            within = columns[places[across] : places[across + 1]] - edges[across]
            follow = within[-1] - within[0] + 1 == len(within)
            taken[across] = slice(int(within[0]), int(within[-1]) + 1) if follow else within
        for (down, across), content in self.read([chunk for chunk in self.chunks(rows) if chunk[1] in taken]):
            block = self.unpacked(content)
            if block is None:
                raise StorageError("a chunk is damaged" if len(content) else "a chunk is gone")
            first = down * self.chunk_rows
            low, high = max(rows.start, first), min(rows.stop, first + self.chunk_rows)
            target = into[low - rows.start : high - rows.start, places[across] : places[across + 1]]
            target[:] = block[low - first : high - first, taken[across]]
