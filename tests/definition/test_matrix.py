"""Responses that are read by blocks, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.stored import Stored, peak_memory

from differentia.definition import matrix
from differentia.definition.matrix import Part, Picked, Rows, at_hand, extremes
from differentia.definition.measure import METRICS, NORMALIZATIONS, evaluate

RNG = np.random.default_rng(0)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> int:
    """Blocks of 7 units of 10 responses, in readings of two blocks of float32; returns a reading's bytes."""
    monkeypatch.setattr(matrix, "CACHED_ENTRIES", 70)
    monkeypatch.setattr(matrix, "READ_BYTES", 620)
    return 620


@pytest.mark.parametrize("metric", [*METRICS])
@pytest.mark.parametrize("normalize", [*NORMALIZATIONS])
def test_what_is_stored_has_the_value_of_the_array(normalize: str, metric: str, small_blocks: int) -> None:
    """To the last bit, also of a part and at extreme scales, though never more than a reading is given."""
    array = np.maximum(RNG.standard_normal((10, 203)), 0).astype(np.float32)
    array[3] = array[2] + np.float32(1e-5) * (np.arange(203) == 5)  # a pair that is summed from differences
    columns, rows = np.sort(RNG.permutation(203)[:90]), slice(1, 9)
    options: dict[str, Any] = {"normalize": normalize, "metric": metric}
    for factor in (np.float32(1), np.float64(1e250)):
        values = array * factor
        scale = array.std(axis=0, dtype=float) * factor if normalize == "unit" else None
        stored = Stored(values, small_blocks)
        assert evaluate(stored, scale=scale, **options) == evaluate(values, scale=scale, **options)
        assert len(stored.reads) >= 2 * 14
        scale = None if scale is None else scale[columns]
        expected = evaluate(values[rows].take(columns, axis=1), scale=scale, **options)
        assert np.isfinite(expected.value)
        for whole in (stored, values):
            assert evaluate(Part(whole, rows, columns), scale=scale, **options) == expected
    with pytest.raises(AssertionError, match="are read at once; expected 550 at most"):
        evaluate(Stored(array, 550), normalize="none")


def test_what_has_no_value_when_stored(small_blocks: int) -> None:
    """The reasons are those of the array."""
    array = RNG.standard_normal((10, 203))
    array[4] = 2.5
    assert evaluate(Stored(np.full((10, 203), 6.0))).undefined == "gives 6 in every unit for every stimulus"
    undefined = evaluate(Stored(array), normalize="response")
    assert undefined.undefined is not None
    assert (undefined.response, undefined[1:]) == (4, evaluate(array, normalize="response")[1:])
    almost = np.zeros((10, 203))
    almost[9, 202] = 1  # the last entry of the last reading
    assert evaluate(Stored(almost)).undefined is None


def test_parts_are_what_an_index_gives() -> None:
    """Rows and columns of a part, of a part of it, and of its columns that follow one another."""
    array = RNG.standard_normal((12, 40))
    columns = np.array([0, 3, 4, 5, 6, 20, 39])
    for whole in (array, Stored(array)):
        part = Part(whole, slice(2, 11), columns)
        assert part.shape == (9, 7)
        assert part.dtype == np.float64
        np.testing.assert_array_equal(part[0:9, 0:7], array[2:11][:, columns])
        np.testing.assert_array_equal(part[3:5, 1:5], array[5:7, 3:7])
        inner = Part(part, slice(1, 4), np.array([0, 2, 6]))
        np.testing.assert_array_equal(inner[1:3, np.array([0, 2])], array[4:6][:, [0, 39]])
    assert np.shares_memory(Part(array, slice(2, 11), np.arange(40))[0:9, 0:40], array)


def test_at_hand() -> None:
    """What fits into the budget is read at once, and the rest of the budget is known."""
    array = RNG.standard_normal((12, 40))
    stored = Stored(array)
    assert at_hand(stored, array.nbytes - 1) == (stored, array.nbytes - 1)
    assert at_hand(array, 5)[0] is array
    assert stored.reads == []
    read, left = at_hand(stored, array.nbytes + 3)
    assert left == 3
    assert isinstance(read, np.ndarray)
    assert read.flags.c_contiguous  # for sums in the same order
    np.testing.assert_array_equal(read[:, :], array)
    assert stored.reads == [480]


def test_extremes(small_blocks: int) -> None:
    """Over all readings, of integers too."""
    array = RNG.integers(-1000, 1000, (10, 203))
    assert extremes(Stored(array)) == (array.min(), array.max()) == extremes(array)
    assert extremes(Stored(array[:, :4])) != extremes(array)


def test_picked_responses() -> None:
    """Of an array and of what is stored: those that were picked, and their shift and scale."""
    array = RNG.standard_normal((12, 40))
    responses = np.array([0, 3, 11])
    for whole in (array, Stored(array)):
        picked = Picked(whole, responses)
        assert picked.shape == (3, 40)
        np.testing.assert_array_equal(picked[1:3, 4:9], array[[3, 11], 4:9])
        rows = Rows(whole).minus(np.arange(12.0)).over(np.arange(1.0, 13.0)).of(responses)
        expected = (array - np.arange(12)[:, None]) / np.arange(1, 13)[:, None]
        np.testing.assert_allclose(rows.part(slice(0, 3), slice(4, 9)), expected[responses, 4:9])


def test_what_is_stored_takes_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few readings at a time, and not the whole."""
    monkeypatch.setattr(matrix, "READ_BYTES", 2**18)
    monkeypatch.setattr(matrix, "CACHED_ENTRIES", 2**14)
    stored = Stored(RNG.standard_normal((50, 20_000)).astype(np.float32))
    for normalize in ("layer", "response"):
        assert peak_memory(lambda n=normalize: evaluate(stored, normalize=n)) < 2**21  # type: ignore[misc]
    assert peak_memory(lambda: evaluate(at_hand(stored, 2**30)[0])) > 2**21
