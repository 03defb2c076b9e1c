"""Matrices that are read from stored arrays as they are needed."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Int

from differentia.errors import StorageError
from differentia.recording.store.arrays import StoredArray


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

    What is pickled is where it lies: a few kilobytes, however many images there are.
    """

    def __init__(self, runs: Sequence[Run], width: int) -> None:
        self._runs = runs
        self.shape = (sum(run.length for run in runs), width)
        self.dtype = runs[0].parts[0].array.dtype

    def __reduce__(self) -> tuple[Any, ...]:
        parts = list(dict.fromkeys(run.parts for run in self._runs))
        numbers = {of: number for number, of in enumerate(parts)}
        table = [(run.stored, run.length, numbers[run.parts]) for run in self._runs]
        steps = np.diff(np.array(table, "<i8"), axis=0, prepend=np.zeros((1, 3), "<i8"))
        return _from_address, (parts, zlib.compress(steps.tobytes()), self.shape[1])

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

    def _read_block(self, rows: range, columns: Int[np.ndarray, " k"]) -> np.ndarray:
        found = np.empty((len(rows), len(columns)), dtype=self.dtype)
        reached = 0
        for run in self._runs:
            start, stop = max(rows.start, reached), min(rows.stop, reached + run.length)
            if start < stop:
                stored = range(run.stored + start - reached, run.stored + stop - reached)
                _read_rows(run.parts, stored, columns, found[start - rows.start : stop - rows.start])
            reached += run.length
        return found


def _from_address(parts: Sequence[tuple[Segment, ...]], steps: bytes, width: int) -> StoredMatrix:
    table = np.frombuffer(zlib.decompress(steps), "<i8").reshape(-1, 3).cumsum(axis=0).tolist()
    return StoredMatrix([Run(stored, length, parts[number]) for stored, length, number in table], width)


def _read_rows(
    parts: Sequence[Segment], rows: range, columns: Int[np.ndarray, " k"], into: np.ndarray
) -> None:
    """Read rows of some arrays, one array after another."""
    for part in parts:
        begin, end = np.searchsorted(columns, (part.start, part.stop))
        if begin == end:
            continue
        try:
            part.array.read_into(into[:, begin:end], rows, columns[begin:end] - part.offset)
        except (OSError, StorageError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StorageError(
                f"{part.array.path}: can't be read ({reason}); run the same command again: what is damaged "
                "is found, and recorded again"
            ) from error
