"""The maps show each channel's units: read back from the axes."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers.figures import explained, limits, require_readable, shown, whole

import differentia as dif
from differentia.output.colours import set_colours

SETS = ("noise", "digits", "dim_digits")


@pytest.fixture(autouse=True)
def _close_figures() -> Any:
    yield
    plt.close("all")


@pytest.mark.parametrize(
    ("chosen", "layer", "number"),
    [
        ({}, "block1_relu1", 3),
        ({"filter": 5}, "block1_relu1", 5),
        ({"layer": "block4_pool"}, "block4_pool", 7),
        ({"layer": "block1_relu1", "filter": 5}, "block1_relu1", 5),
    ],
)
def test_maps(chosen: dict[str, Any], layer: str, number: int) -> None:
    """Z-scores of the set, images in rows, sets in columns, one scale for all."""
    result = explained()
    axes = dif.plot_maps(result, **chosen)
    assert axes.shape == (2, 3)
    everything = []
    for column, name in zip(axes.T, SETS, strict=True):
        values = whole(layer, name)
        scores = (values[:, number] - values.mean()) / values.std()
        for ax, place in zip(column, (0, 4), strict=True):
            if place >= len(values):  # dim_digits has 4 images
                assert not ax.get_images()
                continue
            np.testing.assert_allclose(shown(ax), scores[place], rtol=1e-4, atol=1e-5)
            everything.append(scores[place].ravel())
    drawn = [ax for ax in axes.flat if ax.get_images()]
    assert len(drawn) == 5
    assert {limits(ax) for ax in drawn} == {limits(drawn[0])}
    lowest, highest = np.percentile(np.concatenate(everything), [1, 99])
    assert limits(drawn[0]) == pytest.approx((lowest, max(highest, lowest + 1)), rel=1e-4)
    assert [ax.get_ylabel() for ax in axes[:, 0]] == ["image 0", "image 4"]
    assert axes[1, 0].get_xlabel() == f"{layer}, channel {number}"
    assert [ax.get_title() for ax in axes[0]] == list(SETS)
    assert [ax.title.get_color() for ax in axes[0]] == list(set_colours(result).values())
    names = result["image_name"].values
    assert axes[1, 1].texts[0].get_text() == names[6 + 4]
    require_readable(axes[0, 0].figure)


def test_another_result_is_another_picture() -> None:
    """The pictures follow the maps and the moments."""
    changed = explained().copy(deep=True)
    changed["map_0"][0] += 1
    changed["layer_mean"].loc[{"set": "digits"}] += 1
    before, after = dif.plot_maps(explained()), dif.plot_maps(changed)
    assert not np.allclose(shown(before[0, 0]), shown(after[0, 0]))
    assert not np.allclose(shown(before[0, 1]), shown(after[0, 1]))
    np.testing.assert_allclose(shown(before[0, 2]), shown(after[0, 2]))


def test_many_images_fit_onto_a_page() -> None:
    """More images are smaller; a constant layer is grey."""
    result = explained().copy(deep=True)
    rows = np.arange(15)
    result = result.drop_vars(["map_0", "map_1", "map_2", "map_image"])
    result = result.assign(map_0=(("map_image", "map_0_y", "map_0_x"), np.ones((15, 7, 7)))).assign_coords(
        map_image=("map_image", rows)
    )
    result["map_0"].attrs.update(layer="input", filter=0)
    result["layer_sd"][:] = 0.0
    axes = dif.plot_maps(result)
    assert axes.shape == (6, 3)
    assert axes[0, 0].figure.get_figheight() <= 9.7
    assert axes[0, 0].texts[0].get_text() == "constant"
    require_readable(axes[0, 0].figure)


def test_no_such_map() -> None:
    """The error lists those that there are."""
    kept = "those of block1_relu1 channel 3, block1_relu1 channel 5, block4_pool channel 7"
    with pytest.raises(dif.InputError, match=rf"no map of channel 9 of layer 'input'; it has {kept}"):
        dif.plot_maps(explained(), "input", 9)
    with pytest.raises(dif.InputError, match=r"no map of layer 'input'; .* maps= \(--map\)"):
        dif.plot_maps(explained(), "input")
    with pytest.raises(dif.InputError, match=r"no map of a channel; .* maps=\{layer: \[channel\]\}"):
        dif.plot_maps(explained().drop_vars(["map_0", "map_1", "map_2", "map_image"]))
