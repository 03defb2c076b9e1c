"""What it costs to find the layers on a user's own images, and to record blocks in the place of leaves.

``look`` is `Network.look` with VGG16 and two images, beside ``bare``, its pass over all
images in batches of 32.
``leaves`` and ``blocks`` record a residual network (four stages of two blocks) without views.

    python benchmarks/layers.py [--images 129] [--repeats 7]
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from harness import Benchmark, Way, Work, options_of
from torch import nn
from vgg16 import BATCH, SIDE, in_batches, torch_vgg16

import differentia as dif

#: Channels of the stages of the residual network.
STAGES = (64, 128, 256, 512)


class Block(nn.Module):
    """Two convolutions, with their input added."""

    def __init__(self, before: int, channels: int) -> None:
        super().__init__()
        stride = 1 if before == channels else 2
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Conv2d(before, channels, 1, stride, bias=False) if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum, rectified."""
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + self.shortcut(x))


def residual() -> nn.Sequential:
    """Return a network of the shape of ResNet-18."""
    torch.manual_seed(0)
    first = nn.Conv2d(3, STAGES[0], 7, 2, 3, bias=False)
    stem = nn.Sequential(first, nn.BatchNorm2d(STAGES[0]), nn.ReLU(), nn.MaxPool2d(3, 2, 1))
    widths = [STAGES[0], *(channels for channels in STAGES for _ in range(2))]
    blocks = [Block(before, channels) for before, channels in pairwise(widths)]
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(STAGES[-1], 1000))
    return nn.Sequential(stem, *blocks, pooled).eval()


def shown(images: int) -> np.ndarray:
    """Return noise, which a pass takes as long for as for photographs."""
    return np.random.default_rng(0).integers(0, 256, (images, SIDE, SIDE, 3), dtype=np.uint8)


def network_of(module: nn.Module) -> Any:
    """Return a network that has not been looked at."""
    return dif.load_network(module, preprocess="imagenet", input_shape=(3, SIDE, SIDE), device="cpu")


def prepare_look() -> Work:
    """Return what finds the layers of VGG16."""
    network, pixels = network_of(torch_vgg16()), shown(2)
    return lambda: network.look(pixels) and None


def prepare_bare(images: int) -> Work:
    """Return VGG16's pass alone."""
    network = network_of(torch_vgg16())
    module = network.module.to(memory_format=torch.channels_last)
    batches = [network.prepare(part) for part in in_batches(shown(images))]

    def work() -> None:
        with torch.inference_mode():
            for batch in batches:
                module(batch)

    return work


def prepare_record(images: int, layers: str) -> Work:
    """Return a recording of the residual network."""
    network, sets = network_of(residual()), {"noise": shown(images)}

    def work() -> None:
        dif.record(
            network, sets, layers=[layers], pool=10_000, views=False, compile="never", batch_size=BATCH
        )

    return work


def main() -> None:
    """Print the medians, and the ratio of each turn."""
    parser = options_of(__doc__, "layers.json", repeats=7)
    parser.add_argument("--images", type=int, default=129)
    given = parser.parse_args()
    benchmark = Benchmark.of("layers", {"images": given.images}, given)
    ways: dict[str, Callable[[], Work]] = {
        "look": prepare_look,
        "bare": partial(prepare_bare, given.images),
        "leaves": partial(prepare_record, given.images, ":leaves"),
        "blocks": partial(prepare_record, given.images, ":blocks"),
    }
    benchmark.take_turns([Way(name, prepare) for name, prepare in ways.items()], given.repeats)
    benchmark.print_table()
    benchmark.print_ratio("look", "bare")
    benchmark.print_ratio("blocks", "leaves")


if __name__ == "__main__":
    main()
