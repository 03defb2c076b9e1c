"""Networks of the common libraries, against plain hooks: no call is lost, no value wrong.

``docs/networks.md`` is written from these tests: each network has its row, with what was counted.
"""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from helpers.documents import DOCS, script
from helpers.hooked import (
    Axes,
    Hooked,
    by_image,
    channel_axis,
    channel_means,
    flattened,
    floating,
    hooked,
    largest_error,
)
from helpers.hub_folders import silent
from helpers.networks import TENSOR, tricky
from helpers.zoo import NETWORKS, SMALL, Example, photographs
from safetensors.torch import save_file

import differentia as dif
from differentia.networks.layers import Layer

#: Where the counts go that the page is written from.
VARIABLE = "DIFFERENTIA_ZOO"

#: Of the largest value of a layer: two orders of the same float32 sums differ by some 1e-6.
TOLERANCE = 1e-4

#: What a layer's largest value is taken to be at least.
SMALLEST = 1e-6


@dataclass
class Seen:
    """A network, as the hooks and as the package see it."""

    example: Example
    network: dif.Network
    pixels: np.ndarray
    hooked: Hooked

    @cached_property
    def layers(self) -> dict[str, Layer]:
        """The layers by name, found on the images."""
        self.network.look(self.pixels[:2])
        return {layer.name: layer for layer in self.network.layers}

    def recorded(self, units: str, layers: Collection[str]) -> dict[str, np.ndarray]:
        """Return what the package records, by layer."""
        # What is asked for by a name of all, and can't be recorded, is told.
        told = self.network.unrecorded and ":all" in layers
        with pytest.warns(dif.DifferentiaWarning, match="can't be recorded") if told else nullcontext():
            responses = dif.record(
                self.network,
                {"images": self.pixels},
                units=units,
                layers=list(layers),
                batch_size=2,
                crop="squash",  # the images have the size of the input already
                views=False,
            )
        return {layer.name: np.asarray(responses.values[layer.name][:, :]) for layer in responses.layers}

    def errors(self, found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> dict[str, float]:
        """Return how far each layer is from what is expected, as a part of its largest value."""
        assert list(found) == list(expected)
        return {
            name: largest_error(
                found[name], values, max(float(np.abs(self.hooked.values[name]).max()), SMALLEST)
            )
            for name, values in expected.items()
        }


def seen_of(example: Example, folder: Path) -> Seen:
    """Show three images to a network with hooks; the package loads it by its name, where it has one."""
    module, pixels = example.module(), photographs(example.size)
    batch = torch.from_numpy(pixels.transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255))
    named = example.spec.format(weights=saved(example, module, folder)) if example.spec else module
    network = dif.load_network(
        named, preprocess="unit", input_shape=(3, example.size, example.size), device="cpu"
    )
    return Seen(example, network, pixels, hooked(module, batch.contiguous()))


def saved(example: Example, module: Any, folder: Path) -> Path:
    """Return the file of a module's weights, or its folder where its library reads folders."""
    if example.spec.startswith("hf:"):
        with silent():
            module.save_pretrained(folder)
        return folder
    save_file(module.state_dict(), folder / "w.safetensors")
    return folder / "w.safetensors"


EXAMPLES = (*SMALL, *NETWORKS)


@pytest.fixture(
    scope="module",
    params=[pytest.param(one, id=one.name, marks=[pytest.mark.soak] * one.large) for one in EXAMPLES],
)
def seen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """Each network, one after the other."""
    return seen_of(request.param, tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="session")
def counts() -> Iterator[dict[str, dict[str, Any]]]:
    """What is counted of each network, which is written where the page asks for it."""
    counted: dict[str, dict[str, Any]] = {}
    yield counted
    if VARIABLE in os.environ:
        Path(os.environ[VARIABLE]).write_text(json.dumps(counted), encoding="utf-8")


def call_of(output: str) -> str:
    """Return the call that an output is a part of."""
    return output.partition("[")[0]


