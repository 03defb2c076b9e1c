"""The written form of networks and stimuli."""

from __future__ import annotations

import pytest

from differentia.errors import InputError
from differentia.system.specs import in_parentheses, parse_spec, split_nested


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


@pytest.mark.parametrize(
    ("spec", "inner", "options"),
    [
        ("scramble:cats", "cats", ""),
        ("scramble:cats?kind=phase&seed=2", "cats", "kind=phase&seed=2"),
        ("scramble:noise:43?kind=pixels", "noise:43", "kind=pixels"),
        ("scramble:(clip.mp4?every=25)?axis=time", "clip.mp4?every=25", "axis=time"),
        ("scramble:(clip.mp4?every=25)", "clip.mp4?every=25", ""),
        ("scramble:(scramble:(a?b=1)?kind=pixels)?kind=phase", "scramble:(a?b=1)?kind=pixels", "kind=phase"),
        ("scramble:photos (1)/cats?seed=2", "photos (1)/cats", "seed=2"),
        ("scramble:(my) photos (1)?seed=2", "(my) photos (1)", "seed=2"),
        ("scramble:((my) photos)", "(my) photos", ""),
        ("scramble:(/a(b/c?every=2)?seed=1", "/a(b/c?every=2", "seed=1"),
        ("scramble:./(cats", "./(cats", ""),
        ("scramble:a(b?seed=1", "a(b", "seed=1"),
    ],
)
def test_specs_within_specs(spec: str, inner: str, options: str) -> None:
    """What has options of its own stands in parentheses; others are what comes before the first ?."""
    assert split_nested(spec) == ("scramble", inner, options)
    assert split_nested(f"scramble:{in_parentheses(inner)}?{options}") == ("scramble", inner, options)


def test_a_parenthesis_that_is_not_closed() -> None:
    """The error says how to write it, and how a path that begins with one."""
    for spec in ("scramble:(cats", "scramble:(clip.mp4?every=25?axis=time", "scramble:(a(b?c=1)d"):
        with pytest.raises(InputError, match="a parenthesis is not closed; write scramble:") as caught:
            split_nested(spec)
        assert str(caught.value).startswith(f"{spec}: ")
        assert f"scramble:./{spec.removeprefix('scramble:')} for a path" in str(caught.value)


def test_options_behind_a_parenthesis_begin_with_a_question_mark() -> None:
    """An ampersand, or nothing, in its place is an error that says what to write; a path may go on."""
    for behind in ("&axis=time", "axis=time"):
        with pytest.raises(InputError, match=r"write scramble:\(a\.mp4\?fps=1\)\?axis=time$"):
            split_nested(f"scramble:(a.mp4?fps=1){behind}")
    assert split_nested("scramble:(old) a&b=c?seed=1") == ("scramble", "(old) a&b=c", "seed=1")
