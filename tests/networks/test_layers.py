"""What a layer says of its units, and which layers are looked at."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import differentia as dif
from differentia.networks.layers import (
    BLOCKS,
    EVERY,
    LEAVES,
    MOST_LEAVES,
    Layer,
    Unrecorded,
    default_preset,
    missed,
    select_layers,
    wants_operations,
)


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


@pytest.mark.parametrize(
    ("patterns", "wanted"),
    [
        (None, False),
        (["*", "!block*", ":all"], False),
        (["blocks.?/", "!x/"], False),
        ([":operations"], True),
        (["*", "!layer1/*"], True),
        (["layer*/relu*"], True),
        (["inner/layer"], True),  # of a Keras model within a model, which has none
        (["x/y/"], True),
    ],
)
def test_which_patterns_may_be_of_operations(patterns: list[str] | None, wanted: bool) -> None:
    """Those with a slash within, and the preset; at the end a slash stands for containers."""
    assert wants_operations(patterns) is wanted


def test_selection_of_nothing_is_refused() -> None:
    """A name that is none, a pattern that fits a container only, an empty list."""
    with pytest.raises(dif.InputError, match=r"unknown layer 'blok1_conv'\. Did you mean 'block1_conv'"):
        select_layers(LAYERS, ["blok1_conv"])
    with pytest.raises(dif.InputError, match=r"no layer matches 'blokk\?1'; the nearest"):
        select_layers(LAYERS, ["blokk?1"])
    with pytest.raises(dif.InputError, match="no layer was asked for"):
        select_layers(LAYERS, [])


def layer(name: str, kind: str = "Conv2d", **about: Any) -> Layer:
    return Layer(name, kind, (8,), name, **about)


NESTED = [
    layer("input", "Input", block=True),
    layer("stem", block=True),
    layer("blocks.0.conv"),
    layer("blocks.0.act", "ReLU"),
    layer("blocks.0", "Block", container=True, block=True),
    layer("blocks.1.conv"),
    layer("blocks.1", "Block", container=True, block=True),
    layer("blocks", "Sequential", container=True),
    layer("head[logits]", "Linear", block=True),
    layer("head[a]", "Linear"),
    layer("Net", "Net", container=True),
]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (
            [LEAVES],
            ["input", "stem", "blocks.0.conv", "blocks.0.act", "blocks.1.conv", "head[logits]", "head[a]"],
        ),
        ([BLOCKS], ["input", "stem", "blocks.0", "blocks.1", "head[logits]"]),
        ([EVERY], [layer.name for layer in NESTED]),
        ([BLOCKS, "*.act"], ["input", "stem", "blocks.0.act", "blocks.0", "blocks.1", "head[logits]"]),
        (["*/"], ["blocks.0", "blocks.1", "blocks", "Net"]),
        (["blocks*/"], ["blocks.0", "blocks.1", "blocks"]),
        (["blocks.?/"], ["blocks.0", "blocks.1"]),
        (["blocks.[1-9]/"], ["blocks.1"]),
        (["blocks.[!1]/"], ["blocks.0"]),
        (["blocks/"], ["blocks"]),
        (["blocks.*"], ["blocks.0.conv", "blocks.0.act", "blocks.1.conv"]),
        (["blocks.[01].conv"], ["blocks.0.conv", "blocks.1.conv"]),
        (["head[a]"], ["head[a]"]),
        (["head[logits]"], ["head[logits]"]),
        (["head[*]"], ["head[logits]", "head[a]"]),
        (["*[[]a]"], ["head[a]"]),
        (["stem", "st[e]m", "s*"], ["stem"]),
    ],
)
def test_presets_and_patterns(wanted: list[str], names: list[str]) -> None:
    """A slash asks for containers; brackets are those of names, or else hold some characters."""
    assert [found.name for found in select_layers(NESTED, wanted)] == names


def test_brackets_that_are_meant_as_such_are_no_class() -> None:
    """``a[0]`` is the part of a layer, and of the layer ``a0`` only where it fits no such name itself."""
    layers = [layer("a[0]"), layer("a0"), layer("b0"), layer("0")]
    assert [found.name for found in select_layers(layers, ["a[0]"])] == ["a[0]"]
    assert [found.name for found in select_layers(layers, ["*[0]"])] == ["a[0]"]
    assert [found.name for found in select_layers(layers, ["b[0]"])] == ["b0"]


@pytest.mark.parametrize(
    ("kinds", "leaves", "blocks", "expected"),
    [
        (["Conv2d", "Block"], 3, True, LEAVES),
        (["Linear", "Block"], 3, True, LEAVES),
        (["Linear", "ViTAttention"], 3, True, BLOCKS),
        (["LayerNorm", "MultiheadAttention"], 3, True, BLOCKS),
        (["Linear", "ViTAttention"], 3, False, LEAVES),
        (["Conv2d", "ChannelAttention"], 3, True, LEAVES),
        (["Conv2d", "Block"], MOST_LEAVES, True, LEAVES),
        (["Conv2d", "Block"], MOST_LEAVES + 1, True, BLOCKS),
        (["Conv2d", "Block"], MOST_LEAVES + 1, False, LEAVES),
    ],
)
def test_what_is_looked_at_by_default(kinds: list[str], leaves: int, blocks: bool, expected: str) -> None:
    """Leaves; blocks, where there are any, of a transformer or of a network with too many leaves."""
    kind, block = kinds
    layers = [layer(f"leaf{number}", kind) for number in range(leaves - 1)]
    layers += [layer(f"drop{number}", "Dropout", inert=True) for number in range(MOST_LEAVES)]
    layers += [layer("block", block, container=True, block=blocks), layer("head", block=True)]
    assert default_preset(layers) == expected
    assert select_layers(layers, None) == select_layers(layers, [expected])


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (["!blocks.*"], ["input", "stem", "head[logits]", "head[a]"]),
        ([BLOCKS, "!blocks.1"], ["input", "stem", "blocks.0", "head[logits]"]),
        (["!head[a]", "head*"], ["head[logits]"]),
        ([EVERY, "!*/", "!*.*"], ["input", "stem", "head[logits]", "head[a]"]),
    ],
)
def test_what_is_left_out(wanted: list[str], names: list[str]) -> None:
    """After an exclamation mark, from what is named, or from what is taken by default."""
    assert {found.name for found in select_layers(NESTED, wanted) if not found.inert} == set(names)


def test_patterns_that_fit_containers_only() -> None:
    """The error says how those are asked for; what is left out has to be there too."""
    with pytest.raises(dif.InputError, match=r"'blocks\.\?' fits containers only: write 'blocks\.\?/'"):
        select_layers(NESTED, ["blocks.?"])
    with pytest.raises(dif.InputError, match="no layer matches 'blok"):
        select_layers(NESTED, ["!blok*"])


def test_patterns_of_operations_that_modules_do() -> None:
    """The error says what takes the modules; a pattern that fits neither says nothing of them."""
    layers = [layer("layer1.0.conv1"), layer("layer1.0.relu"), layer("layer1.0", container=True)]
    with pytest.raises(dif.InputError, match=r"^no operation matches .*modules do: write 'layer\*\.relu\*'$"):
        select_layers(layers, ["layer*/relu*"])
    with pytest.raises(dif.InputError, match=r"^no layer matches 'layer\*/gelu'"):
        select_layers(layers, ["layer*/gelu"])


UNRECORDED = [
    Unrecorded("tokens", "Own", "it gives nothing"),
    Unrecorded("blocks.2", "Block", "it has no units", container=True, block=True),
    Unrecorded("drop", "Dropout", "it gives nothing", inert=True),
    Unrecorded("head[index]", "Linear", "it gives numbers of the type int64", beside=True),
]


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (None, ["tokens"]),
        ([LEAVES], ["tokens"]),
        ([BLOCKS], ["blocks.2"]),
        ([EVERY], ["tokens", "blocks.2", "drop"]),
        (["*"], ["tokens", "drop"]),
        (["blocks.*/"], ["blocks.2"]),
        (["blocks.*"], []),
        (["stem", "t*"], ["tokens"]),
        (["head[index]"], []),
    ],
)
def test_what_is_missed(wanted: list[str] | None, names: list[str]) -> None:
    """What would have been taken, had it given anything; not what stands beside a part that is recorded."""
    assert [call.name for call in missed(UNRECORDED, NESTED, wanted)] == names


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (["*/", "!blocks.2/", "!Net"], ["blocks.0", "blocks.1", "blocks"]),
        (["stem", "!tok*"], ["stem"]),
    ],
)
def test_what_can_not_be_recorded_can_be_left_out(wanted: list[str], names: list[str]) -> None:
    """So that nothing is said of it; what is not there at all is an error."""
    assert [layer.name for layer in select_layers(NESTED, wanted, UNRECORDED)] == names
    assert missed(UNRECORDED, NESTED, wanted) == []
    with pytest.raises(dif.InputError, match="no layer matches 'none"):
        select_layers(NESTED, [*wanted, "!none*"], UNRECORDED)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("tokens", r"layer 'tokens' can't be recorded: it gives nothing; leave it out of layers="),
        ("tok*", r"layer 'tokens' can't be recorded: it gives nothing"),
        ("blocks.2", r"layer 'blocks.2' can't be recorded: it has no units"),
        ("blocks.2/", r"layer 'blocks.2' can't be recorded: it has no units"),
        ("head[index]", r"layer 'head\[index\]' can't be recorded: it gives numbers"),
        ("blocs.0/", r"unknown container 'blocs\.0'\. Did you mean 'blocks\.0'"),
        ("stemm", r"unknown layer 'stemm'\. Did you mean 'stem'"),
        ("stem/", r"unknown container 'stem'"),
        (":block", r"unknown layer ':block'\. Did you mean ':blocks'"),
        (":leafs", r"unknown layer ':leafs'\. Did you mean ':leaves'"),
        (
            "leaves",
            r"unknown layer 'leaves'\. Did you mean ':leaves'\? Known: :leaves, :blocks, :all, :operations$",
        ),
        ("all", r"unknown layer 'all'\. Did you mean ':all'"),
        ("blocks.", r"unknown layer 'blocks\.'\. Did you mean 'blocks\.\*'"),
        ("blo", r"unknown layer 'blo'\. Did you mean 'blo\*'"),
        ("block/", r"unknown container 'block'\. Did you mean 'block\*/'"),
        ("blocs*", r"no layer matches 'blocs\*'; the nearest names begin with block\. Known: input"),
        ("*.9", r"no layer matches '\*\.9'\. Known: "),
    ],
)
def test_what_is_not_found(wanted: str, message: str) -> None:
    """The error says why a layer can't be recorded, or which one was meant."""
    with pytest.raises(dif.InputError, match=message):
        select_layers(NESTED, ["stem", wanted], UNRECORDED)


def test_a_beginning_is_told_apart_from_longer_ones() -> None:
    """The pattern that is told takes what was meant."""
    layers = [layer(name) for name in ("block1_conv", "block1_relu", "block10_conv")]
    for given, told in {"block1": "block1_*", "!block1": "block1_*", "bloc": "bloc*"}.items():
        with pytest.raises(dif.InputError, match=rf"Did you mean '{re.escape(told)}'\?"):
            select_layers(layers, [given])
    assert len(select_layers(layers, ["block1_*"])) == 2


def test_no_blocks() -> None:
    """The error says so, and what to do, also where the whole input is a block in name."""
    layers = [layer("input", "Input"), layer("conv")]
    with pytest.raises(
        dif.InputError, match=r"there are no blocks \(layers=':blocks'\).*name layers, or leave"
    ):
        select_layers(layers, [BLOCKS])
    with pytest.raises(dif.InputError, match="no layer was asked for"):
        select_layers(layers, [])
