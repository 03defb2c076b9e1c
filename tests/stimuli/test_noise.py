"""White noise: its distribution, and what its seed fixes."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.image_files import RGB

import differentia as dif
from differentia.stimuli.base import Fit
from differentia.stimuli.sources import stimuli_from


def test_uniform_noise() -> None:
    """Every level is as likely as any other, in every pixel and channel, independently."""
    stimuli = dif.noise(20, seed=0)
    fit = Fit((64, 64, 3))
    pixels = np.stack([stimuli.load(index, fit).pixels for index in range(20)]).astype(float)
    assert pixels.mean() == pytest.approx(127.5, abs=0.5)
    assert pixels.std() == pytest.approx(np.sqrt((256**2 - 1) / 12), abs=0.3)  # 73.9
    assert abs(np.corrcoef(pixels[..., 0].ravel(), pixels[..., 1].ravel())[0, 1]) < 0.02
    assert abs(np.corrcoef(pixels[:10].ravel(), pixels[10:].ravel())[0, 1]) < 0.02
    assert pixels.min() == 0
    assert pixels.max() == 255


def test_gaussian_noise() -> None:
    """Mean and SD are as asked, where nothing is clipped."""
    stimuli = stimuli_from("noise:10?kind=gaussian&mean=120&sd=20&seed=5")
    pixels = np.stack([stimuli.load(index, Fit((64, 64, 3))).pixels for index in range(10)]).astype(float)
    assert pixels.mean() == pytest.approx(120, abs=0.5)
    assert pixels.std() == pytest.approx(20, abs=0.5)


def test_noise_is_seeded() -> None:
    """The same seed gives the same images, whatever the count; another seed gives others."""
    few, many, other = dif.noise(2, seed=1), dif.noise(9, seed=1), dif.noise(2, seed=2)
    assert np.array_equal(few.load(1, RGB).pixels, many.load(1, RGB).pixels)
    assert not np.array_equal(few.load(1, RGB).pixels, other.load(1, RGB).pixels)
    assert not np.array_equal(few.load(0, RGB).pixels, few.load(1, RGB).pixels)
    from_text = stimuli_from("noise:2", seed=1)
    assert np.array_equal(from_text.load(1, RGB).pixels, few.load(1, RGB).pixels)
    assert few.load(0, Fit((3, 3, 1))).pixels.shape == (3, 3, 1)
    of_numpy = dif.noise(2, seed=np.int64(1))  # type: ignore[arg-type]
    assert np.array_equal(of_numpy.load(1, RGB).pixels, few.load(1, RGB).pixels)
