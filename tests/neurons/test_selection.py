"""Queries on the columns of units: what pandas finds with them, and nothing that could be run."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import differentia as dif
from differentia.neurons.selection import chosen_rows

TABLE = pd.DataFrame(
    {
        "quality": ["good", "noise", "good", "mua", "good"],
        "snr": [0.5, 1.5, np.nan, 2.5, 3.5],
        "location": ["VISp", "VISl", "VISp", "", "LGd"],
        "depth": [100, -200, 300, 400, 2**60 + 1],
        "valid": [True, False, True, True, False],
        "amplitude": [1.0, 1.0, 2.0, 3.0, 3.5],
    },
    index=pd.Index([7, 8, 9, 10, 11], name="id"),
)

QUERIES = (
    "quality == 'good'",
    "quality != 'good' and snr > 1",
    "quality == 'good' or snr >= 2.5",
    "not (snr > 1)",
    "0 < snr <= 2.5 < depth",
    "location in ['VISp', 'VISl']",
    "location not in ('VISp', 'LGd')",
    "snr in [0.5, 3.5]",
    "snr == amplitude",
    "snr != 0.5",
    "depth == 1152921504606846977",
    "depth < -100",
    "id in [8, 11]",
    "valid and not (quality == 'noise')",
    "valid == True",
    "location == ''",
    "location < 'VISm'",
    "(quality == 'good' or quality == 'mua') and valid",
)


@pytest.mark.parametrize("query", QUERIES)
def test_queries_are_those_of_pandas(query: str) -> None:
    """Each is true of the rows that pandas finds; not of all."""
    found = chosen_rows(TABLE, query)
    assert TABLE.index[found].tolist() == TABLE.query(query, engine="python").index.tolist()
    assert 0 < found.sum() < len(TABLE)


def test_missing_values() -> None:
    """They are in no comparison, whatever pandas calls them; unequal to all, and in no list."""
    table = pd.DataFrame(
        {
            "text": ["a", None, "b"],
            "number": pd.array([1, None, 3], dtype="Int64"),
            "flag": pd.array([True, None, False], dtype="boolean"),
            "float": [1.0, np.nan, 3.0],
        }
    )
    for query, expected in {
        "text == 'a'": [True, False, False],
        "text != 'a'": [False, True, True],
        "text not in ['a']": [False, True, True],
        "number < 5": [True, False, True],
        "number != 1": [False, True, True],
        "float >= number": [True, False, True],
        "flag": [True, False, False],
        "id == 2": [False, False, True],
    }.items():
        assert chosen_rows(table, query).tolist() == expected, query


@pytest.mark.parametrize(
    ("query", "told"),
    {
        "__import__('os').system('touch x')": "holds",
        "quality.upper() == 'GOOD'": "holds",
        "open('x')": "holds",
        "snr[0] > 1": "holds 'snr\\[0\\]'",
        "(lambda: 1)() == 1": "holds",
        "[one for one in quality] == 1": "holds",
        "snr + 1 > 2": "holds 'snr \\+ 1'",
        "snr if valid else depth": "holds",
        "f'{snr}' == 'x'": "holds",
        "(x := 1) == 1": "holds",
        "snr is 1": "compares with 'is'",
        "1": "holds '1'",
        "snr > 1; import os": "can't be read",
        "snr >": "can't be read",
        "": "can't be read",
        "snr > 1\0": "can't be read",
        "(" * 300 + "snr > 1" + ")" * 300: "can't be read",
        "not " * 100 + "valid": None,
        "snr > 1 or " * 300 + "valid": "has 3,305 characters, more than 2,000",
        "snr > 10**9**9": "holds",
        "snr > 1e999": "holds",
        "snr > -'x'": "holds",
        "snr > 1j": "holds",
        "snr > None": "holds",
        "snr > 'high'": "compares 'high', which is text, with snr, which is a number",
        "quality > 1": "compares quality, which is text, with 1, which is a number",
        "quality in ['good', 1]": "compares quality, which is text, with 1",
        "'VIS' in location": "looks for values in 'location', which is no list",
        "quality": "takes quality as true or false, which it is not",
        "snr and valid": "takes snr as true or false",
        "odd == 1": "names odd, which holds neither numbers nor text",
    }.items(),
)
def test_what_is_no_query(query: str, told: str | None) -> None:
    """Nothing is called or looked up; what is wrong with it is told in one line."""
    table = TABLE.assign(odd=[[1], [2], [3], [4], [5]])
    if told is None:  # deep, and still a query
        assert chosen_rows(table, query).tolist() == TABLE["valid"].tolist()
        return
    with pytest.raises(dif.InputError, match=told) as caught:
        chosen_rows(table, query)
    assert "\n" not in str(caught.value)


def test_names_that_are_no_words() -> None:
    """Blanks and signs are written as underscores; a column that has that name is meant first."""
    table = pd.DataFrame({"L-ratio": [0.1, 0.9], "a b": [1, 2], "a_b": [2, 1]})
    assert chosen_rows(table, "L_ratio < 0.5").tolist() == [True, False]
    assert chosen_rows(table, "a_b == 2").tolist() == [True, False]


def test_unknown_columns() -> None:
    """The nearest is offered, and all are listed."""
    told = r"^unknown column of units 'qualty'. Did you mean 'quality'\? Known: id, quality, snr, location, "
    with pytest.raises(dif.InputError, match=told):
        chosen_rows(TABLE, "qualty == 'good'")
    with pytest.raises(dif.InputError, match="unknown column of units '__class__'"):
        chosen_rows(TABLE, "__class__ == 'x'")
    with pytest.raises(dif.InputError, match="of type int; expected comparisons"):
        chosen_rows(TABLE, 7)  # type: ignore[arg-type]
