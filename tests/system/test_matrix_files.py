"""Parts of matrices in files: what is read is what is in memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from differentia.system import matrix_files
from differentia.system.matrix_files import read_part

RNG = np.random.default_rng(0)

#: A few rows, a short one, all, and columns side by side, apart, one and none.
ROWS = (range(9), range(3, 7), range(8, 9), range(2, 2))
COLUMNS = (range(50), range(7, 31), (0, 1, 4, 49), (13,), ())


@pytest.mark.parametrize("block", [1, 300, 2**18])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.float32, np.float64])
def test_parts(tmp_path: Path, dtype: type, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows are read at once, and behind a header."""
    monkeypatch.setattr(matrix_files, "BLOCK", block)
    matrix = RNG.integers(0, 200, (9, 50)).astype(dtype)
    path = tmp_path / "x"
    path.write_bytes(b"header" + matrix.tobytes())
    with path.open("rb") as file:
        for rows in ROWS:
            for columns in COLUMNS:
                places = np.array(columns, int)
                found = read_part(file, 6, matrix.shape, matrix.dtype, rows, places)
                np.testing.assert_array_equal(found, matrix[rows.start : rows.stop][:, places])
                assert found.dtype == dtype


def test_no_more_is_read_than_is_wanted(tmp_path: Path) -> None:
    """A file may end behind the last number; where it ends before, that is an error."""
    matrix = RNG.integers(0, 200, (9, 50)).astype(np.uint8)
    path = tmp_path / "x"
    path.write_bytes(matrix.tobytes()[:-10])
    with path.open("rb") as file:
        found = read_part(file, 0, matrix.shape, matrix.dtype, range(9), np.arange(3, 40))
        np.testing.assert_array_equal(found, matrix[:, 3:40])
        with pytest.raises(EOFError, match="ends before"):
            read_part(file, 0, matrix.shape, matrix.dtype, range(9), np.array([0, 40]))
