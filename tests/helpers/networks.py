"""Small networks with everything that makes recording hard, and plain ways to know what they compute."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

import differentia as dif
from differentia.networks.probes import UnitProbe


class Tricky(nn.Module):
    """In-place operations, a residual sum in place, a module used twice, tuples and dicts."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.block = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.drop = nn.Dropout(0.5)
        self.split = Split()
        self.named = Named()
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute; what is recorded of `conv` and of `block.1` is changed in place right after."""
        x = self.act(self.conv(x))
        identity = x
        out = self.block(x)
        out += identity
        out = self.drop(self.act(out))
        first, (second, _) = self.split(out)
        parts = self.named(first - second)
        return self.head(parts["mean"])

    def by_hand(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return what each call gave, computed without anything in place."""
        values = {"input": x, "conv": self.conv(x)}
        values["act"] = torch.relu(values["conv"])
        values["block.0"] = self.block[0](values["act"])
        values["block.1"] = self.block[1](values["block.0"])
        values["act:1"] = torch.relu(values["block.1"] + values["act"])
        values["drop"] = values["act:1"]
        values["split[0]"], values["split[1][0]"] = values["drop"][:, :4], values["drop"][:, 4:]
        difference = values["split[0]"] - values["split[1][0]"]
        values["named[mean]"] = torch.cat([difference.mean((2, 3)), difference.amax((2, 3))], dim=1)
        values["named[all]"] = difference
        values["head"] = self.head(values["named[mean]"])
        return {name: value.detach().clone() for name, value in values.items()}


class Split(nn.Module):
    """Gives a tuple within a tuple, with a part that is no response."""

    def forward(self, x: torch.Tensor) -> Any:
        """Return both halves of the channels, and their number."""
        return x[:, :4], (x[:, 4:], torch.tensor(4.0))


class Named(nn.Module):
    """Gives a dict."""

    def forward(self, x: torch.Tensor) -> dict[str, Any]:
        """Return summaries over space, and everything."""
        summary = torch.cat([x.mean((2, 3)), x.amax((2, 3))], dim=1)
        return {"mean": summary, "all": x, "index": x.flatten(1).argmax(1)}


def tricky() -> Tricky:
    """Return a seeded `Tricky` whose batch norm has seen data."""
    torch.manual_seed(0)
    module = Tricky()
    with torch.no_grad():
        for _ in range(3):
            module(torch.rand(8, 3, 16, 16))
    return module


def factory(width: int = 5) -> Tricky:
    """Return a network of another width, as a user's own code would."""
    module = tricky()
    module.head = nn.Linear(8, width)
    return module


#: What a spec may name besides a function: a module, and a network that knows its own preprocessing.
module_object = tricky()
ready = dif.load_network(tricky(), preprocess="unit", input_shape=(3, 16, 16))

SHAPE = (3, 16, 16)
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), dtype=np.uint8)
TENSOR = torch.from_numpy(PIXELS.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255))


def load(module: nn.Module, **options: Any) -> dif.Network:
    return dif.load_network(module, **{"preprocess": "unit", "input_shape": SHAPE, **options})


def record_all(network: dif.Network, pixels: np.ndarray = PIXELS) -> dict[str, np.ndarray]:
    """Return everything that a pass gives, in the logical shapes."""
    probes = {layer.name: UnitProbe(np.arange(layer.size), layer.shape) for layer in network.layers}
    shapes = {layer.name: layer.shape for layer in network.layers}
    return {n: v.reshape(-1, *shapes[n]) for n, v in network.record(pixels, probes).items()}
