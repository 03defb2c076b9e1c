"""A stand-in for responses on disk, which counts what is read of it; and what memory something takes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np


class Stored:
    """Responses that are no array, but can be read by rows and columns.

    Parameters
    ----------
    values : (n_responses, n_units)
    most
        Bytes that it gives at once.
    order
        Of what it gives, in memory: a store may have any.
    """

    def __init__(self, values: np.ndarray, most: int = 2**62, order: Literal["C", "F"] = "F") -> None:
        self._values = values
        self._most = most
        self._order = order
        self.shape: tuple[int, ...] = values.shape
        self.dtype = values.dtype
        self.reads: list[int] = []

    def __getitem__(self, at: tuple[slice, Any], /) -> np.ndarray:
        rows, columns = at
        assert isinstance(rows, slice)
        if not isinstance(columns, slice):
            assert columns.ndim == 1
            assert (np.diff(columns) > 0).all()
        read = np.array(self._values[rows, columns], order=self._order)
        assert read.nbytes <= self._most, (
            f"{read.nbytes} bytes are read at once; expected {self._most} at most"
        )
        self.reads.append(read.size)
        return read


class Saved:
    """Responses in a file, which other processes read too: what is pickled is its name."""

    def __init__(self, path: Path) -> None:
        self._path = path
        opened = np.load(path, mmap_mode="r")
        self.shape: tuple[int, ...] = opened.shape
        self.dtype = opened.dtype

    def __getitem__(self, at: tuple[slice, Any], /) -> np.ndarray:
        return np.array(np.load(self._path, mmap_mode="r")[at])


def peak_memory(work: Callable[[], object]) -> int:
    """Return the most bytes that something held at once, beside what was there."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak
