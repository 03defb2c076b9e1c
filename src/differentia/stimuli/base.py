"""What every kind of stimuli has in common, and how an image is fitted to a network's input."""

from __future__ import annotations

import hashlib
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, overload

import numpy as np
import PIL.Image
import PIL.ImageOps
from jaxtyping import Bool, Real, UInt8

from differentia.errors import InputError
from differentia.system.choices import CROP, RESIZE
from differentia.system.showing import Shown, counted, listed

#: Pillow's resampling filters by name.
RESIZES = {name: PIL.Image.Resampling[name.upper()] for name in RESIZE.names}

#: What happens to an image that has not the proportions of the network's input, given it, a size and a
#: filter: ``squash`` changes its proportions, ``center`` cuts the ends of the longer side off.
CROPS: dict[str, Callable[..., PIL.Image.Image]] = {
    "squash": PIL.Image.Image.resize,
    "center": PIL.ImageOps.fit,
}

#: What PyTorch calls those of the filters that it has.
OF_PYTORCH = {name: name for name in ("bilinear", "bicubic", "lanczos")} | {"nearest": "nearest-exact"}

#: How much longer than the other a side may be of an image that is resized with its proportions: it would
#: fill the memory before its middle is cut out. What is further away is cut off first.
LONGEST = 100

#: Pillow's mode of an image by its number of channels.
MODES = {1: "L", 3: "RGB"}


class Numbers(Sequence[str]):
    """Names of images that are their numbers, made when they are asked for: there may be millions."""

    def __init__(self, numbers: Sequence[int], before: str = "") -> None:
        self._numbers, self._before = numbers, before

    def __len__(self) -> int:
        return len(self._numbers)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Numbers: ...

    def __getitem__(self, place: int | slice) -> str | Numbers:
        if isinstance(place, slice):
            return Numbers(self._numbers[place], self._before)
        return f"{self._before}{self._numbers[place]}"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(map(operator.eq, self, other))

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self)) if len(self) <= 10 else f"<{len(self):,} names, {self[0]!r} to {self[-1]!r}>"


class Image(NamedTuple):
    """One decoded image, fitted to the network's input, and the SHA-256 of its content in hexadecimal."""

    pixels: UInt8[np.ndarray, "h w c"]
    hash: str


