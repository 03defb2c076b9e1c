"""The store in memory: each quantity is one array, of which rows in order are a view."""

from __future__ import annotations

import numpy as np
from helpers.stores import add, promise

from differentia.recording.store.base import Place, Quantity
from differentia.recording.store.memory import MemoryStore

UNITS = Quantity("conv", "random-0", 0, 7)


def test_rows_follow_the_batches() -> None:
    """Whatever the order in which they are written; images in order are not copied, others are."""
    store = MemoryStore(batch_size=4)
    promise(store, [4, 2])
    first, second = store.add_batch(0, "a", "wxyz"), store.add_batch(1, "b", ["p", "q"])
    assert [batch.number for batch in store.batches] == [0, 1]
    values = np.random.default_rng(0).normal(size=(6, 7)).astype(np.float32)
    store.write(UNITS, second, values[4:])
    assert store.columns(UNITS, first) == []
    assert store.missing(UNITS, first) == UNITS
    store.write(UNITS, first, values[:4])
    assert store.columns(UNITS, first) == [(0, 7)]
    assert store.missing(UNITS, first) is None
    assert store.missing(Quantity("conv", "all", 0, 9), first) == Quantity("conv", "all", 0, 9)
    every = [Place(batch, row) for batch in store.batches for row in range(len(batch.images))]
    whole = np.asarray(store.matrix(UNITS, every))
    np.testing.assert_array_equal(whole, values)
    assert np.shares_memory(whole, np.asarray(store.matrix(UNITS, every[1:5])))
    some = np.asarray(store.matrix(UNITS, [every[5], every[0]]))
    np.testing.assert_array_equal(some, values[[5, 0]])
    assert not np.shares_memory(whole, some)


def test_what_is_written_is_copied() -> None:
    """The caller may use the array again."""
    store = MemoryStore(batch_size=2)
    batch = add(store, ["x", "y"])
    values = np.ones((2, 7), np.float32)
    store.write(UNITS, batch, values)
    values[:] = 0
    assert np.asarray(store.matrix(UNITS, [Place(batch, 0), Place(batch, 1)])).min() == 1


def test_what_a_run_does_not_outlive() -> None:
    """There are no states, notes or damage, and always room."""
    store = MemoryStore(batch_size=2)
    store.save_state("conv", "ranking", "key", np.zeros((3, 2)))
    assert store.load_state("conv", "ranking", "key", (3, 2)) is None
    assert store.take_notes() == []
    store.require_space(10**18)
    store.note_compiled(True)
    assert store.compiled is True
