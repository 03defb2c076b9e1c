"""What only rounding moves is told from what varies, by steps of the type of the responses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from differentia.definition.rounding import STEPS, moved_by_rounding, only_rounding

RNG = np.random.default_rng(0)


def stepped(value: float, steps: Any, dtype: type) -> np.ndarray:
    """Return numbers that are so many steps of a type above one, counted by NumPy's own next number."""
    found = []
    for count in steps:
        number: Any = np.array(value, dtype=dtype)
        for _ in range(count):
            number = np.nextafter(number, np.array(np.inf, dtype=dtype))
        found.append(number)
    return np.array(found, dtype=dtype)


def constant(unit: np.ndarray) -> bool:
    """Return what is told of one unit."""
    column = unit[:, np.newaxis]
    lowest, highest = column.min(axis=0), column.max(axis=0)
    return bool(moved_by_rounding(column, lowest, highest, column.dtype)[0])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [1.0, -2.0, 1e-20, 1e20])
def test_a_few_steps_are_rounding(dtype: type, value: float) -> None:
    """Four steps at the size of the largest are, and many more are not."""
    assert constant(stepped(value, [0, 1, 2, 1, 0], dtype))
    assert not constant(stepped(value, [0, 0, 0, 4 * STEPS], dtype))


def test_the_border_is_four_steps() -> None:
    """Just above a power of two a step is the largest share of a number."""
    assert constant(stepped(1.0, [0, STEPS], np.float32))
    assert not constant(stepped(1.0, [0, STEPS + 1], np.float32))


@pytest.mark.parametrize(
    "unit",
    [
        np.where(np.arange(100_000) == 7, 1.0, 0.0).astype(np.float32),  # a neuron that fires once
        1e-12 * RNG.random(50).astype(np.float32),  # the probability of a class that no image shows
        1e-30 * RNG.random(50),
        1 + 1e-5 * RNG.random(50).astype(np.float32),
        1e9 + np.arange(50.0),  # seconds, in float64
        10_000_000 + np.arange(2),  # integers are exact
        np.array([1.0, 1.001], dtype=np.float16),  # one step of 16 bits
        np.array([-1e38, 1e38], dtype=np.float32),
        np.array([-1.7e308, 1.7e308]),
    ],
)
def test_a_unit_that_varies_is_none(unit: np.ndarray) -> None:
    """However seldom, weakly, or far from 0."""
    assert not constant(unit)


def test_float32_in_float64() -> None:
    """Numbers that were computed in float32 keep its steps in a wider type; others have their own."""
    single = stepped(3.7, [0, 1, 0, 2], np.float32)
    assert constant(single)
    assert constant(single.astype(np.float64))
    assert not constant(single.astype(np.float64) * (1 + 1e-12))
    assert not constant(stepped(3.7, [0, 1, 0, 2], np.float64) + single.astype(np.float64))


def test_what_is_equal_is_constant() -> None:
    """Of any type."""
    for dtype in (np.int64, np.uint8, np.float16, np.float32, np.float64):
        assert only_rounding(dtype(3), dtype(3), np.dtype(dtype))
    assert not only_rounding(np.int64(3), np.int64(4), np.dtype(np.int64))
