"""Images in an array, or in a ``.npy`` file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from jaxtyping import UInt8

from differentia.errors import InputError
from differentia.stimuli.base import Fit, Image, Stimuli, content_hash


class ArrayStimuli(Stimuli):
    """Images in one array: uint8, grey or RGB; `source` is how the errors call it."""

    def __init__(self, array: Any, source: str = "array") -> None:
        if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
            given = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
            raise InputError(
                f"{source}: the images are {given}; expected a NumPy array of uint8, 0..255: "
                "scale and convert them first"
            )
        if array.ndim == 4 and array.shape[3] == 1:
            array = array[..., 0]
        if np.ma.is_masked(array):
            raise InputError(f"{source}: the images have masked pixels; fill them first")
        single = array.ndim == 3 and array.shape[2] in (1, 3, 4)
        if single or not (array.ndim == 3 or (array.ndim == 4 and array.shape[3] == 3)):
            raise InputError(
                f"{source}: the images have the shape {array.shape}; "
                "expected (images, height, width) or (images, height, width, 3)"
            )
        if 0 in array.shape:
            raise InputError(f"{source}: the array of shape {array.shape} holds no image")
        self.array: UInt8[np.ndarray, "n h w *c"] = array
        self.source = source
        self.names = tuple(str(index) for index in range(len(array)))

    def load(self, index: int, fit: Fit) -> Image:
        """Return one image, fitted to a network's input."""
        pixels = np.ascontiguousarray(self.array[index])
        content = content_hash(repr(pixels.shape).encode(), pixels.tobytes())
        return Image(fit(PIL.Image.fromarray(pixels)), content)


def load_npy(path: Path) -> ArrayStimuli:
    """Return the images of a ``.npy`` file, read as they are needed."""
    try:
        # Unlike numpy.load, this opens no archive, and can't be told to unpickle.
        with np.errstate(over="raise"):  # where the header names a size beyond all numbers
            array = np.lib.format.open_memmap(path, mode="r")
    except MemoryError:
        raise
    except Exception as error:  # NumPy raises many kinds on headers that are not as it writes them
        raise InputError(
            f"{path}: can't be read as a NumPy array ({error}); save uint8 images with numpy.save"
        ) from error
    return ArrayStimuli(array, str(path))
