"""Mantel's test: against a plain loop, and how often it finds what is not there."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.distance import pdist, squareform

from differentia.results.correlations import COEFFICIENTS
from differentia.results.mantel import mantel, pairs_of, similarities


def distances(n: int, layers: int, *, seed: int = 0, width: int = 2, shared: float = 0.0) -> np.ndarray:
    """Return distances of n responses in each layer, (layer, n, n), with something in common or not."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(n, width))
    each = [shared * common + (1 - shared) * rng.normal(size=(n, width)) for _ in range(layers)]
    return np.stack([squareform(pdist(one)) for one in each])


def test_pairs() -> None:
    """Each pair once, in the order of SciPy's condensed distances."""
    given = distances(6, 2)
    np.testing.assert_allclose(pairs_of(given), np.stack([squareform(one) for one in given], axis=1))


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_similarities(name: str) -> None:
    """Of any layer with any other, as SciPy has it; of one where nothing varies, none."""
    pairs = pairs_of(distances(7, 3, shared=0.5))
    pairs = np.column_stack([pairs, np.ones(len(pairs))])
    found = similarities(pairs, name)
    in_scipy = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}[name]
    for one in range(3):
        assert found[one, one] == 1.0
        for other in range(one):
            expected = in_scipy(pairs[:, one], pairs[:, other]).statistic
            assert found[one, other] == found[other, one] == pytest.approx(expected)
    assert np.isnan(found[3]).all()
    assert np.isnan(found[:, 3]).all()


@pytest.mark.parametrize("name", COEFFICIENTS)
def test_a_plain_loop(name: str) -> None:
    """The correlation and its p are those of all orders of the images of one matrix, tried one by one."""
    given = distances(6, 3, seed=1, shared=0.4)
    pairs = pairs_of(given)
    found = mantel(pairs[:, 1:], pairs[:, 0], name, 4999, 0)
    in_scipy = {"pearson": stats.pearsonr, "spearman": stats.spearmanr}[name]
    strengths = []
    for order in permutations(range(6)):
        moved = squareform(given[0][np.ix_(order, order)])
        strengths.append([abs(in_scipy(moved, pairs[:, at]).statistic) for at in (1, 2)])
    observed, each = np.array(strengths[0]), np.array(strengths)
    np.testing.assert_allclose(np.abs(found.value), observed, atol=1e-12)
    np.testing.assert_allclose(found.p, (each >= observed - 1e-9).mean(axis=0), atol=0.02)
    most = each.max(axis=1)
    expected = [(most >= one - 1e-9).mean() for one in observed]
    np.testing.assert_allclose(found.p_corrected, expected, atol=0.02)
    assert (found.p_corrected >= found.p).all()


def test_the_same_seed_gives_the_same_p() -> None:
    """And another seed another; what was observed counts as one permutation."""
    pairs = pairs_of(distances(8, 2, shared=0.3))
    one, again, other = (mantel(pairs[:, 1:], pairs[:, 0], "pearson", 99, seed) for seed in (0, 0, 1))
    assert one.p == again.p != other.p
    itself = mantel(pairs[:, :1], pairs[:, 0], "pearson", 99, 0)
    assert itself.value == pytest.approx(1.0)
    assert itself.p == 0.01


def test_false_positives() -> None:
    """At 5 % nominal at most 6 %; a test that permutes pairs finds far more, since pairs share images."""
    rng, count, found, by_pairs = np.random.default_rng(0), 600, 0, 0
    for seed in range(count):
        # Some images lie far out, and all their pairs with them.
        far = np.random.default_rng(seed).standard_t(2, size=(2, 10, 1))
        pairs = pairs_of(np.stack([squareform(pdist(one)) for one in far]))
        found += int(mantel(pairs[:, 1:], pairs[:, 0], "pearson", 199, seed).p[0] < 0.05)
        one, other = ((pairs - pairs.mean(axis=0)) / pairs.std(axis=0)).T
        shuffled = rng.permuted(np.tile(one, (199, 1)), axis=1)
        strengths, observed = np.abs(shuffled @ other), abs(one @ other)
        by_pairs += int((1 + (strengths >= observed).sum()) / 200 < 0.05)
    assert found / count <= 0.06
    assert by_pairs / count > 0.10
