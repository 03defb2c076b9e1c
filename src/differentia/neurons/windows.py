"""Windows: the stretches of time that responses are taken from, and what each was shown with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from differentia.errors import InputError, require_known, shortened
from differentia.neurons.recording import START, STOP, Recording
from differentia.neurons.selection import chosen_rows
from differentia.neurons.told import Told
from differentia.system.showing import listed

if TYPE_CHECKING:
    import pandas as pd

    from differentia.neurons.recording import Traces

#: Seconds by which two times may differ that are the same but for rounding.
SAME_TIME = 1e-9

#: So many windows are those of a year, one a second, at most.
MOST_WINDOWS = 30_000_000

#: Lengths that differ by less, as a share of the longest, are equal: monitors do not show frames more evenly.
SAME_LENGTH = 0.01


#: What NWB, and pynapple, call the times during which units were observed.
OBSERVED_BY = "obs_intervals, time_support"

#: What `Windows` hold beside the table.
_COLUMNS = ("starts", "stops", "sets", "names")


@dataclass(frozen=True)
class Windows:
    """Windows in the order of time, half open: what happens at `starts` is within, at `stops` no longer."""

    starts: Float[np.ndarray, " window"]
    stops: Float[np.ndarray, " window"]
    sets: np.ndarray  # the name of each window's set
    names: np.ndarray  # such as "natural_movie_one 12": which presentation, of its set
    table: pd.DataFrame  # the row of each
    told: tuple[Told, ...] = ()

    def __len__(self) -> int:
        return len(self.starts)

    @cached_property
    def tolerance(self) -> float:
        """Seconds that are owed to rounding."""
        latest = float(np.abs(self.stops).max(initial=0.0))
        return max(SAME_TIME, 4 * float(np.spacing(latest)))

    @property
    def lengths(self) -> Float[np.ndarray, " window"]:
        """How long each lasts, in seconds."""
        return self.stops - self.starts

    def words(self, at: int) -> str:
        """Return which window one is."""
        return f"the window of {self.names[at]!r}, from {self.starts[at]:.10g} to {self.stops[at]:.10g} s"

    def of_sets(self) -> dict[str, Int[np.ndarray, " _"]]:
        """Return the places of each set's windows; sets are in the order in which they were shown first."""
        return {name: np.flatnonzero(self.sets == name) for name in dict.fromkeys(self.sets.tolist())}

    def take(self, rows: Int[np.ndarray, " _"]) -> Windows:
        """Return some of the windows."""
        of_rows = {name: getattr(self, name)[rows] for name in _COLUMNS}
        return replace(self, **of_rows, table=self.table.iloc[rows].reset_index(drop=True))

    def split(self, counts: Num[np.ndarray, " window"]) -> tuple[Windows, Int[np.ndarray, " _"]]:
        """Return each window as often as it has parts, named "WINDOW.PART" from 1, and which part each is."""
        if (total := float(counts.sum())) > MOST_WINDOWS:
            raise InputError(
                f"{total:,.0f} windows, or samples of them, are more than {MOST_WINDOWS:,}; give longer "
                "ones, or fewer"
            )
        counts = counts.astype(np.int64)
        parts = self.take(np.repeat(np.arange(len(self)), counts))
        place = np.arange(len(parts)) - np.repeat(counts.cumsum() - counts, counts)
        names = [f"{name}.{part + 1}" for name, part in zip(parts.names, place.tolist(), strict=True)]
        return replace(parts, names=np.array(names, dtype=object)), place

    def tell(self, text: str, *, asked: bool = False) -> Windows:
        """Return the same, with one more sentence of what was left out."""
        return replace(self, told=(*self.told, Told(text, asked)))

    def keep(self, kept: Bool[np.ndarray, " window"], why: str, *, asked: bool = False) -> Windows:
        """Return those that are kept, and tell how many others there were, if any."""
        if kept.all():
            return self
        seconds = float(self.lengths[~kept].sum())
        gone = [] if asked else [repr(name) for name, at in self.of_sets().items() if not kept[at].any()]
        told = self.tell(
            f"{np.count_nonzero(~kept):,} of {len(self):,} presentations ({seconds:,.6g} s) were left out"
            f"{f', all of {listed(gone)} among them' if gone else ''}: {why}",
            asked=asked,
        )
        if not kept.any():
            shortest, longest = float(self.lengths.min()), float(self.lengths.max())
            span = f"{'' if are_equal(self.lengths) else f'{shortest:.6g} to '}{longest:.6g} s"
            raise InputError(f"no presentation is left: all {len(self):,}, of {span}, were left out: {why}")
        return told.take(np.flatnonzero(kept))


