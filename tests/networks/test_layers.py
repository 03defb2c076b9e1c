"""What a layer says of its units, and which layers are looked at."""

from __future__ import annotations

import numpy as np
import pytest

import differentia as dif
from differentia.networks.layers import Layer, select_layers


@pytest.mark.parametrize(
    ("shape", "axis", "n_channels", "space"),
    [
        ((8, 5, 4), 0, 8, (5, 4)),
        ((5, 4, 8), 2, 8, (5, 4)),
        ((8, 2, 5, 4), 0, 8, (2, 5, 4)),
        ((7, 16), 1, 16, (7,)),
        ((7, 16), 0, 7, (16,)),
        ((7, 16), None, None, (7, 16)),
    ],
)
def test_channels_and_space(
    shape: tuple[int, ...], axis: int | None, n_channels: int | None, space: tuple[int, ...]
) -> None:
    """The channels are on the axis that was found; nothing is made of a shape alone."""
    layer = Layer("a", "Conv2d", shape, "a", channel_axis=axis)
    assert (layer.n_channels, layer.space) == (n_channels, space)
    assert layer.size == np.zeros(shape).size == layer.n_filters * np.zeros(layer.space).size


@pytest.mark.parametrize(("shape", "count"), [((16,), 16), ((), 1)])
def test_the_units_of_a_vector_are_channels(shape: tuple[int, ...], count: int) -> None:
    """There is one axis, or none: each unit is a channel of its own."""
    layer = Layer("a", "Flatten", shape, "a")
    assert (layer.channel_axis, layer.n_channels, layer.space) == (0, count, ())


LAYERS = [
    Layer("input", "Input", (3, 4, 4), "input"),
    Layer("block1_conv", "Conv2d", (8, 4, 4), "block1_conv"),
    Layer("block1", "Block", (8, 4, 4), "block1", container=True),
    Layer("drop", "Dropout", (8, 4, 4), "drop", inert=True),
    Layer("head[0]", "Linear", (5,), "head"),
    Layer("flat", "Flatten", (5,), "flat", inert=True),
]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (None, ["input", "block1_conv", "head[0]", "flat"]),
        (["drop"], ["drop"]),
        (["head[0]", "input"], ["input", "head[0]"]),
        (["block1*"], ["block1_conv"]),
        (["block1", "block1*"], ["block1_conv", "block1"]),
        (["*"], ["input", "block1_conv", "drop", "head[0]", "flat"]),
    ],
)
def test_selection(wanted: list[str] | str | None, names: list[str]) -> None:
    """In the order of computation; containers by name only; inert layers when asked for, or last."""
    assert [layer.name for layer in select_layers(LAYERS, wanted)] == names


def test_selection_of_nothing_is_refused() -> None:
    """A name that is none, a pattern that fits a container only, an empty list."""
    with pytest.raises(dif.InputError, match=r"unknown layer 'blok1_conv'\. Did you mean 'block1_conv'"):
        select_layers(LAYERS, ["blok1_conv"])
    with pytest.raises(dif.InputError, match=r"unknown layer 'bloc\?1'"):
        select_layers(LAYERS, ["bloc?1"])
    with pytest.raises(dif.InputError, match="no layer was asked for"):
        select_layers(LAYERS, [])
