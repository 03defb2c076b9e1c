"""A recording: what each unit did over time, what the units are, and what was shown when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from differentia.errors import InputError, shortened
from differentia.neurons.selection import chosen_rows
from differentia.system.showing import Shown, listed

if TYPE_CHECKING:
    import pandas as pd

#: The column of a table of units that says where each lies.
AREA = "location"

#: The columns of a table of intervals that say when each begins and ends, in seconds.
START, STOP = "start_time", "stop_time"


@runtime_checkable
class Spikes(Protocol):
    """The spike times of units, each read when it is asked for."""

    @property
    def n_units(self) -> int: ...

    def times(self, unit: int) -> Float[np.ndarray, " spike"]:
        """Return the spike times of a unit, by its place, in seconds, ascending."""


@runtime_checkable
class Traces(Protocol):
    """One value of each unit at each sample, read when it is asked for."""

    @property
    def n_units(self) -> int: ...

    @property
    def times(self) -> Float[np.ndarray, " sample"]:
        """The time of each sample, in seconds, ascending."""

    def samples(self, start: int, stop: int) -> Float[np.ndarray, "sample unit"]:
        """Return the values from one sample to before another."""


@dataclass(frozen=True)
class _SomeSpikes:
    """The spikes of some units, by their places among all."""

    whole: Spikes
    places: Int[np.ndarray, " unit"]

    @property
    def n_units(self) -> int:
        return len(self.places)

    def times(self, unit: int) -> Float[np.ndarray, " spike"]:
        return self.whole.times(int(self.places[unit]))


@dataclass(frozen=True)
class _SomeTraces:
    """The traces of some units, by their places among all."""

    whole: Traces
    places: Int[np.ndarray, " unit"]

    @property
    def n_units(self) -> int:
        return len(self.places)

    @property
    def times(self) -> Float[np.ndarray, " sample"]:
        return self.whole.times

    def samples(self, start: int, stop: int) -> Float[np.ndarray, "sample unit"]:
        return self.whole.samples(start, stop)[:, self.places]


@dataclass(frozen=True, repr=False)
class Recording(Shown):
    """Spikes or traces of units over time, and tables of what was shown.

    Attributes
    ----------
    activity
        Spike times or traces of the units, which are read when they are asked for.
    units
        A row for each unit, in the order of `activity`; the index labels them. The column ``location`` says
        in which area each lies, where that is known.
    intervals
        Tables by name, such as ``trials`` or ``natural_movie_one_presentations``: a row for each interval,
        from ``start_time`` to ``stop_time`` in seconds, and columns that say what was shown in it.
    observed
        From when to when each unit was recorded, in seconds: (n, 2) for each unit, by its place; None where
        nothing is said of it.
    invalid
        Spans, (n, 2) in seconds, whose data can't be trusted.
    session, subject
        What the file calls the recording and the animal; "" where it says nothing.
    source
        Where it was read from; "" for what was at hand.
    told
        What was left out of the recording and why, one sentence each.
    """

    activity: Spikes | Traces
    units: pd.DataFrame
    intervals: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    observed: tuple[Float[np.ndarray, "_ 2"], ...] | None = None
    invalid: Float[np.ndarray, "_ 2"] = field(default_factory=lambda: np.empty((0, 2)))
    session: str = ""
    subject: str = ""
    source: str = ""
    told: tuple[str, ...] = ()

    def select(self, units: str) -> Recording:
        """Return the recording of the units that a query on their columns is true of.

        Parameters
        ----------
        units
            Such as ``"quality == 'good' and snr > 1 and location in ['VISp', 'VISl']"``: comparisons of
            columns with numbers, texts and each other, ``in`` and ``not in`` lists, joined by ``and``,
            ``or`` and ``not``; a column of True and False stands alone. ``id`` is what labels a unit. In
            the names of columns, blanks and signs are written ``_``. A comparison with a missing value is
            false, but for ``!=`` and ``not in``.

        Raises
        ------
        InputError
            It is no such query, names a column that is not there, compares text with numbers, or is true of
            no unit.
        """
        chosen = chosen_rows(self.units, units)
        places = np.flatnonzero(chosen)
        if not len(places):
            raise InputError(
                f"no unit of {len(chosen):,} is chosen by {shortened(units)!r}; ask for less, such as one "
                "comparison at a time"
            )
        part = _SomeSpikes if self.has_spikes else _SomeTraces
        left_out = len(chosen) - len(places)
        said = f"{left_out:,} of {len(chosen):,} units are left out by {shortened(units)!r}"
        return replace(
            self,
            activity=part(self.activity, places),  # type: ignore[arg-type]
            units=self.units.iloc[places],
            observed=None if self.observed is None else tuple(self.observed[place] for place in places),
            told=(*self.told, said) if left_out else self.told,
        )

    @property
    def has_spikes(self) -> bool:
        """Whether it holds spike times, not traces."""
        return not hasattr(self.activity, "samples")

    def _shown(self) -> tuple[str, dict[str, str]]:
        what = "spikes" if self.has_spikes else "traces"
        areas = self.units[AREA].value_counts(sort=False) if AREA in self.units else {}
        facts = {
            "source": self.source,
            "session": self.session,
            "subject": self.subject,
            "areas": listed([f"{area or 'none'} ({count:,})" for area, count in areas.items()]),
            "intervals": listed([f"{name} ({len(table):,})" for name, table in self.intervals.items()]),
        }
        return f"Recording of {len(self.units):,} units ({what})", {
            name: fact for name, fact in facts.items() if fact
        }


def require_recording(given: object) -> None:
    """Raise an error for what is no recording, such as the name of a file."""
    if not isinstance(given, Recording):
        raise InputError(
            f"the recording is of type {type(given).__name__}; expected what read_recording(path) or "
            "as_recording(activity) returned"
        )
