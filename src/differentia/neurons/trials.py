"""The signals of trials: what each unit did over time in each, by set and area."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np
from jaxtyping import Float

from differentia.errors import InputError, require_distinct_names, short_tracebacks
from differentia.neurons.areas import ALL, areas_of
from differentia.neurons.binning import Bins, bins_of
from differentia.neurons.recording import AREA, START, STOP, Recording, Spikes, Traces, require_recording
from differentia.neurons.responses import asked_for, preprocessing_of
from differentia.neurons.samples import samples_in
from differentia.neurons.signals import ReadSignals, binned, sampled
from differentia.neurons.states import as_signal, checked_rate
from differentia.neurons.told import sentences
from differentia.neurons.windows import (
    SAME_TIME,
    Windows,
    observed,
    presentations,
    require_apart,
    require_inside,
    sample_period,
    windows_of,
    without_invalid,
)
from differentia.system.showing import Shown, listed


@dataclass(frozen=True, repr=False)
class Trials(Shown):
    """The signals of trials, by set and area.

    Attributes
    ----------
    signals
        Set -> area -> the signal of each trial, (time, unit), which is read when it is asked for:
        ``trials.signals["natural"]["VISp"][0]``. The units of an area are the same in all trials and sets.
    rate
        Samples in a second.
    names
        Set -> what each trial is called.
    spans
        Set -> from when to when each trial lasts, (trial, 2), in seconds; None where that is not known.
    windows
        Whether trials are windows of longer stretches, which are no independent sample.
    source, session
        What they are of; "" where that is not known.
    told
        What was left out and why, one sentence each.
    how
        What was asked for, by the names of the options.
    """

    signals: Mapping[str, Mapping[str, Sequence[Any]]]
    rate: float
    names: Mapping[str, tuple[str, ...]]
    spans: Mapping[str, Float[np.ndarray, "_ 2"]] | None = None
    windows: bool = False
    source: str = ""
    session: str = ""
    told: tuple[str, ...] = ()
    how: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sets(self) -> dict[str, int]:
        """How many trials each set has."""
        return {name: len(names) for name, names in self.names.items()}

    @property
    def areas(self) -> tuple[str, ...]:
        """The names of the areas."""
        return tuple(next(iter(self.signals.values())))

    def _shown(self) -> tuple[str, dict[str, str]]:
        facts = {
            "source": self.source,
            "session": self.session,
            "sets": listed([f"{name} ({count:,})" for name, count in self.sets.items()]),
            "areas": listed(self.areas),
            "rate": f"{self.rate:.9g} samples a second",
        }
        count, what = sum(self.sets.values()), "windows" if self.windows else "trials"
        return f"Signals of {count:,} {what}", {name: fact for name, fact in facts.items() if fact}


@short_tracebacks
def trials(
    recording: Recording,
    *,
    by: str | None = None,
    table: str | Sequence[str] | None = None,
    window: Sequence[float] | None = None,
    length: float | None = None,
    step: float | None = None,
    bin: float | None = None,  # noqa: A002 - what it is called everywhere
    bin_step: float | None = None,
    area: str = AREA,
    where: str | None = None,
    detrend: str = "none",
    standardize: bool = False,
    runs: str | None = None,
    spontaneous: str | None = None,
) -> Trials:
    """Return the signals of the trials of a recording, by set and area, for `measure_states`.

    Parameters
    ----------
    recording
        What `read_recording` or `as_recording` returned.
    by
        The column of the tables of intervals that names the sets, such as ``stimulus_name``. Each interval is
        a trial. Without it the whole recording is the one set "all", and `length` says how long windows are.
    table
        The tables of intervals to look at, one or several; by default all that have the column.
    window
        From when to when after the onset of each interval a trial lasts, in seconds; by default the whole
        interval.
    length, step
        Of moving windows within each trial, or within the whole recording, in seconds: each window has a
        value then. They follow one another unless `step` says how long after one the next begins. Windows of
        one trial are no independent sample, and have no limits.
    bin, bin_step
        How wide the bins are in which spikes are counted, and how long after one the next begins, in seconds;
        they do not overlap unless `bin_step` is shorter. Spikes need `bin`; traces keep their own rate.
    area
        The column of the units that names the areas; without ``location`` all units are one population,
        "all".
    where
        A query on the columns of the tables of intervals, such as ``"block == 1"``.
    detrend : {"none", "mean", "linear"}
        What is taken away from traces: see `detrended`.
    standardize
        Whether traces get the mean 0 and the SD 1.
    runs
        Within what traces are detrended and standardised: a table of intervals, or a column of one; by
        default the whole recording.
    spontaneous
        The set whose intervals are long, and are cut into consecutive trials as long as the others' (of whole
        intervals: as their median), so that its values compare with theirs. Moving windows are of one length
        anyway, and need none.

    Returns
    -------
    Trials
        Signals are read when they are asked for: numbers of spikes in bins, or samples of traces.

    Raises
    ------
    InputError
        Trials overlap, or lie outside of the recording; samples of a trial are not equally far from each
        other (to a thousandth); spikes have no `bin`, or traces have one; a column or table is not there.

    Warns
    -----
    DifferentiaWarning
        Of the kind "left_out": trials in times that are marked as invalid, or during which most units were
        not observed; other units that were not observed throughout; units without an area; what is left of
        intervals behind the last window.
    """
    require_recording(recording)
    bins = _bins_for(recording, bin, bin_step)
    preprocessing = preprocessing_of(recording, detrend, standardize, runs)
    cut = spontaneous if length is None else None
    if by is None:
        of_intervals = {"table": table, "window": window, "where": where, "spontaneous": spontaneous}
        if given := [name for name, one in of_intervals.items() if one]:
            raise InputError(f"{given[0]}= is of intervals; say which column names the sets too: by=")
        if length is None:
            raise InputError(
                "the whole recording is one trial; say how long moving windows are, length=, or which column "
                "of the intervals names the sets, by="
            )
        shown = _whole(recording)
    else:
        shown = windows_of(presentations(recording, by, table=table, where=where), window, spontaneous=cut)
        require_apart(shown)
    if length is None and step is not None:
        raise InputError("step is of moving windows; say how long they are too: length=")
    windows = shown if length is None else _moving(shown, length, length if step is None else step)
    first_of = {*shown.starts.tolist()}
    moving = any(start not in first_of for start in windows.starts.tolist())
    windows, seen = observed(without_invalid(windows, recording), recording)
    areas, told = areas_of(recording, area, seen)
    if bins is not None:
        windows = _within_spikes(windows, recording)
        rate, read = bins.rate, binned(recording, windows, areas, bins)
    else:
        samples = samples_in(recording, windows, preprocessing)
        windows, rate, read = samples.windows, 1 / samples.period, sampled(samples, areas)
    rows = windows.of_sets()
    return Trials(
        {
            name: {place: ReadSignals(read, place, tuple(at.tolist())) for place in areas}
            for name, at in rows.items()
        },
        rate,
        {name: tuple(windows.names[at].tolist()) for name, at in rows.items()},
        {name: np.stack([windows.starts[at], windows.stops[at]], axis=1) for name, at in rows.items()},
        moving,
        recording.source,
        recording.session,
        sentences(recording, (*windows.told, *told)),
        {
            **asked_for(by, table, window, area, cut, where, preprocessing),
            "length": None if length is None else float(length),
            "step": None if step is None else float(step),
            "bin": None if bins is None else bins.width,
            "bin_step": None if bins is None or bins.step == bins.width else bins.step,
        },
    )


def _bins_for(recording: Recording, width: float | None, step: float | None) -> Bins | None:
    """Return the bins of spikes, which need some; None for traces, which have a rate of their own."""
    if recording.has_spikes:
        if width is None:
            raise InputError("states of spikes need bins; say how wide they are in seconds: bin=0.02 (--bin)")
        return bins_of(width, step)
    if width is not None or step is not None:
        raise InputError(
            "bin= is of spikes, and the recording has traces, with a rate of their own; leave it out"
        )
    return None


def _whole(recording: Recording) -> Windows:
    """Return the whole recording as one interval."""
    import pandas as pd

    first, last = _reach(recording)
    name = np.array([ALL], dtype=object)
    ends = np.array([first]), np.array([last])
    return Windows(*ends, name, name, pd.DataFrame({START: ends[0], STOP: ends[1]}))


def _reach(recording: Recording) -> tuple[float, float]:
    """Return from when to when a recording lasts, as far as it says so, else to the last spike."""
    if not recording.has_spikes:
        times = cast("Traces", recording.activity).times
        if len(times) < 2:
            raise InputError("the traces have fewer than two samples; expected samples over time")
        return float(times[0]), float(times[-1]) + sample_period(recording)
    if recording.observed is not None and any(map(len, recording.observed)):
        spans = np.concatenate(recording.observed)
        return float(spans[:, 0].min()), float(spans[:, 1].max())
    spikes = cast("Spikes", recording.activity)
    trains = (spikes.times(unit) for unit in range(spikes.n_units))
    ends = [(float(times[0]), float(times[-1])) for times in trains if len(times)]
    if not ends:
        raise InputError("no unit has a spike; expected spike times in seconds")
    return min(first for first, _ in ends), max(last for _, last in ends)


def _within_spikes(windows: Windows, recording: Recording) -> Windows:
    if recording.observed is None:  # else they are known to lie within the recording
        first, last = _reach(recording)
        require_inside(windows, first, last, "spikes of all units")
    return windows


def _moving(shown: Windows, length: float, step: float) -> Windows:
    """Return windows that move through each interval; what is left of one behind the last is told."""
    for name, given in (("length", length), ("step", step)):
        number = isinstance(given, int | float | np.number) and not isinstance(given, bool)
        if not number or not 0 < float(given) < np.inf:
            raise InputError(f"{name} is {given!r}; expected seconds, above 0")
    counts = np.floor((shown.lengths - length) / step + 1 + 1e-6).clip(min=0)
    if not counts.any():
        raise InputError(
            f"no trial is as long as a window of {length:.6g} s (the longest: {shown.lengths.max():.6g} s); "
            "give a shorter length="
        )
    moved, place = shown.split(counts)
    starts = moved.starts + place * step
    moved = replace(moved, starts=starts, stops=starts + length)
    if short := [repr(name) for name, at in shown.of_sets().items() if not counts[at].any()]:
        moved = moved.tell(
            f"no trial of {listed(short)} is as long as a window of {length:.6g} s: left out altogether"
        )
    covered = np.where(counts > 0, (counts - 1) * step + length, 0.0)
    rest = (shown.lengths - covered).clip(min=0.0)
    if (rest <= max(shown.tolerance, SAME_TIME)).all():
        return moved
    return moved.tell(
        f"{np.count_nonzero(rest):,} of {len(shown):,} trials are no whole number of windows of {length:.6g} "
        f"s: what was left at their ends ({float(rest.sum()):,.6g} s) was left out",
        asked=True,
    )


def trials_from_arrays(given: Mapping[Any, Any], rate: float) -> Trials:
    """Return arrays, set -> area -> (trial, time, unit), or a list of (time, unit), as trials.

    A set may be one array, or one list, of an area "all".
    """
    rate = checked_rate(rate)
    if not isinstance(given, Mapping) or not given:
        raise InputError(
            "expected signals as {set: {area: array (trial, time, unit)}}, with at least one set"
        )
    signals = {
        name: _of_set(by_area, name)
        for name, by_area in zip(require_distinct_names("set", given), given.values(), strict=True)
    }
    first, of_first = next(iter(signals.items()))
    for name, by_area in signals.items():
        if odd := sorted(set(of_first) ^ set(by_area)):
            raise InputError(
                f"sets {first!r} and {name!r} differ in the areas {', '.join(odd)}; expected every area in "
                "every set"
            )
        for area, of_trials in by_area.items():
            expected = of_first[area][0].shape[1]
            for at, signal in enumerate(of_trials):
                if signal.shape[1] != expected:
                    raise InputError(
                        f"area {area!r} has {expected} units in set {first!r}, trial 0, but "
                        f"{signal.shape[1]} in set {name!r}, trial {at}; expected the same units in every "
                        "trial"
                    )
    ordered = {name: {area: by_area[area] for area in of_first} for name, by_area in signals.items()}
    counts = {name: len(next(iter(by_area.values()))) for name, by_area in ordered.items()}
    return Trials(ordered, rate, {name: tuple(map(str, range(count))) for name, count in counts.items()})


def _of_set(given: Any, name: str) -> dict[str, list[Float[np.ndarray, "_ _"]]]:
    by_area = given if isinstance(given, Mapping) else {ALL: given}
    if not by_area:
        raise InputError(f"set {name!r} holds no area; expected {{set: {{area: array}}}} or {{set: array}}")
    found = {}
    for area, of_area in zip(require_distinct_names("area", by_area), by_area.values(), strict=True):
        where = f"set {name!r}, area {area!r}"
        if len(shape := np.shape(of_area) if hasattr(of_area, "__array__") else ()) not in (0, 3):
            raise InputError(
                f"{where} has the shape {shape}; expected (trial, time, unit), or a list of trials"
            )
        if hasattr(of_area, "dims") and {*of_area.dims} == {"trial", "time", "unit"}:  # a DataArray
            of_area = of_area.transpose("trial", "time", "unit").values
        if isinstance(of_area, str) or not len(of_area):
            raise InputError(f"{where} holds no trials; expected an array (trial, time, unit)")
        found[area] = [as_signal(one, f"{where}, trial {at}") for at, one in enumerate(of_area)]
    if len({len(of_area) for of_area in found.values()}) > 1:
        counts = {area: len(of_area) for area, of_area in found.items()}
        raise InputError(
            f"set {name!r} has different numbers of trials in its areas ({counts}); expected each area's "
            "signal in every trial"
        )
    return found
