"""The embedded default: a small VGG-like network that reads handwritten digits.

``training/train_digits.py`` trains it and writes ``digits.safetensors``.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import torch
from safetensors.torch import load_file

from differentia.networks.torch import TorchNetwork
from differentia.system.random import torch_numbers_kept

#: Height, width and channels of the images.
INPUT_SHAPE = (32, 32, 1)

#: How pixels become the input.
DIGITS_PREPROCESSING = "unit"

#: Filters of the two convolutions of each block.
WIDTHS = (16, 32, 64, 64)

WEIGHTS = Path(__file__).with_name("digits.safetensors")


def build_digits_module() -> torch.nn.Module:
    """Return the untrained network: four blocks of two convolutions, then a linear classifier."""
    layers: OrderedDict[str, torch.nn.Module] = OrderedDict()
    channels = INPUT_SHAPE[2]
    for block, width in enumerate(WIDTHS, start=1):
        for conv in (1, 2):
            stem = f"block{block}"
            layers[f"{stem}_conv{conv}"] = torch.nn.Conv2d(channels, width, 3, padding=1, bias=False)
            layers[f"{stem}_bn{conv}"] = torch.nn.BatchNorm2d(width)
            layers[f"{stem}_relu{conv}"] = torch.nn.ReLU()
            channels = width
        layers[f"block{block}_pool"] = torch.nn.MaxPool2d(2)
    layers["flatten"] = torch.nn.Flatten()
    side = INPUT_SHAPE[0] // 2 ** len(WIDTHS)
    layers["logits"] = torch.nn.Linear(channels * side * side, 10)
    layers["predictions"] = torch.nn.Softmax(dim=1)
    return torch.nn.Sequential(layers)


def load_digits_network(*, device: str = "cpu", dtype: str | None = None) -> TorchNetwork:
    """Return the trained network, ready to be recorded."""
    with torch_numbers_kept(0):  # which the weights that are replaced next would change
        module = build_digits_module()
    module.load_state_dict(load_file(WEIGHTS))
    return TorchNetwork(
        module,
        name="digits",
        preprocess=DIGITS_PREPROCESSING,
        input_shape=INPUT_SHAPE,
        class_names=tuple(str(digit) for digit in range(10)),
        device=device,
        dtype=dtype,
    )