@dataclass(frozen=True)
class Fit:
    """How images become a network's input of a shape (height, width, channels), pixel by pixel.

    Where there is a `resize_to`, every image is resized: its shorter side to that many pixels, or the whole
    to a (height, width). Then its middle is cut out, as torchvision does it, or `rounded_down`. What resizes
    is Pillow or, with a filter that it has, PyTorch.
    """

    shape: tuple[int, int, int]
    resize: str = "bilinear"
    crop: str = "squash"
    resize_to: int | tuple[int, int] | None = None
    rounded_down: bool = False
    resized_by: str = "Pillow"

    def __post_init__(self) -> None:
        RESIZE.checked(self.resize)
        CROP.checked(self.crop)
        if self.shape[2] not in MODES:
            raise InputError(
                f"the network's input has {self.shape[2]} channels; expected 1 (grey) or 3 (RGB)"
            )

    def __call__(self, image: PIL.Image.Image) -> UInt8[np.ndarray, "h w c"]:
        """Return the pixels of `image` (of mode L or RGB), fitted to the shape."""
        height, width, channels = self.shape
        if image.mode != MODES[channels]:  # Pillow would copy it
            image = image.convert(MODES[channels])
        to = (height, width) if self.resize_to is None and self.by_pytorch else self.resize_to
        if to is not None:
            image = self._middle(self._resized(image, to))
        elif image.size != (width, height):
            image = CROPS[self.crop](image, (width, height), RESIZES[self.resize])
        return np.asarray(image, dtype=np.uint8).reshape(self.shape)

    @property
    def by_pytorch(self) -> bool:
        """Whether PyTorch resizes: with a filter that it has, and the whole of an image."""
        whole = self.resize_to is not None or self.crop == "squash"
        return self.resized_by == "PyTorch" and self.resize in OF_PYTORCH and whole

    def _resized(self, image: PIL.Image.Image, to: int | tuple[int, int]) -> PIL.Image.Image:
        if isinstance(to, int):
            most = LONGEST * min(image.size)
            if max(image.size) > most:
                width, height = (min(side, most) for side in image.size)
                left, top = (image.width - width) // 2, (image.height - height) // 2
                image = image.crop((left, top, left + width, top + height))
            width, height = (int(to * side / min(image.size)) for side in image.size)
        else:
            height, width = to
        if self.by_pytorch and image.size != (width, height):
            return _resized_by_pytorch(image, (height, width), OF_PYTORCH[self.resize])
        return image.resize((width, height), RESIZES[self.resize])

    def _middle(self, image: PIL.Image.Image) -> PIL.Image.Image:
        """Return the middle of an image; where it is smaller, what lies around it is 0."""
        height, width, _ = self.shape
        left, top = self._cut_off(image.width - width), self._cut_off(image.height - height)
        return image.crop((left, top, left + width, top + height))

    def _cut_off(self, margin: int) -> int:
        """Return how many pixels of a margin lie before the cut; less than 0 are missing."""
        if self.rounded_down:
            return margin // 2
        return round(margin / 2) if margin > 0 else -(-margin // 2)


def _resized_by_pytorch(image: PIL.Image.Image, size: tuple[int, int], mode: str) -> PIL.Image.Image:
    """Return an image, resized to (height, width) as torchvision resizes a tensor of its pixels."""
    import torch  # which is there already where a network's library resizes with it

    pixels = torch.from_numpy(np.array(image)).reshape(image.height, image.width, -1).permute(2, 0, 1)
    antialias = mode != "nearest-exact"  # which has nothing to smooth
    resized = torch.nn.functional.interpolate(pixels[None], size=size, mode=mode, antialias=antialias)[0]
    return picture(resized.permute(1, 2, 0).contiguous().numpy())


def picture(pixels: UInt8[np.ndarray, "h w c"]) -> PIL.Image.Image:
    """Return pixels of one channel or three as Pillow's image."""
    return PIL.Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


class Stimuli(Shown, ABC):
    """An ordered set of images, decoded one at a time.

    Attributes
    ----------
    names
        One for each image.
    source
        Where they come from, in the form of the command line where there is one.
    paths
        One for each image, where they are files.
    in_time
        Whether the images follow one another in time: the frames of a film.
    attributes
        What else is known of the images, a value for each, by name: the columns of a table, times in seconds.
    """

    names: Sequence[str]
    source: str
    paths: tuple[Path, ...] | None = None
    in_time: bool = False
    attributes: Mapping[str, Sequence[str | float]] = MappingProxyType({})

    def _shown(self) -> tuple[str, dict[str, str]]:
        title = f"{type(self).__name__} of {counted(len(self), 'image')}"
        return title, {"source": self.source, "names": listed(self.names)}

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    @abstractmethod
    def load(self, index: int, fit: Fit) -> Image:
        """Return one image, fitted to a network's input.

        Raises
        ------
        InputError
            The image can't be read.
        """

    def bring_near(self, index: int) -> None:
        """Read an image from a slow disk, if it lies on one, so that it is at hand when it is loaded."""
        return

    def caveats(self) -> dict[int, str]:
        """Return what could not be used of the images that were looked at until now, by their places."""
        return {}

    @property
    def may_clip(self) -> bool:
        """Whether values are made that may lie beyond 0..255, of which `clipped` tells."""
        return False

    def clipped(self) -> dict[int, float]:
        """Return of images that were made until now, by their places, which share of values was clipped."""
        return {}

    def content_hash(self, index: int, fit: Fit) -> str:
        """Return the hash of one image's content, as `load` does, without decoding it where that can be.

        Raises
        ------
        InputError
            The image can't be read.
        """
        return self.load(index, fit).hash


def as_pixels(
    values: Real[np.ndarray, "*axes"],
) -> tuple[UInt8[np.ndarray, "*axes"], Bool[np.ndarray, "*axes"]]:
    """Return values rounded and clipped to 0..255, and which of them were clipped."""
    if values.dtype == np.uint8:
        return values, np.zeros(values.shape, bool)
    rounded = np.rint(values)
    return np.clip(rounded, 0, 255).astype(np.uint8), (rounded < 0) | (rounded > 255)


def content_hash(*parts: bytes) -> str:
    """Return the SHA-256 of some bytes, in hexadecimal."""
    return hashlib.sha256(b"".join(parts)).hexdigest()
