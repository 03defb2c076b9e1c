"""What distances say beside their median: against loops, NumPy, and populations that are known."""

from __future__ import annotations

import time
from itertools import permutations
from typing import Any

import numpy as np
import pytest
import xarray as xr
from helpers import oracles
from helpers.responses import gaussian
from helpers.results import neurons
from scipy.spatial.distance import cdist, pdist

import differentia as dif
from differentia.results.statistics import dimensionality, require_statistics


def arrays() -> dict[str, dict[str, np.ndarray]]:
    """Return two sets of different size in two layers, far from 0."""
    rng = np.random.default_rng(0)
    return {
        name: {layer: gaussian(rng, n) * strength + 5 for layer, strength in (("x", 1.0), ("y", 30.0))}
        for name, n in (("one", 7), ("other", 12))
    }


@pytest.mark.parametrize("normalize", ["layer", "none"])
def test_distances_of_each_set(normalize: str) -> None:
    """Mean and quantiles are those of SciPy's distances; the median is the result's own value."""
    given, wanted = arrays(), (0.0, 0.1, 0.5)
    result = dif.measure_responses(given, normalize=normalize)
    found = dif.statistics(result, quantiles=wanted)
    np.testing.assert_allclose(found["median"], result["differentiation"].isel(draw=0, n_units=-1), rtol=1e-5)
    for name, layers in given.items():
        for layer, matrix in layers.items():
            sigma = matrix.std() if normalize == "layer" else 1.0
            distances = pdist(matrix) / sigma / np.sqrt(matrix.shape[1])
            of = found.sel(set=name, layer=layer)
            assert of["mean"].item() == pytest.approx(distances.mean(), rel=1e-5)
            np.testing.assert_allclose(of["quantile"], np.quantile(distances, wanted), rtol=1e-5)
    assert found["quantile_of"].values.tolist() == list(wanted)
    assert found["n_images"].values.tolist() == [7, 12]
    assert found["n_units"].values.tolist() == [60, 60]
    assert found.attrs["differentia"] == "statistics"


def test_dimensionality_is_that_of_the_covariance() -> None:
    """Of NumPy's eigenvalues; at most N - 1, and the same for responses that are scaled or moved."""
    given = arrays()
    for normalize in ("layer", "none"):
        found = dif.statistics(dif.measure_responses(given, normalize=normalize))["dimensionality"]
        for name, layers in given.items():
            for layer, matrix in layers.items():
                expected = oracles.participation_ratio(matrix)
                assert found.sel(set=name, layer=layer).item() == pytest.approx(expected, rel=1e-5)
                assert expected < len(matrix) - 1
    apart = np.eye(8)  # which lie as far from each other as they can
    assert dimensionality(cdist(apart, apart, "sqeuclidean")).of_images == pytest.approx(7)


def test_dimensionality_without_bias_by_loops() -> None:
    """Means over all four distinct images, one after the other."""
    responses = gaussian(np.random.default_rng(1), 7)
    squares = cdist(responses, responses, "sqeuclidean")
    of_trace, of_squares = [], []
    for i, j, k, m in permutations(range(7), 4):
        of_trace.append(squares[i, j] * squares[k, m] / 4)
        of_squares.append(((responses[i] - responses[j]) @ (responses[k] - responses[m])) ** 2 / 4)
    found = dimensionality(squares)
    assert found.unbiased == pytest.approx(np.mean(of_trace) / np.mean(of_squares), rel=1e-10)
    three = dimensionality(squares[:3, :3])
    assert np.isfinite(three.of_images)
    assert np.isnan(three.unbiased)
    assert np.isnan(dimensionality(np.zeros((5, 5)))).all()


@pytest.mark.parametrize("n_images", [5, 10, 43])
@pytest.mark.parametrize("distance", [1.0, np.sqrt(2), np.float32(1.3)])
def test_no_dimensions_follow_from_rounding(n_images: int, distance: float) -> None:
    """Where all images lie equally far apart, what is left of the variance is rounding."""
    squares = float(distance) ** 2 * (1 - np.eye(n_images))
    assert dimensionality(squares).of_images == pytest.approx(n_images - 1)
    assert np.isnan(dimensionality(squares).unbiased)
    rng = np.random.default_rng(4)
    single = (squares * (1 + rng.uniform(-1, 1, squares.shape) * 6e-8)).astype(np.float32).astype(np.float64)
    assert np.isnan(dimensionality((single + single.T) / 2).unbiased)
    apart = cdist(*[rng.normal(size=(n_images, 10_000))] * 2, "sqeuclidean")
    assert 1_000 < dimensionality(apart).unbiased < 1e6


@pytest.mark.parametrize("n_images", [15, 40])
def test_dimensionality_of_a_known_covariance(n_images: int) -> None:
    """Over many samples, the estimate is that of the covariance; the plain one is far too small."""
    rng = np.random.default_rng(2)
    variances = np.concatenate([np.full(10, 4.0), np.full(60, 1.0)])
    truth = variances.sum() ** 2 / (variances**2).sum()
    found = []
    for _ in range(200):
        responses = rng.normal(size=(n_images, 70)) * np.sqrt(variances)
        found.append(dimensionality(cdist(responses, responses, "sqeuclidean")))
    plain, unbiased = np.median(found, axis=0)
    assert unbiased == pytest.approx(truth, rel=0.05)
    assert plain < n_images - 1 < truth
    # skewed responses, too
    skewed = [
        dimensionality(cdist(x, x, "sqeuclidean"))
        for x in (rng.exponential(size=(n_images, 50)) for _ in range(200))
    ]
    assert np.median([one.unbiased for one in skewed]) == pytest.approx(50, rel=0.06)


