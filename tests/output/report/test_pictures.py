"""Pictures on the page: the pixels of thumbnails and of maps."""

from __future__ import annotations

import base64
import io

import numpy as np
import PIL.Image
from helpers.reports import MAPS, measured, names
from matplotlib import colormaps

from differentia.output.report.pictures import LARGEST_SIDE, LOSSLESS_SIDE, SMALL_SIDE, filter_maps, thumbnail
from differentia.results.views import map_scores


def pixels_of(uri: str) -> np.ndarray:
    """Return the pixels of a data URI."""
    data = base64.b64decode(uri.partition("base64,")[2])
    return np.asarray(PIL.Image.open(io.BytesIO(data)).convert("RGB"))


def test_thumbnails() -> None:
    """Small ones without any loss, grey or in colour; large ones nearly so, in fewer bytes."""
    rng = np.random.default_rng(0)
    for channels in (1, 3):
        small = rng.integers(0, 256, (LOSSLESS_SIDE, 8, channels), dtype=np.uint8)
        np.testing.assert_array_equal(
            pixels_of(thumbnail(small)), np.broadcast_to(small, (*small.shape[:2], 3))
        )
    large = np.full((LOSSLESS_SIDE + 1, 60, 3), (200, 40, 90), dtype=np.uint8)
    assert thumbnail(large).startswith("data:image/jpeg;")
    assert np.abs(pixels_of(thumbnail(large)).astype(int) - large).max() <= 4
    wide = np.full((48, 96, 3), (200, 40, 90), dtype=np.uint8)
    assert pixels_of(thumbnail(wide)).shape == wide.shape
    assert pixels_of(thumbnail(wide, small=True)).shape == (SMALL_SIDE // 2, SMALL_SIDE, 3)
    assert pixels_of(thumbnail(small, small=True)).shape == (LOSSLESS_SIDE, 8, 3)


def test_maps_are_in_the_figures_colours() -> None:
    """Viridis from the lowest to the highest z-score that is told; those beyond have the ends' colours."""
    result = measured()
    found = filter_maps(result)
    assert [(names(result, "layer")[one["layer"]], one["filter"]) for one in found] == [
        (layer, number) for layer, numbers in MAPS.items() for number in numbers
    ]
    for place, one in enumerate(found):
        scores = map_scores(result, f"map_{place}").values
        assert not one["shrunk"]
        assert max(scores.shape[1:]) <= LARGEST_SIDE
        for (_, picture), score in zip(one["pictures"], scores, strict=True):
            share = np.clip((score - one["low"]) / (one["high"] - one["low"]), 0, 1)
            expected = 255 * colormaps["viridis"](share)[..., :3]
            np.testing.assert_allclose(pixels_of(picture), expected, atol=3.5)
