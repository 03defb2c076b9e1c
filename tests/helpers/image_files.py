"""Image files of a few pixels, written and read by Pillow alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image

from differentia.stimuli.base import Fit

RGB = Fit((4, 6, 3))


def write(path: Path, array: np.ndarray | None = None, mode: str | None = None) -> Path:
    """Write a PNG of random pixels, or of `array`."""
    if array is None:
        array = np.random.default_rng(len(path.name)).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    PIL.Image.fromarray(array).convert(mode).save(path)
    return path


def read(path: Path) -> np.ndarray:
    """Return the pixels of a file as RGB, by Pillow alone."""
    with PIL.Image.open(path) as image:
        return np.asarray(image.convert("RGB"))
