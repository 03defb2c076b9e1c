"""Which units are looked at."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import oracles

import differentia as dif
from differentia.networks.layers import Layer
from differentia.recording import units
from differentia.recording.units import (
    SKETCH_WIDTH,
    UNIT_KINDS,
    draw_units,
    filter_order,
    unit_kind,
    unit_order,
    units_of_draw,
    units_used,
)


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
    drawn = draw_units("block1_conv1", 64, 8, 3, seed=0, strata=4)
    assert drawn is not None
    assert drawn.tolist() == [12, 33, 22, 47, 32, 9, 30, 63]


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


#: Layers with the filters first, last, without space, and of a single number.
FILTERED = [
    Layer("first", "Conv2d", (6, 5, 4), "first", channel_axis=0),
    Layer("last", "Conv2D", (5, 4, 6), "last", channel_axis=2),
    Layer("tokens", "LayerNorm", (20, 6), "tokens", channel_axis=1),
    Layer("vector", "Linear", (6,), "vector"),
    Layer("number", "Linear", (), "number"),
]


def filter_of(layer: Layer, unit: int) -> int:
    """Return the filter of a unit by its place in the layer."""
    assert layer.channel_axis is not None
    return int(np.unravel_index(unit, layer.shape)[layer.channel_axis]) if layer.shape else 0


def chi_square(counts: np.ndarray) -> float:
    """Return how far counts are from even ones."""
    return float(((counts - counts.mean()) ** 2 / counts.mean()).sum())


@pytest.mark.parametrize("layer", FILTERED, ids=lambda layer: layer.name)
def test_every_round_has_one_unit_of_each_filter(layer: Layer) -> None:
    """In the order of filters; all rounds are all units; fewer rounds are the first of them."""
    order = filter_order(layer, layer.size, seed=3)
    assert sorted(order) == list(range(layer.size))
    for start in range(0, layer.size, layer.n_filters):
        filters = [filter_of(layer, unit) for unit in order[start : start + layer.n_filters]]
        assert filters == list(range(layer.n_filters))
    assert np.array_equal(filter_order(layer, layer.n_filters, seed=3), order[: layer.n_filters])
    # within a filter the units come as in the layer's whole order
    whole = unit_order(layer.name, layer.size, layer.size, seed=3).tolist()
    for number in range(layer.n_filters):
        units = [unit for unit in whole if filter_of(layer, unit) == number]
        assert order[number :: layer.n_filters].tolist() == units


def test_filter_order_depends_on_seed_and_layer() -> None:
    """As the order of all units does; and it is not the same position in every filter."""
    layer = FILTERED[0]
    order = filter_order(layer, 120, seed=0)
    assert np.array_equal(order, filter_order(layer, 120, seed=0))
    assert not np.array_equal(order, filter_order(layer, 120, seed=1))
    other = Layer("other", "Conv2d", (6, 5, 4), "other", channel_axis=0)
    assert not np.array_equal(order, filter_order(other, 120, seed=0))
    assert len(set(order[:6] % 20)) > 1


@pytest.mark.parametrize("layer", FILTERED[:3], ids=lambda layer: layer.name)
def test_positions_within_filters_are_drawn_evenly(layer: Layer) -> None:
    """Over many seeds each unit of each filter is as likely as any other of it."""
    counts = np.zeros(120)
    for seed in range(1500):
        counts[filter_order(layer, 12, seed=seed)] += 1
    assert counts.sum() == 1500 * 12
    assert chi_square(counts) < 166.4  # the 99.9th percentile with 6 x 19 = 114 degrees of freedom


@pytest.mark.parametrize(
    ("pool", "n_units", "strata", "used"),
    [
        *((100, 30, 1, 30), (100, 100, 1, 100), (100, 101, 1, 100)),
        *((120, 24, 6, 24), (120, 29, 6, 24), (120, 30, 6, 30), (120, 1, 6, 6), (120, 5, 6, 6)),
        *((120, 119, 6, 114), (120, 120, 6, 120), (120, 10_000, 6, 120), (6, 1, 6, 6)),
    ],
)
def test_units_used(pool: int, n_units: int, strata: int, used: int) -> None:
    """Rounded down to a multiple of the filters, at least one of each, at most the pool; so are the draws."""
    assert units_used(pool, n_units, strata=strata) == used
    drawn = draw_units("a", pool, n_units, 0, seed=0, strata=strata)
    assert drawn is not None
    assert drawn.tolist() == list(range(used))
    later = draw_units("a", pool, n_units, 1, seed=0, strata=strata)
    assert (later is None) == (used == pool)
    assert later is None or len(later) == used


def test_later_draws_have_the_same_number_of_every_filter() -> None:
    """Which take turns in the pool; the draws differ, more units extend fewer, and none comes twice."""
    draws = [draw_units("a", 120, 30, draw, seed=0, strata=6) for draw in range(1, 6)]
    for drawn in draws:
        assert drawn is not None
        assert len(set(drawn.tolist())) == 30
        assert np.bincount(drawn % 6).tolist() == [5] * 6
        assert len(set(drawn[:6] // 6)) > 1  # each filter is drawn for itself
    assert len({tuple(sorted(drawn.tolist())) for drawn in draws if drawn is not None}) == 5
    fewer = draw_units("a", 120, 12, 1, seed=0, strata=6)
    assert fewer is not None
    assert draws[0] is not None
    assert np.array_equal(fewer, draws[0][:12])
    plain = draw_units("a", 120, 30, 1, seed=0)  # the control: a draw that knows no filters
    assert plain is not None
    assert np.bincount(plain % 6).tolist() != [5] * 6


def test_later_draws_are_even() -> None:
    """Over many seeds and draws each unit of the pool is as likely as any other."""
    counts = np.zeros(60)
    for seed in range(400):
        for draw in range(1, 5):
            drawn = draw_units("a", 60, 12, draw, seed=seed, strata=6)
            counts[drawn] += 1
    assert counts.sum() == 1600 * 12
    assert chi_square(counts) < 91.9  # the 99.9th percentile with 6 x 9 = 54 degrees of freedom


@pytest.mark.parametrize("layer", FILTERED, ids=lambda layer: layer.name)
@pytest.mark.parametrize("count", [1, 7, 31, 1000])
def test_pools_are_as_large_as_promised(layer: Layer, count: int) -> None:
    """What a kind says of the size of its pool, for the memory, is what it chooses: without repeats."""
    scores = np.random.default_rng(0).normal(size=layer.size)
    sizes = {}
    for name, kind in UNIT_KINDS.items():
        pool = kind.choose(layer, count, 0, scores)
        assert len(set(pool.tolist())) == len(pool) == kind.pool_size(layer, count)
        sizes[name] = len(pool)
    assert sizes["random"] == sizes["top"] == sizes["top_variance"] == min(count, layer.size)
    assert sizes["all"] == layer.size
    assert sizes["sketch"] == min(layer.size, SKETCH_WIDTH)
    assert sizes["filter_mean"] == layer.n_filters
    rounds = max(1, count // layer.n_filters)
    assert sizes["per_filter"] == min(layer.size, layer.n_filters * rounds)


def test_the_highest_units() -> None:
    """By their scores, ties by index; -0 is 0."""
    layer = Layer("a", "Dense", (400,), "a")
    scores = np.random.default_rng(0).integers(-3, 4, 400).astype(float)
    scores[5] = -0.0
    for kind in ("top", "top_variance"):
        for count in (1, 50, 399, 400):
            chosen = UNIT_KINDS[kind].choose(layer, count, 0, scores)
            assert chosen.tolist() == oracles.highest(scores, count)
    assert unit_kind("top").ranked_by == "mean"
    assert unit_kind("top_variance").ranked_by == "variance"


def test_unknown_kinds_are_refused() -> None:
    """With the known ones."""
    with pytest.raises(dif.InputError, match=r"unknown kind of units 'per_channel'.*Known: random, top, "):
        unit_kind("per_channel")


@pytest.mark.parametrize(("pool", "used"), [(1000, [999, 500, 1]), (1000, [40, 7]), (50_000, [5_000, 200])])
def test_units_of_a_draw_are_those_of_each_number(pool: int, used: list[int]) -> None:
    """For several numbers of units at once, ascending; another draw has others."""
    for draw in range(1, 6):
        for count, found in zip(used, units_of_draw("a", pool, used, draw, seed=3), strict=True):
            drawn = draw_units("a", pool, count, draw, seed=3)
            assert drawn is not None
            np.testing.assert_array_equal(found, np.sort(drawn))
            assert len(set(found) ^ set(units_of_draw("a", pool, used, draw + 1, seed=3)[0])) > 0
    strata = units_of_draw("a", 40, [16, 8], 2, seed=3, strata=4)
    for count, found in zip([16, 8], strata, strict=True):
        drawn = draw_units("a", 40, count, 2, seed=3, strata=4)
        assert drawn is not None
        np.testing.assert_array_equal(found, np.sort(drawn))


def test_units_of_a_draw_with_equal_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of units with the same key the first goes before."""
    keys = np.array([5, 1, 5, 5, 9, 1, 5], dtype=np.uint64)
    monkeypatch.setattr(units, "random_keys", lambda *_: keys)
    of_draw = units_of_draw("a", 7, [6, 4, 1], 1, seed=0)
    assert [found.tolist() for found in of_draw] == [[0, 1, 2, 3, 5, 6], [0, 1, 2, 5], [1]]
