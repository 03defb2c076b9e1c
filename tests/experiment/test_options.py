"""Options: declared once as fields, from which everything else that knows them is made."""

from __future__ import annotations

import inspect
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import differentia as dif
from differentia.experiment.options import AllKeywords, AllKindsKeywords, MeasureKeywords, MeasureOptions
from differentia.recording.options import RecordKeywords, RecordOptions
from differentia.results import intervals
from differentia.system.fields import accept, options_of

#: Public functions, what they take beside options, the classes of those, and the TypedDict of type checkers.
FUNCTIONS: list[tuple[Any, set[str], tuple[type, ...], Any]] = [
    (dif.record, {"network", "sets"}, (RecordOptions,), RecordKeywords),
    (dif.measure, {"network", "sets"}, (MeasureOptions, RecordOptions), AllKeywords),
    (dif.measure_kinds, {"network", "sets", "kinds"}, (MeasureOptions, RecordOptions), AllKindsKeywords),
    (
        dif.measure_responses,
        {"responses", "pool", "seed", "memory", "progress", "client"},
        (MeasureOptions,),
        MeasureKeywords,
    ),
]

if TYPE_CHECKING:  # Mypy knows the keywords: an ignore that were not needed would be an error of `make lint`
    dif.measure(
        "digits", {}, n_units=5, draws=3, units="top", metric="cosine", memory="4GB", layers=["input"]
    )
    dif.measure("digits", {}, n_unit=5)  # type: ignore[call-arg]
    dif.measure("digits", {}, draws="3")  # type: ignore[arg-type]
    dif.measure_kinds("digits", {}, kinds=("top",), units="top")  # type: ignore[call-arg]
    dif.measure_responses({}, batch_size=3)  # type: ignore[call-arg]
    dif.record("digits", {}, pool="all")  # type: ignore[arg-type]


@pytest.mark.parametrize(("function", "others", "classes", "keywords"), FUNCTIONS)
def test_everything_that_knows_the_options_agrees(
    function: Any, others: set[str], classes: tuple[type, ...], keywords: Any
) -> None:
    """Fields, TypedDict, signature with its defaults, and the entries of the docstring."""
    known = options_of(*classes)
    signature = inspect.signature(function).parameters
    left_out = {"units"} if "kinds" in others else set()
    assert set(signature) - others == set(keywords.__annotations__) == set(known) - left_out
    assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.values())
    for name in set(known) - left_out:
        default = "random" if name == "units" else known[name].default
        assert signature[name].default == default, name
        assert signature[name].annotation == keywords.__annotations__[name].__forward_arg__, name
    documented = str(function.__doc__).partition("Parameters\n")[2].partition("\n\n")[0]
    names = [line.partition(" : ")[0] for line in documented.splitlines()[1:] if not line.startswith(" ")]
    assert [name for entry in names for name in entry.split(", ")] == list(signature)
    assert "{options}" not in str(function.__doc__)


def test_every_option_is_told() -> None:
    """In docstring and help, in sentences that end."""
    for name, option in options_of(MeasureOptions, RecordOptions).items():
        assert option.entry.splitlines()[1].strip(), name
        assert option.entry.endswith("."), name
        if option.choice:
            assert option.choice.listed in option.help
        elif name not in ("store", "client", "progress"):
            assert option.help.endswith("."), name
            assert len(option.help) > 10, name


def test_defaults_are_what_the_fields_allow() -> None:
    """Every default passes its own check; the intervals' are those of `with_intervals`."""
    for options in (MeasureOptions, RecordOptions):
        assert accept(options, vars(options())) == options()
    assert MeasureOptions().confidence == intervals.CONFIDENCE


def test_numbers_of_numpy_and_lists_are_taken() -> None:
    """As Python's own, in tuples; numbers of units ascend; options can't be changed."""
    given = {"n_units": np.array([50, 5]), "draws": np.int64(3), "confidence": np.float64(0.9)}
    options = accept(MeasureOptions, given)
    assert options == MeasureOptions(n_units=(5, 50), draws=3, confidence=0.9)
    assert {type(number) for number in options.n_units or ()} == {int}
    maps = {"conv": np.array([1]), "act": 2}
    recording = accept(RecordOptions, {"layers": "*", "maps": maps, "units": ["top", "all"]})
    assert recording == RecordOptions(("top", "all"), layers=("*",), maps={"conv": (1,), "act": (2,)})
    with pytest.raises(FrozenInstanceError):
        options.draws = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n_unit": 5}, r"^unknown option 'n_unit'. Did you mean 'n_units'\? Known: n_units, draws, "),
        ({"draws": "3"}, "^draws is '3'; expected a whole number$"),
        ({"draws": True}, "^draws is True; expected a whole number$"),
        (
            {"draws": 0, "metric": "euclid"},
            "^draws is 0; expected at least 1; metric: unknown metric 'euclid'",
        ),
        ({"draws": 100_001}, "^draws is 100001; expected at most 100,000$"),
        ({"n_units": (5, 5)}, "^n_units: 5 is given twice; give it once$"),
        ({"n_units": ["many"]}, "^n_units is 'many'; expected a whole number$"),
        ({"confidence": 1}, "^confidence is 1; expected less than 1"),
        ({"reference": 3}, "^reference: is 3; expected the name of a set, or those of sets by name$"),
    ],
)
def test_what_can_not_be_an_option(given: dict[str, Any], message: str) -> None:
    """The error names it, what was given, and what is expected."""
    with pytest.raises(dif.InputError, match=message):
        accept(MeasureOptions, given)
