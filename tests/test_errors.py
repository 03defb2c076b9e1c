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
    require_count,
    require_distinct_names,
    require_known,
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
    """The close one is suggested, the known ones are listed, 30 at most."""
    require_known("metric", "a", ["a", "b"])
    with pytest.raises(
        dif.InputError, match=r"unknown metric 'euclid'\. Did you mean 'euclidean'\? Known: euc"
    ):
        require_known("metric", "euclid", ["euclidean", "cosine"])
    with pytest.raises(dif.InputError, match=r"unknown layer 'x'\. Known: l0, .* l29, \.\.\. \(40 in all\)$"):
        require_known("layer", "x", [f"l{number}" for number in range(40)])


def test_names_of_sets_and_layers() -> None:
    """Each is a text of its own, not empty, without control characters."""
    assert require_distinct_names("set", [1, "b"]) == ["1", "b"]
    for names, message in (([1, "1"], "two sets"), ([" "], "empty name"), (["a\n"], "control characters")):
        with pytest.raises(dif.InputError, match=message):
            require_distinct_names("set", names)
    for unseen in ("a\u202eb", "a\u200bb", "\ufeffa", "a\u00adb", "a\u2028b", "\ue000"):
        with pytest.raises(dif.InputError, match="control characters"):
            require_distinct_names("set", [unseen])
    assert has_control_characters("a\0")
    for shown in (
        "na\u00efve \u56fe",
        "\u0646\u0645\u06cc\u200c\u062e\u0648",
        "\U0001f468\u200d\U0001f469\u2764\ufe0f",
    ):
        assert not has_control_characters(shown)


@pytest.mark.parametrize("other", ["cafe\u0301 x", "caf\u00e9  x", "caf\u00e9\u00a0x", "caf\u200d\u00e9 x"])
def test_names_that_look_the_same(other: str) -> None:
    """Unicode writes them in many ways, which the error shows; another accent is another name."""
    name = "caf\u00e9 x"
    with pytest.raises(
        dif.InputError, match=r"two sets have the name 'caf\\xe9 x', or one that looks the same, '"
    ):
        require_distinct_names("set", [name, other])
    with pytest.raises(dif.InputError, match="two sets have the name 'caf\u00e9 x'; give each its own"):
        require_distinct_names("set", [name, name])
    require_distinct_names("set", [name, "cafe\u0300 x", "cafe x", "x\u00b2", "x2"])


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
