"""Tables of intervals: when something began and ended, and what it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import InputError
from differentia.neurons.recording import START, STOP
from differentia.neurons.times import spans

if TYPE_CHECKING:
    import pandas as pd

#: What the columns of starts and ends are called: by NWB, by pynapple, by people.
STARTS = (START, "start")
STOPS = (STOP, "end", "stop", "end_time")

#: The table of spans whose data can't be trusted, as NWB calls it; and that of intervals without a name.
INVALID, ONLY = "invalid_times", "trials"


def interval_tables(given: Any) -> dict[str, pd.DataFrame]:
    """Return tables of intervals by name: several are given by name, and one that is alone are trials."""
    if given is None:
        return {}
    if _is_table(given):
        return {ONLY: interval_table(given, "intervals")}
    if not isinstance(given, Mapping):
        raise InputError(
            f"intervals are of type {type(given).__name__}; expected a table with {START} and {STOP} (a "
            "DataFrame, pynapple's IntervalSet, columns by name), or several by name"
        )
    return {str(name): interval_table(table, f"intervals[{name!r}]") for name, table in given.items()}


def interval_table(given: Any, where: str) -> pd.DataFrame:
    """Return a table with the columns `START` and `STOP` in float64 first, or raise an error."""
    import pandas as pd

    try:
        table = pd.DataFrame(given.as_dataframe() if hasattr(given, "as_dataframe") else given)  # pynapple's
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{where}: is no table ({error}); expected columns of one length, {START} and {STOP} among them"
        ) from error
    names = list(map(str, table.columns))
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{where}: has several columns {twice[0]!r}; give each a name of its own")
    table = table.set_axis(names, axis=1)
    start, stop = (_first(names, known, where) for known in (STARTS, STOPS))
    times = spans(table[start].to_numpy(), table[stop].to_numpy(), where)
    others = table.drop(columns=[start, stop])
    return pd.concat([pd.DataFrame(times, table.index, [START, STOP]), others], axis=1)


def spans_of(table: pd.DataFrame) -> np.ndarray:
    """Return the intervals of a table, (n, 2) in seconds."""
    return table[[START, STOP]].to_numpy(dtype=np.float64)


def _first(names: list[str], known: tuple[str, ...], where: str) -> str:
    for name in known:
        if name in names:
            return name
    found = f"the columns {', '.join(names)}" if names else "no column"
    raise InputError(f"{where}: has {found}; expected {known[0]} among them, in seconds")


def _is_table(given: Any) -> bool:
    if hasattr(given, "as_dataframe") or hasattr(given, "columns"):
        return True
    return isinstance(given, Mapping) and any(
        name in STARTS and not hasattr(column, "columns") for name, column in given.items()
    )
