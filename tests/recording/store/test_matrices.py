"""Matrices that are read as they are needed: as arrays are, and in any process that sees the folder."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.stores import COLUMNS, chunks, fill, opened, promise
from helpers.tries import bounded

import differentia as dif
from differentia.recording.store.base import Place, Quantity


def test_a_matrix_is_sliced_as_an_array(tmp_path: Path) -> None:
    """Steps, other orders, one index only: the values are those of an array; a single number is refused."""
    store = opened(tmp_path / "s.zarr")
    matrix: Any = store.matrix(Quantity("conv", "random-0", 0, COLUMNS), fill(store))
    whole = np.asarray(matrix)
    for rows in (slice(2, 40), slice(None, None, 7), slice(None, None, -5), [5, 3, 3, 70], slice(4, 4)):
        np.testing.assert_array_equal(matrix[rows], whole[rows])
        for columns in (slice(3, None, 999), slice(None, None, -1001), [1, 1, 3], [3, 1], slice(9, 2)):
            np.testing.assert_array_equal(matrix[rows, columns], whole[rows][:, columns])
    for wrong in (3, (3, slice(None)), (slice(None), 5)):
        with pytest.raises(IndexError, match="by slices or indices"):
            matrix[wrong]


@pytest.mark.parametrize("batch_size", bounded([32, 17], 1))
def test_its_address_is_small_and_reads_elsewhere(batch_size: int, tmp_path: Path) -> None:
    """Of 100,000 images under 10 kB are sent, and another process reads what this one reads."""
    store = opened(tmp_path / "s.zarr", batch_size=batch_size, task_batches=1024)
    sizes = [batch_size] * (100_000 // batch_size)
    quantity = Quantity("conv", "moments", 0, 2)
    every = []
    for number in promise(store, sizes):
        batch = store.add_batch(number, "a", [f"{number}/{row}" for row in range(batch_size)])
        store.write(quantity, batch, np.full((batch_size, 2), number, np.float32))
        every += [Place(batch, row) for row in range(batch_size)]
    matrix = store.matrix(quantity, every)
    address = pickle.dumps(matrix)
    assert len(address) < 10_000
    (tmp_path / "address").write_bytes(address)
    code = "import pickle, sys; m = pickle.load(open(sys.argv[1], 'rb')); print(m.shape, m[12_345:12_347, 1])"
    code = code.replace("12_347, 1]", "12_347, [1]].tolist()")
    read = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "address")], capture_output=True, text=True, check=True
    )
    value = float(12_345 // batch_size)
    assert read.stdout.split() == [*str(matrix.shape).split(), f"[[{value}],", f"[{value}]]"]
    np.testing.assert_array_equal(np.asarray(pickle.loads(address)), np.asarray(matrix))


@pytest.mark.parametrize("damage", ["flipped", "index", "gone"])
def test_damage_while_it_is_read_is_an_error(damage: str, tmp_path: Path) -> None:
    """Never a number that was not recorded; what is whole in other files is read."""
    store = opened(tmp_path / "s.zarr")
    matrix: Any = store.matrix(Quantity("conv", "random-0", 0, COLUMNS), fill(store))
    victim = next(file for file in chunks(tmp_path) if file.name == "c.1.0")
    content = bytearray(victim.read_bytes())
    content[{"flipped": 1000, "index": -20, "gone": 0}[damage]] ^= 1
    if damage == "gone":
        victim.unlink()
    else:
        victim.write_bytes(content)
    assert np.isfinite(matrix[:43]).all()
    with pytest.raises(dif.StorageError, match=r"run the same command again: (what|it)"):
        matrix[40:, :5]
