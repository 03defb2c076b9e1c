"""Stores of earlier versions: they are read, and go on as they were begun; damage in them is found."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from helpers.older_stores import write_older
from helpers.stores import COLUMNS, SIZES, add, chunks, opened, places, values_of

from differentia.recording.division import LEAST_IN_A_TASK
from differentia.recording.store.base import Quantity

UNITS = Quantity("conv", "random-0", 0, COLUMNS)
WHOLE = np.concatenate([values_of(number) for number in range(len(SIZES))])


def test_an_older_store_is_read_and_goes_on(tmp_path: Path) -> None:
    """Nothing that is there is written again; what is new has the layout of what is there."""
    path = tmp_path / "s.zarr"
    folder = write_older(path)
    before = {file: file.stat().st_ino for file in chunks(path)}
    assert len(before) == 2 * (2 + 1 + 2 + 1)
    store = opened(path, batch_size=8, compress="zstd")
    assert (store.batch_size, store.compress, store.take_notes()) == (32, "none", [])
    assert [batch.number for batch in store.batches if store.missing(UNITS, batch)] == []
    np.testing.assert_array_equal(store.matrix(UNITS, places(store.batches))[:, :], WHOLE)
    batch = add(store, [f"new/{row}" for row in range(11)])
    assert batch.number == LEAST_IN_A_TASK, "it begins a task"
    store.write(UNITS, batch, values_of(1))
    store.write(Quantity("conv", "moments", 0, 2), batch, values_of(1, np.float64, 2))
    store.finish()
    again = opened(path)
    every = places(again.batches)
    np.testing.assert_array_equal(again.matrix(UNITS, every)[:, :], np.concatenate([WHOLE, values_of(1)]))
    new = {file.relative_to(folder.parent.parent).as_posix() for file in set(chunks(path)) - set(before)}
    assert new == {f"random-0/0-{COLUMNS}/c.32.0", f"random-0/0-{COLUMNS}/c.32.1", "moments/0-2/c.32.0"}
    assert {file: file.stat().st_ino for file in before} == before


@pytest.mark.parametrize("junk", ["flipped", "cut", "longer", "empty", "zeros", "gone", "pipe", "link"])
def test_a_damaged_file_is_found(junk: str, tmp_path: Path) -> None:
    """Only its batch is asked for again, and no other chunk is written again; also where a run has begun."""
    path, outside = tmp_path / "s.zarr", tmp_path / "outside"
    victim = write_older(path) / "c.2.1"  # of the second batch, of 11 images
    store = opened(path)
    good = victim.read_bytes()
    flipped = bytearray(good)
    flipped[1000] ^= 1
    contents = {"flipped": bytes(flipped), "cut": good[:-1], "longer": good + b"x", "zeros": bytes(len(good))}
    victim.unlink()
    outside.write_bytes(good)
    if junk == "pipe":
        os.mkfifo(victim)
    elif junk == "link":
        victim.symlink_to(outside)
    elif junk != "gone":
        victim.write_bytes(contents.get(junk, b""))
    for batch in store.batches:
        store.repair(UNITS, batch)
    assert [bool(store.missing(UNITS, batch)) for batch in store.batches] == [False, True, False, False]
    notes = store.take_notes()
    assert len(notes) == (junk != "gone")
    assert all(str(victim) in note for note in notes)
    assert all("random-0 of layer 'conv' is recorded again for 11 images" in note for note in notes)
    other = victim.with_name("c.2.0").stat()
    store.write(UNITS, store.batches[1], values_of(1))
    assert victim.read_bytes() == good
    assert not victim.is_symlink()
    assert victim.with_name("c.2.0").stat().st_ino == other.st_ino


def test_a_damaged_batch_of_an_older_store(tmp_path: Path) -> None:
    """Its images are recorded again, and its rows are given to no other."""
    path = tmp_path / "s.zarr"
    write_older(path)
    folder = next(path.rglob("batches/1"))
    (folder / "zarr.json").write_text("junk", encoding="utf-8")
    store = opened(path)
    assert [batch.number for batch in store.batches] == [0, 2, 3]
    (note,) = store.take_notes()
    assert f"{folder}: is damaged" in note
    assert add(store, ["x"]).number == LEAST_IN_A_TASK
    batch = store.add_batch(1, "a", ["y"])
    assert store.missing(UNITS, batch) == UNITS
    assert [kept.number for kept in opened(path).batches] == [0, 1, 2, 3, LEAST_IN_A_TASK]
