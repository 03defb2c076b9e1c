"""What a layer says of its units, and which layers are looked at."""

from __future__ import annotations

import numpy as np
import pytest

import differentia as dif
from differentia.networks.layers import Layer, select_layers


@pytest.mark.parametrize(
    ("shape", "channels_first", "axis", "n_filters", "space"),
    [
        ((8, 5, 4), True, 0, 8, (5, 4)),
        ((5, 4, 8), False, 2, 8, (5, 4)),
        ((8, 2, 5, 4), True, 0, 8, (2, 5, 4)),
        ((2, 5, 4, 8), False, 3, 8, (2, 5, 4)),
        ((7, 16), True, 1, 16, (7,)),
        ((7, 16), False, 1, 16, (7,)),
        ((16,), True, 0, 16, ()),
        ((16,), False, 0, 16, ()),
        ((), True, 0, 1, ()),
        ((), False, 0, 1, ()),
    ],
)
def test_filters_and_space(
    shape: tuple[int, ...], channels_first: bool, axis: int, n_filters: int, space: tuple[int, ...]
) -> None:
    """The filter axis of maps is where the framework has it, of tokens and vectors it is the last."""
    layer = Layer("a", "Conv2d", shape, "a", channels_first=channels_first)
    assert (layer.filter_axis, layer.n_filters, layer.space) == (axis, n_filters, space)
    assert layer.size == np.zeros(shape).size == layer.n_filters * np.zeros(layer.space).size


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
