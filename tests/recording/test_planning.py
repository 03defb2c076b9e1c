"""The plan: what is kept beside the units, and which maps can be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.recordings import SETS, load

import differentia as dif


def test_views_can_be_left_out() -> None:
    """Then nothing is kept beside the units and the maps that were asked for; the units are the same."""
    plain = dif.record(load(), SETS, pool=20, views=False)
    assert plain.moments is None
    assert plain.views.filter_means == {}
    assert plain.views.predictions is None
    assert plain.views.thumbnails is None
    plain = dif.record(load(), SETS, pool=20, views=False, maps={"conv": [2]})
    assert plain.moments is not None  # to draw the maps by
    assert plain.views.filter_means == {}
    assert plain.views.predictions is None
    assert [shown.layer for shown in plain.views.maps] == ["conv"]
    viewed = dif.record(load(), SETS, pool=20)
    for name, values in viewed.values.items():
        np.testing.assert_array_equal(plain.values[name], values)


@pytest.mark.parametrize("units", ["random", "filter_mean"])
def test_what_nobody_could_look_at_is_left_out(units: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Filters' means and thumbnails of very many images; moments, predictions and means as units stay."""
    for most, kept in ((16, True), (15, False)):
        monkeypatch.setattr("differentia.recording.record.MOST_IMAGES_TO_VIEW", most)
        responses = dif.record(load(), SETS, pool=3, units=units)
        assert (responses.views.filter_means != {}) == kept
        assert (responses.views.thumbnails is not None) == kept
        assert responses.moments is not None
        assert responses.views.predictions is not None
        assert responses.values["conv"].shape == (16, 8 if units == "filter_mean" else 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"maps": {"convx": [0]}}, r"unknown layer for maps \(--map\) 'convx'\. Did you mean 'conv'"),
        (
            {"maps": {"head": [0]}},
            r"layer 'head' has the shape \(5,\), but no maps of channels: they have no height",
        ),
        ({"maps": {"conv": [8]}}, "layer 'conv' has no channel 8; it has 8, numbered from 0 to 7"),
        ({"maps": {"conv": [-1]}}, "maps.conv is -1; expected at least 0"),
        ({"maps": {"conv": [1.0]}}, "maps.conv is 1.0; expected a whole number"),
        ({"maps": {"conv": [True]}}, "maps.conv is True; expected a whole number"),
        ({"maps": {"conv": []}}, r"maps.conv is \[\]; expected 1 or more of them"),
        ({"maps": {"conv": [0]}, "layers": ["head"]}, r"unknown layer for maps \(--map\) 'conv'"),
        (
            {"maps": {"conv": [0]}, "map_images": [-1]},
            "map_images is -1; expected at least 0",
        ),
        ({"maps": {"conv": [0]}, "map_images": ["0"]}, "map_images is '0'; expected a whole number"),
        ({"map_images": [0]}, r"map_images \(--map-images\) goes with maps \(--map\) only"),
        ({"maps": [("conv", 0)]}, r"maps is \[\['conv', 0\]\]; expected a dictionary"),
    ],
)
def test_maps_that_can_not_be_kept(options: dict[str, Any], message: str) -> None:
    """Each error says what was given, before an image is shown."""

    def shown(*report: object) -> None:
        raise AssertionError("an image was shown")

    with pytest.raises(dif.InputError, match=message):
        dif.record(load(), SETS, progress=shown, **options)
