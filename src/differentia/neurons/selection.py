"""The choice of units by a query on their columns, such as ``quality == 'good' and snr > 1``.

Queries come with experiment files of other people: of Python's grammar only comparisons, ``and``, ``or``,
``not``, names of columns, numbers and texts are taken, and nothing is ever run.
"""

from __future__ import annotations

import ast
import operator
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from differentia.errors import InputError, shortened, unknown_name
from differentia.system.turns import in_turn

if TYPE_CHECKING:
    import pandas as pd

#: In characters: no query that is written by hand is as long, and deep nesting takes more.
LONGEST = 2000

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}

_EXPECTED = (
    "expected comparisons of columns, such as quality == 'good' and snr > 1 and location in ['V1', 'LM']"
)


class _Values(NamedTuple):
    """One value for each row, which of them are missing, and whether they are text; its words."""

    values: np.ndarray
    missing: Bool[np.ndarray, " row"]
    is_text: bool
    words: str


def chosen_rows(table: pd.DataFrame, query: str, what: str = "units") -> Bool[np.ndarray, " row"]:
    """Return which rows of a table a query is true of; the index is a column of its own name, or ``id``.

    A comparison with a missing value is false, but for ``!=`` and ``not in``. Errors say `what` rows are.
    """
    return _Query(table, query, what).rows()


class _Query:
    def __init__(self, table: pd.DataFrame, query: str, what: str) -> None:
        self._text, self._what = query, what
        index = "id" if table.index.name is None else str(table.index.name)
        columns = {str(name): table[name] for name in table.columns}
        words = {re.sub(r"\W", "_", name): column for name, column in columns.items()}
        self._columns = {index: table.index.to_series(), **words, **columns}
        self._count = len(table)

    def rows(self) -> Bool[np.ndarray, " row"]:
        if not isinstance(self._text, str):
            raise self._refused(f"is of type {type(self._text).__name__}")
        if len(self._text) > LONGEST:
            raise self._refused(f"has {len(self._text):,} characters, more than {LONGEST:,}")
        try:
            with in_turn(), warnings.catch_warnings():  # of backslashes, which mean nothing
                warnings.simplefilter("ignore")
                tree = ast.parse(self._text.strip(), mode="eval")
            return self._truth(tree.body)
        except InputError:
            raise
        except SyntaxError as error:
            raise self._refused(f"can't be read ({error.msg})") from None
        except (ValueError, RecursionError, MemoryError):  # a null, or nesting that is too deep
            raise self._refused("can't be read") from None

    def _refused(self, what: str) -> InputError:
        given = shortened(str(self._text))
        return InputError(f"the choice of {self._what} {given!r} {what}; {_EXPECTED}")

    def _truth(self, node: ast.expr) -> Bool[np.ndarray, " row"]:
        if isinstance(node, ast.BoolOp):
            parts = [self._truth(one) for one in node.values]
            joined = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return joined.reduce(parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return ~self._truth(node.operand)
        if isinstance(node, ast.Compare):
            lefts = [node.left, *node.comparators[:-1]]
            compared = zip(lefts, node.ops, node.comparators, strict=True)
            return np.logical_and.reduce([self._compared(*one) for one in compared])
        if isinstance(node, ast.Name):
            column = self._column(node.id)
            if column.values.dtype != bool:
                raise self._refused(f"takes {node.id} as true or false, which it is not")
            return column.values & ~column.missing
        raise self._refused(f"holds {shortened(ast.unparse(node))!r}")

    def _compared(self, left: ast.expr, how: ast.cmpop, right: ast.expr) -> Bool[np.ndarray, " row"]:
        if isinstance(how, ast.In | ast.NotIn):
            found = self._found(left, right)
            return ~found if isinstance(how, ast.NotIn) else found
        if type(how) not in _COMPARISONS:
            raise self._refused("compares with 'is'")
        one, other = self._values(left), self._values(right)
        known = self._comparable(one, other)
        result = np.full(self._count, isinstance(how, ast.NotEq))
        compare = _COMPARISONS[type(how)]
        result[known] = compare(one.values[known], other.values[known]).astype(bool)
        return result

    def _found(self, left: ast.expr, right: ast.expr) -> Bool[np.ndarray, " row"]:
        if not isinstance(right, ast.List | ast.Tuple | ast.Set):
            raise self._refused(f"looks for values in {shortened(ast.unparse(right))!r}, which is no list")
        one, found = self._values(left), np.zeros(self._count, bool)
        for item in right.elts:
            other = self._values(item)
            known = self._comparable(one, other)
            found[known] |= (one.values[known] == other.values[known]).astype(bool)
        return found

    def _comparable(self, one: _Values, other: _Values) -> Bool[np.ndarray, " row"]:
        """Return where two have values, or raise an error where text stands against numbers."""
        if one.is_text != other.is_text:
            text, number = (one, other) if one.is_text else (other, one)
            raise self._refused(
                f"compares {text.words}, which is text, with {number.words}, which is a number"
            )
        return ~(one.missing | other.missing)

    def _values(self, node: ast.expr) -> _Values:
        if isinstance(node, ast.Name):
            return self._column(node.id)
        sign, constant = 1, node
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            sign, constant = -1 if isinstance(node.op, ast.USub) else 1, node.operand
        value = constant.value if isinstance(constant, ast.Constant) else None
        is_text = isinstance(value, str) and constant is node
        if not is_text and not (isinstance(value, int | float) and abs(value) < 2**63):
            raise self._refused(f"holds {shortened(ast.unparse(node))!r}")
        values = np.full(self._count, value if is_text else sign * value, object if is_text else None)  # type: ignore[operator]
        return _Values(values, np.zeros(self._count, bool), is_text, ast.unparse(node))

    def _column(self, name: str) -> _Values:
        import pandas as pd

        if name not in self._columns:
            known = filter(str.isidentifier, self._columns)
            raise unknown_name(f"column of {self._what}", name, known)
        column = self._columns[name].infer_objects()
        missing = pd.isna(column).to_numpy(dtype=bool)
        values = column.to_numpy(dtype=object, copy=True)
        if pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_complex_dtype(column):
            values[missing] = 0
            numbers = np.array(values.tolist(), bool if pd.api.types.is_bool_dtype(column) else None)
            return _Values(numbers, missing, False, name)
        if not all(isinstance(value, str) for value in values[~missing]):
            raise self._refused(f"names {name}, which holds neither numbers nor text")
        return _Values(values, missing, True, name)
