"""Correlations, their limits and their p: against SciPy, by loops, and by simulation."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from differentia.results.correlations import (
    COEFFICIENTS,
    correlations,
    jackknifed,
    line_through,
    permuted_correlations,
    squared_limits,
    standardised,
)

IN_SCIPY: dict[str, Callable[..., float]] = {
    "pearson": lambda x, y: float(stats.pearsonr(x, y).statistic),
    "spearman": lambda x, y: float(stats.spearmanr(x, y).statistic),
}


def points(n: int, series: int, *, seed: int = 0, rho: float = 0.6) -> tuple[np.ndarray, np.ndarray]:
    """Return n values, and series that go with them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=n)
    noise = rng.normal(size=(n, series))
    return x, rho * x[:, np.newaxis] + np.sqrt(1 - rho**2) * noise


@pytest.mark.parametrize("name", COEFFICIENTS)
@pytest.mark.parametrize("n", [4, 12, 50])
def test_those_of_scipy(name: str, n: int) -> None:
    """Ties share their rank; a series that does not vary has no correlation."""
    x, y = points(n, 3)
    y[:, 1] = np.round(y[:, 1])
    y[:, 2] = 0.1
    found = correlations(x, y, name)
    np.testing.assert_allclose(found[:2], [IN_SCIPY[name](x, one) for one in y.T[:2]], atol=1e-12)
    assert np.isnan(found[2])


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_limits_by_a_loop(name: str) -> None:
    """Each observation is left out in turn; ranks are those of the others."""
    x, y = points(12, 2)
    low, high = jackknifed(x, y, name, 0.9)
    for at, one in enumerate(y.T):
        z = np.array([np.arctanh(IN_SCIPY[name](np.delete(x, i), np.delete(one, i))) for i in range(12)])
        error = np.sqrt(11 / 12 * ((z - z.mean()) ** 2).sum())
        quantile = {"pearson": stats.t(10).ppf(0.95), "spearman": stats.norm.ppf(0.95)}[name]
        expected = np.tanh(np.arctanh(IN_SCIPY[name](x, one)) + np.array([-1, 1]) * quantile * error)
        np.testing.assert_allclose([low[at], high[at]], expected, atol=1e-12)


def test_limits_of_what_does_not_vary() -> None:
    """A line has no spread; a constant has no limits, nor have ranks that agree, as few may by chance."""
    x, _ = points(8, 1)
    y = np.stack([2 * x + 1, -x, np.full(8, 0.3), np.exp(x)], axis=1)
    low, high = jackknifed(x, y, "pearson", 0.95)
    np.testing.assert_allclose([low[:2], high[:2]], [[1, -1], [1, -1]], atol=1e-6)
    assert np.isnan([low[2], high[2]]).all()
    assert 0 < low[3] < high[3] <= 1
    assert np.isnan(jackknifed(x, y, "spearman", 0.95)).all()
    y[[0, 1], 3] = y[[1, 0], 3]
    assert np.isfinite(jackknifed(x, y, "spearman", 0.95)).all(axis=0).tolist() == [False] * 3 + [True]


def test_limits_where_ranks_nearly_agree() -> None:
    """Of 6 values of a correlation of 0.9, the limits that there are hold the truth."""
    rng = np.random.default_rng(0)
    x, noise = rng.normal(size=(2, 6, 2000))
    low, high = jackknifed(x, 0.9 * x + np.sqrt(1 - 0.9**2) * noise, "spearman", 0.95)
    known = np.isfinite(low)
    truth = 6 / np.pi * np.arcsin(0.9 / 2)
    assert ((low <= truth) & (truth <= high))[known].mean() > 0.93
    assert 0.1 < (~known).mean() < 0.2


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_p_of_every_order(name: str) -> None:
    """Of all orders, the share that reaches the correlation is SciPy's exact p."""
    x, y = points(6, 1, seed=3)
    orders = np.array(list(permutations(range(6))))
    scale = COEFFICIENTS[name].scale
    permuted = np.abs(permuted_correlations(x, y, name, orders)[0])
    p = (permuted >= abs(correlations(x, y, name)[0]) - 1e-9).mean()
    exact = stats.permutation_test(
        (scale(x),),
        lambda one: abs(stats.pearsonr(one, scale(y)[:, 0]).statistic),
        permutation_type="pairings",
        n_resamples=np.inf,
        alternative="greater",
    )
    assert p == pytest.approx(exact.pvalue)


def test_a_line() -> None:
    """Slope and intercept are SciPy's; with equal leverages the limits are those of HC4 by a loop."""
    x, y = points(12, 2)
    line = line_through(x, y, 0.95)
    for at, one in enumerate(y.T):
        expected = stats.linregress(x, one)
        assert line.slope[at] == pytest.approx(expected.slope)
        assert line.intercept[at] == pytest.approx(expected.intercept)
        design = np.stack([np.ones(12), x], axis=1)
        bread = np.linalg.inv(design.T @ design)
        hat = np.diag(design @ bread @ design.T)
        residuals = one - design @ bread @ design.T @ one
        weights = residuals**2 / (1 - hat) ** np.minimum(4, 12 * hat / 2)
        error = np.sqrt((bread @ (design.T * weights) @ design @ bread)[1, 1])
        reach = stats.t(10).ppf(0.975) * error
        assert line.low[at] == pytest.approx(expected.slope - reach)
        assert line.high[at] == pytest.approx(expected.slope + reach)
    flat = line_through(np.full(12, 2.0), y, 0.95)
    assert np.isnan(flat.slope).all()


def test_squares() -> None:
    """Of what lies on both sides of 0 the least square is 0."""
    low, high = np.array([-0.5, 0.2, -0.9]), np.array([0.3, 0.6, -0.1])
    found = squared_limits(low, high)
    np.testing.assert_allclose(found, [[0, 0.04, 0.01], [0.25, 0.36, 0.81]])


def test_standardised() -> None:
    """Rounding is no spread."""
    values = np.array([[1.0, 0.1 + 0.2], [3.0, 0.3]])
    found = standardised(values)
    np.testing.assert_allclose(found[:, 0], [-1, 1])
    assert np.isnan(found[:, 1]).all()


def heavy(rng: np.random.Generator, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return values of t with 5 degrees of freedom in both, of a correlation of 0.6."""
    x, noise = rng.normal(size=shape), rng.normal(size=shape)
    scale = np.sqrt(rng.chisquare(5, size=shape) / 5)
    return x / scale, (0.6 * x + 0.8 * noise) / scale


@pytest.mark.parametrize(("n", "count"), [(12, 1500), (50, 500)])
def test_coverage(n: int, count: int) -> None:
    """Limits hold the truth as often as they say where tails are heavy; Fisher's own error does not."""
    rng = np.random.default_rng(n)
    x, y = heavy(rng, (n, count))
    truth = np.arctanh(0.6)
    low, high = jackknifed(x, y, "pearson", 0.95)
    held = (np.arctanh(low) <= truth) & (truth <= np.arctanh(high))
    fisher = abs(np.arctanh(correlations(x, y, "pearson")) - truth) <= 1.96 / np.sqrt(n - 3)
    one = jackknifed(x[:, 7], y[:, [7]], "pearson", 0.95)
    np.testing.assert_allclose(one, [low[[7]], high[[7]]])  # each x beside its own y
    assert 0.925 <= held.mean() <= 0.975
    assert fisher.mean() < 0.92
