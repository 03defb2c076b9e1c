"""What figures and reports show beyond a result's own numbers, by plain loops."""

from __future__ import annotations

import itertools
import statistics

import numpy as np
import pytest
import xarray as xr
from helpers.figures import explained
from helpers.results import neurons

import differentia as dif
from differentia.results.schema import LIMITS
from differentia.results.summaries import (
    class_scores,
    colour_limits,
    confidence_of,
    distances_of_all,
    distances_of_sets,
    draws_made,
    extreme_layers,
    layer_names,
    limits_or_spread,
    pairs_of_sets,
    percent,
    rows_by_set,
)


def set_distances(result: xr.Dataset, layer: str, name: str) -> np.ndarray:
    """Return the distances of a set's images in one layer."""
    (of_sets,) = distances_of_sets(result, [layer])
    return of_sets[name]


def test_names_and_rows() -> None:
    """Each image is of one set; confidences are said in percent."""
    result = explained()
    rows = rows_by_set(result)
    assert list(rows) == result["set"].values.tolist()
    for name, of_set in rows.items():
        assert set(result["image_set"].values[of_set]) == {name}
    assert sum(map(len, rows.values())) == result.sizes["image"]
    assert layer_names(result) == result["layer"].values.tolist()
    assert percent(0.95) == "95 %"
    assert percent(0.995) == "99.5 %"


def test_limits_or_spread() -> None:
    """The intervals where there are some; else one SD over draws on either side, of units alone."""
    result = neurons()
    low, high = limits_or_spread(result, result["differentiation"])
    xr.testing.assert_identical(low, result[LIMITS[0]])
    xr.testing.assert_identical(high, result[LIMITS[1]])
    reference = str(result.attrs["reference"])
    xr.testing.assert_identical(
        limits_or_spread(result, dif.relative(result), reference)[0], dif.relative_interval(result)[0]
    )
    assert confidence_of(result) == 0.95
    before = result.drop_vars([*LIMITS, "source"])
    assert confidence_of(before) is None
    low, high = limits_or_spread(before, before["differentiation"])
    assert low["source"].values.tolist() == ["units"]
    values = before["differentiation"]
    mean, spread = (found(values, before) for found in (dif.draw_mean, dif.draw_spread))
    assert spread.isnull().any()
    assert spread.notnull().any()
    for limit, expected in ((low, mean - spread), (high, mean + spread)):
        xr.testing.assert_allclose(limit.isel(source=0, drop=True), expected)


def test_draws() -> None:
    """As many as the layer with most has."""
    result = neurons()
    used = result["differentiation"].transpose("n_units", "set", "layer", "draw").values
    expected = [max(int(np.isfinite(row).sum()) for of_set in at for row in of_set) for at in used]
    assert draws_made(result) == expected
    assert draws_made(result.assign(differentiation=result["differentiation"] * np.nan)) == [1] * len(
        expected
    )


def test_extreme_layers() -> None:
    """By a loop over layers; None where there is no value."""
    result = neurons()
    means = dif.draw_mean(result["differentiation"], result).sel(n_units=result["n_units"].max())
    for name, found in extreme_layers(result).items():
        points = [(layer, means.sel(set=name, layer=layer).item()) for layer in layer_names(result)]
        assert (found.first, found.last) == (points[0], points[-1])
        assert found.highest == max(points, key=lambda point: point[1])
        assert found.lowest == min(points, key=lambda point: point[1])
    values = result["differentiation"].copy()
    values[{"layer": 0}] = np.nan
    for name, found in extreme_layers(result.assign(differentiation=values)).items():
        assert found.first is None
        assert found.highest == max(
            ((layer, means.sel(set=name, layer=layer).item()) for layer in layer_names(result)[1:]),
            key=lambda point: point[1],
        )


def test_class_scores() -> None:
    """Probabilities over the SD of all of the set's; a set without any spread has no scores."""
    result = explained()
    scores = class_scores(result)
    for rows in rows_by_set(result).values():
        entries = [float(p) for row in rows for p in result["prediction"].values[row]]
        np.testing.assert_allclose(
            scores[rows].ravel(), [entry / statistics.pstdev(entries) for entry in entries]
        )
    constant = result["prediction"].copy()
    constant[{"image": rows_by_set(result)["noise"]}] = 0.1
    silent = class_scores(result.assign(prediction=constant))
    assert np.isnan(silent[rows_by_set(result)["noise"]]).all()
    assert np.isfinite(silent[rows_by_set(result)["digits"]]).all()


