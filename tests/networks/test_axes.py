"""Which modules tell by their own kind where their channels are; without operations that are followed."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from helpers.networks import load
from torch import nn

from differentia.networks.axes import axis_of_function, axis_of_module
from differentia.networks.base import GRAPHS


class Own(nn.Conv2d):
    """Turns what a convolution gives."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).permute(0, 2, 3, 1)


class Renamed(nn.Conv2d):
    """Computes as its parent."""


class MaxPool2d(nn.Module):
    """Has a name of PyTorch's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mT


@pytest.mark.parametrize(
    ("module", "shape", "expected"),
    [
        (nn.Conv1d(6, 4, 1), (2, 6, 8), 1),
        (nn.Conv2d(6, 4, 1), (2, 6, 8, 8), 1),
        (nn.Conv2d(6, 4, 1), (6, 8, 8), 0),
        (nn.Conv3d(6, 4, 1), (2, 6, 2, 2, 2), 1),
        (nn.ConvTranspose1d(6, 4, 1), (2, 6, 8), 1),
        (nn.ConvTranspose2d(6, 4, 1), (2, 6, 8, 8), 1),
        (nn.ConvTranspose3d(6, 4, 1), (2, 6, 2, 2, 2), 1),
        (nn.LazyConv2d(4, 1), (2, 6, 8, 8), 1),
        (nn.utils.parametrizations.weight_norm(nn.Conv2d(6, 4, 1)), (2, 6, 8, 8), 1),
        (nn.BatchNorm1d(6), (2, 6, 8), 1),
        (nn.BatchNorm2d(6), (2, 6, 8, 8), 1),
        (nn.BatchNorm3d(6), (2, 6, 2, 2, 2), 1),
        (nn.SyncBatchNorm(6), (2, 6, 8, 8), 1),
        (nn.InstanceNorm1d(6), (2, 6, 8), 1),
        (nn.InstanceNorm2d(6), (2, 6, 8, 8), 1),
        (nn.InstanceNorm3d(6), (2, 6, 2, 2, 2), 1),
        (nn.GroupNorm(2, 6), (2, 6, 8, 8), 1),
        (nn.LayerNorm(6), (2, 8, 6), 2),
        (nn.RMSNorm(6), (2, 8, 6), 2),
        (nn.LayerNorm([6, 8, 8]), (2, 6, 8, 8), None),
        (nn.MaxPool2d(2), (2, 6, 8, 8), 1),
        (nn.AdaptiveAvgPool1d(2), (2, 6, 8), 1),
        (nn.FractionalMaxPool3d(2, 1), (2, 6, 2, 2, 2), 1),
        (nn.LPPool2d(2, 2), (2, 6, 8, 8), 1),
        (nn.Upsample(scale_factor=2), (2, 6, 8, 8), 1),
        (nn.PixelShuffle(2), (2, 6, 8, 8), 1),
        (nn.ChannelShuffle(2), (2, 6, 8, 8), 1),
        (nn.Linear(6, 4), (2, 8, 4), 2),
        (nn.Bilinear(6, 6, 4), (2, 8, 4), 2),
        (nn.Embedding(6, 4), (2, 8, 4), 2),
        (nn.LSTM(6, 4), (8, 2, 4), 2),
        (nn.GRUCell(6, 4), (2, 4), 1),
        (nn.TransformerEncoderLayer(6, 2), (8, 2, 6), 2),
        # what depends on what comes in, or gives arrays of several kinds
        *(
            (nn.ReLU(), (2, 6, 8, 8), None),
            (nn.Flatten(2), (2, 6, 64), None),
            (nn.ZeroPad2d(1), (2, 6), None),
        ),
        *((nn.Identity(), (2, 6), None), (nn.Softmax(1), (2, 6), None), (nn.Sequential(), (2, 6), None)),
        (nn.MultiheadAttention(6, 2), (2, 8, 8), None),
        # code of somebody's own
        *(
            (Own(6, 4, 1), (2, 8, 8, 4), None),
            (Renamed(6, 4, 1), (2, 4, 8, 8), 1),
            (MaxPool2d(), (2, 6), None),
        ),
    ],
)
def test_modules_that_tell(module: nn.Module, shape: tuple[int, ...], expected: int | None) -> None:
    """Those of PyTorch whose kind has one place for channels, and no others."""
    assert axis_of_module(module, shape) == expected


class Turned(nn.Module):
    """Maps, then tokens, of which no kind of module tells where the channels are."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.bn = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.BatchNorm2d(4)
        self.flat, self.turn, self.linear = nn.Flatten(2), Turn(), nn.Linear(4, 5)
        self.last = nn.GELU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.bn(self.act(self.conv(x)))
        return self.last(self.linear(self.turn(self.flat(x))))


class Turn(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mT


def test_without_operations_only_kinds_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    """DIFFERENTIA_GRAPHS=0 leaves out what is known by following; what is known is the same."""
    leaves = ("input", "conv", "act", "bn", "flat", "turn", "linear", "last")

    def axes() -> dict[str, int | None]:
        return {layer.name: layer.channel_axis for layer in load(Turned()).layers if layer.name in leaves}

    followed = axes()
    assert followed == dict(zip(leaves, (0, 0, 0, 0, 0, 1, 1, 1), strict=True))
    monkeypatch.setenv(GRAPHS, "0")
    by_kind = axes()
    assert by_kind == dict(zip(leaves, (0, 0, None, 0, None, None, 1, None), strict=True))


def test_without_operations_nothing_private_is_imported() -> None:
    """So that a version of PyTorch that has changed it can be used."""
    script = (
        "import os, sys, torch, differentia as dif\n"
        "for graphs in ('0', '1'):\n"
        f"    os.environ['{GRAPHS}'] = graphs\n"
        "    conv = torch.nn.Conv2d(3, 4, 3)\n"
        "    network = dif.load_network(conv, preprocess='unit', input_shape=(3, 8, 8))\n"
        "    axes = [layer.channel_axis for layer in network.layers]\n"
        "    print(axes, 'differentia.networks.flow' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[0, 0] False\n[0, 0] True\n"


@pytest.mark.parametrize(
    ("name", "ndim", "axis"),
    [
        *(("conv2d", 4, 1), ("conv1d", 3, 1), ("max_pool2d", 3, 0), ("adaptive_avg_pool3d", 5, 1)),
        *(("batch_norm", 4, 1), ("relu", 4, None), ("add", 3, None), ("layer_norm", 3, None)),
    ],
)
def test_functions_that_tell_by_their_name(name: str, ndim: int, axis: int | None) -> None:
    """Convolutions, pools and normalisations of channels; of others nothing is known."""
    assert axis_of_function(name, ndim) == axis
