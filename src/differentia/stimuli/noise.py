"""White noise, made at the size of the network's input: the reference of relative differentiation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import UInt8

from differentia.errors import InputError, require_count, short_tracebacks
from differentia.stimuli.base import Fit, Image, Stimuli, content_hash
from differentia.system.choices import NOISE
from differentia.system.random import generator_of_image


def _uniform(
    generator: np.random.Generator, shape: tuple[int, int, int], mean: float, sd: float
) -> UInt8[np.ndarray, "h w c"]:
    return generator.integers(0, 256, size=shape, dtype=np.uint8)


def _gaussian(
    generator: np.random.Generator, shape: tuple[int, int, int], mean: float, sd: float
) -> UInt8[np.ndarray, "h w c"]:
    values = generator.normal(mean, sd, size=shape)
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


#: How one noise image is made, given a generator, its shape, and (Gaussian only) mean and SD.
NOISE_KINDS: dict[str, Callable[..., UInt8[np.ndarray, "h w c"]]] = {
    "uniform": _uniform,
    "gaussian": _gaussian,
}

#: Each has a name, which takes memory.
MOST_NOISE_IMAGES = 1_000_000


class NoiseStimuli(Stimuli):
    """White noise images, independent in every pixel and channel; see `noise`."""

    def __init__(self, count: int, *, seed: int, kind: str, mean: float | None, sd: float | None) -> None:
        kind = NOISE.checked(kind)
        count = require_count("noise: count", count)
        if count > MOST_NOISE_IMAGES:
            raise InputError(f"noise: count is {count:,}; expected at most {MOST_NOISE_IMAGES:,} images")
        for name, number in (("mean", mean), ("sd", sd)):
            if number is not None and kind != "gaussian":
                raise InputError(f"noise: {name} goes with kind='gaussian' only; add kind=gaussian")
            if number is not None and (not isinstance(number, int | float) or not 0 <= number <= 255):
                raise InputError(f"noise: {name} is {number!r}; expected a number from 0 to 255")
        self.seed, self.kind = require_count("noise: seed", seed, least=0), kind
        self.mean = 127.5 if mean is None else float(mean)
        self.sd = 59.0 if sd is None else float(sd)
        shape = f"&mean={self.mean:g}&sd={self.sd:g}" if kind == "gaussian" else ""
        self.source = f"noise:{count}?kind={kind}{shape}&seed={self.seed}"
        self.names = tuple(f"{kind}_noise_{index}" for index in range(count))

    def load(self, index: int, fit: Fit) -> Image:
        """Return one noise image at the size of the network's input."""
        generator = generator_of_image(self.seed, index)
        pixels = NOISE_KINDS[self.kind](generator, fit.shape, self.mean, self.sd)
        return Image(pixels, content_hash(repr(pixels.shape).encode(), pixels.tobytes()))


@short_tracebacks
def noise(
    count: int, *, seed: int = 0, kind: str = "uniform", mean: float | None = None, sd: float | None = None
) -> NoiseStimuli:
    """Return white noise images, made at the size and channels of the network's input.

    Parameters
    ----------
    count
        How many images. The first images are the same whatever the count.
    seed
        Images of different seeds are independent.
    kind : {"uniform", "gaussian"}
        ``uniform`` draws 0..255 with equal probability, independently for each pixel and channel;
        ``gaussian`` draws from a normal distribution, rounded and clipped to 0..255.
    mean, sd
        Of Gaussian noise, before clipping, in grey levels: 127.5 and 59 if left out. Uniform noise takes
        neither.

    Raises
    ------
    InputError
        An option is unknown or out of range.
    """
    return NoiseStimuli(count, seed=seed, kind=kind, mean=mean, sd=sd)
