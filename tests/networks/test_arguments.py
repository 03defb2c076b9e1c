"""What a network is called with, where that is more than a batch of images, or something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.hooked import hooked
from torch import nn

import differentia as dif

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), dtype=np.uint8)
BATCH = torch.from_numpy(PIXELS.transpose(0, 3, 1, 2).copy()).float() / 255


class Two(nn.Module):
    """Takes images and a text; its parts are the same whatever it takes them as."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 3)
        self.words = nn.Embedding(7, 4)
        self.norm = nn.LayerNorm(4)

    def both(self, images: torch.Tensor, text: torch.Tensor) -> Any:
        return self.norm(self.conv(images).mean((2, 3)) + self.words(text).mean(1))


class ByPlace(Two):
    def forward(self, images: torch.Tensor, text: torch.Tensor) -> Any:
        return self.both(images, text)


class ByName(Two):
    def forward(self, *, pixel_values: torch.Tensor, input_ids: torch.Tensor | None = None) -> Any:
        return self.both(pixel_values, input_ids if input_ids is not None else text_for(pixel_values))


class OfDictionary(Two):
    def forward(self, given: dict[str, torch.Tensor]) -> Any:
        return self.both(given["images"], given["text"])


class Text(Two):
    """As a whole CLIP, it takes the text first; both may be left out."""

    def forward(self, input_ids: Any = None, pixel_values: Any = None) -> Any:
        return self.both(pixel_values, self.words.weight.new_zeros(1, 1).long() + input_ids)


class Within(nn.Module):
    """A network that forgets an argument of one of its parts."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = ByPlace()

    def forward(self, images: torch.Tensor) -> Any:
        return self.inner(images)


def text_for(batch: torch.Tensor) -> torch.Tensor:
    return torch.tensor([[1, 5, 3]], device=batch.device).expand(len(batch), -1)


#: Networks, and what of a batch they are called with.
CALLS: dict[type[Two], Callable[[torch.Tensor], Any]] = {
    ByPlace: lambda batch: (batch, text_for(batch)),
    ByName: lambda batch: {"pixel_values": batch, "input_ids": text_for(batch)},
    OfDictionary: lambda batch: ({"images": batch, "text": text_for(batch)},),
    Text: lambda batch: (text_for(batch), batch),
}


def load(module: nn.Module, **options: Any) -> dif.Network:
    return dif.load_network(module, preprocess="unit", input_shape=(8, 8, 3), **options)


@pytest.mark.parametrize("compile", ["never", "always"])
@pytest.mark.parametrize("kind", CALLS)
def test_a_function_makes_what_a_network_is_called_with(kind: type[Two], compile: str) -> None:
    """The values are those that plain hooks see, in the own pass and in a compiled graph."""
    network = load(kind(), forward=CALLS[kind])
    layers = ["input", "conv", "words", "norm"]
    recorded = dif.record(network, {"a": PIXELS}, units="all", layers=layers, compile=compile)
    expected = hooked_with(kind(), CALLS[kind])
    assert recorded.provenance["compiled"] == (compile == "always")
    assert "test_arguments.<lambda>" in recorded.provenance["forward"]
    for name in layers:
        found = np.asarray(recorded.values[name]).reshape(expected[name].shape)
        np.testing.assert_allclose(found, expected[name], rtol=1e-5, atol=1e-6, err_msg=name)
    other = load(kind(), forward=lambda batch: CALLS[kind](batch.flip(1)))
    values = np.asarray(dif.record(other, {"a": PIXELS}, units="all", layers=["conv"]).values["conv"])
    assert not np.allclose(values.reshape(expected["conv"].shape), expected["conv"], atol=1e-3)


def hooked_with(module: nn.Module, forward: Callable[[torch.Tensor], Any]) -> dict[str, np.ndarray]:
    class Called(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = module

        def forward(self, batch: torch.Tensor) -> Any:
            given = forward(batch)
            return self.inner(**given) if isinstance(given, dict) else self.inner(*given)

    values = hooked(Called().eval(), BATCH).values
    return {name.removeprefix("inner."): value for name, value in values.items()}


@pytest.mark.parametrize(
    ("kind", "takes"), [(ByPlace, "images, text"), (ByName, "pixel_values")], ids=["by place", "by name"]
)
def test_several_inputs_are_told_before_a_pass(kind: type[Two], takes: str) -> None:
    """In one line that names what helps."""
    with pytest.raises(dif.InputError, match=rf"its forward takes {takes}; expected one batch.*forward=func"):
        load(kind())


class OfAttributes(Two):
    def forward(self, given: Any) -> Any:
        return self.both(given.images, given.text)


class OfShortKeys(Two):
    def forward(self, given: Any) -> Any:
        return self.both(given["x"], given["y"])


@pytest.mark.parametrize("kind", [Text, Within, OfDictionary, OfShortKeys, OfAttributes])
def test_what_shows_in_a_pass_only(kind: type[nn.Module]) -> None:
    """Text that may be left out, an argument that is missing further in, no dictionary; else no hint."""
    with pytest.raises(
        dif.RecordingError, match=r"pass of .* failed: .*; give load_network\(\.\.\., forward="
    ):
        load(kind()).layers  # noqa: B018 - for which it looks
    with pytest.raises(dif.RecordingError) as raised:
        load(nn.Sequential(nn.Conv2d(4, 3, 3))).layers  # noqa: B018
    assert "forward=" not in str(raised.value)
    with pytest.raises(dif.RecordingError) as raised:
        load(Text(), forward=lambda batch: batch).layers  # noqa: B018
    assert "forward=" not in str(raised.value)


def test_what_is_no_function() -> None:
    """Is refused; so is a function for a network that was loaded."""
    with pytest.raises(dif.InputError, match="forward is 'x'; expected a function"):
        load(ByPlace(), forward="x")
    loaded = load(ByPlace(), forward=CALLS[ByPlace])
    assert dif.load_network(loaded) is loaded
    with pytest.raises(dif.InputError, match=r"this network was loaded already; leave out forward$"):
        dif.load_network(loaded, forward=CALLS[ByPlace])


def test_modules_that_take_images_alone_pass() -> None:
    """Whatever their signature says beside."""

    class Optional(nn.Conv2d):
        def forward(self, x: torch.Tensor, mask: Any = None, *others: Any, scale: float = 1.0) -> Any:
            return scale * super().forward(x)

    class Anything(nn.Conv2d):
        def forward(self, *given: Any) -> Any:
            return super().forward(*given)

    for module in (Optional(3, 4, 3), Anything(3, 4, 3)):
        assert [layer.shape for layer in load(module).layers][-1] == (4, 6, 6)
