"""What there is to see in a result: z-scores."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import oracles
from helpers.odd_networks import partly_without_channels, without_channels
from helpers.results import by_hand, viewed

import differentia as dif
from differentia.results.schema import map_names
from differentia.results.views import filter_scores, layers_with_channels, map_scores


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


def test_layers_whose_channels_are_known() -> None:
    """In their order; the scores are of those, and of no other."""
    result = partly_without_channels()
    assert layers_with_channels(result) == ["input", "conv", "head"]
    assert filter_scores(result).sizes["filter"] == 3 + 4 + 4
    assert layers_with_channels(result.isel(layer=[3, 1])) == ["head", "conv"]
    assert layers_with_channels(without_channels()) == []
