"""The errors and the warning: what they say, and what a warning is about, whatever its words."""

from __future__ import annotations

import pickle
import warnings
from typing import get_args

import numpy as np
import pytest

import differentia as dif
from differentia.errors import (
    WarningKind,
    has_control_characters,
    nearest_names,
    require_count,
    require_distinct_names,
    require_known,
    unknown_name,
    warn,
)


def test_a_warning_has_a_kind() -> None:
    """It is told by an attribute, goes with the text into the provenance, and outlives pickling."""
    with pytest.warns(dif.DifferentiaWarning, match="^some words$") as caught:
        kept = warn("left_out", "some words", stacklevel=1)
    assert kept == {"kind": "left_out", "text": "some words"}
    (one,) = caught
    assert isinstance(one.message, dif.DifferentiaWarning)
    assert one.message.kind == "left_out"
    again = pickle.loads(pickle.dumps(one.message))
    assert (again.kind, str(again)) == ("left_out", "some words")


def test_a_warning_without_a_kind_is_another() -> None:
    """As `warnings.warn` makes it of a text and the class."""
    with pytest.warns(dif.DifferentiaWarning) as caught:
        warnings.warn("some words", dif.DifferentiaWarning, stacklevel=1)
    assert caught[0].message.kind == "other"  # type: ignore[union-attr]
    assert "other" in get_args(WarningKind)


def test_the_measure_warns_of_what_is_undefined() -> None:
    """The kind is set where the warning is given."""
    with pytest.warns(dif.DifferentiaWarning) as caught:
        assert np.isnan(dif.differentiation([[1.0, 1.0], [1.0, 1.0]]))
    assert caught[0].message.kind == "undefined"  # type: ignore[union-attr]


def test_unknown_names() -> None:
    """The close one is suggested; the known ones are listed, of many the nearest, in a line that is read."""
    require_known("metric", "a", ["a", "b"])
    with pytest.raises(
        dif.InputError, match=r"unknown metric 'euclid'\. Did you mean 'euclidean'\? Known: euc"
    ):
        require_known("metric", "euclid", ["euclidean", "cosine"])
    with pytest.raises(dif.InputError, match=r"unknown x 'a'\. None is known$"):
        require_known("x", "a", [])
    layers = [f"layer_{number}" for number in range(500)]
    with pytest.raises(
        dif.InputError, match=r"Did you mean 'layer_437'\? Known: layer_437, layer_"
    ) as caught:
        require_known("layer", "layr_437", layers)
    assert str(caught.value).endswith(", ... (500 in all)")
    assert len(str(unknown_name("layer", "x" * 1000, [name * 200 for name in layers]))) < 300


@pytest.mark.parametrize(
    ("given", "nearest"),
    [
        ("VGG-16", ["VGG16", "VGG19"]),
        ("vgg 16", ["VGG16", "VGG19"]),
        ("Very Deep", ["VGG19"]),
        ("top.variance", ["top_variance"]),
        ("quagga", []),
    ],
)
def test_the_nearest_names(given: str, nearest: list[str]) -> None:
    """Case and what parts words do not count, synonyms go first, and what is far is not suggested."""
    known = ["top_variance", "VGG19", "VGG16"]
    assert nearest_names(given, known, {"verydeep": "VGG19", "quagga": "not known"}) == nearest


def test_names_of_sets_and_layers() -> None:
    """Each is a text of its own, not empty, without control characters."""
    assert require_distinct_names("set", [1, " b "]) == ["1", "b"]
    for names, message in (([1, " 1"], "two sets"), ([" "], "empty name"), (["a\n"], "control characters")):
        with pytest.raises(dif.InputError, match=message):
            require_distinct_names("set", names)
    assert has_control_characters("a\0")
    assert not has_control_characters("na\u00efve \u56fe")


@pytest.mark.parametrize("wrong", [0, -1, 1.0, True, "3", None, 2**63])
def test_counts(wrong: object) -> None:
    """Whole numbers from 1, also NumPy's."""
    assert require_count("draws", np.int64(3)) == 3
    with pytest.raises(dif.InputError, match=r"draws is .*; expected a whole number >= 1"):
        require_count("draws", wrong)


@pytest.mark.parametrize("wrong", [-1, 1.5, True, None, 2**63])
def test_seeds(wrong: object) -> None:
    """Whole numbers from 0."""
    assert require_count("seed", 0, least=0) == 0
    with pytest.raises(dif.InputError, match=r"seed is .*; expected a whole number >= 0"):
        require_count("seed", wrong, least=0)
