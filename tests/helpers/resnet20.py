"""ResNet-20 for CIFAR-10 (He et al. 2016), whose trained weights are among the real data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

import differentia as dif

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
WEIGHTS = "resnet20_cifar10.safetensors"


class Block(nn.Module):
    """Two convolutions, and what was given to them added; where that has fewer channels, zeros fill it."""

    def __init__(self, given: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(given, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.stride = stride
        self.filled = (channels - given) // 2  # on either side of the channels that there are

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = functional.pad(
            x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.filled, self.filled)
        )
        out = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(out)) + shortcut)


def stage(given: int, channels: int, stride: int) -> nn.Sequential:
    """Return three blocks, of which the first changes the size."""
    rest = [Block(channels, channels, 1) for _ in range(2)]
    return nn.Sequential(Block(given, channels, stride), *rest)


class ResNet20(nn.Module):
    """A convolution, three stages of three blocks, and the classes; activations are no modules."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = stage(16, 16, 1)
        self.layer2 = stage(16, 32, 2)
        self.layer3 = stage(32, 64, 2)
        self.linear = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = functional.relu(self.bn1(self.conv1(x)))
        out = self.layer3(self.layer2(self.layer1(out)))
        return self.linear(out.mean((2, 3)))


def load_resnet20(data: Path, **options: Any) -> dif.Network:
    """Return the trained network of the folder of real data, as `load_network` does with such options."""
    module = ResNet20()
    module.load_state_dict(load_file(data / WEIGHTS), strict=False)
    return dif.load_network(
        module, preprocess="imagenet", input_shape=(3, 32, 32), class_names=CLASSES, **options
    )
