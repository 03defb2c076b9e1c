"""Which units are looked at."""

from __future__ import annotations

import numpy as np
import pytest

from differentia.layers import Layer
from differentia.units import UNIT_KINDS, draw_units, unit_order


def test_order_is_a_permutation() -> None:
    """Every unit comes once; the order is neither sorted nor that of another layer or seed."""
    order = unit_order("conv1", 5000, 5000, seed=0)
    assert sorted(order) == list(range(5000))
    assert not np.array_equal(order, np.arange(5000))
    assert not np.array_equal(order, unit_order("conv2", 5000, 5000, seed=0))
    assert not np.array_equal(order, unit_order("conv1", 5000, 5000, seed=1))


def test_order_is_fixed_for_ever() -> None:
    """A result of today must be repeatable: these are the first units that version 0.1 chose."""
    assert unit_order("block1_conv1", 3_211_264, 5, seed=0).tolist() == [
        2856814,
        586798,
        2105422,
        3047417,
        1718473,
    ]
    drawn = draw_units("block1_conv1", 1000, 5, 3, seed=0)
    assert drawn is not None
    assert drawn.tolist() == [662, 866, 762, 874, 332]


@pytest.mark.parametrize("count", [1, 7, 200, 4999])
def test_more_units_extend_fewer(count: int) -> None:
    """The order does not depend on how much of it is asked for."""
    whole = unit_order("conv1", 5000, 5000, seed=3)
    assert np.array_equal(unit_order("conv1", 5000, count, seed=3), whole[:count])


def test_units_are_drawn_evenly() -> None:
    """Over many seeds each unit is as likely as any other, at each place."""
    counts = np.zeros(50)
    for seed in range(4000):
        counts[unit_order("conv1", 50, 5, seed=seed)] += 1
    expected = 4000 * 5 / 50
    chi_square = float(((counts - expected) ** 2 / expected).sum())
    assert chi_square < 85.4  # the 99.9th percentile of chi-square with 49 degrees of freedom


def test_draw_0_is_nested_and_later_draws_differ() -> None:
    """Draw 0 is the beginning of the pool; other draws are other subsets, each without repeats."""
    draws = [draw_units("conv1", 1000, 100, draw, seed=0) for draw in range(5)]
    assert draws[0] is not None
    assert draws[0].tolist() == list(range(100))
    subsets = {tuple(sorted(draw.tolist())) for draw in draws if draw is not None}
    assert len(subsets) == 5
    for draw in draws:
        assert draw is not None
        assert len(set(draw.tolist())) == 100
    fewer = draw_units("conv1", 1000, 40, 3, seed=0)
    assert fewer is not None
    assert draws[3] is not None
    assert np.array_equal(fewer, draws[3][:40])


def test_a_whole_pool_is_drawn_once() -> None:
    """With as many units as the pool has, or more, only draw 0 exists."""
    for n_units in (1000, 1001, 100_000):
        drawn = draw_units("conv1", 1000, n_units, 0, seed=0)
        assert drawn is not None
        assert sorted(drawn) == list(range(1000))
        assert draw_units("conv1", 1000, n_units, 1, seed=0) is None
    assert draw_units("conv1", 1000, 999, 1, seed=0) is not None


def test_kinds() -> None:
    """``random`` is the beginning of the order, ``all`` every unit in its own place."""
    layer = Layer("a", "Dense", (100,), "a")
    choose = {name: kind.choose for name, kind in UNIT_KINDS.items()}
    assert np.array_equal(choose["random"](layer, 10, 0, None), unit_order("a", 100, 10, seed=0))
    assert sorted(choose["random"](layer, 1000, 0, None)) == list(range(100))
    assert np.array_equal(choose["all"](layer, 10, 0, None), np.arange(100))
