"""Two conditions in one session: against SciPy, and with every split written out."""

from __future__ import annotations

from itertools import combinations
from math import gamma

import numpy as np
import pytest
from scipy import stats

from differentia.results.permuted import hedges, permuted, welch
from differentia.system.random import generator_of

SIDES = ("two-sided", "greater", "less")


def p_of(
    values: np.ndarray,
    first: np.ndarray,
    blocks: np.ndarray | None = None,
    *,
    alternative: str = "two-sided",
    permutations: int = 9999,
) -> float:
    blocks = np.zeros(len(values), dtype=np.int64) if blocks is None else blocks
    about = {"alternative": alternative, "permutations": permutations}
    return permuted(values, first, blocks, generator=generator_of("test"), **about).p  # type: ignore[arg-type]


def first_of(n: int, other: int) -> np.ndarray:
    return np.arange(n + other) < n


def scipys_t(values: np.ndarray, first: np.ndarray) -> float:
    return float(stats.ttest_ind(values[first], values[~first], equal_var=False).statistic)


def test_welch() -> None:
    """The statistic is SciPy's, also where values lie far from 0; where none differs there is none."""
    rng = np.random.default_rng(0)
    values = 1e6 + rng.gamma(2.0, 1.0, 30)
    splits = np.array([rng.permutation(first_of(12, 18)) for _ in range(20)])
    expected = [scipys_t(values, split) for split in splits]
    np.testing.assert_allclose(welch(values, splits), expected, rtol=1e-6)
    assert np.isnan(welch(np.full(30, 0.1), splits)).all()


def test_all_splits_are_tried_where_they_are_few() -> None:
    """The share of all splits whose statistic is as large is p, as SciPy finds, too."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=9) + np.repeat([1.0, 0.0], [4, 5])
    first = first_of(4, 5)
    splits = [np.isin(np.arange(9), chosen) for chosen in combinations(range(9), 4)]
    of_all = np.array([scipys_t(values, split) for split in splits])
    observed = scipys_t(values, first)
    expected = {
        "two-sided": np.mean(np.abs(of_all) >= abs(observed) - 1e-9),
        "greater": np.mean(of_all >= observed - 1e-9),
        "less": np.mean(of_all <= observed + 1e-9),
    }
    for side in SIDES:
        assert p_of(values, first, alternative=side) == pytest.approx(expected[side], abs=1e-12)
    scipys = stats.permutation_test(
        (values[first], values[~first]),
        lambda one, other: stats.ttest_ind(one, other, equal_var=False).statistic,
        alternative="greater",
    )
    assert p_of(values, first, alternative="greater") == pytest.approx(scipys.pvalue, abs=1e-12)
    assert expected["greater"] != pytest.approx(expected["less"])


def test_random_splits() -> None:
    """With more splits than permutations p is nearly the same, never 0, and depends on the seed alone."""
    rng = np.random.default_rng(2)
    values, first = rng.normal(size=12) + np.repeat([0.8, 0.0], 6), first_of(6, 6)
    drawn = p_of(values, first, permutations=900)
    assert drawn == pytest.approx(p_of(values, first), abs=0.05)
    assert drawn == p_of(values, first, permutations=900)
    apart = np.repeat([50.0, 0.0], 20) + rng.normal(size=40)
    test = permuted(
        apart,
        first_of(20, 20),
        np.zeros(40, dtype=np.int64),
        alternative="greater",
        permutations=99,
        generator=generator_of("test"),
    )
    assert test == (0.01, 0.01)
    assert p_of(apart, first_of(20, 20), alternative="less", permutations=99) == 1.0


@pytest.mark.parametrize("permutations", [9999, 60])
def test_trials_change_places_within_blocks(permutations: int) -> None:
    """Of three blocks, all splits are the products of their own; what lies between blocks says nothing."""
    blocks = np.repeat([2, 0, 1], [4, 3, 3])
    first = np.array([1, 1, 0, 0, 1, 0, 0, 1, 0, 0], dtype=bool)
    rng = np.random.default_rng(3)
    values = rng.normal(size=10) + 5.0 * blocks + 0.5 * first
    places = [np.flatnonzero(blocks == block) for block in range(3)]
    ways = [
        np.isin(np.arange(10), [*one, *two, *three])
        for one in combinations(places[0], 1)
        for two in combinations(places[1], 1)
        for three in combinations(places[2], 2)
    ]
    assert len(ways) == 54
    of_all = np.array([scipys_t(values, way) for way in ways])
    expected = float(np.mean(np.abs(of_all) >= abs(scipys_t(values, first)) - 1e-9))
    found = p_of(values, first, blocks, permutations=permutations)
    assert found == pytest.approx(expected, abs=1e-12)
    assert p_of(values, first) != pytest.approx(found, abs=0.05)


def test_random_splits_keep_blocks() -> None:
    """Blocks that differ much, and hold unequal shares: only without them p is small."""
    rng = np.random.default_rng(4)
    blocks = np.repeat([0, 1], 20)
    first = np.concatenate([first_of(5, 15), first_of(15, 5)])
    values = rng.normal(size=40) + 3.0 * blocks
    assert p_of(values, first, blocks, permutations=500) > 0.1
    assert p_of(values, first, permutations=500) < 0.05


def test_equal_values_are_ties() -> None:
    """Two values alone, parted or not, however they are rounded; and none that differs has no p."""
    values = np.array([0.1, 0.1, 0.1, 0.3, 0.3, 0.3])
    assert p_of(values, first_of(3, 3)) == pytest.approx(2 / 20)
    assert p_of(values, np.array([1, 0, 1, 0, 1, 0], dtype=bool)) == pytest.approx(1.0)
    assert np.isnan(p_of(np.full(6, 0.1), first_of(3, 3)))


def test_hedges() -> None:
    """The pooled difference, with the correction by its own formula (Hedges 1981); NaN without spread."""
    rng = np.random.default_rng(5)
    one, other = rng.normal(1.0, 2.0, 7), rng.normal(0.0, 1.0, 5)
    pooled = np.sqrt((6 * one.var(ddof=1) + 4 * other.var(ddof=1)) / 10)
    exact = gamma(5.0) / (np.sqrt(5.0) * gamma(4.5))
    assert exact == pytest.approx(1 - 3 / (4 * 10 - 1), abs=1e-3)  # as it is usually rounded
    expected = exact * (one.mean() - other.mean()) / pooled
    assert hedges(np.concatenate([one, other]), first_of(7, 5)) == pytest.approx(expected, rel=1e-12)
    assert np.isnan(hedges(np.full(6, 0.1), first_of(3, 3)))


def test_unequal_variances() -> None:
    """Few trials that vary more: p < 0.05 in about 5 % of sessions, and twice as often by plain means."""
    rng = np.random.default_rng(6)
    first, sd = first_of(10, 30), np.where(first_of(10, 30), 3.0, 1.0)
    studentised, plain = 0, 0
    for _ in range(400):
        values = sd * rng.normal(size=40)
        studentised += p_of(values, first, permutations=199) < 0.05
        splits = first[np.argsort(rng.random((199, 40)), axis=1)]
        means = np.abs(splits @ values / 10 - (~splits) @ values / 30)
        plain += (1 + (means >= abs(values[first].mean() - values[~first].mean())).sum()) / 200 < 0.05
    assert studentised / 400 < 0.09
    assert plain / 400 > 0.15
