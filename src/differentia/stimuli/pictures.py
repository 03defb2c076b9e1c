"""Images that are given one by one: of Pillow, or arrays of any sizes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image

from differentia.errors import InputError, UnreadableImageError, in_one_line
from differentia.stimuli.arrays import CHANNELS, from_tensor, hash_of, is_tensor, require_uint8
from differentia.stimuli.base import Fit, Image, Numbers, Stimuli
from differentia.stimuli.decoding import decoded, usable_conversion
from differentia.system import turns
from differentia.system.showing import counted


def is_picture(candidate: object) -> bool:
    """Return whether an object is one image, of Pillow's or in an array."""
    return isinstance(candidate, PIL.Image.Image | np.ndarray) or is_tensor(candidate)


class PictureStimuli(Stimuli):
    """Images of Pillow, seen as those in files are, and arrays of one image each, uint8, grey or RGB."""

    def __init__(self, pictures: Sequence[Any]) -> None:
        self.source = f"a list of {counted(len(pictures), 'image')}"
        self.pictures = [as_picture(one, f"image {n} of the list") for n, one in enumerate(pictures)]
        self.names = Numbers(range(len(pictures)))
        self._one_at_a_time = turns.lock()  # Pillow's images may read their file when they are first used
        self._caveats: dict[int, str] = {}

    def load(self, index: int, fit: Fit) -> Image:
        """Return one image, fitted to a network's input."""
        name = f"image {index} of the list"
        try:
            with self._one_at_a_time:
                shown, caveat = seen(self.pictures[index])
        except MemoryError:
            raise
        except Exception as error:  # Pillow's decoders raise many kinds on broken files
            reason = in_one_line(error) or type(error).__name__
            raise UnreadableImageError(
                f"{name}: can't be read ({reason}); take it out of the list"
            ) from error
        if caveat:
            self._caveats[index] = f"{name}: {caveat}"
        return Image(fit(shown), hash_of(np.asarray(shown)))

    def caveats(self) -> dict[int, str]:
        """Return what is to be said of colour profiles that can't be used."""
        return dict(self._caveats)


def seen(picture: PIL.Image.Image | np.ndarray) -> tuple[PIL.Image.Image, str]:
    """Return a picture as it is seen, upright, in mode L or RGB, and what could not be used of it."""
    if isinstance(picture, np.ndarray):
        return PIL.Image.fromarray(np.ascontiguousarray(picture)), ""
    conversion, caveat = usable_conversion(picture)
    return decoded(picture, conversion), caveat


def as_picture(one: Any, what: str) -> PIL.Image.Image | np.ndarray:
    """Return one image of Pillow's, or in a uint8 array, or raise an error that calls it `what`."""
    if isinstance(one, PIL.Image.Image):
        return one
    array = from_tensor(one, what, images=False) if is_tensor(one) else one
    require_uint8(array, what)
    if np.ma.is_masked(array):
        raise InputError(f"{what}: it has masked pixels; fill them first")
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if 0 in array.shape or array.shape[2:] not in ((), (3,)) or array.ndim < 2:
        first = array.ndim == 3 and array.shape[0] in CHANNELS
        raise InputError(
            f"{what}: it has the shape {array.shape}; expected (height, width) or (height, width, 3)"
            + ": the channels come first; write x.transpose(1, 2, 0)" * first
        )
    return array
