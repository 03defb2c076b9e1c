"""Networks out of a grammar, drawn by a seed: convolutions, branches, norms, attention, tokens."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

#: Of the images that they are shown: channels, height, width.
SHAPE = (3, 12, 12)


class Sum(nn.Module):
    """Two ways that are added up."""

    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.one, self.other = one, other

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.one(x) + self.other(x)


class Side(nn.Module):
    """Two ways side by side, as channels."""

    def __init__(self, one: nn.Module, other: nn.Module) -> None:
        super().__init__()
        self.one, self.other = one, other

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.one(x), self.other(x)], dim=1)


class Attending(nn.Module):
    """Attention and two linear layers, each added to what it was given."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.wide, self.act, self.narrow = nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normal = self.norm(x)
        x = x + self.attention(normal, normal, normal, need_weights=False)[0]
        return x + self.narrow(self.act(self.wide(x)))


class RandomNetwork(nn.Module):
    """Maps, then perhaps tokens, then as many numbers as there are classes."""

    def __init__(self, random: np.random.Generator) -> None:
        super().__init__()
        width, maps = SHAPE[0], []
        for _ in range(random.integers(1, 5)):
            step, width = _step(random, width)
            maps.append(step)
        self.maps = nn.Sequential(*maps)
        self.again = maps[-1] if random.random() < 0.2 and _keeps(maps[-1], width) else None
        self.patches: nn.Module | None = None
        if random.random() < 0.4:
            heads = int(random.integers(1, 3))
            self.patches = nn.Conv2d(width, 4 * heads, 2, stride=2)
            self.first = nn.Parameter(torch.randn(1, 1, 4 * heads))
            self.blocks = nn.Sequential(*(Attending(4 * heads, heads) for _ in range(random.integers(1, 3))))
            width = 4 * heads
        self.head = nn.Linear(width, int(random.integers(2, 12)))
        self.last = nn.Softmax(1) if random.random() < 0.5 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maps(x)
        if self.again is not None:
            x = self.again(x)
        if self.patches is None:
            return self.last(self.head(x.mean((2, 3))))
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        tokens = self.blocks(torch.cat([self.first.expand(len(x), -1, -1), tokens], dim=1))
        return self.last(self.head(tokens[:, 0]))


def _keeps(module: nn.Module, width: int) -> bool:
    """Return whether a module gives what it was given the shape of."""
    with torch.no_grad():
        try:
            return module.eval()(torch.zeros(1, width, 12, 12)).shape == (1, width, 12, 12)
        except RuntimeError:
            return False


def _convolution(random: np.random.Generator, given: int, width: int) -> nn.Module:
    grouped = width % given == 0 and random.random() < 0.3
    size = int(random.choice([1, 3]))
    return nn.Conv2d(given, width, size, padding=size // 2, groups=given if grouped else 1)


def _step(random: np.random.Generator, given: int) -> tuple[nn.Module, int]:
    """Return one step, and how many channels it gives."""
    width = int(random.integers(1, 5)) * 3
    simple: dict[str, Any] = {
        "relu": nn.ReLU(inplace=bool(random.random() < 0.5)),
        "relu6": nn.ReLU6(),
        "gelu": nn.GELU(),
        "tanh": nn.Tanh(),
        "dropout": nn.Dropout(0.5),
        "average": nn.AvgPool2d(3, stride=1, padding=1),
        "largest": nn.MaxPool2d(3, stride=1, padding=1),
    }
    kind = str(random.choice([*["convolution"] * 6, "norm", "norm", "sum", "side", *simple]))
    if kind in simple:
        return simple[kind], given
    if kind == "convolution":
        return _convolution(random, given, width), width
    if kind == "norm":
        return nn.BatchNorm2d(given), given
    one = nn.Sequential(_convolution(random, given, width), nn.ReLU())
    other = _convolution(random, given, width)
    return (Sum(one, other), width) if kind == "sum" else (Side(one, other), 2 * width)


def network(seed: int = 0) -> RandomNetwork:
    """Return the network of a seed, whose batch norms have seen data."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        module = RandomNetwork(np.random.default_rng([seed, 5]))
        with torch.no_grad():
            for _ in range(3):
                module.train()(torch.rand(8, *SHAPE))
    return module.eval()
