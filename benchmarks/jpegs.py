"""JPEG files to measure with: as many distinct ones as are asked for, of the usual size of photographs.

They are cut from real photographs, where there are some, and encoded anew: in DIFFERENTIA_TEST_DATA, else in
``../shared/data`` beside the checkout. Otherwise they are noise of several scales, which a decoder takes
somewhat longer for.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import PIL.Image

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("DIFFERENTIA_TEST_DATA", ROOT.parent / "shared" / "data"))

#: The usual width and height of ImageNet's photographs. What is cut from real ones has this longer side.
SIZE = (500, 375)
QUALITY = 90

#: A crop is at least so much of each side.
LEAST_CROP = 0.7


def photographs() -> list[Path]:
    """Return the real photographs; none where there is no folder of them."""
    return [path for name in ("random", "cats") for path in sorted((DATA / name).glob("*.jpg"))]


def write_jpegs(folder: Path, count: int, *, seed: int = 0) -> list[Path]:
    """Write distinct JPEG files into a folder, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    originals = photographs()
    paths = [folder / f"{number:05d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        image = _cut(originals[number % len(originals)], generator) if originals else _noise(generator)
        image.save(path, quality=QUALITY)
    return paths


def source_of_jpegs() -> str:
    """Return what they are made from, in words."""
    originals = photographs()
    what = f"crops of {len(originals)} photographs" if originals else "noise of several scales"
    return f"{what}, the longer side {SIZE[0]} pixels, JPEG of quality {QUALITY}"


def _cut(path: Path, generator: np.random.Generator) -> PIL.Image.Image:
    """Return a random part of a photograph, mirrored or not."""
    with PIL.Image.open(path) as opened:
        image = opened.convert("RGB")
    width, height = (side * generator.uniform(LEAST_CROP, 1) for side in image.size)
    left, top = generator.uniform(0, image.width - width), generator.uniform(0, image.height - height)
    scale = SIZE[0] / max(width, height)
    size = round(width * scale), round(height * scale)
    part = image.resize(size, PIL.Image.Resampling.BICUBIC, (left, top, left + width, top + height))
    return part.transpose(PIL.Image.Transpose.FLIP_LEFT_RIGHT) if generator.random() < 0.5 else part


def _noise(generator: np.random.Generator) -> PIL.Image.Image:
    """Return noise of which larger scales have more amplitude, as in photographs."""
    width, height = SIZE
    total = np.zeros((height, width, 3))
    for scale in (1, 2, 4, 8, 16, 32, 64):
        rows, columns = -(-height // scale), -(-width // scale)
        coarse = generator.normal(0, np.sqrt(scale), (rows, columns, 3))
        for channel in range(3):
            plane = PIL.Image.fromarray(coarse[..., channel].astype(np.float32))
            total[..., channel] += np.asarray(plane.resize(SIZE, PIL.Image.Resampling.BICUBIC))
    total = 128 + 50 * total / total.std()
    return PIL.Image.fromarray(total.clip(0, 255).astype(np.uint8))
