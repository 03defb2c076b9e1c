"""Tiles of distances: each pair once, estimates within their error, and what is in doubt settled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.stored import Stored
from scipy.spatial.distance import pdist, squareform

from differentia.definition import tiles
from differentia.definition.matrix import Rows
from differentia.definition.tiles import ByBlocks, DoubtError, SquaredEuclidean, Tiles, all_bands

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiles of 16 x 16 responses in bands of 5, and blocks of 7 units of float32."""
    monkeypatch.setattr(tiles, "SIDE", 16)
    monkeypatch.setattr(tiles, "BAND", 5)
    monkeypatch.setattr(tiles, "BLOCK_BYTES", 16 * 7 * 4)
    monkeypatch.setattr(tiles, "DIFFERENCES", 50)


def of_pairs(all_tiles: Tiles) -> tuple[np.ndarray, np.ndarray]:
    """Return the value of each pair and its error, and infinity where no tile holds it."""
    n = all_tiles.n_responses
    values, errors = np.full((2, n, n), np.inf)
    for band in all_bands(all_tiles):
        held = np.isfinite(band.values)
        assert np.isinf(values[band.first, band.second][held]).all()  # none twice
        values[band.first, band.second][held] = band.values[held]
        errors[band.first, band.second] = band.error
    return values, errors


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("n", [2, 16, 17, 53])
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_estimates_are_within_their_error(n: int, offset: float, stored: bool) -> None:
    """Of all pairs i < j, each once, in either precision; without the centre they are not."""
    matrix = (RNG.standard_normal((n, 40)) + offset).astype(np.float32)
    expected = squareform(pdist(matrix.astype(float), "sqeuclidean"))
    upper = np.triu_indices(n, k=1)
    rows = Rows(Stored(matrix) if stored else matrix)
    for dtype in ("float32", "float64"):
        values, errors = of_pairs(SquaredEuclidean(rows, dtype))
        assert (abs(values - expected) <= errors)[upper].all()
        assert np.isinf(values[np.tril_indices(n)]).all()
        assert errors[upper].max() < (1e-2 if dtype == "float32" else 1e-9)
    if offset and n > 2:
        values, _ = of_pairs(SquaredEuclidean(rows, "float32", np.zeros(40, dtype=np.float32)))
        assert abs(values - expected)[upper].max() > 1
    for metric, join in (("cityblock", np.add), ("chebyshev", np.maximum)):
        values, _ = of_pairs(ByBlocks(rows, metric, join))
        expected = squareform(pdist(matrix.astype(float), metric))
        np.testing.assert_allclose(values[upper], expected[upper], rtol=1e-12)


def test_standard_deviation() -> None:
    """Of all entries, with a common part far larger, and units of different means."""
    matrix = (RNG.standard_normal((40, 30)) + 1e6 + 3 * np.arange(30)).astype(np.float32)
    sd = SquaredEuclidean(Rows(matrix), "float32").sd()
    assert sd == pytest.approx(matrix.astype(float).std(), rel=1e-6)
    assert sd != pytest.approx(matrix.astype(float).std(axis=0).mean(), rel=1e-2)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_in_doubt_is_settled(dtype: str) -> None:
    """Equal and nearly equal responses: exactly 0, and from the differences; others keep their estimates."""
    matrix = RNG.standard_normal((20, 40))
    matrix[7] = matrix[3]
    matrix[9] = matrix[2] + 1e-5 * RNG.standard_normal(40)
    matrix = matrix.astype(np.float32)
    matrix[[3, 7], 0] = [0.0, -0.0]
    of_matrix = SquaredEuclidean(Rows(matrix), dtype)
    first, second = np.array([3, 2, 0]), np.array([7, 9, 1])
    estimates = np.array([1e-9, 1e-9, 55.5], dtype=dtype)
    settled = of_matrix.settled(first, second, estimates, (0.0, 1.0))
    expected = np.sum((matrix[2].astype(float) - matrix[9]) ** 2)
    assert settled[0] == 0
    assert settled[1] == pytest.approx(expected, rel=1e-6)
    assert settled[2] == estimates[2]
    # where the error does not reach what is looked for, nothing is done
    np.testing.assert_array_equal(of_matrix.settled(first, second, estimates, (20.0, 30.0)), estimates)
    np.testing.assert_array_equal(estimates[:2], np.array([1e-9, 1e-9], dtype=dtype))


def test_many_doubts_ask_for_a_higher_precision() -> None:
    """In float32, where differences would take longer; float64 takes that time."""
    centres = 100 * RNG.standard_normal((2, 30))
    matrix = (centres[np.arange(60) % 2] + 0.01 * RNG.standard_normal((60, 30))).astype(np.float32)
    first, second = np.triu_indices(60, k=1)
    expected = pdist(matrix.astype(float), "sqeuclidean")
    options: dict[str, Any] = {"values": expected.astype(np.float32), "between": (0.0, 1.0)}
    with pytest.raises(DoubtError):
        SquaredEuclidean(Rows(matrix), "float32").settled(first, second, **options)
    options["values"] = expected
    settled = SquaredEuclidean(Rows(matrix), "float64").settled(first, second, **options)
    np.testing.assert_allclose(settled, expected, rtol=1e-9)


def test_some_of_the_responses() -> None:
    """Their tiles are those of a matrix of them."""
    matrix = RNG.standard_normal((40, 30)).astype(np.float32)
    some = np.array([0, 4, 5, 21, 39])
    for of_all in (SquaredEuclidean(Rows(matrix), "float32"), ByBlocks(Rows(matrix), "cityblock", np.add)):
        values, _ = of_pairs(of_all.of(some))
        expected, _ = of_pairs(of_all)
        np.testing.assert_allclose(values, expected[np.ix_(some, some)], rtol=1e-5)