def unaccounted(seen: Hooked, recorded: Iterable[str], listed: Iterable[str]) -> list[str]:
    """Return the calls and floating outputs that are neither recorded nor listed, or not as often as seen.

    An output that can't be recorded is listed by its own name, or with its whole call.
    """
    recorded, listed = set(recorded), set(listed)
    calls = {call_of(name) for name in recorded | listed} - {"input"}
    wrong = calls ^ set(seen.calls)
    for name in seen.values:
        wrong |= {name} if (name in recorded) == bool({name, call_of(name)} & listed) else set()
    return sorted(wrong | (recorded - set(seen.values)))


def test_every_call_is_recorded_or_listed(seen: Seen) -> None:
    """What the hooks see is what is recorded and what is listed, with a reason; no more, no less."""
    unrecorded = seen.network.unrecorded if seen.layers else ()
    listed = [each.name for each in unrecorded]
    assert len(set(seen.hooked.calls)) == len(seen.hooked.calls)
    assert unaccounted(seen.hooked, seen.layers, listed) == []
    assert [each.name for each in unrecorded if len(each.reason.split()) < 3] == []


def test_all_is_recorded_that_has_an_axis_of_images(seen: Seen) -> None:
    """By what is known of the architecture."""
    possible = [
        name for name in seen.hooked.values if seen.example.architecture.axes_of(name).images is not None
    ]
    assert sorted(seen.layers) == sorted(possible)


def test_shapes(seen: Seen) -> None:
    """Those of one image; and the channels are on the axis that the architecture says, if they are known."""
    for name, layer in seen.layers.items():
        values, axes = seen.hooked.values[name], seen.example.architecture.axes_of(name)
        shape = by_image(values, axes)[0].shape
        assert layer.shape == shape, name
        if layer.channel_axis is None:
            assert layer.n_channels is None, name
        else:
            assert layer.channel_axis == channel_axis(values, axes), name
            assert layer.n_channels == shape[layer.channel_axis], name


def test_blocks(seen: Seen) -> None:
    """What repeats in the architecture is found, all of it; and no block is a part of another."""
    blocks = [name for name, layer in seen.layers.items() if layer.block]
    of_architecture = [
        name for name in seen.layers if re.fullmatch(seen.example.architecture.blocks, call_of(name))
    ]
    assert set(of_architecture) <= set(blocks)
    assert bool(blocks) == bool(of_architecture)
    assert [one for one in blocks for other in blocks if one.startswith(f"{other}.")] == []


def test_every_value_is_right(seen: Seen, counts: dict[str, dict[str, Any]]) -> None:
    """All units of all layers, and the mean of each channel where channels are known."""
    layers = seen.layers
    values, axes = seen.hooked.values, {name: seen.example.architecture.axes_of(name) for name in layers}
    expected = {name: flattened(values[name], axes[name]) for name in layers}
    found = seen.recorded("all", [":all"])
    errors = seen.errors(found, expected)
    known = [name for name, layer in layers.items() if layer.channel_axis is not None]
    means = {name: channel_means(values[name], axes[name]) for name in known}
    of_means = seen.errors(seen.recorded("filter_mean", known), means)
    assert {name: error for name, error in errors.items() if error > TOLERANCE} == {}
    assert {name: error for name, error in of_means.items() if error > TOLERANCE} == {}
    # No layer is so nearly the same for all images that they could be taken for each other.
    others = {name: np.roll(rows, 1, axis=0) for name, rows in found.items()}
    assert min(seen.errors(others, expected).values()) > TOLERANCE
    counts[seen.example.name] = counted(seen, max((*errors.values(), *of_means.values())))


def counted(seen: Seen, error: float) -> dict[str, Any]:
    """Return what the page says of a network."""
    layers = seen.layers.values()
    return {
        "calls": len(seen.hooked.calls),
        "recorded": len({call_of(name) for name in seen.layers} - {"input"}),
        "reasons": Counter(each.reason for each in seen.network.unrecorded),
        "blocks": sum(layer.block for layer in layers),
        "layers": len(layers),
        "known": sum(layer.channel_axis is not None for layer in layers),
        "error": error,
    }


