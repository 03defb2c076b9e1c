"""Trials as a table: the value of each, its condition, and its session, group and subject."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from differentia.errors import InputError, require_distinct_names, require_known, unknown_name, warn
from differentia.results.across import ALL
from differentia.results.subject import RECORDED, subject_of
from differentia.results.tables import trial_values
from differentia.system.showing import listed

if TYPE_CHECKING:
    import pandas as pd

#: Trials of each condition, at least, that a session needs: one alone has no spread.
LEAST_TRIALS = 2

Labels = str | Mapping[Any, Any] | None


class Observations(NamedTuple):
    """What is compared: a row for each trial, and what the two conditions are called."""

    #: ``value``, ``first`` (boolean), and as text ``session``, ``group``, ``subject`` and ``block``.
    trials: pd.DataFrame
    first: str
    second: str

    #: What groups are.
    grouped_by: str


def observations_of(
    values: Any,
    first: Any,
    second: Any,
    *,
    value: str,
    condition: str,
    session: str,
    group: Labels = None,
    subject: Labels = None,
    block: str | None = None,
    log: bool = False,
) -> Observations:
    """Return the trials of two conditions, without those that can't be compared, which is told."""
    import pandas as pd

    table = _as_table(values, session)
    grouped_by = group if isinstance(group, str) else "group"
    if group is None and "layer" in table:
        group = "layer"
        of_results = not isinstance(values, pd.DataFrame) and not isinstance(
            next(iter(values.values())), pd.DataFrame
        )
        grouped_by = RECORDED.place.one if of_results else group
    for name in (value, condition, session, group, subject, block):
        if isinstance(name, str):
            require_known("column", name, [str(column) for column in table.columns])
    known = table[condition].dropna().unique().tolist()
    conditions = [_conditions(given, known, condition) for given in (first, second)]
    if both := [str(name) for name in conditions[0] if name in conditions[1]]:
        raise InputError(f"{', '.join(both)}: in both conditions; name two that have no trial in common")
    rows = [table[condition].isin(of).to_numpy() for of in conditions]
    chosen = np.flatnonzero(rows[0] | rows[1])
    table = table.iloc[chosen]
    names = _texts(table[session], "session", chosen)
    trials = pd.DataFrame(
        {
            "value": _numbers(table[value], value, names, log=log),
            "first": rows[0][chosen],
            "session": names,
            "group": _labels(table, group, "group", names, chosen, ALL),
            "subject": _labels(table, subject, "subject", names, chosen, ""),
            "block": _labels(table, block, "block", names, chosen, ""),
        }
    )
    _require_one_subject(trials)
    _require_one_value(trials, table)
    first_name, second_name = (", ".join(map(str, of)) for of in conditions)
    return Observations(_comparable(trials), first_name, second_name, grouped_by)


def _as_table(values: Any, session: str) -> pd.DataFrame:
    """Return the trials of all sessions as one table."""
    import pandas as pd
    import xarray as xr

    if isinstance(values, pd.DataFrame):
        return values
    if not isinstance(values, Mapping) or isinstance(values, xr.Dataset) or not values:
        raise InputError(
            f"the trials are of type {type(values).__name__}; expected a DataFrame with a row for each, or "
            "{session: result}, {session: DataFrame}"
        )
    frames = {
        name: one if isinstance(one, pd.DataFrame) else _of_result(name, one)
        for name, one in zip(require_distinct_names("session", values), values.values(), strict=True)
    }
    named = [frame.assign(**{session: name}) for name, frame in frames.items()]
    return pd.concat(named, ignore_index=True)


def _of_result(name: str, result: Any) -> pd.DataFrame:
    """Return the trials of a result at its largest number of units."""
    table = trial_values(result)
    if subject_of(result).item.one == "window":
        raise InputError(
            f"session {name}: its values are those of windows, which follow one another and can't change "
            "places; expected trials"
        )
    return table[table["n_units"] == table["n_units"].max()]


def _conditions(given: Any, known: list[Any], condition: str) -> list[Any]:
    """Return the values of a condition's column, one or several, each of which some trial has."""
    names = [given] if isinstance(given, str) or not np.iterable(given) else list(given)
    if not names:
        raise InputError(f"no value of {condition!r} was given for a condition; name one or more")
    for name in names:
        if not isinstance(name, Hashable) or name not in known:
            raise unknown_name(f"value of {condition!r}", str(name), map(str, known))
    return names


