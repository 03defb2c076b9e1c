"""Numbers of a matrix that lies in a file by rows, read and not mapped.

Where a file becomes shorter than it was, reading is an error, and a map would end the process.
"""

from __future__ import annotations

from io import BufferedReader, FileIO
from typing import Any

import numpy as np
from jaxtyping import Int, Shaped

from differentia.system.regular import read_at

#: In bytes: so much is read at once of rows that are shorter.
BLOCK = 2**18


def read_part(
    file: FileIO | BufferedReader,
    start: int,
    shape: tuple[int, int],
    dtype: np.dtype[Any],
    rows: range,
    columns: Int[np.ndarray, " k"],
) -> Shaped[np.ndarray, "n k"]:
    """Return rows that follow one another, and columns that ascend, of a matrix that begins at a byte.

    Raises
    ------
    EOFError
        The file ends before them.
    """
    found = np.empty((len(rows), len(columns)), dtype)
    if not found.size:
        return found
    width, first = shape[1], int(columns[0])
    span = int(columns[-1]) + 1 - first
    height = min(len(rows), max(1, BLOCK // (width * dtype.itemsize)))
    block = np.empty((height, width), dtype)
    picked = slice(0, span) if span == len(columns) else columns - first
    for at in range(0, len(rows), height):
        count = min(height, len(rows) - at)
        # From the first number that is wanted to the last one.
        part = block.reshape(-1)[: (count - 1) * width + span]
        place = start + (rows[at] * width + first) * dtype.itemsize
        if read_at(file, place, part.view(np.uint8).data) < part.nbytes:
            raise EOFError("it ends before its last number")
        found[at : at + count] = block[:count, picked]
    return found
