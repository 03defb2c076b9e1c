"""What the blocks of a network are: for each way in which people put them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

import pytest
import torch
from helpers.networks import load
from helpers.zoo import torchvision, transformers_swin
from torch import nn

import differentia as dif
from differentia.networks.blocks import blocks_of
from differentia.networks.calls import Call
from differentia.networks.layers import select_layers


def blocks(module: nn.Module) -> list[str]:
    """Return the names of a network's blocks, and of what is outside of them, without the input."""
    first, *others = select_layers(load(module).layers, [":blocks"])
    assert first.name == "input"
    return [layer.name for layer in others]


class ConvBN(nn.Sequential):
    """A convolution with what belongs to it, as torchvision has it."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU())


class Residual(nn.Module):
    """A block of ResNet."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential(nn.Conv2d(before, after, 1)) if before != after else nn.Identity()
        self.act = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.act(self.bn(self.conv(x)).add_(self.shortcut(x)))


class InPlace(nn.Module):
    """A block of MobileNet: a sequence, to whose output its input is added in place."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.add = before == after
        self.block = nn.Sequential(ConvBN(before, 2 * after), ConvBN(2 * after, after))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.block(x)
        if self.add:
            y += x
        return y


class Branches(nn.Module):
    """A block of Inception."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self.one, self.two = ConvBN(before, 2), nn.Sequential(ConvBN(before, 2), ConvBN(2, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([self.one(x), self.two(x)], 1)


class Smaller(Branches):
    """A block of another class, of the same parts, that is there once."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x[:, :, ::2, ::2])


class Stage(nn.Module):
    """Calls blocks one after another, after a layer that makes the map smaller."""

    def __init__(self, *blocks: nn.Module, first: nn.Module | None = None) -> None:
        super().__init__()
        self.first = nn.Identity() if first is None else first
        self.blocks = nn.ModuleList(blocks)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        for block in self.blocks:
            x = block(x)
        return x


class Merging(nn.Module):
    """Makes a map smaller."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(before, after, 2, 2), nn.BatchNorm2d(after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x))


class EndsInMerging(Stage):
    """Makes the map smaller at the end, and gives what it was before too."""

    def forward(self, x: torch.Tensor) -> Any:
        for block in self.blocks:
            x = block(x)
        return self.first(x), x


class Transformed(nn.Module):
    """A block of MobileViT: it ends in two convolutions, but other blocks are within it too."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first, self.blocks = ConvBN(width, 6), nn.Sequential(Block(), Block())
        self.back, self.last = ConvBN(6, width), ConvBN(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        maps = self.first(x)
        return self.last(self.back(self.blocks(maps.flatten(2).mT).mT.reshape(maps.shape)))


class Dense(nn.Module):
    """A block of DenseNet: each layer sees those before, and all are joined."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([ConvBN(before + 2 * at, 2) for at in range(2)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = torch.cat([x, layer(x)], 1)
        return x


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.proj = nn.Linear(6, 18), nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.qkv(x).chunk(3, -1)
        return self.proj(nn.functional.scaled_dot_product_attention(q, k, v))


class Block(nn.Module):
    """A block of a transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attention, self.again = nn.LayerNorm(6), Attention(), Attention()
        self.mlp = nn.Sequential(nn.Linear(6, 12), nn.GELU(), nn.Linear(12, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm(x))
        return x + self.mlp(x + self.again(x))


class Tokens(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.flatten(2).mT


class Encoder(Stage):
    """Calls what gives several arrays, and goes on with the first."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x)[0]
        return x


