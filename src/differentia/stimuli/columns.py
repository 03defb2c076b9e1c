"""The columns of tables: what they hold as texts, or as numbers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

#: A number as tables write it, of which float64 keeps all digits; not 007, which is a name.
_NUMBER = re.compile(r"[+-]?((0|[1-9]\d{0,14})(\.\d*)?|\.\d+)(e[+-]?\d{1,2})?", re.IGNORECASE)
_WHOLE = re.compile(r"-?\d+\.0")
_MISSING = ("", "nan", "NaN", "NA", "N/A")

#: Below it float64 has all whole numbers; its neighbour is rounded to it.
_LARGEST_WHOLE = 2**53


def names_of(column: pd.Series) -> list[str]:
    """Return a column as the names of sets; pandas writes whole numbers beside missing ones as 1.0."""
    texts = texts_of(column)
    return [text[:-2] for text in texts] if all(map(_WHOLE.fullmatch, texts)) else texts


def texts_of(column: pd.Series) -> list[str]:
    """Return the values of a column as text: whole numbers without a point, and "" for what is missing."""
    import pandas as pd

    missing = pd.isna(column).tolist()
    return ["" if lost else _text(value) for value, lost in zip(column.tolist(), missing, strict=True)]


def _text(value: Any) -> str:
    is_whole = isinstance(value, float) and value.is_integer() and abs(value) < _LARGEST_WHOLE
    return str(int(value) if is_whole else value).strip()


def is_nested(column: pd.Series) -> bool:
    """Return whether a column holds bytes, lists, or the like."""
    from pandas.api.types import is_list_like

    return column.dtype.kind == "O" and any(
        isinstance(value, bytes) or is_list_like(value) for value in column
    )


def values_of(column: pd.Series) -> Sequence[str | float]:
    """Return a column of numbers as float64, which misses none of their digits, and others as text."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if not is_numeric_dtype(column) or is_bool_dtype(column) or column.dtype.kind == "c":
        return texts_of(column)
    numbers = column.to_numpy(dtype=float, na_value=float("nan"))
    if column.dtype.kind in "iu" and (abs(numbers) >= _LARGEST_WHOLE).any():
        return texts_of(column)
    return [float(number) for number in numbers]


def written_values(column: pd.Series) -> Sequence[str | float]:
    """Return a column of written text as numbers, where it is one of numbers."""
    texts = texts_of(column)
    known = [text for text in texts if text not in _MISSING]
    if known and all(map(_NUMBER.fullmatch, known)):
        return [float("nan") if text in _MISSING else float(text) for text in texts]
    return texts
