"""What it costs to record functions that modules call, beside the same functions as modules.

Passes of two networks that compute the same alternate, batch by batch, and what is compared is the
ratio of each pair: one calls its activations as functions (F.relu, F.gelu), the other has
modules for them, and as many of these are recorded.

    python benchmarks/operations.py [--batches 20] [--repeats 5]
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from harness import Benchmark, Spread, Way, Work, options_of
from torch import nn
from torch.nn import functional

import differentia as dif
from differentia.networks.layers import Layer, select_layers
from differentia.networks.probes import Probe, SummaryProbe, UnitProbe, together

#: Units that are recorded of each layer.
UNITS = 10_000

#: What makes an activation, of a kind that is a module or a function.
Activation = Callable[[], Callable[[torch.Tensor], torch.Tensor]]


class Block(nn.Module):
    """A residual block."""

    def __init__(self, relu: Activation, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, channels, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = relu()
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.relu2 = relu()
        self.stride, self.more = stride, (channels - before) // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the sum, rectified."""
        shortcut = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more, self.more))
        y = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(y)) + shortcut)


def resnet20(relu: Activation) -> nn.Module:
    """Return a network of the shape of ResNet-20."""
    sizes = [(16, 16, 1)] * 3 + [(16, 32, 2)] + [(32, 32, 1)] * 2 + [(32, 64, 2)] + [(64, 64, 1)] * 2
    stem = nn.Sequential(nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16))
    pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
    return nn.Sequential(stem, *(Block(relu, *size) for size in sizes), pooled)


class TransformerBlock(nn.Module):
    """Attention and two layers, each added to the tokens."""

    def __init__(self, gelu: Activation, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.gelu = gelu()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the tokens, with what is added."""
        y = self.norm1(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return x + self.narrow(self.gelu(self.wide(self.norm2(x))))


class Transformer(nn.Module):
    """A network of the shape of ViT-Ti/16."""

    def __init__(self, gelu: Activation, width: int = 192, depth: int = 12, heads: int = 3) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, width, 16, 16)
        self.blocks = nn.Sequential(*(TransformerBlock(gelu, width, heads) for _ in range(depth)))
        self.head = nn.Linear(width, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the classes."""
        return self.head(self.blocks(self.patches(x).flatten(2).mT).mean(1))


class Example(NamedTuple):
    """A network with functions or modules, its images, and which layers are recorded of each."""

    make: Callable[[Activation], nn.Module]
    function: Callable[[torch.Tensor], torch.Tensor]
    module: type[nn.Module]
    side: int
    images: int
    patterns: Mapping[str, str]


EXAMPLES = {
    "ResNet-20, 18 activations": Example(
        resnet20, functional.relu, nn.ReLU, 32, 32, {"functions": "*/relu*", "modules": "*.relu?"}
    ),
    "ViT-Ti/16, 12 activations": Example(
        Transformer, functional.gelu, nn.GELU, 224, 8, {"functions": "*/gelu", "modules": "*.gelu"}
    ),
}


def probe_of(layer: Layer) -> Probe:
    """Return what is recorded of a layer by default: units, and sums of all."""
    units = np.arange(layer.size)[:: max(1, layer.size // UNITS)]
    return together({"units": UnitProbe(units, layer.shape), "sums": SummaryProbe(layer)})


def prepare(name: str, batches: int) -> Work:
    """Return passes that alternately record the functions of one network and the modules of the other."""
    example = EXAMPLES[name]
    shape = (example.images, example.side, example.side, 3)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    passes: dict[str, Callable[[], Any]] = {}
    sizes: list[Sequence[int]] = []
    for kind, pattern in example.patterns.items():
        torch.manual_seed(0)
        module = example.make((lambda: example.function) if kind == "functions" else example.module)
        network = dif.load_network(
            module.eval(), preprocess="imagenet", input_shape=(3, *shape[1:3]), device="cpu"
        )
        network.look(pixels[:2], operations=kind == "functions")
        layers = select_layers(network.layers, [pattern])
        sizes.append([layer.size for layer in layers])
        passes[kind] = partial(network.record, pixels, {layer.name: probe_of(layer) for layer in layers})
    if sizes[0] != sizes[1]:
        raise ValueError(f"{name}: the functions have other sizes than the modules")

    def work() -> Mapping[str, float]:
        seconds: dict[str, list[float]] = {kind: [] for kind in passes}
        for batch in range(batches):
            for kind in list(passes)[:: -1 if batch % 2 else 1]:
                started = time.perf_counter()
                passes[kind]()
                seconds[kind].append(time.perf_counter() - started)
        pairs = zip(seconds["functions"], seconds["modules"], strict=True)
        medians = {f"{kind}_ms": 1e3 * statistics.median(each) for kind, each in seconds.items()}
        return {**medians, "ratio": statistics.median(one / other for one, other in pairs)}

    return work


def main() -> None:
    """Print the medians, and the ratio of the passes."""
    parser = options_of(__doc__, "operations.json", repeats=5)
    parser.add_argument("--batches", type=int, default=20)
    given = parser.parse_args()
    benchmark = Benchmark.of("operations", {"batches": given.batches}, given)
    ways = [Way(name, partial(prepare, name, given.batches)) for name in EXAMPLES]
    benchmark.take_turns(ways, given.repeats)
    for name in EXAMPLES:
        found = Spread.of(benchmark.ways[name].column("ratio"))
        print(f"{name}: functions / modules {found.told('.3f')}")


if __name__ == "__main__":
    main()
