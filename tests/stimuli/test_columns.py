"""The columns of tables: no number loses a digit, and nothing that is missing becomes a number."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest

from differentia.stimuli.columns import is_nested, names_of, texts_of, values_of, written_values


def same(found: Sequence[str | float], expected: Sequence[Any]) -> bool:
    """Return whether values are of the same types, and the same; NaN is NaN."""
    both = zip(found, expected, strict=True)
    return all(
        type(one) is type(other) and (one == other or (one != one and other != other)) for one, other in both
    )


NAN = math.nan


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pd.Series([1, 2]), ["1", "2"]),
        (pd.Series([1.0, NAN, 0.5]), ["1", "", "0.5"]),
        (pd.Series([1e300]), ["1e+300"]),
        (pd.Series([1, None], dtype="Int64"), ["1", ""]),
        (pd.Series([" a ", None, "é"]), ["a", "", "é"]),
        (pd.Series(["b", 1.0, True, None], dtype=object), ["b", "1", "True", ""]),
        (pd.Series(pd.Categorical(["b", None, "a"])), ["b", "", "a"]),
        (pd.Series(pd.to_datetime(["2020-01-02", None])), ["2020-01-02 00:00:00", ""]),
    ],
)
def test_texts(column: pd.Series, texts: list[str]) -> None:
    """Whole numbers have no point; what is missing is empty."""
    assert texts_of(column) == texts


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pd.Series([1, 2]), [1.0, 2.0]),
        (pd.Series(np.array([0.5, NAN, np.inf], np.float32)), [0.5, NAN, np.inf]),
        (pd.Series([1, None], dtype="Int64"), [1.0, NAN]),
        (pd.Series([2**53 - 1, 1 - 2**53]), [2.0**53 - 1, 1 - 2.0**53]),
        (pd.Series([2**53 + 1, 0]), ["9007199254740993", "0"]),
        (pd.Series([2**64 - 1], dtype="uint64"), ["18446744073709551615"]),
        (pd.Series([True, False]), ["True", "False"]),
        (pd.Series(["1", "2"]), ["1", "2"]),
        (pd.Series([None, None]), ["", ""]),
    ],
)
def test_values(column: pd.Series, values: list[Any]) -> None:
    """Numbers where float64 holds them all; truth values, and text of digits, are text."""
    assert same(values_of(column), values)


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "-2.5", "3e-2", "+0", "4.", "-.5"], [1.0, -2.5, 0.03, 0.0, 4.0, -0.5]),
        (["1", "."], ["1", "."]),
        (["", "1", "NA", "nan"], [NAN, 1.0, NAN, NAN]),
        (["", "NA"], ["", "NA"]),
        (["007", "8"], ["007", "8"]),
        (["123456789012345"], [123456789012345.0]),
        (["1234567890123456"], ["1234567890123456"]),
        (["1", "one"], ["1", "one"]),
        (["inf", "1"], ["inf", "1"]),
    ],
)
def test_written_values(texts: list[str], values: list[Any]) -> None:
    """Numbers where all are; 007 is a name, and so is what has more digits than float64."""
    assert same(written_values(pd.Series(texts)), values)


def test_names_of_sets() -> None:
    """1 and not 1.0, where all are whole; else as they are written."""
    assert names_of(pd.Series(["1.0", "-2.0"])) == ["1", "-2"]
    assert names_of(pd.Series(["1.0", "2.5"])) == ["1.0", "2.5"]
    assert names_of(pd.Series(["1", "01"])) == ["1", "01"]


def test_what_is_nested() -> None:
    """Lists, arrays, dicts and bytes, beside texts, too; texts and numbers are not."""
    values: list[Any] = [[1], np.zeros(2), {}, b"a"]
    for value in values:
        assert is_nested(pd.Series(["a", value], dtype=object))
    assert not is_nested(pd.Series(["a", None, 1.0], dtype=object))
    assert not is_nested(pd.Series([1, 2]))
