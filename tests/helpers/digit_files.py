"""Scikit-learn's handwritten digits as PNG files, and what the embedded network sees in them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
import torch
from safetensors.torch import load_file
from sklearn import datasets

from differentia.networks.digits import WEIGHTS, build_digits_module


class DigitFiles(NamedTuple):
    """A folder, its files in natural order, and the probability of each class in each (n_images, 10)."""

    folder: Path
    names: tuple[str, ...]
    probabilities: np.ndarray

    def of(self, digit: int, least: float = 0.5) -> dict[str, float]:
        """Return the files in which the digit has at least a probability, the most probable first."""
        pairs = zip(self.names, self.probabilities[:, digit].tolist(), strict=True)
        found = [(name, value) for name, value in pairs if value >= least]
        return dict(sorted(found, key=lambda pair: -pair[1]))


def plain_pass(paths: list[Path]) -> np.ndarray:
    """Return the probabilities of files by Pillow and PyTorch alone."""
    module = build_digits_module().eval()
    module.load_state_dict(load_file(WEIGHTS))
    rows = []
    for path in paths:
        with PIL.Image.open(path) as image:
            fitted = image.convert("L").resize((32, 32), PIL.Image.Resampling.BILINEAR)
        rows.append(torch.from_numpy(np.asarray(fitted) / np.float32(255))[None])
    with torch.no_grad():
        return np.asarray(module(torch.stack(rows)))


def write_digit_files(folder: Path, count: int = 32) -> DigitFiles:
    """Write digits of the half that the network has not seen, in natural order, every third as RGB."""
    bundled = datasets.load_digits()
    for index in range(count):
        pixels = (bundled.images[2 * index + 1] * 15.9).astype(np.uint8)
        image = PIL.Image.fromarray(pixels).convert("RGB" if index % 3 == 0 else "L")
        image.save(folder / f"digit {index}.png")
    names = tuple(f"digit {index}.png" for index in range(count))
    return DigitFiles(folder, names, plain_pass([folder / name for name in names]))
