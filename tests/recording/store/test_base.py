"""What every store does: what was written is read again, and columns are added beside others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.stores import COLUMNS, SIZES, add, fill, opened, places, values_of
from hypothesis import given, strategies as st

from differentia.recording.store.base import Quantity, Store, cover
from differentia.recording.store.layouts import CHUNK_COLUMNS
from differentia.recording.store.memory import MemoryStore


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("where", ["memory", "disk", "opened again"])
def test_what_was_written_is_read(where: str, dtype: Any, tmp_path: Path) -> None:
    """Rows and columns of any kind of slice are those of the arrays that were written, to the bit."""
    store: Store = MemoryStore(32) if where == "memory" else opened(tmp_path / "s.zarr")
    every = fill(store, dtype)
    if where == "opened again":
        store = opened(tmp_path / "s.zarr")
        assert places(store.batches) == every
    whole = np.concatenate([values_of(number, dtype) for number in range(len(SIZES))])
    matrix = store.matrix(Quantity("conv", "random-0", 0, COLUMNS), every)
    assert matrix.shape == whole.shape
    assert matrix.dtype == whole.dtype
    np.testing.assert_array_equal(np.asarray(matrix), whole)
    np.testing.assert_array_equal(matrix[5:60, 7 : CHUNK_COLUMNS + 50], whole[5:60, 7 : CHUNK_COLUMNS + 50])
    columns = np.array([0, 3, 4, 900, CHUNK_COLUMNS - 1, CHUNK_COLUMNS, COLUMNS - 1])
    np.testing.assert_array_equal(matrix[10:, columns], whole[10:][:, columns])
    some = [every[70], every[3], every[4], every[40]]
    few = store.matrix(Quantity("conv", "random-0", 0, COLUMNS), some)
    np.testing.assert_array_equal(np.asarray(few), whole[[70, 3, 4, 40]])


def test_more_columns_are_beside_those_that_are_there(tmp_path: Path) -> None:
    """Only the columns that are missing are asked for; batches may have them in different parts."""
    store = opened(tmp_path / "s.zarr")
    first, second = (add(store, [f"{number}", f"{number}'"]) for number in (0, 1))
    whole = values_of(0, columns=300)[:2]
    store.write(Quantity("conv", "u", 0, 100), first, whole[:, :100])
    assert store.missing(Quantity("conv", "u", 0, 100), first) is None
    assert store.missing(Quantity("conv", "u", 0, 60), first) is None
    assert store.missing(Quantity("conv", "u", 0, 300), first) == Quantity("conv", "u", 100, 300)
    assert store.missing(Quantity("conv", "u", 0, 300), second) == Quantity("conv", "u", 0, 300)
    store.write(Quantity("conv", "u", 100, 300), first, whole[:, 100:])
    store.write(Quantity("conv", "u", 0, 300), second, whole + 1)
    matrix = store.matrix(Quantity("conv", "u", 0, 250), places(store.batches))
    np.testing.assert_array_equal(matrix[:, 90:220], np.concatenate([whole, whole + 1])[:, 90:220])


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 15)), max_size=8),
    st.integers(1, 40),
)
def test_spans_cover_what_they_can(given_spans: list[tuple[int, int]], width: int) -> None:
    """The parts follow one another from 0, each lies in its span, and they end where no span goes on."""
    spans = [(start, start + length) for start, length in given_spans]
    reached = 0
    for span, (start, stop) in cover(spans, width):
        assert start == reached
        assert span[0] <= start < stop <= span[1]
        assert span in spans
        reached = stop
    within = {column for start, stop in spans for column in range(start, stop)}
    gap = next(column for column in range(width + 1) if column == width or column not in within)
    assert reached == gap
