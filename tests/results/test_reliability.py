"""Split halves: which there are, the correlation of their distances, and its limits."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr, spearmanr

from differentia.results.reliability import spearman_brown, split_half, splits_of

RNG = np.random.default_rng(0)
SIGNAL = RNG.gamma(2.0, 1.0, (12, 20))
GIVEN = SIGNAL + RNG.normal(size=(6, 12, 20))


@pytest.mark.parametrize("repeats", [2, 3, 4, 5, 6, 7])
def test_every_split(repeats: int) -> None:
    """Each once, of two halves of one size that share nothing; of an odd number one repeat is left out."""
    splits = splits_of(repeats, 200)
    half = repeats // 2
    assert len(splits) == comb(repeats, half) * comb(repeats - half, half) // 2
    assert len({frozenset({tuple(one), tuple(other)}) for one, other in splits}) == len(splits)
    for one, other in splits:
        assert len(one) == len(other) == half
        assert len({*one, *other}) == 2 * half


def test_random_splits() -> None:
    """As many as wanted, the same for the same seed, and each of two halves."""
    splits, again, others = splits_of(11, 20, 0), splits_of(11, 20, 0), splits_of(11, 20, 1)
    assert len(splits) == 20
    np.testing.assert_array_equal(splits, again)
    assert not np.array_equal(splits, others)
    assert {len({*one, *other}) for one, other in splits} == {10}


def test_it_is_the_correlation_of_distances() -> None:
    """SciPy's, over all splits; repeats that are equal agree wholly, and noise does not."""
    splits = splits_of(4, 20)
    found = split_half(GIVEN[:4], splits, 0.95)
    halves = [[pdist(GIVEN[half].mean(axis=0)) for half in split] for split in splits]
    for name, of_scipy in (("pearson", pearsonr), ("spearman", spearmanr)):
        expected = np.mean([of_scipy(*of_split).statistic for of_split in halves])
        value, low, high = found[name]
        assert value == pytest.approx(expected, rel=1e-10)
        assert low < value < high
    same = split_half(np.tile(SIGNAL, (4, 1, 1)), splits, 0.95)
    assert same["pearson"][0] == pytest.approx(1.0)
    assert same["spearman"][0] == pytest.approx(1.0)
    noise = split_half(RNG.normal(size=(4, 30, 20)), splits, 0.95)["pearson"]
    assert abs(noise[0]) < 0.3


def test_distances_of_few_spikes_are_ties() -> None:
    """Where they are equal, whatever rounding makes of them; without that, ranks would be others."""
    repeats = np.random.default_rng(0).poisson(0.5, (4, 15, 4)).astype(np.float64)
    splits = splits_of(4, 20)
    halves = [[pdist(repeats[half].mean(axis=0)) for half in split] for split in splits]
    assert len(np.unique(halves[0][0].round(9))) < 50
    expected = np.mean([spearmanr(*(one.round(9) for one in of_split)).statistic for of_split in halves])
    assert split_half(repeats, splits, 0.95)["spearman"][0] == pytest.approx(expected, rel=1e-9)
    noisy = [[one + 1e-9 * RNG.normal(size=one.size) for one in of_split] for of_split in halves]
    assert np.mean([spearmanr(*of_split).statistic for of_split in noisy]) != pytest.approx(
        expected, rel=1e-4
    )


def test_limits_leave_out_each_stimulus() -> None:
    """The jackknifed error of Fisher's z, by measuring anew without each."""
    splits = splits_of(4, 20)
    value, low, high = split_half(GIVEN[:4], splits, 0.95)["pearson"]
    z = []
    for stimulus in range(12):
        left = np.delete(GIVEN[:4], stimulus, axis=1)
        z.append(np.arctanh(split_half(left, splits, 0.95)["pearson"][0]))
    error = np.sqrt(11 / 12 * ((np.array(z) - np.mean(z)) ** 2).sum())
    reach = 2.200985160082949 * error  # t of 11 degrees of freedom
    np.testing.assert_allclose([low, high], np.tanh(np.arctanh(value) + np.array([-reach, reach])), rtol=1e-9)
    wider = split_half(GIVEN[:4], splits, 0.99)["pearson"]
    assert wider[1] < low
    assert wider[2] > high


def test_limits_hold_the_reliability_of_others() -> None:
    """Of sets of stimuli of one kind, about as many as they should."""
    rng, splits = np.random.default_rng(0), splits_of(4, 20)
    loadings = rng.normal(size=(3, 20))

    def drawn(n: int) -> np.ndarray:
        signal: np.ndarray = rng.normal(size=(n, 3)) @ loadings
        return signal + 2 * rng.normal(size=(4, n, 20))

    true = split_half(drawn(800), splits, 0.95)["pearson"][0]
    held = [
        low <= true <= high
        for _, low, high in (split_half(drawn(30), splits, 0.95)["pearson"] for _ in range(200))
    ]
    assert 0.88 < np.mean(held) < 1
    assert not all(
        low <= true - 0.3 <= high for _, low, high in [split_half(drawn(30), splits, 0.95)["pearson"]]
    )


def test_stimuli_that_do_not_vary() -> None:
    """Have no reliability, nor have three stimuli, of whom one is left out, limits."""
    flat = split_half(np.ones((4, 5, 3)), splits_of(4, 20), 0.95)
    assert np.isnan(flat["pearson"]).all()
    few = split_half(GIVEN[:4, :3], splits_of(4, 20), 0.95)["pearson"]
    assert np.isfinite(few[0])
    assert np.isnan(few[1:]).all()


def test_spearman_brown() -> None:
    """It is the correlation of sums of twice as many parallel scores; of a negative one there is none."""
    signal, noise = RNG.normal(size=100_000), RNG.normal(size=(4, 100_000))
    one = np.corrcoef(signal + noise[0], signal + noise[1])[0, 1]
    twice = np.corrcoef(2 * signal + noise[0] + noise[1], 2 * signal + noise[2] + noise[3])[0, 1]
    assert spearman_brown(one) == pytest.approx(twice, abs=0.01)
    assert abs(one - twice) > 0.1
    assert np.isnan(spearman_brown(-0.1))
