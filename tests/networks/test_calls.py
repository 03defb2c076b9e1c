"""What calls of modules give, and under which names: one for each layer, whatever modules are called."""

from __future__ import annotations

from collections import Counter, OrderedDict, namedtuple
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from helpers.networks import PIXELS, load, record_all
from hypothesis import example, given, settings, strategies as st
from torch import nn

from differentia.networks.calls import Call, Names, parts_of
from differentia.networks.layers import INPUT, PRESETS

Pair = namedtuple("Pair", ["left", "right"])


@dataclass
class Output:
    """What a transformer gives."""

    last: Any
    hidden: Any = None
    missing: Any = field(init=False)


class ModelOutput(OrderedDict[str, Any]):
    """As in the library transformers: a dict that is a dataclass too, and leaves out what is None."""

    def __init__(self, **parts: Any) -> None:
        super().__init__({name: part for name, part in parts.items() if part is not None})
        self.pooled = parts.get("pooled")


class Opaque:
    """Holds an array where nobody looks."""

    def __init__(self) -> None:
        self.array = np.zeros(2)


A, B, C = (np.full(2, number) for number in range(3))
OPAQUE, PACKED = Opaque(), nn.utils.rnn.pack_padded_sequence(torch.ones(2, 3, 4), [3, 2], batch_first=True)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (A, [("", A)]),
        (None, [("", None)]),
        (OPAQUE, [("", OPAQUE)]),
        ("text", [("", "text")]),
        ((A, B), [("[0]", A), ("[1]", B)]),
        ([A], [("[0]", A)]),
        ((), []),
        ({}, []),
        ({"mean": A, 3: B}, [("[mean]", A), ("[3]", B)]),
        ({0: A, "0": B}, [("[0]", A), ("['0']", B)]),
        ({"a\nb": A}, [("['a\\nb']", A)]),
        ((A, (B, {"c": [C]})), [("[0]", A), ("[1][0]", B), ("[1][1][c][0]", C)]),
        ((A, None), [("[0]", A), ("[1]", None)]),
        (Pair(A, (B, C)), [("[left]", A), ("[right][0]", B), ("[right][1]", C)]),
        (Output(A, [B]), [("[last]", A), ("[hidden][0]", B), ("[missing]", None)]),
        (Output, [("", Output)]),
        (ModelOutput(last=A, pooled=None), [("[last]", A)]),
        (dataclass(ModelOutput)(last=A, hidden=(B,)), [("[last]", A), ("[hidden][0]", B)]),
        (OrderedDict(b=A, a=B), [("[b]", A), ("[a]", B)]),
    ],
)
def test_parts(output: Any, expected: list[tuple[str, Any]]) -> None:
    """By key, by the field's name or by number, one after the other; what is no collection is one part."""
    found = list(parts_of(output))
    assert [suffix for suffix, _ in found] == [suffix for suffix, _ in expected]
    assert all(part is other for (_, part), (_, other) in zip(found, expected, strict=True))


def test_parts_of_sequences_of_several_lengths() -> None:
    """They are packed in an order of their own, in which nobody would find an image: no collection."""
    assert list(parts_of(PACKED)) == [("", PACKED)]


def test_a_collection_that_holds_itself() -> None:
    """It is looked into once."""
    output: dict[str, Any] = {"a": A}
    output["self"] = [output]
    assert list(parts_of(output)) == [("[a]", A)]


def test_what_does_nothing() -> None:
    """A module by its class; a sequence by all that it calls; and what calls nothing else is a leaf."""
    nothing, leaf = Call("a", "Dropout", does_nothing=True), Call("b", "Conv2d")
    empty = Call("s", "Sequential", generic=True, children=(nothing, nothing))
    assert (nothing.inert, empty.inert, leaf.inert) == (True, True, False)
    assert Call("s", "Sequential", generic=True).inert  # empty, it gives what it is given
    assert not Call("s", "Sequential", generic=True, children=(nothing, leaf)).inert
    assert not Call("c", "Own", children=(nothing,)).inert  # its own code may do anything
    assert Call("c", "Own", children=(nothing, leaf)).container
    assert not Call("c", "Own", children=(nothing, empty)).container


@pytest.mark.parametrize(
    ("modules", "call", "expected"),
    [
        (["conv"], ("conv", 0, ""), "conv"),
        (["conv"], ("conv", 1, ""), "conv:1"),
        (["conv"], ("conv", 2, "[0][mean]"), "conv:2[0][mean]"),
        (["conv", "conv:1"], ("conv", 0, ""), "conv"),
        (["conv", "conv:1"], ("conv", 1, ""), "conv::1"),
        (["conv", "conv:1"], ("conv:1", 0, ""), "conv:1"),
        (["conv", "conv:1"], ("conv:1", 1, ""), "conv:1::1"),
        (["a", "a:"], ("a", 1, ""), "a:1"),
        (["a", "a:"], ("a:", 1, ""), "a:::1"),
        (["conv", "conv:1", "conv::1"], ("conv", 1, ""), "conv:::1"),
        (["a", "a[0]"], ("a[0]", 0, ""), "a[0]"),
        (["a", "a[0]"], ("a", 0, "[0]"), "a:0[0]"),
        (["a", "a[0]"], ("a", 0, "[1]"), "a[1]"),
        (["a", "a[0]", "a[0][1]"], ("a[0]", 0, "[1]"), "a[0]:0[1]"),
        (["a", "a[0]", "a[0][1]"], ("a", 0, "[0][1]"), "a:0[0][1]"),
        (["a", "a:0[0]", "a[0]"], ("a", 0, "[0]"), "a::0[0]"),
        (["input"], ("input", 0, ""), "input:0"),
        (["input"], ("input", 1, ""), "input:1"),
        (["input", "input:0"], ("input", 0, ""), "input::0"),
        ([":blocks"], (":blocks", 0, ""), ":blocks::0"),
        (["x/"], ("x/", 0, ""), "x/:0"),
        (["x/", "x"], ("x", 0, ""), "x"),
    ],
)
def test_names(modules: list[str], call: tuple[str, int, str], expected: str) -> None:
    """The module's own name, the number of the call, the part; more colons where a module is called so."""
    assert Names(modules).name(*call) == expected