class Recursive(nn.Module):
    """Calls another of its own class."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)
        self.inner: nn.Module = Recursive(depth - 1) if depth else nn.Conv2d(3, 3, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.inner(self.conv(x))


HEAD = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Softmax(1))

#: Networks by what they are like, with the names of what is taken.
NETWORKS: dict[str, tuple[Iterable[nn.Module], list[str]]] = {
    "ResNet": (
        (nn.Conv2d(3, 4, 3), nn.Sequential(Residual(4, 4), Residual(4, 4)), nn.Sequential(Residual(4, 6))),
        ["0", "1.0", "1.1", "2.0"],
    ),
    "stages": (
        (Stage(Residual(3, 4), Residual(4, 4)), Stage(Residual(4, 6)), *HEAD),
        ["0.blocks.0", "0.blocks.1", "1.blocks.0", "2", "4"],
    ),
    "stages that begin with another layer": (
        (Stage(Residual(3, 4), Residual(4, 4)), Stage(Residual(6, 6), first=Merging(4, 6)), *HEAD),
        ["0.blocks.0", "0.blocks.1", "1.first.conv", "1.first.norm", "1.blocks.0", "2", "4"],
    ),
    "stages that end in another layer": (
        (
            Encoder(
                EndsInMerging(Residual(3, 4), Residual(4, 4), first=Merging(4, 6)),
                EndsInMerging(Residual(6, 6)),
            ),
            *HEAD,
        ),
        [
            *("0.blocks.0.blocks.0", "0.blocks.0.blocks.1", "0.blocks.0.first.conv", "0.blocks.0.first.norm"),
            *("0.blocks.1.blocks.0", "1", "3"),
        ],
    ),
    "stages of sequences": (
        (Stage(nn.Sequential(Residual(3, 4), Residual(4, 4))), Stage(nn.Sequential(Residual(4, 6))), *HEAD),
        ["0.blocks.0.0", "0.blocks.0.1", "1.blocks.0.0", "2", "4"],
    ),
    "MobileNet": (
        (ConvBN(3, 4), InPlace(4, 4), InPlace(4, 6), InPlace(6, 6), ConvBN(6, 8), *HEAD),
        ["0", "1", "2", "3", "4", "5", "7"],
    ),
    "parts in a sequence": (
        (nn.Sequential(ConvBN(3, 4), ConvBN(4, 4)), InPlace(4, 4), InPlace(4, 6), *HEAD),
        ["0.0", "0.1", "1", "2", "3", "5"],
    ),
    "MobileViT": (
        (Residual(3, 4), Transformed(4), Residual(4, 4), Transformed(4), *HEAD),
        ["0", "1", "2", "3", "4", "6"],
    ),
    "Inception": (
        (ConvBN(3, 4), nn.MaxPool2d(2), Branches(4), Branches(4), Smaller(4), Branches(4), *HEAD),
        ["0", "1", "2", "3", "4", "5", "6", "8"],
    ),
    "DenseNet": (
        (nn.Conv2d(3, 4, 3), Dense(4), Merging(8, 4), Dense(4), Merging(8, 4), *HEAD),
        ["0", "1", "2", "3", "4", "5", "7"],
    ),
    "transformer": (
        (nn.Conv2d(3, 6, 4, 4), Tokens(), Block(), Stage(Block(), Block()), nn.LayerNorm(6)),
        ["0", "1", "2", "3.blocks.0", "3.blocks.1", "4"],
    ),
    "layers of one kind": ((ConvBN(3, 4), ConvBN(4, 4), nn.MaxPool2d(2), *HEAD), ["0", "1", "2", "3", "5"]),
    "one block twice": ((nn.Conv2d(3, 4, 3), *[Residual(4, 4)] * 2, *HEAD), ["0", "1", "1:1", "3", "5"]),
    "recursive": ((nn.Conv2d(3, 3, 1), Recursive(2), nn.ReLU()), ["0", "1", "2"]),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_blocks(name: str) -> None:
    """What people call so: neither the stages that hold them nor the parts that they are made of."""
    modules, expected = NETWORKS[name]
    assert blocks(nn.Sequential(*modules)) == expected


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Sequential(nn.Conv2d(4, 4, 3), nn.ReLU())),
        nn.Sequential(nn.Conv2d(3, 4, 3), Residual(4, 6)),
        nn.Sequential(nn.Sequential(nn.Dropout()), nn.Sequential(nn.Flatten()), nn.LazyLinear(3)),
    ],
)
def test_networks_without_blocks(module: nn.Module) -> None:
    """Nothing repeats but sequences, or what does nothing; the error says so, and what to do."""
    assert not any(layer.block for layer in load(module).layers)
    with pytest.raises(dif.InputError, match=r"no blocks \(layers=':blocks'\).*more than once; name layers"):
        blocks(module)


def test_a_block_that_gives_two_arrays_is_taken_once() -> None:
    """By the first of them."""

    class Two(Residual):
        def forward(self, x: torch.Tensor) -> Any:
            y = super().forward(x)
            return y, y.mean((2, 3))

    names = blocks(nn.Sequential(nn.Conv2d(3, 4, 3), Encoder(Two(4, 4), Two(4, 4)), *HEAD))
    assert names == ["0", "1.blocks.0[0]", "1.blocks.1[0]", "2", "4"]


def timm_mobilevit() -> nn.Module:
    import timm

    return timm.create_model("mobilevit_xxs", pretrained=False)


def two_stages() -> nn.Module:
    return transformers_swin(image_size=64, embed_dim=12, depths=[2, 2], num_heads=[2, 2], window_size=4)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "size", "kinds"),
    [
        (
            lambda: torchvision("mobilenet_v3_small"),
            32,
            "Conv2dNormActivation InvertedResidual*11 Conv2dNormActivation AdaptiveAvgPool2d "
            "Linear Hardswish Linear",
        ),
        (
            lambda: torchvision("inception_v3", init_weights=False),
            96,
            "BasicConv2d*3 MaxPool2d BasicConv2d*2 MaxPool2d InceptionA*3 InceptionB InceptionC*4 InceptionD "
            "InceptionE*2 AdaptiveAvgPool2d Linear",
        ),
        (
            timm_mobilevit,
            64,
            "ConvNormAct BottleneckBlock*5 MobileVitBlock BottleneckBlock MobileVitBlock BottleneckBlock "
            "MobileVitBlock ConvNormAct AdaptiveAvgPool2d Linear",
        ),
        (
            two_stages,
            64,
            "Conv2d LayerNorm SwinLayer*2 LayerNorm Linear SwinLayer*2 LayerNorm AdaptiveAvgPool1d Linear",
        ),
    ],
)
def test_blocks_of_libraries(build: Callable[[], nn.Module], size: int, kinds: str) -> None:
    """A residual added in place; parts that a class has by itself; stages of which one has one part more."""
    network = load(build(), input_shape=(3, size, size))
    found = [layer.kind for layer in select_layers(network.layers, [":blocks"])][1:]
    runs = [(kind, len(list(run))) for kind, run in groupby(found)]
    assert " ".join(f"{kind}*{count}" if count > 1 else kind for kind, count in runs) == kinds


def call(kind: type, *children: Call, **about: Any) -> Call:
    return Call(kind.__name__.lower(), kind.__name__, kind, children=children, **about)


def test_what_does_nothing_is_left_out() -> None:
    """Also in a sequence that holds nothing else; one block alone is none."""
    leaf, nothing = call(nn.Conv2d), call(nn.Dropout, does_nothing=True)
    empty = call(nn.Sequential, nothing, generic=True)
    block = call(Block, leaf, nothing)
    assert blocks_of([nothing, empty, block, block, leaf]) == [block, block, leaf]
    assert blocks_of([call(Block, nothing), call(Block, nothing), leaf]) == []
    assert blocks_of([]) == blocks_of([block, leaf]) == []