def presentations(
    recording: Recording, by: str, *, table: str | Sequence[str] | None = None, where: str | None = None
) -> Windows:
    """Return what was shown as windows from the beginning to the end of each interval.

    `by` is the column that names the sets, `table` the tables of intervals to look at, by default all that
    have the column, and `where` a query on the columns.
    """
    import pandas as pd

    chosen = _tables(recording, by, table)
    parts = [_checked(one, name).dropna(axis="columns", how="all") for name, one in chosen.items()]
    rows = pd.concat([one for one in parts if len(one)], ignore_index=True)
    rows = rows.sort_values(START, kind="stable", ignore_index=True)
    if by not in rows:
        raise InputError(f"no interval has a value of {by!r}; choose another column: {listed([*rows])}")
    sets = names_in(rows[by])
    starts, stops = (rows[name].to_numpy(np.float64) for name in (START, STOP))
    shown = Windows(starts, stops, sets, sets, rows)
    if where is not None:
        shown = shown.keep(
            chosen_rows(rows, where, "intervals"), f"they are not among where={where!r}", asked=True
        )
    shown = shown.keep(shown.sets != "", f"their value of {by!r} is missing")
    return replace(shown, names=_numbered(shown.sets))


def _tables(recording: Recording, by: str, table: str | Sequence[str] | None) -> dict[str, pd.DataFrame]:
    """Return the tables of intervals that have a column."""
    require_text("by", by)
    known = recording.intervals
    where = f"{recording.source}: " if recording.source else ""
    if not known:
        raise InputError(f"{where}the recording has no table of intervals; expected what was shown when")
    if not (table is None or isinstance(table, str | Sequence)):
        raise InputError(f"table is {table!r}; expected the name of a table of intervals, or several")
    given = [table] if isinstance(table, str) else [*known] if table is None else [*table]
    for name in given:
        require_text("table", name)
        require_known("table of intervals", name, known)
    found = {name: known[name] for name in given if by in known[name] and len(known[name])}
    if not found or (table is not None and len(found) < len(given)):
        columns = "; ".join(f"{name}: {', '.join(map(str, known[name]))}" for name in given)
        raise InputError(f"{where}no interval has the column {by!r}; expected one of these ({columns})")
    return found


def require_text(option: str, given: object) -> None:
    """Raise an error unless an option is a name."""
    if not isinstance(given, str):
        raise InputError(f"{option} is {shortened(repr(given))}; expected a name, as text")