def _texts(column: pd.Series, what: str, rows: np.ndarray) -> np.ndarray:
    """Return labels as text, of which no two look the same."""
    missing = column.isna().to_numpy()
    if missing.any():
        raise InputError(f"row {rows[missing][0] + 1}: it has no {what}; fill it in, or take out the row")
    labels = column.unique().tolist()
    texts = dict(zip(labels, require_distinct_names(what, labels), strict=True))
    return np.array([texts[label] for label in column], dtype=object)


def _labels(
    table: pd.DataFrame, given: Labels, what: str, sessions: np.ndarray, rows: np.ndarray, default: str
) -> np.ndarray:
    """Return the label that a column gives to each trial, or a mapping to each session."""
    import pandas as pd

    if given is None:
        return np.full(len(table), default, dtype=object)
    if not isinstance(given, Mapping):
        return _texts(table[given], what, rows)
    named = {str(name): label for name, label in given.items()}
    for name in named:
        require_known(f"session in {what}=", name, dict.fromkeys(sessions))
    if without := [name for name in dict.fromkeys(sessions) if name not in named]:
        raise InputError(f"{what}= names no {what} for {listed(without)}; give each session its {what}")
    return _texts(pd.Series([named[name] for name in sessions]), what, rows)


def _numbers(column: pd.Series, name: str, sessions: np.ndarray, *, log: bool) -> np.ndarray:
    """Return values, or their logarithms to the base 10."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if is_bool_dtype(column) or not is_numeric_dtype(column):
        raise InputError(f"the column {name!r} holds no numbers ({column.dtype}); name one that does: value=")
    values = column.to_numpy(dtype=np.float64, na_value=np.nan)
    if np.isinf(values).any():
        raise InputError(f"session {sessions[np.isinf(values)][0]}: {name!r} of a trial is infinite")
    if not log:
        return values
    if (wrong := values <= 0).any():
        raise InputError(
            f"session {sessions[wrong][0]}: {name!r} of a trial is {values[wrong][0]:g}, which has no "
            f"logarithm ({wrong.sum():,} of {len(values):,} trials); leave log=True out, or take such trials "
            "out"
        )
    return np.log10(values)


def _require_one_subject(trials: pd.DataFrame) -> None:
    """Raise an error where a session is of two subjects."""
    subjects = trials.groupby("session", sort=False)["subject"].unique()
    for name, of in subjects.items():
        if len(of) > 1:
            raise InputError(f"session {name}: it is of several subjects ({listed([*of])}); expected one")


def _require_one_value(trials: pd.DataFrame, table: pd.DataFrame) -> None:
    """Raise an error where trials have several values in a group, which would count as several trials."""
    for column in [name for name in ("layer", "n_units") if name in table]:
        kinds = table[column].to_numpy()
        for (session, group), rows in trials.groupby(["session", "group"], sort=False).indices.items():
            if len(several := dict.fromkeys(map(str, kinds[rows]))) > 1:
                where = f"session {session}" + (f", group {group}" if group != ALL else "")
                raise InputError(
                    f"{where}: trials have values of several {column} ({listed([*several])}), which are no "
                    f"trials of their own; take one, as with table[table[{column!r}] == ...]"
                )


def _comparable(trials: pd.DataFrame) -> pd.DataFrame:
    """Return the trials that have a value, of sessions with enough of both conditions; the rest is told."""
    known = trials["value"].notna()
    if not known.all():
        of = trials.loc[~known, "session"].unique().tolist()
        warn("left_out", f"left out {(~known).sum():,} trials without a value, of the sessions {listed(of)}")
        trials = trials[known]
    cells = trials.groupby(["session", "group"], sort=False)["first"]
    count, of_first = cells.transform("size"), cells.transform("sum")
    few = np.minimum(of_first, count - of_first) < LEAST_TRIALS
    if few.any():
        left_out = trials.loc[few, ["session", "group"]].drop_duplicates()
        names = [
            session if group == ALL else f"{session} ({group})"
            for session, group in left_out.itertuples(index=False)
        ]
        what = f"fewer than {LEAST_TRIALS} trials of one condition"
        if few.all():
            raise InputError(f"every session has {what} ({listed(names)}); expected more of both in some")
        warn("left_out", f"left out sessions with {what}: {listed(names)}")
        trials = trials[~few]
    if trials.empty:
        raise InputError("no trial of the two conditions has a value; check the column: value=")
    return trials.reset_index(drop=True)
