"""The heat maps hold the numbers of the result; what is too large is thinned."""

from __future__ import annotations

import numpy as np
import xarray as xr
from helpers.odd_networks import partly_without_channels, without_channels
from helpers.reports import filter_values, measured, unpacked
from helpers.results import neurons

from differentia.output.report.heatmaps import filters, predictions


def test_filters_of_every_image() -> None:
    """Z-scored, each within a step of the packing; few filters are not thinned."""
    result = measured()
    found = filters(result)
    assert found is not None
    assert found["images"] == list(range(15))
    for place, layer in enumerate(found["layers"]):
        values = unpacked(layer["values"])
        assert layer["starts"] == list(range(layer["filters"]))
        for row in (0, 7, 14):
            expected = filter_values(result, place, row)
            np.testing.assert_allclose(values[row], expected, atol=1.01 * layer["values"]["step"])
    assert [layer["mapped"] for layer in found["layers"]] == [True, True, True, False]


def test_layers_without_channels() -> None:
    """They are None among the others, which keep their places; none at all is None."""
    result = partly_without_channels()
    found = filters(result)
    assert found is not None
    assert [layer and layer["filters"] for layer in found["layers"]] == [3, 4, None, 4]
    for place in (0, 1, 3):
        values = unpacked(found["layers"][place]["values"])
        for row in (0, 6):
            expected = filter_values(result, place, row)
            np.testing.assert_allclose(
                values[row], expected, atol=1.01 * found["layers"][place]["values"]["step"]
            )
    assert filters(without_channels()) is None
    assert filters(result.isel(filter=[])) is None  # as where just that layer was selected


def test_filters_are_thinned() -> None:
    """Into few entries: columns are means of neighbours, and each set keeps images."""
    result = measured()
    found = filters(result, entries=200)
    assert found is not None
    shapes = [layer["values"]["shape"] for layer in found["layers"]]
    assert all(rows == len(found["images"]) for rows, _ in shapes)
    assert max(columns for _, columns in shapes) == 8
    whole, layer = filters(result), found["layers"][1]
    assert whole is not None
    width = layer["starts"][1]
    wide = unpacked(whole["layers"][1]["values"])[found["images"], :width]
    np.testing.assert_allclose(unpacked(layer["values"])[:, 0], wide.mean(axis=1), atol=1e-3)


def test_predictions_of_the_most_probable_classes() -> None:
    """All classes where they are few; none of responses that no classifier gave."""
    result = measured()
    found = predictions(result)
    assert found is not None
    assert found["classes"] == list(range(10))
    assert found["names"] == result["class_name"].values.tolist()
    np.testing.assert_allclose(unpacked(found["values"]), result["prediction"].values, atol=1e-4)
    assert predictions(neurons()) is None
    assert filters(neurons()) is None


def test_the_most_probable_class_of_each_set_is_shown() -> None:
    """Though a hundred others are more probable in some image; with its mean over the set."""
    probabilities = 0.5 * np.eye(110, 150)
    probabilities[:55, 149] = 0.3
    probabilities[55:, 148] = 0.2
    result = xr.Dataset(
        {"prediction": (("image", "class"), probabilities)},
        coords={
            "set": ["a", "b"],
            "image_set": ("image", np.repeat(["a", "b"], 55)),
            "class_name": ("class", [f"class {number}" for number in range(150)]),
        },
    )
    found = predictions(result)
    assert found is not None
    assert len(found["classes"]) == 100
    assert {148, 149} <= set(found["classes"])
    assert [of_set[0][:2] for of_set in found["best"]] == [(149, "class 149"), (148, "class 148")]
    np.testing.assert_allclose([of_set[0][2] for of_set in found["best"]], [0.3, 0.2])
    without = predictions(result.assign(prediction=(("image", "class"), 0.5 * np.eye(110, 150))))
    assert without is not None
    assert not {148, 149} & set(without["classes"])