def test_colour_limits() -> None:
    """At percentiles of what is known, an SD apart or more."""
    values = np.random.default_rng(0).normal(size=1000) * 5
    assert colour_limits(values) == (np.percentile(values, 1), np.percentile(values, 99))
    with_nan = np.concatenate([values, [np.nan, np.inf]])
    assert colour_limits(with_nan) == colour_limits(values)
    assert colour_limits(np.full(9, 0.25)) == (0.25, 1.25)
    assert colour_limits(np.full(9, np.nan)) == (0.0, 1.0)


@pytest.mark.parametrize("normalize", ["layer", "none"])
def test_distances_of_a_set(normalize: str) -> None:
    """Their median over pairs is the differentiation of draw 0 at the largest number of units."""
    rng = np.random.default_rng(2)
    arrays = {name: {"x": rng.gamma(2.0, 1.0, (7, 60)), "y": rng.normal(5, 1, (7, 9))} for name in "abc"}
    result = dif.measure_responses(arrays, n_units=(5, 40), draws=3, normalize=normalize)
    pairs = np.triu_indices(7, k=1)
    for name in "abc":
        for layer in "xy":
            distances = set_distances(result, layer, name)
            expected = result["differentiation"].sel(set=name, layer=layer, n_units=40, draw=0)
            assert np.median(distances[pairs]) == pytest.approx(float(expected), rel=1e-6)
            other = result["differentiation"].sel(set=name, layer=layer, n_units=5, draw=0)
            assert layer == "y" or np.median(distances[pairs]) != pytest.approx(float(other), rel=1e-3)
    whole = np.array(arrays["b"]["y"])
    sd = whole.std() if normalize == "layer" else 1.0
    by_loop = [[np.sqrt(np.mean((first - second) ** 2)) / sd for second in whole] for first in whole]
    np.testing.assert_allclose(set_distances(result, "y", "b"), by_loop, rtol=1e-6)


def test_distances_of_equal_responses() -> None:
    """Without an SD there is no distance by layer; responses that are alike have none from each other."""
    arrays = {"a": {"x": np.full((3, 4), 0.1), "y": np.tile([1.0, 2.0], (3, 2))}}
    with pytest.warns(dif.DifferentiaWarning):
        result = dif.measure_responses(arrays)
    assert np.isnan(set_distances(result, "x", "a")).all()
    assert (set_distances(result, "y", "a") == 0).all()


def test_distances_of_sets() -> None:
    """In the order in which layers are asked for: the same together as one by one."""
    result = explained()
    layers = layer_names(result)[::-1]
    for layer, of_sets in zip(layers, distances_of_sets(result, layers), strict=True):
        for name, matrix in of_sets.items():
            np.testing.assert_array_equal(matrix, set_distances(result, layer, name))


def test_distances_of_all() -> None:
    """Those between sets too, divided by one number for each layer."""
    result = explained()
    rows = np.array([0, 3, 7, 9])
    for raw, distances in zip(result["distance"].values, distances_of_all(result, rows), strict=True):
        expected = [raw[rows[i], rows[j]] for i, j in itertools.combinations(range(4), 2)]
        ratios = np.array(expected) / distances
        np.testing.assert_allclose(ratios, ratios[0], rtol=1e-6)


def test_pairs_of_sets() -> None:
    """By a loop over pairs; nothing is said of a set whose responses are all the same."""
    result = explained()
    for layer, (edges, of_sets) in zip(layer_names(result), pairs_of_sets(result), strict=True):
        highest = 0.0
        for (name, rows), found in zip(rows_by_set(result).items(), of_sets, strict=True):
            assert found is not None
            matrix = set_distances(result, layer, name)
            pairs = {(i, j): matrix[i, j] for i, j in itertools.combinations(range(len(rows)), 2)}
            highest = max(highest, *pairs.values())
            assert sum(found["counts"]) == len(pairs)
            assert found["median"] == pytest.approx(statistics.median(pairs.values()))
            for end, best in (("nearest", min(pairs.values())), ("farthest", max(pairs.values()))):
                first, second, distance = found[end]
                assert distance == best
                assert pairs[first - rows[0], second - rows[0]] == best
            assert found["nearest"][2] <= found["quartiles"][0] <= found["median"] <= found["quartiles"][1]
        assert edges[0] == 0.0
        assert edges[-1] == highest
    same = {"a": {"x": np.ones((4, 6))}, "b": {"x": np.random.default_rng(0).normal(size=(4, 6))}}
    with pytest.warns(dif.DifferentiaWarning):
        constant = dif.measure_responses(same)
    ((_, (nothing, something)),) = pairs_of_sets(constant)
    assert nothing is None
    assert something is not None
