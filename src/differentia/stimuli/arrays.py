"""Images in one array."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from jaxtyping import UInt8

from differentia.errors import InputError, require_count
from differentia.stimuli.base import Fit, Image, Numbers, Stimuli, content_hash

#: Of images in an array: without channels, or of these numbers of them.
CHANNELS = (1, 3)


class ArrayStimuli(Stimuli):
    """Images in one array: uint8, grey or RGB; `source` is how the errors call it.

    Of a film, `frames` are those that are looked at, by their numbers.
    """

    def __init__(self, array: Any, source: str = "array", frames: range | None = None) -> None:
        if not isinstance(array, np.ndarray):
            raise InputError(
                f"{source}: the images are of type {type(array).__name__}; expected a NumPy array of uint8"
            )
        if array.ndim in (3, 4):  # of others, the shape is what has to be told
            require_uint8(array, source)
        if array.ndim == 4 and array.shape[3] == 1:
            array = array[..., 0]
        if np.ma.is_masked(array):
            raise InputError(f"{source}: the images have masked pixels; fill them first")
        require_images(array.shape, source)
        self.in_time = frames is not None
        numbers = range(len(array)) if frames is None else frames
        self.array: UInt8[np.ndarray, "n h w *c"] = array[numbers.start : numbers.stop : numbers.step]
        self.source = source
        self.names = Numbers(numbers)

    def load(self, index: int, fit: Fit) -> Image:
        """Return one image, fitted to a network's input."""
        pixels = np.ascontiguousarray(self.array[index])
        return Image(fit(PIL.Image.fromarray(pixels)), hash_of(pixels))


def require_images(shape: Sequence[int], source: str) -> None:
    """Raise an error that says what to write, unless a shape is that of images."""
    single = len(shape) == 3 and shape[2] in (*CHANNELS, 4)
    if single or not (len(shape) == 3 or (len(shape) == 4 and shape[3] in CHANNELS)):
        raise InputError(
            f"{source}: the images have the shape {tuple(shape)}; "
            f"expected (images, height, width) or (images, height, width, 3){_way_out(shape)}"
        )
    if 0 in shape:
        raise InputError(f"{source}: the array of shape {tuple(shape)} holds no image")


def require_few_pixels(shape: Sequence[int], source: str) -> None:
    """Raise an error for images of a file that are larger than any that is decoded."""
    limit = PIL.Image.MAX_IMAGE_PIXELS
    if limit is not None and shape[1] * shape[2] > limit:
        raise InputError(
            f"{source}: its images of {shape[1]} x {shape[2]} pixels are larger than the {limit:,} pixels of "
            "PIL.Image.MAX_IMAGE_PIXELS, which guards against files that fill the memory: shrink them, or "
            "raise that limit if you trust the file"
        )


def frames_of(count: int, source: str, every: Any, start: Any, stop: Any) -> range | None:
    """Return which of `count` frames of a film are looked at; None where no option says that it is a film.

    `start` and `stop` are numbers of frames, from 0; that of `stop` is left out.
    """
    if every is start is stop is None:
        return None
    every = require_count(f"{source}: every", 1 if every is None else every)
    start = require_count(f"{source}: start", 0 if start is None else start, least=0)
    stop = require_count(f"{source}: stop", count if stop is None else stop)
    if start >= min(stop, count):
        raise InputError(f"{source}: start is {start}; expected less than {min(stop, count)}")
    return range(start, min(stop, count), every)


def with_options(path: Path, **options: Any) -> str:
    """Return a file's path with those options behind it that are given."""
    given = "&".join(f"{name}={value}" for name, value in options.items() if value is not None)
    return f"{path}?{given}" if given else str(path)


def hash_of(pixels: UInt8[np.ndarray, "h w *c"]) -> str:
    """Return the hash of an image's pixels, the same wherever they come from."""
    return content_hash(repr(pixels.shape).encode(), pixels.tobytes())


def require_uint8(array: np.ndarray, source: str, cast: str = "astype(np.uint8)") -> None:
    """Raise an error that says what to write, unless an array is of uint8; `cast` is how it becomes that."""
    if array.dtype == np.uint8:
        return
    given = f"{source}: the images are {array.dtype}"
    if array.dtype.kind not in "biuf" or not array.size:
        raise InputError(f"{given}; expected numbers of uint8, 0..255")
    least, most = float(array.min()), float(array.max())
    way_out = _conversion(array, least, most, cast)
    raise InputError(f"{given}, from {least:g} to {most:g}; expected uint8, 0..255: {way_out}")


def _conversion(array: np.ndarray, least: float, most: float, cast: str) -> str:
    """Return what to write to have pixels of 0..255."""
    if not (math.isfinite(least) and math.isfinite(most)):
        return "replace what is not a number first"
    if array.dtype == np.bool_:
        return f"write x.{cast} * 255"
    if least < 0 or most > 65535:
        return "undo their normalisation first"
    if most > 255:
        return f"write (x / 257).round().{cast}, if white is 65535"
    if array.dtype.kind in "iu":
        return f"write x.{cast}"
    return f"write (x * 255).round().{cast}" if most <= 1 else f"write x.round().{cast}"


def _way_out(shape: Sequence[int]) -> str:
    """Return what to write for an array of images whose axes can be told, but are not as expected."""
    if len(shape) == 4 and shape[1] in CHANNELS:
        return ": the channels come first; write x.transpose(0, 2, 3, 1)"
    if len(shape) == 4 and shape[3] == 4:
        return ": the fourth channel is transparency; write x[..., :3]"
    if len(shape) == 2 or (len(shape) == 3 and shape[2] in CHANNELS):
        return ": for a single image, write x[None]"
    return ""


def is_tensor(candidate: object) -> bool:
    """Return whether an object is a tensor of PyTorch, without importing it for the question."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(candidate, torch.Tensor)


def from_tensor(tensor: Any, source: str, *, images: bool = True) -> np.ndarray:
    """Return PyTorch's images, or one image, with the channels last, as NumPy has them.

    PyTorch has the channels first; where they could be first or last, that is an error.
    """
    shape = tuple(tensor.shape)
    if str(tensor.dtype) == "torch.bfloat16":  # which NumPy does not know
        tensor = tensor.float()
    array: np.ndarray = tensor.detach().cpu().numpy()
    require_uint8(array, source, "to(torch.uint8)")
    if images and len(shape) == 3 and shape[0] == 3:
        raise InputError(
            f"{source}: a tensor of shape {shape} could be one image or three grey ones; "
            "write x[None] for one, x[:, None] for three"
        )
    axes = shape[1:] if images else shape
    if len(axes) != 3:
        return array
    first, last = axes[0] in CHANNELS, axes[2] in CHANNELS
    if first and last:
        raise InputError(
            f"{source}: a tensor of shape {shape} could have its channels first or last; "
            "give a NumPy array (images, height, width, channels)"
        )
    return np.moveaxis(array, -3, -1) if first else array
