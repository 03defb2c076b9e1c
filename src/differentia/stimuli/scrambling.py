"""Scrambled images and films: controls that keep a power spectrum or a histogram, and no more."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from jaxtyping import Complex, Float, Int, Num, UInt8

from differentia.errors import InputError, UnreadableImageError, require_count
from differentia.stimuli.base import Fit, Image, Stimuli, as_pixels, content_hash
from differentia.stimuli.parts import SomeStimuli
from differentia.system import turns
from differentia.system.choices import AXIS, SCRAMBLE
from differentia.system.machine import free_memory, written_size
from differentia.system.random import generator_of
from differentia.system.showing import counted
from differentia.system.specs import in_parentheses

#: Blocks are this part of the shorter side, or of a film, unless a size is given.
PART_OF_A_SIDE = 8

#: Pixels and frames whose phases are shifted at once, where the others can wait.
PIECE = 1_000_000

#: In bytes: what a pixel of one channel and a frame take while all are shifted at once.
SHIFTED = 48


def random_phases(shape: tuple[int, ...], generator: np.random.Generator) -> Complex[np.ndarray, "*half"]:
    """Return e^(i phase) for each frequency of `numpy.fft.rfftn`: those of white noise, but 1 at 0."""
    noise = np.fft.rfftn(generator.normal(size=shape))
    size = np.abs(noise)
    rotation: Complex[np.ndarray, "*half"] = noise / np.where(size > 0, size, 1.0)
    rotation[size == 0] = 1.0
    rotation.flat[0] = 1.0
    return rotation


def with_phases(
    values: Num[np.ndarray, "*axes"], rotation: Complex[np.ndarray, "*half"]
) -> Float[np.ndarray, "*axes"]:
    """Return values with phases added to theirs over the first axes, as many as the phases have."""
    axes = tuple(range(rotation.ndim))
    spectrum = np.fft.rfftn(values, axes=axes)
    spectrum *= rotation.reshape(*rotation.shape, *[1] * (values.ndim - rotation.ndim))
    return np.fft.irfftn(spectrum, s=values.shape[: rotation.ndim], axes=axes)


def _phases_shifted(
    pixels: UInt8[np.ndarray, "h w c"], generator: np.random.Generator, size: int | None
) -> Float[np.ndarray, "h w c"]:
    return with_phases(pixels, random_phases(pixels.shape[:2], generator))


def _pixels_permuted(
    pixels: UInt8[np.ndarray, "h w c"], generator: np.random.Generator, size: int | None
) -> UInt8[np.ndarray, "h w c"]:
    flat = pixels.reshape(-1, pixels.shape[2])
    return flat[generator.permutation(len(flat))].reshape(pixels.shape)


def _blocks_permuted(
    pixels: UInt8[np.ndarray, "h w c"], generator: np.random.Generator, size: int | None
) -> UInt8[np.ndarray, "h w c"]:
    """Return an image whose square blocks changed places; what is left at the lower and right edge stays."""
    height, width, channels = pixels.shape
    edge = size or max(1, round(min(height, width) / PART_OF_A_SIDE))
    rows, columns = height // edge, width // edge
    if rows * columns < 2:
        raise InputError(
            f"scramble: blocks of {edge:,} x {edge:,} pixels: fewer than two fit into {height:,} x "
            f"{width:,}; give a smaller size="
        )
    out = pixels.copy()
    whole = out[: rows * edge, : columns * edge]
    blocks = whole.reshape(rows, edge, columns, edge, channels).swapaxes(1, 2)
    permuted = blocks.reshape(-1, edge, edge, channels)[generator.permutation(rows * columns)]
    whole[:] = permuted.reshape(blocks.shape).swapaxes(1, 2).reshape(whole.shape)
    return out


#: How an image is scrambled, given its pixels, a generator and the size of blocks.
SCRAMBLES: dict[str, Callable[..., Num[np.ndarray, "h w c"]]] = {
    "phase": _phases_shifted,
    "pixels": _pixels_permuted,
    "blocks": _blocks_permuted,
}


def _frames_permuted(number: int, length: int, generator: np.random.Generator) -> Int[np.ndarray, " n"]:
    """Return the places of frames whose stretches changed places; what is left at the end stays."""
    stretches = number // length
    if stretches < 2:
        raise InputError(
            f"scramble: stretches of {length:,} frames: fewer than two fit into {number:,}; give a smaller "
            "size="
        )
    order, whole = np.arange(number), stretches * length
    order[:whole] = order[:whole].reshape(-1, length)[generator.permutation(stretches)].ravel()
    return order


def scrambled(
    given: Stimuli,
    source: str,
    *,
    kind: str = "phase",
    axis: str = "space",
    size: int | None = None,
    seed: int = 0,
) -> Stimuli:
    """Return stimuli scrambled, as `scramble` says; `source` is how they are called themselves."""
    kind, axis = SCRAMBLE.checked(kind), AXIS.checked(axis)
    seed = require_count("scramble: seed", seed, least=0)
    if size is not None:
        if kind != "blocks":
            raise InputError("scramble: size goes with kind='blocks' only; add kind=blocks")
        size = require_count("scramble: size", size)
    if axis != "space" and not given.in_time:
        raise InputError(
            f"scramble: axis={axis!r} is for films, whose images follow one another in time; those of "
            f"{source} do not: leave axis out, or give a film (an array of frames is one by ?every=1, or as "
            "a DataArray with a dimension called frame)"
        )
    written = "".join(
        f"{name}={value}&" for name, value in {"kind": kind, "axis": axis, "size": size}.items() if value
    )
    source = f"scramble:{in_parentheses(source)}?{written}seed={seed}"
    if kind == "phase" and axis != "space":
        return PhasesOverTime(given, source, space=axis == "both", seed=seed)
    if axis != "space":
        number = len(given)
        length = 1 if kind == "pixels" else size or max(1, round(number / PART_OF_A_SIDE))
        order = _frames_permuted(number, length, generator_of("scramble", "time", kind, length, seed))
        given = SomeStimuli(given, order.tolist(), source)
    if axis != "time":
        given = ScrambledStimuli(given, source, kind=kind, size=size, seed=seed)
    return given


class _OfOthers(Stimuli):
    """What is made, image by image, of others."""

    def __init__(self, given: Stimuli, source: str) -> None:
        self._given, self.source, self.names = given, source, given.names
        self.in_time, self.attributes = given.in_time, given.attributes

    def bring_near(self, index: int) -> None:
        self._given.bring_near(index)

    def caveats(self) -> dict[int, str]:
        return self._given.caveats()


class ScrambledStimuli(_OfOthers):
    """Images scrambled over space, at the size of the network's input.

    The frames of a film have the same random numbers, so that its time is untouched.
    """

    def __init__(self, given: Stimuli, source: str, *, kind: str, size: int | None, seed: int) -> None:
        super().__init__(given, source)
        self._kind, self._size, self._seed = kind, size, seed
        self._clipped: dict[int, float] = {}

    def load(self, index: int, fit: Fit) -> Image:
        """Return one image, scrambled after it was fitted."""
        image = self._given.load(index, fit)
        generator = generator_of(*self._numbers(index))
        pixels, clipped = as_pixels(SCRAMBLES[self._kind](image.pixels, generator, self._size))
        if self.may_clip:
            self._clipped[index] = float(clipped.mean())
        return Image(pixels, self._hash(image.hash, index))

    def content_hash(self, index: int, fit: Fit) -> str:
        """Return the hash of what is scrambled and of how, for which nothing is scrambled."""
        return self._hash(self._given.content_hash(index, fit), index)

    @property
    def may_clip(self) -> bool:
        return self._kind == "phase"

    def clipped(self) -> dict[int, float]:
        return dict(self._clipped)

    def _numbers(self, index: int) -> tuple[object, ...]:
        """Return what the random numbers of an image depend on."""
        place = "film" if self.in_time else index
        return ("scramble", "space", self._kind, self._size, self._seed, place)

    def _hash(self, given: str, index: int) -> str:
        return content_hash(repr((given, *self._numbers(index))).encode())


class PhasesOverTime(_OfOthers):
    """A film with other phases over time, or over space and time.

    Every frame depends on all others, so that all are made at once when the first is asked for.
    """

    def __init__(self, given: Stimuli, source: str, *, space: bool, seed: int) -> None:
        super().__init__(given, source)
        self._space, self._seed = space, seed
        self._lock = turns.lock()
        self._hashes: dict[Fit, str] = {}
        self._made: tuple[Fit, UInt8[np.ndarray, "n h w c"]] | None = None
        self._clipped: dict[int, float] = {}

    def load(self, index: int, fit: Fit) -> Image:
        """Return one frame."""
        with self._lock:
            if self._made is None or self._made[0] != fit:
                self._made = None
                self._made = fit, self._make(fit)
            frames = self._made[1]
        return Image(frames[index], self.content_hash(index, fit))

    def content_hash(self, index: int, fit: Fit) -> str:
        """Return the hash of a frame's place, of all frames that are scrambled, and of how."""
        with self._lock:
            if fit not in self._hashes:
                self._hashes[fit] = self._hash_of_all(lambda place: self._given.content_hash(place, fit))
        numbers = (self._space, self._seed, index)
        return content_hash(repr(("scramble", "time", *numbers)).encode(), self._hashes[fit].encode())

    def bring_near(self, index: int) -> None:
        """Leave it to the first frame that is loaded, which brings all."""

    @property
    def may_clip(self) -> bool:
        return True

    def clipped(self) -> dict[int, float]:
        return dict(self._clipped)

    def _make(self, fit: Fit) -> UInt8[np.ndarray, "n h w c"]:
        number = len(self)
        self._require_memory(fit)
        frames = np.empty((number, *fit.shape), np.uint8)

        def take(place: int) -> str:
            frames[place], content = self._given.load(place, fit)
            return content

        self._hashes[fit] = self._hash_of_all(take)
        height, width, channels = fit.shape
        generator = generator_of("scramble", "time", self._space, self._seed)
        rotation = random_phases((number, height, width) if self._space else (number,), generator)
        clipped = np.zeros(number)
        rows = height if self._space else max(1, PIECE // (number * width))
        for channel in range(channels):
            for first in range(0, height, rows):
                piece = frames[:, first : first + rows, :, channel]
                piece[:], beyond = as_pixels(with_phases(piece, rotation))
                clipped += beyond.sum(axis=(1, 2))
        self._clipped = dict(enumerate((clipped / frames[0].size).tolist()))
        return frames

    def _hash_of_all(self, hash_of: Callable[[int], str]) -> str:
        """Return one hash of all frames, none of which can be left out."""
        try:
            hashes = [hash_of(place) for place in range(len(self))]
        except UnreadableImageError as error:
            raise InputError(f"{error}; phases over time need every frame") from error
        return content_hash(*(one.encode() for one in hashes))

    def _require_memory(self, fit: Fit) -> None:
        """Raise an error where the frames, and what is needed to make them, are more than there is memory."""
        height, width, channels = fit.shape
        a_frame = height * width * (channels + SHIFTED * self._space)
        free = free_memory() - (not self._space) * SHIFTED * max(PIECE, len(self) * width)
        if len(self) * a_frame > free:
            raise InputError(
                f"{self.source}: phases over time need all {counted(len(self), 'frame')} of {height:,} x "
                f"{width:,} pixels at once, {written_size(len(self) * a_frame)}, of which "
                f"{max(0, free // a_frame):,} fit into the memory that is free; take fewer (every=, start=, "
                "stop=), or a smaller input"
            )
