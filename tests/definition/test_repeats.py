"""Squares without noise: against loops over repeats, and simulated spikes whose rates are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from helpers import oracles
from scipy.spatial.distance import pdist, squareform

import differentia as dif
from differentia.definition.repeats import Squares, noise_free, squares_of

RNG = np.random.default_rng(0)


def spikes(repeats: int = 4, n: int = 7, k: int = 9) -> np.ndarray:
    """Return counts (repeat, stimulus, unit) of units with rates of their own."""
    return RNG.poisson(RNG.gamma(2.0, 2.0, (n, k)), (repeats, n, k)).astype(np.float64)


@pytest.mark.parametrize("repeats", [2, 3, 5])
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_products_across_repeats(repeats: int, offset: float) -> None:
    """Squares and variance are those of loops over all r != s, also far from 0."""
    given = spikes(repeats)
    found = noise_free(given + offset)
    squares, variance = oracles.squares_across_repeats(given.tolist())
    np.testing.assert_allclose(found.distances[np.triu_indices(7, k=1)], squares, rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(found.powers.mean(), variance, rtol=1e-9)
    np.testing.assert_array_equal(found.distances, found.distances.T)
    median = np.median(squares)
    assert found.differentiation(divided=True).value == pytest.approx(np.sqrt(median / variance), rel=1e-9)
    assert found.differentiation(divided=False).value == pytest.approx(np.sqrt(median), rel=1e-9)


def test_squares_of_one_response() -> None:
    """SciPy's distances, and the measure; of equal responses exactly 0."""
    given = spikes(1)[0]
    found = squares_of(given)
    np.testing.assert_allclose(found.distances, squareform(pdist(given, "sqeuclidean")) / 9, atol=1e-12)
    assert found.differentiation(divided=True).value == pytest.approx(dif.differentiation(given), rel=1e-12)
    np.testing.assert_allclose(found.powers.mean(), given.var(), rtol=1e-12)
    np.testing.assert_allclose(found.means, given.mean(axis=1) - given.mean(), atol=1e-12)
    twice = squares_of(np.vstack([given, given]) + 0.1)
    assert (np.diagonal(twice.distances, offset=7) == 0).all()


def test_repeats_without_noise() -> None:
    """Are as one of them; a repeat that differs in one entry is not."""
    given = np.tile(spikes(1), (3, 1, 1))
    expected = squares_of(given[0])
    np.testing.assert_allclose(noise_free(given).distances, expected.distances, atol=1e-12)
    np.testing.assert_allclose(noise_free(given).powers, expected.powers, atol=1e-12)
    given[2, 0, 0] += 5
    assert not np.allclose(noise_free(given).distances, expected.distances)


def test_what_repeats_share_counts_for_nothing() -> None:
    """A level of each unit that changes between repeats leaves distances as they are, not the variance."""
    given = spikes()
    moved = given + RNG.normal(size=(4, 1, 9))
    np.testing.assert_allclose(noise_free(moved).distances, noise_free(given).distances, atol=1e-12)
    assert not np.allclose(noise_free(moved).powers, noise_free(given).powers)


Noise = Callable[[np.random.Generator, np.ndarray], np.ndarray]


def _poisson(rng: np.random.Generator, rates: np.ndarray) -> np.ndarray:
    return rng.poisson(rates, (3, *rates.shape)).astype(np.float64)


def _with_gain(rng: np.random.Generator, rates: np.ndarray) -> np.ndarray:
    """Return counts with a gain that all units of a presentation share."""
    gain = np.exp(0.3 * rng.normal(size=(3, len(rates), 1)) - 0.045)
    return rng.poisson(gain * rates).astype(np.float64)


def _same_noise(rng: np.random.Generator, rates: np.ndarray) -> np.ndarray:
    """Return counts of which each repeat has the same noise."""
    return np.tile(rng.poisson(rates).astype(np.float64), (3, 1, 1))


@pytest.mark.parametrize(
    ("noise", "unbiased"),
    [(_poisson, True), (_with_gain, True), (_same_noise, False)],
    ids=["poisson", "gain", "same noise"],
)
def test_squared_distances_are_unbiased(noise: Noise, unbiased: bool) -> None:
    """Over 2,000 simulations, where noise is independent between repeats; those of the mean never are."""
    rng = np.random.default_rng(1)
    angle, preferred = np.linspace(0, 2 * np.pi, 6)[:, np.newaxis], np.linspace(0, 2 * np.pi, 8)
    rates = 0.5 + 3 * np.exp(2 * (np.cos(angle + 0.3 - preferred) - 1))
    true = squares_of(rates)
    found, of_mean, variances = [], [], []
    for _ in range(2_000):
        counts = noise(rng, rates)
        free = noise_free(counts)
        found.append(free.distances.sum() / true.distances.sum())
        variances.append(free.powers.mean() / rates.var())
        of_mean.append(squares_of(counts.mean(axis=0)).distances.sum() / true.distances.sum())

    def scores(values: list[float]) -> float:
        return float((np.mean(values) - 1) / (np.std(values) / np.sqrt(len(values))))

    assert (abs(scores(found)) < 3) == unbiased
    assert (abs(scores(variances)) < 3) == unbiased
    assert scores(of_mean) > 10


def test_no_value_without_noise() -> None:
    """Where the median or the variance is not positive it is NaN, and why is said."""
    given = RNG.normal(size=(2, 40, 3))
    given[1] = -given[0]
    found = noise_free(given)
    value, undefined, _ = found.differentiation(divided=True)
    assert np.isnan(value)
    assert undefined is not None
    assert undefined.startswith("the median squared distance is -")
    apart = Squares(np.abs(found.distances), found.means, found.powers)
    assert apart.differentiation(divided=True).undefined == (
        f"the variance is {found.powers.mean():.3g}, not positive"
    )
    assert apart.differentiation(divided=False).undefined is None