def _checked(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return a table whose intervals have a beginning and an end."""
    for column in (START, STOP):
        if column not in table:
            raise InputError(f"the table of intervals {name!r} has no column {column!r}")
        missing = ~np.isfinite(table[column].to_numpy(np.float64))
        if missing.any():
            raise InputError(
                f"the table of intervals {name!r}, row {int(np.argmax(missing))}: {column} is missing; give "
                "each interval a time in seconds, or leave it out"
            )
    return table


def names_in(column: pd.Series[Any]) -> np.ndarray:
    """Return the values of a table's column as names, numbers as shortly as they can be written.

    It is "" where the value is missing.
    """
    missing = column.isna().tolist()
    return np.array(
        ["" if no else _as_name(value) for value, no in zip(column.tolist(), missing, strict=True)],
        dtype=object,
    )


def _as_name(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    return f"{value:.15g}" if isinstance(value, float) else str(value).strip()


def _numbered(sets: np.ndarray) -> np.ndarray:
    """Return "SET NUMBER" of each, where the first of each set has the number 1."""
    counts: dict[str, int] = {}
    names = []
    for name in sets.tolist():
        counts[name] = counts.get(name, 0) + 1
        names.append(f"{name} {counts[name]}")
    return np.array(names, dtype=object)


def windows_of(
    shown: Windows, window: Sequence[float] | None = None, *, spontaneous: str | None = None
) -> Windows:
    """Return the window of each presentation: so many seconds after its onset, or the whole of it.

    The intervals of the set `spontaneous` are cut into windows as long as the others' median.
    """
    sets = [*shown.of_sets()]
    if spontaneous is not None:
        require_known("set", spontaneous, sets)
    is_long = shown.sets == spontaneous
    parts = []
    if not is_long.all():
        after = shown.take(np.flatnonzero(~is_long))
        if window is not None:
            begin, end = _as_window(window)
            after = replace(after, starts=after.starts + begin, stops=after.starts + end)
        _require_lasting(after)
        parts.append(after)
    told = shown.told
    if is_long.any():
        length = float(np.median(parts[0].lengths)) if parts else _length(window)
        cut = _cut(shown.take(np.flatnonzero(is_long)), length, str(spontaneous))
        told = cut.told
        parts.append(cut)
    return replace(_together(parts), told=told)


def _as_window(window: Sequence[float]) -> tuple[float, float]:
    try:
        begin, end = map(float, window)
    except (TypeError, ValueError):
        begin, end = np.nan, np.nan
    if not (np.isfinite(begin) and np.isfinite(end) and begin < end):
        raise InputError(
            f"window is {window!r}; expected two numbers, from when to when after onset in seconds: (0, 0.25)"
        )
    return begin, end


def _length(window: Sequence[float] | None) -> float:
    if window is None:
        raise InputError(
            "all presentations are spontaneous; say how long the windows are that these are cut into: "
            "window=(0, SECONDS)"
        )
    begin, end = _as_window(window)
    return end - begin


def _require_lasting(windows: Windows) -> None:
    empty = ~(windows.lengths > 0)
    if empty.any():
        first = int(np.argmax(empty))
        raise InputError(
            f"presentation {windows.names[first]!r}, at {windows.starts[first]:.6g} s, lasts "
            f"{windows.lengths[first]:.6g} s; say how long the windows of responses are: window=(0, SECONDS)"
        )


def _cut(long: Windows, length: float, name: str) -> Windows:
    """Cut each interval into windows that follow one another; what is left of it is told."""
    counts = np.floor(long.lengths / length + 1e-6)
    if not counts.any():
        raise InputError(
            f"no interval of {name!r} is as long as a window of {length:.6g} s (the longest: "
            f"{long.lengths.max():.6g} s); give a shorter window="
        )
    cut, place = long.split(counts)
    starts = cut.starts + place * length
    cut = replace(cut, starts=starts, stops=np.minimum(starts + length, cut.stops))
    rest = float((long.lengths - counts * length).clip(min=0.0).sum())
    if rest <= long.tolerance * len(long):
        return cut
    return cut.tell(
        f"{len(long):,} interval{'s' * (len(long) > 1)} of {name!r} gave {len(cut):,} windows of "
        f"{length:.6g} s; "
        f"what was left over ({rest:,.6g} s) was left out",
        asked=True,
    )


def _together(parts: Sequence[Windows]) -> Windows:
    """Return windows of several in the order of time.

    One that ends but for rounding where the next begins, or by no more of its length later, ends there: so
    that a spike at the edge counts once.
    """
    import pandas as pd

    joined = parts[0]
    if len(parts) > 1:
        starts, stops, sets, names = (
            np.concatenate([getattr(one, name) for one in parts]) for name in _COLUMNS
        )
        joined = Windows(
            starts,
            stops,
            sets,
            names,
            table=pd.concat([one.table for one in parts], ignore_index=True),
        )
    joined = joined.take(np.argsort(joined.starts, kind="stable"))
    stops, following = joined.stops.copy(), joined.starts[1:]
    beyond = stops[:-1] - following
    touching = (beyond >= -joined.tolerance) & (
        beyond <= np.maximum(joined.tolerance, SAME_LENGTH * joined.lengths[:-1])
    )
    stops[:-1][touching] = following[touching]
    return replace(joined, stops=stops)


def require_apart(windows: Windows) -> None:
    """Raise an error where two windows overlap, of which the first two are named."""
    latest = np.maximum.accumulate(windows.stops)[:-1]
    overlapping = windows.starts[1:] < latest - windows.tolerance
    if overlapping.any():
        second = int(np.argmax(overlapping)) + 1
        first = int(np.argmax(windows.stops[:second]))
        more = np.count_nonzero(overlapping) - 1
        raise InputError(
            f"{windows.words(first)}, and {windows.words(second)}, overlap"
            + (f", and so do {more:,} more" if more else "")
            + "; give a shorter window= (--window), choose tables or presentations (table=, where=), or say "
            "allow_overlap=True (--allow-overlap)"
        )


def are_equal(lengths: Float[np.ndarray, " window"]) -> bool:
    """Return whether windows are of one length."""
    return float(lengths.max() - lengths.min()) <= SAME_LENGTH * float(lengths.max())


def merged(spans: Float[np.ndarray, "n 2"], tolerance: float) -> Float[np.ndarray, "m 2"]:
    """Return spans of time in order, those that touch or overlap as one."""
    spans = spans[np.argsort(spans[:, 0], kind="stable")]
    ends = np.maximum.accumulate(spans[:, 1])
    first = np.r_[True, spans[1:, 0] > ends[:-1] + tolerance]
    last = np.r_[first[1:], True]
    return np.stack([spans[first, 0], ends[last]], axis=1)


def within(windows: Windows, spans: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, " window"]:
    """Return which windows lie wholly within one of some spans of time."""
    if not len(spans):
        return np.zeros(len(windows), dtype=bool)
    spans = merged(spans, windows.tolerance)
    place = np.searchsorted(spans[:, 0], windows.starts + windows.tolerance, side="right") - 1
    return (place >= 0) & (windows.stops <= spans[place, 1] + windows.tolerance)


def touched(windows: Windows, spans: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, " window"]:
    """Return which windows lie, at least in part, in one of some spans of time."""
    if not len(spans):
        return np.zeros(len(windows), dtype=bool)
    spans = np.vstack([merged(spans, 0.0), [np.inf, np.inf]])
    place = np.searchsorted(spans[:, 1], windows.starts + windows.tolerance, side="right")
    return spans[place, 0] < windows.stops - windows.tolerance


def without_invalid(windows: Windows, recording: Recording) -> Windows:
    """Leave out the windows that lie in spans whose data can't be trusted."""
    return windows.keep(
        ~touched(windows, np.asarray(recording.invalid, dtype=np.float64)),
        "they lie in times that the recording marks as invalid",
    )


def require_inside(windows: Windows, first: float, last: float, what: str) -> None:
    """Raise an error for windows that lie wholly outside of the recording."""
    outside = (windows.stops <= first) | (windows.starts > last)
    if outside.any():
        one = int(np.argmax(outside))
        raise InputError(
            f"{np.count_nonzero(outside):,} of {len(windows):,} windows lie outside of the recording, such "
            f"as {windows.words(one)}: {what} last from {first:.10g} to {last:.10g} s; look at the clocks, "
            f"or leave these presentations out: where='{first:.10g} <= {START} < {last:.10g}'"
        )


def sample_period(recording: Recording) -> float:
    """Return the usual time from sample to sample of traces, in seconds; 0 for spikes."""
    if recording.has_spikes:
        return 0.0
    times = np.asarray(cast("Traces", recording.activity).times, dtype=np.float64)
    return float(np.median(np.diff(times))) if len(times) > 1 else 0.0


def observed(windows: Windows, recording: Recording) -> tuple[Windows, Bool[np.ndarray, " unit"]]:
    """Leave out the windows that most units were not observed in; return which units were in all others."""
    n_units = recording.activity.n_units
    if recording.observed is None:
        return windows, np.ones(n_units, dtype=bool)
    alike: dict[bytes, list[int]] = {}  # most units have the times of their probe
    for unit, spans in enumerate(recording.observed):
        alike.setdefault(np.ascontiguousarray(spans, dtype=np.float64).tobytes(), []).append(unit)
    reach = np.array([0.0, sample_period(recording)])  # a sample stands for the time up to the next
    spans_of = {key: np.frombuffer(key).reshape(-1, 2) + reach for key in alike}
    whole = np.concatenate([*spans_of.values()])
    if not len(whole):
        raise InputError(f"no unit was observed at any time ({OBSERVED_BY}); leave them out")
    require_inside(windows, float(whole[:, 0].min()), float(whole[:, 1].max()), "observations of all units")
    seen = {key: within(windows, spans) for key, spans in spans_of.items()}
    share = sum(len(units) * seen[key] for key, units in alike.items()) / n_units
    kept = np.asarray(share >= 0.5)
    windows = windows.keep(kept, f"most units were not observed during the whole of them ({OBSERVED_BY})")
    units = np.zeros(n_units, dtype=bool)
    for key, of_key in alike.items():
        units[of_key] = seen[key][kept].all()
    return windows, units
