"""Images made small: each pixel is the mean of those that it stands for."""

from __future__ import annotations

import numpy as np
import pytest

from differentia.stimuli.thumbnails import THUMBNAIL_SIDE, thumbnail_shape, thumbnails

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("shape", "small"),
    [
        ((224, 224, 3), (96, 96, 3)),
        ((96, 50, 1), (96, 50, 1)),
        ((300, 10, 3), (96, 3, 3)),
        ((1, 1000, 1), (1, 96, 1)),
    ],
)
def test_the_longer_side_is_short(shape: tuple[int, int, int], small: tuple[int, int, int]) -> None:
    """The proportions stay, but for a side of at least one pixel; what is small already stays as it is."""
    assert thumbnail_shape(shape) == small
    assert thumbnails(np.zeros((2, *shape), np.uint8)).shape == (2, *small)
    assert thumbnails(np.zeros((0, *shape), np.uint8)).shape == (0, *small)


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_means(channels: int) -> None:
    """Of blocks of 2 x 2, rounded along one side and then along the other."""
    height, width = THUMBNAIL_SIDE, THUMBNAIL_SIDE // 2
    pixels = RNG.integers(0, 256, (2, 2 * height, 2 * width, channels), dtype=np.uint8)
    means = pixels.reshape(2, height, 2, width, 2, channels).mean(axis=(2, 4))
    assert np.abs(thumbnails(pixels) - means).max() <= 1
    assert np.abs(thumbnails(pixels[:, ::-1].copy()) - means).max() > 50  # the control


def test_small_images_are_copied() -> None:
    """Pixel by pixel; the thumbnails do not change when the batch does."""
    pixels = RNG.integers(0, 256, (3, 20, 30, 3), dtype=np.uint8)
    found = thumbnails(pixels)
    np.testing.assert_array_equal(found, pixels)
    assert not np.shares_memory(found, pixels)
