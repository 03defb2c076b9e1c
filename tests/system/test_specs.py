"""The written form of networks and stimuli."""

from __future__ import annotations

import pytest

from differentia.errors import InputError
from differentia.system.specs import parse_spec


def test_values_become_what_they_look_like() -> None:
    """Numbers, truth values, nothing, tuples; anything else stays text."""
    name, options = parse_spec("keras:X?a=1&b=0.25&c=True&d=none&e=(1, 2)&f=path/to=x.h5&g=1e-3")
    assert name == "keras:X"
    assert options == {"a": 1, "b": 0.25, "c": True, "d": None, "e": (1, 2), "f": "path/to=x.h5", "g": 1e-3}
    assert parse_spec("digits") == ("digits", {})


def test_texts_stay_as_they_are() -> None:
    """Names look like numbers, or hold what separates options; others do not profit from it."""
    _, options = parse_spec("x.h5?dataset=none&every=2&key=a=b&c", texts=["dataset", "key"])
    assert options == {"dataset": "none", "every": 2, "key": "a=b&c"}
    with pytest.raises(InputError, match="'c' has no value"):
        parse_spec("x.h5?key=a&every=2&c", texts=["key"])


@pytest.mark.parametrize("spec", ["x?a", "x?=1", "x?a=1&&b=2"])
def test_options_without_a_value_are_refused(spec: str) -> None:
    """The error repeats the spec."""
    with pytest.raises(InputError, match="has no value"):
        parse_spec(spec)
