"""Two sets of images, a network that records them, and what it gives by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from helpers.networks import tricky
from torch import nn

import differentia as dif
from differentia.networks.layers import select_layers

RNG = np.random.default_rng(0)
SETS = {
    "few": RNG.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8),
    "many": RNG.integers(0, 256, (11, 16, 16, 3), dtype=np.uint8),
}


def load(module: nn.Module | None = None) -> dif.Network:
    return dif.load_network(module or tricky(), preprocess="unit", input_shape=(3, 16, 16))


def by_hand() -> dict[str, np.ndarray]:
    """Return what each layer gives for all images of all sets, by a forward pass without this package."""
    images = np.concatenate(list(SETS.values())).astype(np.float32) / np.float32(255)
    with torch.no_grad():
        given = tricky().eval().by_hand(torch.from_numpy(images.transpose(0, 3, 1, 2)))
    return {name: value.double().numpy() for name, value in given.items() if name != "drop"}


def leave_memory(monkeypatch: pytest.MonkeyPatch, n_bytes: float) -> None:
    """Let responses take `n_bytes` and no more."""
    monkeypatch.setattr("differentia.recording.record.memory_budget", lambda given: n_bytes)


def for_ranking(network: Any, *layers: str) -> int:
    """Return the bytes that the ranking of units takes, of all layers or of some."""
    return 24 * sum(layer.size for layer in select_layers(network.layers, layers or None))


def write_images(folder: Path, images: np.ndarray) -> Path:
    """Save images as 00.png, 01.png, ..."""
    folder.mkdir(exist_ok=True)
    for number, pixels in enumerate(images):
        PIL.Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder
