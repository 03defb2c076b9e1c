"""Datasets of HDF5 files that are read in parts, long after the file was looked over."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from differentia.errors import InputError, in_one_line
from differentia.system.hdf5 import open_hdf5, require_plausible_size
from differentia.system.machine import free_memory, written_size
from differentia.system.open_files import KeptOpen

#: In bytes, for one dataset: chunks that were read are kept for the next unit, whose spikes may be in them.
CACHE = 64_000_000

#: In bytes: what fits into any machine's memory.
SMALL = 100_000_000

#: In bytes: what texts of any length, of which a table says nothing before they are read, take at once.
TEXTS = 256_000_000

#: Texts that are read at once all the same, from the largest files.
FEWEST_TEXTS = 64

#: The type of what is neither numbers nor text: references, records, arrays of unequal length.
OTHER = np.dtype("V")


class StoredFile:
    """An HDF5 file that is opened when something is read of it, and stays open for a while."""

    def __init__(self, path: Path, where: str) -> None:
        self.path, self.where = path, where
        self._file = KeptOpen(lambda: _Opened(path, where))

    def dataset(self, found: Any) -> StoredDataset:
        """Return a dataset of the file, which is open, as what can be read later."""
        return StoredDataset(self, found)

    def read(self, place: str, take: Callable[[Any], Any]) -> np.ndarray:
        """Return what is taken of a dataset."""
        try:
            with self._file.use() as opened:
                return np.asarray(take(opened[place]))
        except (InputError, MemoryError):
            raise
        except Exception as error:  # the disk, or a filter on damaged data: nothing tells them apart
            raise InputError(
                f"{self.where}: {place} can't be read ({in_one_line(error)}); it may be cut off or damaged: "
                "check the disk, or fetch the file again"
            ) from error


class StoredDataset:
    """Numbers or text in an HDF5 file; a slice of it is read."""

    def __init__(self, file: StoredFile, found: Any) -> None:
        import h5py

        self._file, self._place, self._found_size = file, str(found.name), int(found.dtype.itemsize)
        self.shape: tuple[int, ...] = tuple(found.shape or ())
        self._is_text = h5py.check_string_dtype(found.dtype) is not None
        plain = found.dtype.kind in "biuf" and found.shape is not None
        self.dtype = np.dtype(object) if self._is_text else found.dtype if plain else OTHER
        require_plausible_size(found, file.path, f"{file.where}: {self._place}")

    def __getitem__(self, part: slice | tuple[()]) -> np.ndarray:
        """Return the values of a slice along the first axis; `()` takes the only value of a scalar."""
        if self.dtype == OTHER:
            raise InputError(f"{self._file.where}: {self._place} holds neither numbers nor text")
        self._require_memory(part)
        if self._is_text:
            return self._file.read(self._place, lambda found: self._texts(found, part))
        return self._file.read(self._place, lambda found: found[part])

    def _texts(self, found: Any, part: slice | tuple[()]) -> np.ndarray:
        """Return texts, few at a time: a small file can have many rows that name one long text."""
        texts = found.asstr(errors="replace")
        if not isinstance(part, slice) or found.dtype.kind != "O":
            return np.asarray(texts[part])
        size = self._file.path.stat().st_size
        first, last, every = part.indices(self.shape[0])
        step = every * max(FEWEST_TEXTS, TEXTS // (size + 1))
        read, length = [np.empty((0, *self.shape[1:]), object)], 0
        for start in range(first, last, step):
            read.append(texts[start : min(start + step, last) : every])
            length += sum(map(len, read[-1].ravel()))
            if length > size + SMALL:
                raise InputError(
                    f"{self._file.where}: {self._place} holds more text than a file of {written_size(size)} "
                    "can; it is damaged, or made to fill the memory: don't use it"
                )
        return np.concatenate(read)

    def _require_memory(self, part: slice | tuple[()]) -> None:
        rows = len(range(*part.indices(self.shape[0]))) if isinstance(part, slice) else 1
        size = rows * math.prod(self.shape[1:]) * self._found_size
        if size > SMALL and size > (free := free_memory()):
            raise InputError(
                f"{self._file.where}: {self._place} takes {written_size(size)} of memory, and "
                f"{written_size(free)} are free; use a larger machine"
            )


class _Opened:
    """An open file, and the datasets that were read of it, whose chunks are kept."""

    def __init__(self, path: Path, where: str) -> None:
        self._file = open_hdf5(path, where, rdcc_nbytes=CACHE)
        self._datasets: dict[str, Any] = {}

    def __getitem__(self, place: str) -> Any:
        if place not in self._datasets:
            self._datasets[place] = self._file[place]
        return self._datasets[place]

    def close(self) -> None:
        self._datasets.clear()
        self._file.close()