def test_the_page_says_what_is_counted(seen: Seen) -> None:
    """Of the networks that are not too large to be looked at each time; all but the error."""
    writer, example = script("write_networks"), seen.example
    lines = (DOCS / "networks.md").read_text(encoding="utf-8").splitlines()
    rows = {line.split(" | ")[0].removeprefix("| "): line for line in lines if line.startswith("| ")}
    name, told = f"{example.package}: {example.name}", counted(seen, 0.0)
    if example in NETWORKS:
        assert rows[name].split(" | ")[:-1] == [f"| {name}", *writer.row(name, example.size, told)[1:-1]]
        assert writer.why_not(name, told) in ("", *lines)
    else:
        assert name not in rows


# That the tests can fail ----------------------------------------------------------------------------------


def test_the_hooks_see_what_is_computed() -> None:
    """Operations in place, modules that are called twice, tuples and dicts: as computed by hand."""
    module = tricky().eval()
    seen, expected = hooked(module, TENSOR), module.by_hand(TENSOR)
    outputs = {name: values for name, values in seen.values.items() if name in expected}
    assert list(outputs) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(outputs[name], values.numpy(), rtol=1e-5, atol=1e-6)
    assert set(seen.calls) - {call_of(name) for name in expected} == {"block", "Tricky"}


def test_the_hooks_look_into_outputs() -> None:
    """Also into the fields of a dataclass and of a named tuple; what is no float is left out."""

    class Pair(NamedTuple):
        left: Any
        right: Any

    @dataclass
    class Output:
        one: torch.Tensor
        others: list[Any]

    one, other = torch.zeros(2), torch.ones(3, dtype=torch.float64)
    output = Output(one, [torch.tensor(1), {"a": (Pair(None, other), None)}, "b"])
    assert {place: tensor.tolist() for place, tensor in floating(output)} == {
        "[one]": [0, 0],
        "[others][1][a][0][right]": [1, 1, 1],
    }


def test_a_lost_call_is_found() -> None:
    """One that is neither recorded nor listed, that is both, that was not seen, and a part of an output."""
    values = dict.fromkeys(("input", "a", "a:1", "b[0]", "b[1][x]"), np.zeros(1))
    seen = Hooked(("a", "a:1", "b", "c"), values)
    assert unaccounted(seen, ["input", "a", "a:1", "b[0]", "b[1][x]"], ["c"]) == []
    assert unaccounted(seen, ["input", "a", "b[0]"], ["a:1", "b[1][x]", "b[2]", "c"]) == []
    assert unaccounted(seen, ["input", "a", "a:1"], ["b", "c"]) == []
    assert unaccounted(seen, ["input", "a", "b[0]", "b[1][x]"], ["c"]) == ["a:1"]
    assert unaccounted(seen, ["input", "a", "a:1", "b[0]", "b[1][x]"], []) == ["c"]
    assert unaccounted(seen, ["input", "a", "a:1", "b[0]", "b[1][x]"], ["a", "c"]) == ["a"]
    assert unaccounted(seen, ["input", "a", "a:1", "b[0]", "b[1][x]", "d"], ["c"]) == ["d"]
    assert unaccounted(seen, ["input", "a", "a:1", "b[0]"], ["c"]) == ["b[1][x]"]


@pytest.mark.parametrize(
    ("name", "layer", "wrong"),
    [
        ("small ConvNextForImageClassification", "convnext.encoder.stages.0.layers.0.layernorm", Axes(1)),
        ("TransformerEncoder (batch second)", "encoder", Axes(0, images=1)),
        ("LSTM (rows)", "lstm[1][0]", Axes(-1, images=0)),
        ("Conv1d (pixels)", "shuffled", Axes(1, folded=8)),
    ],
)
def test_a_wrong_axis_is_found(tmp_path: Path, name: str, layer: str, wrong: Axes) -> None:
    """Of channels, where both axes are as long; of images; and images that follow one another otherwise."""
    seen = seen_of(next(one for one in EXAMPLES if one.name == name), tmp_path)
    assert layer in seen.layers
    values, right = seen.hooked.values[layer], seen.example.architecture.axes_of(layer)
    found = {kind: seen.recorded(kind, [layer]) for kind in ("all", "filter_mean")}
    for axes in (right, wrong):
        expected = {
            "all": {layer: flattened(values, axes)},
            "filter_mean": {layer: channel_means(values, axes)},
        }
        errors = [seen.errors(found[kind], expected[kind])[layer] for kind in found]
        assert (max(errors) > TOLERANCE) == (axes is wrong), errors
