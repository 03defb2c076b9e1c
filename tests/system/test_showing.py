"""How objects show themselves: short, by what they are, escaped in HTML, and without any work."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.recordings import SETS

import differentia as dif
from differentia.networks.base import Network
from differentia.recording.responses import responses_from_arrays
from differentia.recording.selection import SelectedImage, Selection
from differentia.system.showing import LONGEST, as_html, as_text, listed

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 32, 32), dtype=np.uint8)
SCRIPT = "<script>alert(1)</script>"


def test_a_table_of_facts() -> None:
    """One fact a line, names beside each other; long values and line breaks are cut."""
    facts = {"a": "one\n  two", "long name": "x" * 999}
    title, first, second = as_text("Title", facts).splitlines()
    assert (title, first) == ("Title", "  a:         one two")
    assert second == f"  long name: {'x' * LONGEST}..."
    assert as_text("Title", {}) == "Title"
    page = as_html(SCRIPT, {SCRIPT: SCRIPT})
    assert "<script" not in page
    assert page.count("&lt;script&gt;") == 3
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcdefgh")) == "a, b, c, d, ... (8 in all)"


def shown() -> dict[str, tuple[Any, list[str]]]:
    """Return an object of each kind, and what its text has to say."""
    images = dif.images(np.zeros((5, 8, 8), np.uint8))
    network = dif.load_network("digits")
    responses = dif.record("digits", {"a<b": IMAGES}, pool=5)
    methods = dif.describe_methods(dif.measure_responses(responses, n_units=5, draws=1))
    selection = Selection("cat & dog", (SelectedImage("<i>.png", Path("i"), 0.75, "cat", 0.75),), 9, ())
    return {
        "network": (network, ["TorchNetwork digits", "32 x 32 x 1", "unit", "not looked at yet", "cpu"]),
        "stimuli": (images, ["ArrayStimuli of 5 images", "0, 1, 2, 3, ... (5 in all)"]),
        "noise": (dif.noise(1), ["NoiseStimuli of 1 image\n", "noise:1?kind=uniform"]),
        "responses": (
            responses,
            ["Responses to 3 images", "a<b (3)", "digits", "random", "input, block1_conv1"],
        ),
        "methods": (methods, ["Methods", "Differentiation was measured", "(Harris et al., 2020)"]),
        "reference": (methods.references[0], [f"Reference({methods.references[0].key}: "]),
        "selection": (selection, ["Selection of 1 of 9 images: cat & dog", "<i>.png (0.75)"]),
    }


def test_each_says_what_it_is() -> None:
    """In a few lines, and in HTML without what could be markup."""
    for name, (item, says) in shown().items():
        text, page = repr(item), item._repr_html_()
        for part in says:
            assert part in text, name
        assert len(text) < 1000, name
        assert text.count("\n") < 8, name
        tags = {*re.findall(r"<(\w+)", page)}
        assert tags <= {"div", "strong", "table", "tr", "th", "td", "p"}, name
    assert "&lt;i&gt;.png" in shown()["selection"][0]._repr_html_()


def test_to_be_shown_does_no_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    """Layers are told once they are known."""
    network = dif.load_network("digits")
    with monkeypatch.context() as patched:
        patched.setattr(Network, "look", lambda *_: pytest.fail("a pass was done"))
        assert "not looked at yet" in repr(network)
    assert network.layers
    assert "32, from input to predictions" in repr(network)


def test_responses_at_hand_are_to_stimuli() -> None:
    """No network is named where there was none."""
    arrays = {name: {"V1": np.ones((len(images), 4))} for name, images in SETS.items()}
    text = repr(responses_from_arrays(arrays))
    assert "Responses to 16 stimuli" in text
    assert "network" not in text
