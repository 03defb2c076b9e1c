"""What there is to see in a result: distances and z-scores."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import oracles
from helpers.results import by_hand, neurons, viewed

import differentia as dif
from differentia.results.dataset import require_variables, set_rows
from differentia.results.schema import map_names
from differentia.results.views import filter_scores, map_scores, set_distances

RNG = np.random.default_rng(0)


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
            assert distances.dims == ("image", "image_other")
            assert (distances["image_set"] == name).all()
            expected = result["differentiation"].sel(set=name, layer=layer, n_units=40, draw=0)
            assert np.median(distances.values[pairs]) == pytest.approx(float(expected), rel=1e-6)
            other = result["differentiation"].sel(set=name, layer=layer, n_units=5, draw=0)
            assert layer == "y" or np.median(distances.values[pairs]) != pytest.approx(float(other), rel=1e-3)
    whole = np.array(arrays["b"]["y"])
    sd = whole.std() if normalize == "layer" else 1.0
    by_loop = [[np.sqrt(np.mean((first - second) ** 2)) / sd for second in whole] for first in whole]
    np.testing.assert_allclose(set_distances(result, "y", "b"), by_loop, rtol=1e-6)


def test_distances_of_equal_responses() -> None:
    """Without an SD there is no distance by layer; responses that are alike have none from each other."""
    arrays = {"a": {"x": np.full((3, 4), 0.1), "y": np.tile([1.0, 2.0], (3, 2))}}
    with pytest.warns(dif.DifferentiaWarning):
        result = dif.measure_responses(arrays)
    assert set_distances(result, "x", "a").isnull().all()
    assert (set_distances(result, "y", "a") == 0).all()


def test_parts_of_a_result() -> None:
    """The rows of a set; what is missing, and what there is not."""
    result = neurons()
    assert set_rows(result, "spontaneous").tolist() == list(range(8, 16))
    require_variables(result, "distance", "layer_sd")
    with pytest.raises(dif.InputError, match="no filter_mean; measure at most 2,000 images, with views=True"):
        require_variables(result, "distance", "filter_mean")
    with pytest.raises(dif.InputError, match="no distance; measure at most 2,000 images"):
        set_distances(result.drop_vars("distance"), "features.0", "stimulus")
    with pytest.raises(dif.InputError, match="unknown set 'silence'"):
        set_distances(result, "features.0", "silence")
    with pytest.raises(dif.InputError, match=r"unknown layer 'features\.1'"):
        set_distances(result, "features.1", "stimulus")


def test_filters_and_maps_are_z_scored_by_their_set_and_layer() -> None:
    """By the mean and SD of all units over the images of the set, in float64; not by those of all images."""
    result, given = viewed(maps={"conv": [3], "split[0]": [1]}, map_images=(1,)), by_hand()
    scores = filter_scores(result)
    assert scores.dims == ("image", "filter")
    sets = {"bright": slice(0, 4), "dark": slice(4, 7)}
    for column, layer in enumerate(result["filter_layer"].values):
        means = oracles.filter_means(given[layer], 0)[:, int(result["filter_index"].values[column])]
        for rows in sets.values():
            entries = given[layer][rows].ravel()
            expected = (means[rows] - oracles.mean(entries)) / oracles.population_sd(entries)
            np.testing.assert_allclose(scores.values[rows, column], expected, atol=1e-4)
    for name in map_names(result):
        layer, number = result[name].attrs["layer"], result[name].attrs["filter"]
        for place, row in enumerate(result["map_image"].values):
            entries = given[layer][
                next(rows for rows in sets.values() if rows.start <= row < rows.stop)
            ].ravel()
            expected = (given[layer][row, number] - oracles.mean(entries)) / oracles.population_sd(entries)
            np.testing.assert_allclose(map_scores(result, name).values[place], expected, atol=1e-4)
    with pytest.raises(dif.InputError, match="unknown map 'map_7'"):
        map_scores(result, "map_7")


def test_z_scores_of_a_constant_layer_are_nan() -> None:
    """There is nothing to scale by."""
    result = viewed()
    result["layer_sd"].loc[{"layer": "conv", "set": "dark"}] = 0.0
    scores = filter_scores(result)
    at_conv = (result["filter_layer"] == "conv").values
    assert np.isnan(scores.values[4:, at_conv]).all()
    assert np.isfinite(scores.values[:4]).all()
    assert np.isfinite(scores.values[:, ~at_conv]).all()
