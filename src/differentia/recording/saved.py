"""Responses in memory, written to where other processes read them, for as long as they do."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Num

from differentia.definition.matrix import ResponseMatrix
from differentia.errors import StorageError
from differentia.system.matrix_files import read_part
from differentia.system.regular import open_regular


@dataclass(frozen=True)
class SavedMatrix:
    """Responses in a file, row by row, of which parts are read: nothing is kept between two."""

    path: Path
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def __getitem__(self, at: tuple[slice, Any], /) -> Num[np.ndarray, "n b"]:
        rows, columns = range(self.shape[0])[at[0]], np.arange(self.shape[1])[at[1]]
        try:
            with open_regular(self.path) as file:
                return read_part(file, 0, (self.shape[0], self.shape[1]), self.dtype, rows, columns)
        except (OSError, EOFError) as error:
            raise StorageError(
                f"{self.path}: can't be read here ({error}); let all workers see the folder of the responses"
            ) from error


@contextmanager
def saved(values: Mapping[str, ResponseMatrix], folder: Path) -> Iterator[dict[str, ResponseMatrix]]:
    """Give responses as files in a folder that is made in another, and removed afterwards.

    Raises
    ------
    StorageError
        They can't be written there.
    """
    with ExitStack() as kept:
        written: dict[str, ResponseMatrix] = {}
        try:
            made = kept.enter_context(
                tempfile.TemporaryDirectory(prefix=".differentia-", dir=folder, ignore_cleanup_errors=True)
            )
            for at, (name, matrix) in enumerate(values.items()):
                path = Path(made, str(at))
                np.asarray(matrix).tofile(path)
                written[name] = SavedMatrix(path, matrix.shape, matrix.dtype)
        except OSError as error:
            raise StorageError(
                f"{folder}: can't be written to ({error.strerror or error}), and workers read responses that "
                "are written there; make room, or put the responses into a folder that can be written to"
            ) from error
        yield written