@pytest.mark.parametrize(
    ("options", "known", "said"),
    [
        (
            {"metric": "cityblock"},
            ["dimensionality", "dimensionality_unbiased"],
            "not by the metric 'cityblock'",
        ),
        ({"normalize": "response"}, [], "not those of responses normalised by 'response'"),
        ({"normalize": "unit"}, [], "not those of responses normalised by 'unit'"),
    ],
)
def test_what_does_not_follow_is_not_known(options: dict[str, Any], known: list[str], said: str) -> None:
    """It is NaN, and a warning says why; of the default measure all is known."""
    result = dif.measure_responses(arrays(), **options)
    with pytest.warns(dif.DifferentiaWarning, match=said):
        found = dif.statistics(result)
    assert said in found.attrs["unknown"]
    of_sets = ["median", "mean", "quantile", "dimensionality", "dimensionality_unbiased"]
    of_pairs = ["between", "within_first", "excess", "excess_low", "p"]
    assert [name for name in (*of_sets, *of_pairs) if found[name].notnull().any()] == known
    whole = dif.statistics(dif.measure_responses(arrays()))
    assert whole.attrs["unknown"] == ""
    assert all(whole[name].notnull().all() for name in (*of_sets, "between", "within_first", "excess", "p"))


def test_a_result_without_distances() -> None:
    """As of more than 2,000 images: nothing is known, and how to get it is said."""
    result = dif.measure_responses(arrays()).drop_vars("distance")
    with pytest.warns(dif.DifferentiaWarning, match="has no distances; measure at most 2,000 images"):
        found = dif.statistics(result)
    assert found["dimensionality"].isnull().all()
    assert found["n_images"].values.tolist() == [7, 12]


def test_a_dead_layer_has_no_statistics() -> None:
    """The others have; a selection has those of its sets and layers."""
    given = arrays()
    for layers in given.values():
        layers["y"] = np.full_like(layers["y"], 3.0)
    with pytest.warns(dif.DifferentiaWarning, match="NaN"):
        result = dif.measure_responses(given)
    found = dif.statistics(result)
    for name in ("median", "mean", "dimensionality", "dimensionality_unbiased"):
        assert found[name].sel(layer="y").isnull().all()
        assert found[name].sel(layer="x").notnull().all()
    assert found[["between", "excess", "p"]].sel(layer="y").isnull().all()
    left = dif.statistics(result.sel(set=["other"], layer=["x"]))
    np.testing.assert_array_equal(left["mean"], found["mean"].sel(set=["other"], layer=["x"]))
    assert left.sizes["pair"] == 0


def test_the_units_at_hand_are_said() -> None:
    """Distances are of the largest number, also where a smaller one was selected."""
    result = neurons()
    found = dif.statistics(result)
    assert found["n_units"].values.tolist() == [50, 10]
    xr.testing.assert_equal(found, dif.statistics(result.sel(n_units=[5])))


@pytest.mark.parametrize(
    ("message", "options"),
    [
        (r"quantiles is \(0.5, 2\); expected numbers from 0 to 1", {"quantiles": (0.5, 2)}),
        ("quantiles is 'x'; expected numbers", {"quantiles": "x"}),
        ("quantiles is 0.5; expected numbers", {"quantiles": 0.5}),
        ("confidence is 2; expected a number from 0.5", {"confidence": 2}),
        ("unknown set 'oen'. Did you mean 'one'", {"pairs": [("oen", "other")]}),
        ("both sets are 'one'", {"pairs": [("one", "one")]}),
        (r"pairs holds 'one'; expected the names of two sets", {"pairs": ["one", "other"]}),
        (r"pairs is 'one'; expected pairs", {"pairs": "one"}),
    ],
)
def test_wrong_options(message: str, options: dict[str, Any]) -> None:
    """The error says what was given, and what was expected."""
    with pytest.raises(dif.InputError, match=message):
        dif.statistics(dif.measure_responses(arrays()), **options)


def test_what_is_no_statistics() -> None:
    """A result is not; what the function returned is, and a part of it."""
    result = dif.measure_responses(arrays())
    found = dif.statistics(result)
    require_statistics(found)
    require_statistics(found.sel(layer=["x"]))
    for given in (result, "x", None):
        with pytest.raises(dif.InputError, match=r"is not what statistics\(result\) returned"):
            require_statistics(given)


def test_many_sets_take_seconds() -> None:
    """Of 200 sets of 10 images, with 19,900 pairs of sets, in a fraction of one for each layer."""
    rng = np.random.default_rng(3)
    result = dif.measure_responses({f"set {at}": {"x": rng.normal(size=(10, 4))} for at in range(200)})
    start = time.perf_counter()
    found = dif.statistics(result)
    assert time.perf_counter() - start < 3
    assert found.sizes["pair"] == 19_900
    assert found["excess"].notnull().all()
    assert found["p"].isnull().all()
