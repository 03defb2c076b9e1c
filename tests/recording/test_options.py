"""The options of a recording: what each takes, and how a call for one kind of units names it."""

from __future__ import annotations

import typing
from typing import Any

import pytest

import differentia as dif
from differentia.recording.options import RecordKeywords, RecordOptions, one_kind
from differentia.system.fields import accept


@pytest.mark.parametrize("function", [dif.measure, dif.record])
def test_one_kind_of_units_is_measured(function: Any) -> None:
    """Several are an error that names the function for them; an unknown keyword is one here too."""
    with pytest.raises(
        dif.InputError, match=r"units is \['top', 'all'\]; expected one kind; `measure_kinds` takes"
    ):
        function("digits", {"a": "noise:3"}, units=("top", "all"))
    with pytest.raises(dif.InputError, match=r"unknown option 'batchsize'\. Did you mean 'batch_size'"):
        function("digits", {"a": "noise:3"}, batchsize=3)


def test_annotations_can_be_resolved() -> None:
    """What completion and other tools read of the keywords."""
    assert typing.get_type_hints(RecordKeywords)["batch_size"] == int | None


def test_one_kind() -> None:
    """Given as a name, or as a tuple of one."""
    assert one_kind(RecordOptions()) == "random"
    assert one_kind(accept(RecordOptions, {"units": "sketch"})) == "sketch"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"memory": "4 apples"}, "^memory: the size of memory is '4 apples'; expected bytes, or a number"),
        ({"layers": []}, r"^layers is \[\]; expected 1 or more of them$"),
        (
            {"layers": ["a", "!:block"]},
            r"^layers: unknown layer ':block'\. Did you mean ':blocks'\? Known: :leaves",
        ),
        ({"layers": [""]}, "^layers is ''; expected a text that is not empty$"),
        ({"units": ["top", "top"]}, "^units: 'top' is given twice; give it once$"),
        (
            {"compile": "yes"},
            r"^compile: unknown compile 'yes'\. Did you mean 'always'\? Known: auto, always, never$",
        ),
        ({"seed": 2**63}, "^seed is 9223372036854775808; expected less than "),
    ],
)
def test_what_can_not_be_recorded_with(given: dict[str, Any], message: str) -> None:
    """The error names the option, what was given, and what is expected."""
    with pytest.raises(dif.InputError, match=message):
        accept(RecordOptions, given)
