"""Noise, made at the size of the network's input: the reference of relative differentiation."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, UInt8

from differentia.errors import InputError, require_count, short_tracebacks
from differentia.stimuli.base import Fit, Image, Numbers, Stimuli, as_pixels, content_hash
from differentia.system.choices import NOISE
from differentia.system.random import generator_of_image

_Shape = tuple[int, int, int]


def _uniform(generator: np.random.Generator, shape: _Shape) -> UInt8[np.ndarray, "h w c"]:
    return generator.integers(0, 256, size=shape, dtype=np.uint8)


def _gaussian(
    generator: np.random.Generator, shape: _Shape, *, mean: float = 127.5, sd: float = 59.0
) -> Float[np.ndarray, "h w c"]:
    return generator.normal(mean, sd, size=shape)


def _pink(
    generator: np.random.Generator,
    shape: _Shape,
    *,
    mean: float = 127.5,
    sd: float = 59.0,
    exponent: float = 1.0,
) -> Float[np.ndarray, "h w c"]:
    """Return Gaussian noise whose amplitudes are divided by f^exponent, f in cycles per pixel."""
    height, width, _ = shape
    spectrum = np.fft.rfft2(generator.normal(size=shape), axes=(0, 1))
    frequency = np.hypot(np.fft.fftfreq(height)[:, np.newaxis], np.fft.rfftfreq(width))
    frequency[0, 0] = 1.0
    spectrum /= frequency[..., np.newaxis] ** exponent
    spectrum[0, 0] = 0  # the mean, which is given
    values = np.fft.irfft2(spectrum, s=(height, width), axes=(0, 1))
    own = values.std(axis=(0, 1))
    return mean + sd * values / np.where(own > 0, own, 1.0)


#: How one noise image is made, given a generator and its shape: of values that are rounded and clipped
#: afterwards. The keywords of each are the options that it takes.
NOISE_KINDS: dict[str, Callable[..., Float[np.ndarray, "h w c"] | UInt8[np.ndarray, "h w c"]]] = {
    "uniform": _uniform,
    "gaussian": _gaussian,
    "pink": _pink,
}

#: Of each option: the least and the most that it may be.
RANGES = {"mean": (0, 255), "sd": (0, 255), "exponent": (0, 10)}

#: Each has a name, which takes memory.
MOST_NOISE_IMAGES = 1_000_000


class NoiseStimuli(Stimuli):
    """Images of noise, independent in every channel; see `noise`."""

    def __init__(self, count: int, *, seed: int, kind: str, **options: float | None) -> None:
        kind = NOISE.checked(kind)
        count = require_count("noise: count", count)
        if count > MOST_NOISE_IMAGES:
            raise InputError(f"noise: count is {count:,}; expected at most {MOST_NOISE_IMAGES:,} images")
        self.seed, self.kind = require_count("noise: seed", seed, least=0), kind
        self.options = {name: option.default for name, option in _options_of(kind).items()}
        for name, number in options.items():
            if number is not None:
                _require_option(kind, name, number)
                self.options[name] = float(number)
        written = "".join(f"&{name}={_written(number)}" for name, number in self.options.items())
        self.source = f"noise:{count}?kind={kind}{written}&seed={self.seed}"
        self.names = Numbers(range(count), f"{kind}_noise_")
        self._clipped: dict[int, float] = {}

    def load(self, index: int, fit: Fit) -> Image:
        """Return one noise image at the size of the network's input."""
        generator = generator_of_image(self.seed, index)
        pixels, clipped = as_pixels(NOISE_KINDS[self.kind](generator, fit.shape, **self.options))
        if self.may_clip:
            self._clipped[index] = float(clipped.mean())
        return Image(pixels, content_hash(repr(pixels.shape).encode(), pixels.tobytes()))

    @property
    def may_clip(self) -> bool:
        return self.kind == "pink"

    def clipped(self) -> dict[int, float]:
        """Return the share of values that were clipped, of pink noise."""
        return dict(self._clipped)


def _written(number: float) -> str:
    """Return a number with all its digits, so that the same noise is made again."""
    return repr(number).removesuffix(".0")


def _options_of(kind: str) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(NOISE_KINDS[kind]).parameters
    return {name: one for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY}


def _require_option(kind: str, name: str, number: object) -> None:
    """Raise an error where a kind of noise does not take an option, or not such a number."""
    if name not in _options_of(kind):
        taking = [other for other in NOISE_KINDS if name in _options_of(other)]
        ways = " or ".join(f"kind={other!r}" for other in taking)
        raise InputError(f"noise: {name} goes with {ways} only; add kind={taking[0]}")
    least, most = RANGES[name]
    known = isinstance(number, int | float) and not isinstance(number, bool) and math.isfinite(number)
    if not known or not least <= number <= most:  # type: ignore[operator]
        raise InputError(f"noise: {name} is {number!r}; expected a number from {least} to {most}")


@short_tracebacks
def noise(
    count: int,
    *,
    seed: int = 0,
    kind: str = "uniform",
    mean: float | None = None,
    sd: float | None = None,
    exponent: float | None = None,
) -> NoiseStimuli:
    """Return images of noise, made at the size and channels of the network's input.

    Parameters
    ----------
    count
        How many images. The first images are the same whatever the count.
    seed
        Images of different seeds are independent.
    kind : {"uniform", "gaussian", "pink"}
        ``uniform`` draws 0..255 with equal probability, independently for each pixel and channel;
        ``gaussian`` draws from a normal distribution, rounded and clipped to 0..255. Both are white noise.
        ``pink`` divides the amplitudes of Gaussian noise by f^exponent, where f is the distance from the
        origin of the plane of spatial frequencies, each channel by itself: with 1, the power falls as 1/f^2,
        as that of photographs does (Field 1987). Each channel is scaled to the mean and the SD, rounded and
        clipped.
    mean, sd
        Of Gaussian and pink noise, before clipping, in grey levels: 127.5 and 59 if left out.
    exponent
        Of pink noise, from 0 (white) to 10: 1 if left out.

    Returns
    -------
    Stimuli
        Nothing is made yet. How many values of pink noise were clipped is told when it was shown.

    Raises
    ------
    InputError
        An option is unknown or out of range, or does not go with the kind.
    """
    return NoiseStimuli(count, seed=seed, kind=kind, mean=mean, sd=sd, exponent=exponent)
