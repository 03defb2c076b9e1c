"""Small networks with what is seldom: channels that can't be known, calls without responses, two heads."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
import xarray as xr
from helpers.shared import once
from torch import nn

import differentia as dif

#: Of images, and of what the second head of `Heads` tells apart.
SHAPE = (3, 12, 12)
PLACES = ("left", "middle", "right")
CLASSES = ("ant", "bee", "cat", "dog")

IMAGES = {
    name: np.random.default_rng(2).integers(0, high, (count, 12, 12, 3), dtype=np.uint8)
    for name, (high, count) in {"bright": (256, 4), "dark": (40, 3)}.items()
}


class Cut(nn.Module):
    """Cuts all units into three rows, through the middle of channels: no axis tells those apart."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).reshape(len(x), 3, -1)


class Highest(nn.Module):
    """Gives the place of the highest unit, which is no response."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(1).argmax(1)


class Mixed(nn.Module):
    """Has a layer whose channels are not known, and a call that can't be recorded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.highest = Highest()
        self.cut = Cut()
        self.head = nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        self.highest(x)
        return self.head(self.cut(x).mean(2))


class Heads(nn.Module):
    """Tells four classes apart, and then how an image was turned, in three ways."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.classes = nn.Linear(6, len(CLASSES))
        self.places = nn.Linear(6, len(PLACES))

    def forward(self, x: torch.Tensor) -> Any:
        x = self.conv(x).relu().mean((2, 3))
        return self.classes(x), self.places(x)


class Centred(nn.Module):
    """Takes the mean of a batch from its images."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x - x.mean(0, keepdim=True)


def centred() -> nn.Module:
    """Return a network whose second layer depends on the other images of a batch."""
    return nn.Sequential(nn.Conv2d(3, 4, 3), Centred())


class Attending(nn.Module):
    """A block of a transformer: attention, and a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = self.norm(x)
        return x + self.attention(normed, normed, normed)[0]


class Tokens(nn.Module):
    """A small transformer of two blocks over nine patches."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, stride=4)
        self.blocks = nn.Sequential(Attending(), Attending())
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        tokens = self.patches(x).flatten(2).transpose(1, 2)
        return self.head(self.blocks(tokens).mean(1))


def made(kind: type[nn.Module]) -> nn.Module:
    """Return a network with seeded weights."""
    torch.manual_seed(0)
    return kind().eval()


def mixed() -> nn.Module:
    return made(Mixed)


def heads() -> nn.Module:
    return made(Heads)


def tokens() -> nn.Module:
    return made(Tokens)


def loaded(module: nn.Module, **options: Any) -> dif.Network:
    return dif.load_network(module, preprocess="unit", input_shape=SHAPE, **options)


def inputs() -> torch.Tensor:
    """Return all images as the networks get them."""
    pixels = np.concatenate(list(IMAGES.values())).astype(np.float32) / np.float32(255)
    return torch.from_numpy(pixels.transpose(0, 3, 1, 2))


def outputs_of(module: nn.Module, x: torch.Tensor) -> dict[str, np.ndarray]:
    """Return what each module without children gives, by PyTorch's own hooks, the last call of each."""
    given: dict[str, np.ndarray] = {}

    def keep(name: str) -> Any:
        return lambda _, __, output: given.update({name: output.detach().double().numpy()})

    hooks = [part.register_forward_hook(keep(name)) for name, part in module.named_children()]
    with torch.no_grad():
        module(x)
    for hook in hooks:
        hook.remove()
    return given


@once
def partly_without_channels() -> xr.Dataset:
    """Return a result with all its views, one of whose layers has no channels."""
    return measured_quietly(n_units=(5, 20), draws=2, maps={"conv": [1]})


@once
def without_channels() -> xr.Dataset:
    """Return a result of one layer, whose channels are not known."""
    return measured_quietly(layers=["cut"], n_units=(5, 20), draws=2)


def measured_quietly(**options: Any) -> xr.Dataset:
    """Measure `Mixed`; what is said of the call that can't be recorded is another test's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dif.DifferentiaWarning)
        return dif.measure(loaded(mixed(), class_names=CLASSES), IMAGES, **options)
