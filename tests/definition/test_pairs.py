"""Distances of all pairs, from inner products and by blocks, against SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.stored import Stored, peak_memory
from scipy.spatial.distance import pdist

from differentia.definition import matrix, pairs
from differentia.definition.matrix import Rows
from differentia.definition.pairs import by_blocks, squared_euclidean, squares_and_scales, sum_differences

RNG = np.random.default_rng(0)
JOINS = {"cityblock": np.add, "chebyshev": np.maximum}


@pytest.mark.parametrize("block", [1, 7, 50, 10_000])
@pytest.mark.parametrize("n", [1, 2, 3, 20])
def test_every_pair_has_its_distance(n: int, block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is taken at once, each pair has SciPy's distance, equal and almost equal pairs too."""
    monkeypatch.setattr(matrix, "CACHED_ENTRIES", block)
    monkeypatch.setattr(pairs, "CACHED_ENTRIES", block)
    responses = RNG.standard_normal((n, 30))
    responses[n // 2] = responses[0]
    responses[-1] = responses[0] + 1e-8 * RNG.standard_normal(30)
    for values in (responses, Stored(responses)):
        expected = pdist(responses, "sqeuclidean")
        np.testing.assert_allclose(squared_euclidean(Rows(values)), expected, rtol=1e-9)
        first, second = np.triu_indices(n, k=1)
        np.testing.assert_allclose(sum_differences(Rows(values), first, second), expected, rtol=1e-9)
        for metric, join in JOINS.items():
            found = by_blocks(Rows(values), metric, join)
            np.testing.assert_allclose(found, pdist(responses, metric), rtol=1e-9)


def test_products_alone_do_not_tell_near_pairs() -> None:
    """What sums of differences are for: without them a pair that is almost equal is far off."""
    responses = RNG.standard_normal((20, 30))
    responses[-1] = responses[0] + 1e-8 * RNG.standard_normal(30)
    first, second = np.array([0, 0]), np.array([1, 19])
    squares, scales = squares_and_scales(responses @ responses.T, first, second)
    expected = np.sum((responses[first] - responses[second]) ** 2, axis=1)
    np.testing.assert_allclose(squares[0], expected[0], rtol=1e-12)
    assert squares[1] != pytest.approx(expected[1], rel=0.01, abs=0)
    assert squares[1] < pairs.PRECISION["float64"].doubtful * scales[1]


def test_pairs_take_little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few numbers for each pair; responses are never copied as a whole."""
    monkeypatch.setattr(matrix, "CACHED_ENTRIES", 2**14)
    responses = RNG.standard_normal((500, 10_000)).astype(np.float32)
    of_pairs = 8 * 500 * 499 // 2
    assert peak_memory(lambda: by_blocks(Rows(responses), "cityblock", np.add)) < 2 * of_pairs + 2**20
    assert peak_memory(lambda: squared_euclidean(Rows(responses))) < 10 * of_pairs
    monkeypatch.setattr(matrix, "CACHED_ENTRIES", 2**23)
    assert peak_memory(lambda: squared_euclidean(Rows(responses))) > 10 * of_pairs
