"""White noise: its distribution, and what its seed fixes."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.image_files import RGB
from scipy.stats import norm

import differentia as dif
from differentia.stimuli.base import Fit
from differentia.stimuli.noise import NoiseStimuli
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


def _slope(pixels: np.ndarray) -> float:
    """Return the slope of log amplitude against log frequency: in rings, from a twentieth of a cycle on."""
    side = pixels.shape[1]
    plane = np.fft.fftfreq(side)
    ring = np.rint(side * np.hypot.outer(plane, plane)).astype(int)
    power = (np.abs(np.fft.fft2(pixels.astype(float), axes=(1, 2))) ** 2).mean(axis=(0, 3))
    rings = range(3, side // 3)
    amplitude = [np.sqrt(power[ring == radius].mean()) for radius in rings]
    return float(np.polyfit(np.log(rings), np.log(amplitude), 1)[0])


@pytest.mark.parametrize(
    ("options", "slope"),
    [("kind=pink&sd=30", -1.0), ("kind=pink&exponent=1.5&sd=20", -1.5), ("kind=gaussian&sd=30", 0.0)],
)
def test_slope_of_noise(options: str, slope: float) -> None:
    """The amplitude falls as 1/f, or as is asked; that of white noise does not."""
    stimuli = stimuli_from(f"noise:12?{options}", seed=2)
    pixels = np.stack([stimuli.load(index, Fit((64, 64, 3))).pixels for index in range(12)])
    assert _slope(pixels) == pytest.approx(slope, abs=0.06)


def test_pink_noise() -> None:
    """Each channel of each image has the mean and the SD as asked, and no channel is like another."""
    stimuli = dif.noise(12, kind="pink", mean=120, sd=20, seed=3)
    assert stimuli.source == "noise:12?kind=pink&mean=120&sd=20&exponent=1&seed=3"
    exact = dif.noise(2, kind="gaussian", mean=100 + 1 / 3, sd=1e-7)
    again = dif.images(exact.source)
    assert isinstance(again, NoiseStimuli)
    assert again.options == exact.options == {"mean": 100 + 1 / 3, "sd": 1e-7}
    pixels = np.stack([stimuli.load(index, Fit((48, 64, 3))).pixels for index in range(12)]).astype(float)
    assert pixels.mean(axis=(1, 2)) == pytest.approx(120, abs=0.1)
    assert pixels.std(axis=(1, 2)) == pytest.approx(20, abs=0.1)
    channels = np.moveaxis(pixels, 3, 0).reshape(3, 12, -1)
    between = [np.corrcoef(red, green)[0, 1] for red, green in zip(*channels[:2], strict=True)]
    assert abs(np.mean(between)) < 0.2
    assert stimuli.load(0, Fit((1, 1, 1))).pixels.item() == 120  # where there is no frequency but 0


def test_clipped_noise_is_told() -> None:
    """The share of pink noise beyond 0..255, as the normal distribution has it; none of Gaussian noise."""
    stimuli = dif.noise(40, kind="pink", sd=59, exponent=0.5)
    for index in range(40):
        stimuli.load(index, Fit((32, 32, 1)))
    shares = stimuli.clipped()
    assert list(shares) == list(range(40))
    assert np.mean(list(shares.values())) == pytest.approx(2 * norm.sf(128 / 59), abs=0.005)
    narrow = dif.noise(1, kind="pink", sd=9)
    narrow.load(0, RGB)
    assert narrow.clipped() == {0: 0.0}
    white = dif.noise(1, kind="gaussian", sd=90)
    assert set(white.load(0, RGB).pixels.ravel().tolist()) >= {0, 255}
    assert white.clipped() == {}


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
