"""Fields of options: what they take, what is told of them, and the functions that are made from them."""

# ruff: noqa: RUF009 - option() makes a dataclass's field

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import numpy as np
import pytest
from pydantic import Field, ValidationError

import differentia as dif
from differentia.errors import InputError
from differentia.experiment.options import MeasureOptions
from differentia.recording.options import RecordOptions
from differentia.system.choices import CROP
from differentia.system.fields import (
    DISTINCT,
    SEVERAL,
    Count,
    Share,
    Text,
    Whole,
    accept,
    as_toml,
    model_of,
    option,
    options_of,
    problems,
    takes,
    value_of,
)


@dataclass(frozen=True)
class Own:
    """Options of this test."""

    counts: Annotated[tuple[Count, ...], SEVERAL, DISTINCT] = option((5,), "How many", typed=", with commas")
    crop: Annotated[str, CROP] = option("squash", "How it fits", doc=" into the frame")
    seed: Whole = option(0, "Where it begins", metavar="SEED")


class Others(TypedDict, total=False):
    """The keywords of a function of these options."""

    counts: tuple[int, ...]
    seed: int


def test_options_are_accepted() -> None:
    """With their defaults; lists, single values and NumPy's numbers as tuples of Python's."""
    assert accept(Own, {}) == Own((5,), "squash", 0)
    assert accept(Own, {"counts": np.int64(3), "crop": "center"}) == Own((3,), "center", 0)
    accepted = accept(Own, {"counts": np.array([3, 1])}).counts
    assert accepted == (3, 1)
    assert {type(count) for count in accepted} == {int}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"count": 3}, r"^unknown option 'count'\. Did you mean 'counts'\? Known: counts, crop, seed$"),
        ({"counts": [3, 0]}, "^counts is 0; expected at least 1$"),
        ({"counts": [3, 3]}, "^counts: 3 is given twice; give it once$"),
        ({"seed": -1, "crop": "middle"}, "^crop: unknown crop 'middle'.*; seed is -1; expected at least 0$"),
        ({"seed": 1.5}, "^seed is 1.5; expected a whole number$"),
    ],
)
def test_what_is_no_option(given: dict[str, Any], message: str) -> None:
    """Everything that is wrong is said at once."""
    with pytest.raises(dif.InputError, match=message):
        accept(Own, given)


def test_what_is_told_of_an_option() -> None:
    """In the help: its text, what can be chosen, what stands for its value. In a docstring: an entry."""
    counts, crop, seed = options_of(Own).values()
    assert counts.help == "How many, with commas."
    assert crop.help == "How it fits: squash (change the proportions) | center (cut the ends off)"
    assert [one.placeholder for one in (counts, crop, seed)] == ["N,N,...", "NAME", "SEED"]
    assert crop.entry == 'crop : {"squash", "center"}\n    How it fits into the frame.'
    assert seed.entry == "seed\n    Where it begins."


def test_a_function_takes_options() -> None:
    """Its signature and docstring name those that its keywords have."""

    @takes(Own, keywords=Others)
    def function(first: int, **given: Any) -> None:
        """Do nothing.

        {options}
        """

    assert str(inspect.signature(function)).startswith(
        "(first: 'int', *, counts: 'tuple[int, ...]' = (5,), seed"
    )
    assert str(function.__doc__).splitlines()[2:] == [
        "counts",
        "    How many.",
        "seed",
        "    Where it begins.",
    ]


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Count, "3", 3),
        (Share, "0.5", 0.5),
        (tuple[Whole, ...], "0, 2,1", (0, 2, 1)),
        (Annotated[str, CROP], " center ", "center"),
        (tuple[Text, ...], " a b , c", ("a b", "c")),
    ],
)
def test_texts_of_the_command_line(kind: Any, text: str, value: Any) -> None:
    """Numbers are read; commas part several."""
    assert value_of(kind, text) == value


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        (Count, "0", "^'0'; expected at least 1$"),
        (Count, "many", "^'many'; expected a whole number$"),
        (Share, "nan", "^'nan'; expected "),
        (tuple[Whole, ...], "0,-1", "^'0,-1' holds '-1'; expected at least 0$"),
        (Annotated[str, CROP], "middle", "^unknown crop 'middle'"),
        (Count, "10k", "^'10k'; expected a whole number: write 10000$"),
        (Count, "1.5M", ": write 1500000$"),
        (Count, "1e4", ": write 10000$"),
        (Count, "1.5", "^'1.5'; expected a whole number$"),
        (Count, "2,000", ": write 2000$"),
        (Count, "1e999999", "^'1e999999'; expected a whole number$"),
        (tuple[Count, ...], "200,1k", "^'200,1k' holds '1k'; expected a whole number: write 1000$"),
        (tuple[Count, ...], "10,000", "^'10,000' holds '000'; expected at least 1: write 10000$"),
        (tuple[Count, ...], "10,0", "^'10,0' holds '0'; expected at least 1$"),
        (Share, "95", "^'95'; expected at most 1: write 0.95$"),
        (Share, "95%", "^'95%'; expected a number: write 0.95$"),
        (Share, "950", "^'950'; expected at most 1$"),
        (Annotated[float, Field(lt=5)], "95", "^'95'; expected less than 5$"),
    ],
)
def test_texts_that_are_no_value(kind: Any, text: str, message: str) -> None:
    """The error repeats the text, which part of it is wrong, and how the number that was meant is written."""
    with pytest.raises(dif.InputError, match=message):
        value_of(kind, text)


def test_values_as_toml_has_them() -> None:
    """Lists for tuples and arrays, Python's numbers for NumPy's, and texts as they are."""
    given = {"a": (1, np.float64(2.5)), "b": np.array([[1, 2]]), "c": "text", "d": {"e": range(2)}}
    assert as_toml(given) == {"a": [1, 2.5], "b": [[1, 2]], "c": "text", "d": {"e": [0, 1]}}


def test_problems_say_where() -> None:
    """The kind of each, its place, and what was given unless the reason says it."""
    with pytest.raises(ValidationError) as caught:
        model_of(options_of(Own).values()).model_validate({"counts": [1, 0], "other": 3})
    first, second = problems(caught.value)
    assert (first.place, first.given, first.reason) == (("counts", "1"), "0", "expected at least 1")
    assert str(first) == "counts is 0; expected at least 1"
    assert (second.kind, second.place, second.given) == ("extra_forbidden", ("other",), None)


def test_a_function_is_left_as_it_is() -> None:
    """A callable is no array, whatever it can do beside."""

    class Report:
        def __call__(self, done: int, total: int, name: str) -> None: ...

        def tolist(self) -> list[int]:
            return []

    report = Report()
    assert accept(RecordOptions, {"progress": report}).progress is report
    with pytest.raises(InputError, match="draws is 200000; expected at most 100,000"):
        accept(MeasureOptions, {"draws": 200_000})