#: Few letters, so that names are often made of others.
NAMES = st.one_of(
    st.text("a:[]01/.", min_size=1, max_size=6),
    st.sampled_from(
        ["a", "a:1", "a[0]", "a[0][1]", "a:0[0]", "a::1", "input:0", "input[0]", INPUT, *PRESETS]
    ),
)
KEYS = st.one_of(st.integers(0, 2).map(str), st.text("a:[]01", max_size=4))
SUFFIXES = st.lists(KEYS, max_size=2).map(lambda keys: "".join(f"[{key}]" for key in keys))


#: Of each call of a module, the parts that it gives.
CALLS = st.lists(st.sets(SUFFIXES, min_size=1), min_size=1, max_size=3)


@settings(deadline=None)
@example({"a": [{""}, {"", "[:0]"}], "a:": [{""}, {""}], "a::": [{""}], "a:::0": [{"[0]"}]})
@given(st.dictionaries(NAMES, CALLS, max_size=5))
def test_no_two_layers_have_one_name(given: dict[str, list[set[str]]]) -> None:
    """Whatever modules are called, however often they are, and whatever they give."""
    names = Names(given)
    calls = [
        (module, nth, suffix)
        for module, calls in given.items()
        for nth, parts in enumerate(calls)
        for suffix in parts
    ]
    found = [names.name(*call) for call in calls]
    assert max(Counter([*found, INPUT, *PRESETS]).values()) == 1
    assert not any(name.endswith("/") for name in found)  # which asks for containers
    for (module, nth, suffix), name in zip(calls, found, strict=True):
        assert name.startswith(module)
        assert name.endswith(suffix)
        confusing = module in (INPUT, *PRESETS) or module.endswith("/")
        assert nth or suffix or (name == module) != confusing  # called once, by its own name


def test_names_of_plain_modules_are_their_own() -> None:
    """The control: with naming that looks at no other module, two layers would have one name."""
    calls = [("conv", 1, ""), ("conv:1", 0, "")]
    plain = [f"{module}:{nth}{suffix}" if nth else module + suffix for module, nth, suffix in calls]
    assert len(set(plain)) == 1
    assert len({Names(["conv", "conv:1"]).name(*call) for call in calls}) == 2


class Twice(nn.Module):
    """Calls modules of any names, the first of them twice."""

    def __init__(self, *names: str) -> None:
        super().__init__()
        self.parts = nn.ModuleDict()
        for number, name in enumerate(names):
            self.parts[name] = Scale(number + 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for part in [*self.parts.values(), next(iter(self.parts.values()))]:
            x = part(x)["out"]
        return x


class Scale(nn.Module):
    """Gives what it is given, times a number, in a dict."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"out": x * self.factor}


def test_layers_of_confusing_modules() -> None:
    """Each is recorded under a name of its own, with the values that are its own."""
    names = ("x", "x:1", "x[out]", "x:1[out]", "input", ":blocks", "x/", "Twice")
    values = record_all(load(Twice(*names)))
    found = [name for name in values if name not in ("input", "Twice")]
    assert found == [
        *("parts.x::0[out]", "parts.x:1::0[out]", "parts.x[out]::0[out]", "parts.x:1[out]::0[out]"),
        *("parts.input[out]", "parts.:blocks::0[out]", "parts.x/[out]", "parts.Twice[out]"),
        "parts.x::1[out]",
    ]
    image = PIXELS.transpose(0, 3, 1, 2) / 255
    product = 1.0
    for name, factor in zip(found, [1, 2, 3, 4, 5, 6, 7, 8, 1], strict=True):
        product *= factor
        np.testing.assert_allclose(values[name], image * product, rtol=1e-5)


def test_a_network_whose_children_have_its_name() -> None:
    """The network's own name is the class's, with as many brackets as tell it from its children."""

    def names(module: nn.Module) -> list[str]:
        return [layer.name for layer in load(module).layers]

    class Net(nn.Sequential):
        def __init__(self, children: dict[str, nn.Module]) -> None:
            super().__init__(OrderedDict(children))

    assert names(Net({"conv": nn.ReLU()})) == ["input", "conv", "Net"]
    assert names(Net({"Net": nn.ReLU()})) == ["input", "Net", "Net()"]
    both = Net({"Net": nn.ReLU(), "Net()": nn.ReLU(), INPUT: nn.ReLU(), ":all": nn.ReLU()})
    assert names(both) == ["input", "Net", "Net()", "input:1", ":all::0", "Net()()"]
