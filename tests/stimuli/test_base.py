"""How an image is fitted to a network's input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from helpers.image_files import write

import differentia as dif
from differentia.stimuli.base import Fit


def test_resize_and_crop(tmp_path: Path) -> None:
    """``squash`` is Pillow's resize; ``center`` keeps proportions; the filters differ."""
    array = np.random.default_rng(1).integers(0, 256, (20, 40, 3), dtype=np.uint8)
    write(tmp_path / "wide.png", array)
    stimuli = dif.images(tmp_path / "wide.png")
    image = PIL.Image.fromarray(array)
    shape = (10, 10, 3)
    squashed = np.asarray(image.resize((10, 10), PIL.Image.Resampling.BILINEAR))
    assert np.array_equal(stimuli.load(0, Fit(shape)).pixels, squashed)
    shrunk = image.resize((20, 10), PIL.Image.Resampling.BILINEAR)
    middle = np.asarray(shrunk.crop((5, 0, 15, 10)))
    assert np.array_equal(stimuli.load(0, Fit(shape, crop="center")).pixels, middle)
    assert not np.array_equal(squashed, middle)
    nearest = stimuli.load(0, Fit(shape, resize="nearest")).pixels
    assert np.array_equal(nearest, np.asarray(image.resize((10, 10), PIL.Image.Resampling.NEAREST)))
    with pytest.raises(dif.InputError, match="Did you mean 'bilinear'"):
        Fit(shape, resize="bilinar")
    with pytest.raises(dif.InputError, match=r"unknown crop 'centre'. Did you mean 'center'"):
        Fit(shape, crop="centre")
    with pytest.raises(dif.InputError, match="5 channels"):
        Fit((10, 10, 5))


def test_grey_input() -> None:
    """A network of one channel gets one."""
    array = np.random.default_rng(2).integers(0, 256, (3, 4, 6), dtype=np.uint8)
    assert np.array_equal(dif.images(array).load(1, Fit((4, 6, 1))).pixels[..., 0], array[1])
