"""What is said of layers that hold no tokens, or others than those that count."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from helpers.joined import SIZE, joined

import differentia as dif

PIXELS = np.random.default_rng(0).integers(0, 256, (3, SIZE, SIZE, 3), dtype=np.uint8)


def load() -> dif.Network:
    return dif.load_network(joined(), preprocess="unit", input_shape=(3, SIZE, SIZE))


def record(**options: Any) -> dif.Responses:
    return dif.record(load(), {"a": PIXELS}, **options)


def test_layers_that_are_whole_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """Those without tokens in a line, those with others in a warning that the result keeps."""
    caplog.set_level(logging.INFO, "differentia")
    text = (
        "recorded whole, since no class token is known among their tokens: 'patches'; leave out what should "
        "not stand beside other layers with layers= (--layers '!patches')"
    )
    with pytest.warns(dif.DifferentiaWarning) as given:
        found = record(tokens="class")
    assert [str(one.message) for one in given] == [text]
    assert found.provenance["warnings"] == [{"kind": "other", "text": text}]
    assert "Joined: recorded whole, since no tokens are known in them: 'input', 'head'" in caplog.text
    shapes = {layer.name: layer.shape for layer in found.layers}
    cut = ["norm", "encoder.layers.0", "encoder.layers.1"]
    assert shapes == {"input": (3, 64, 64), "patches": (16, 24), "head": (10,)} | dict.fromkeys(cut, (24,))
    assert found.provenance["tokens"] == "class"
    assert found.provenance["token_layers"] == cut


def test_nothing_is_told_where_all_tokens_count(caplog: pytest.LogCaptureFixture) -> None:
    """Nor where every layer has them, or the user left out the one that has not."""
    caplog.set_level(logging.INFO, "differentia")
    found = record()
    assert not {"tokens", "token_layers"} & set(found.provenance)
    record(tokens="mean", layers=["norm", "patches"])
    assert "recorded whole" not in caplog.text
    without = record(tokens="class", layers="!patches")
    assert without.provenance["warnings"] == []
    assert "no tokens are known in them: 'input', 'head'" in caplog.text


def test_layers_without_tokens_alone() -> None:
    """They can't be what was meant; the error names others."""
    with pytest.raises(
        dif.InputError,
        match=r"tokens='class' \(--tokens\): none of the layers to record holds such tokens; leave it out, "
        r"or name layers that do with layers= \(--layers\): 'norm', 'encoder\.layers\.0.*",
    ):
        record(tokens="class", layers=["input", "patches", "head"])
