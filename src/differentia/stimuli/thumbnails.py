"""Images made small, to be looked at beside the numbers."""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8

from differentia.stimuli.base import Fit, picture

#: In pixels, the longer side; an image that is smaller stays as it is.
THUMBNAIL_SIDE = 96


def thumbnail_shape(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the (height, width, channels) of images of a shape, made small."""
    height, width, channels = shape
    share = min(1.0, THUMBNAIL_SIDE / max(height, width))
    return max(1, round(height * share)), max(1, round(width * share)), channels


def thumbnails(
    pixels: UInt8[np.ndarray, "n height width channels"],
) -> UInt8[np.ndarray, "n small_height small_width channels"]:
    """Return images made small, each pixel the mean of those that it stands for."""
    n, height, width, channels = pixels.shape
    fit = Fit(thumbnail_shape((height, width, channels)), resize="box")
    small = np.array([fit(picture(image)) for image in pixels], dtype=np.uint8)
    return small.reshape(n, *fit.shape)
