"""What is said of the layers that are recorded where none are named."""

from __future__ import annotations

import logging

import pytest
from helpers.odd_networks import IMAGES, heads, loaded, tokens
from torch import nn

import differentia as dif
from differentia.networks.layers import BLOCKS, MOST_LEAVES, default_preset
from differentia.recording.presets import blocks_in_words, default_in_words


class Residual(nn.Module):
    """A block of `width` layers, and a sum."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.parts = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(width)))

    def forward(self, x):  # type: ignore[no-untyped-def]
        return x + self.parts(x)


def test_attention_is_told() -> None:
    """The blocks and what stands around them are recorded, and the way back is said with its number."""
    layers = loaded(tokens()).layers
    assert default_preset(layers) == BLOCKS
    leaves = [layer for layer in layers if not layer.container]
    assert default_in_words(layers) == (
        "blocks (:blocks), because the network has attention, and its leaves give parts of sums that blocks "
        f"give whole; --layers :leaves takes its {len(leaves)} leaves"
    )
    assert blocks_in_words(layers) == (
        "blocks are recorded, because the network has attention, and its leaves give parts of sums that "
        f"blocks give whole; --layers :leaves (layers=':leaves') records its {len(leaves)} leaves"
    )


def test_very_many_leaves_are_told() -> None:
    """Just above the limit the number is the reason; just below leaves are recorded, and blocks offered."""
    half = MOST_LEAVES // 2
    few, many = (loaded(nn.Sequential(Residual(width), Residual(width))).layers for width in (half - 1, half))
    count = 2 * half + 1  # the input is one
    reason = f"because the network has {count} leaves, more than {MOST_LEAVES}"
    assert default_in_words(many) == f"blocks (:blocks), {reason}; --layers :leaves takes its {count} leaves"
    assert reason in blocks_in_words(many)
    assert default_in_words(few) == (
        "leaves (:leaves): what computes, and is made of nothing else that does; --layers :blocks takes its "
        "2 blocks and what stands around them"
    )
    assert blocks_in_words(few) == ""


def test_nothing_is_offered_that_is_not_there() -> None:
    """Of a network without blocks none are spoken of."""
    layers = loaded(heads()).layers
    said = default_in_words(layers)
    assert said == "leaves (:leaves): what computes, and is made of nothing else that does"
    assert blocks_in_words(layers) == ""


@pytest.mark.parametrize("layers", [None, ":leaves", "blocks.0"])
def test_a_run_says_once_that_it_records_blocks(caplog: pytest.LogCaptureFixture, layers: str | None) -> None:
    """One line with the way back, unless layers were named."""
    network = loaded(tokens())
    with caplog.at_level(logging.INFO, "differentia"):
        responses = dif.record(network, IMAGES, layers=layers, pool=5)
    said = [text for text in caplog.messages if "blocks are recorded" in text]
    assert said == ([f"Tokens: {blocks_in_words(network.layers)}"] if layers is None else [])
    blocks = ["input", "patches", "blocks.0", "blocks.1", "head"]
    assert ([layer.name for layer in responses.layers] == blocks) is (layers is None)
