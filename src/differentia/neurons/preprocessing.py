"""Preprocessing of traces: what drifts in each run, and the size of its fluctuations, are taken away."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike

from differentia.errors import InputError, require_known, short_tracebacks
from differentia.neurons.recording import START, STOP, Recording
from differentia.neurons.windows import SAME_TIME, names_in, require_text
from differentia.system.choices import DETREND

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Preprocessing:
    """What is done to traces before anything else."""

    detrend: str = "none"
    standardize: bool = False
    runs: str | None = None

    @property
    def needed(self) -> bool:
        return self.detrend != "none" or self.standardize


def _less_mean(values: Float[np.ndarray, "time unit"]) -> Float[np.ndarray, "time unit"]:
    return values - values.mean(axis=0)


def _less_line(values: Float[np.ndarray, "time unit"]) -> Float[np.ndarray, "time unit"]:
    # The samples are equally spaced, and the means of both are 0: the slope of least squares.
    values = _less_mean(values)
    time = np.arange(len(values)) - (len(values) - 1) / 2
    square = float(time @ time)
    return values - np.outer(time, time @ values / square) if square else values


#: As a share of the largest value, an SD that is owed to rounding alone.
_ROUNDING = 1e-12

#: What is taken away.
DETRENDS: dict[str, Callable[[Float[np.ndarray, "time unit"]], Float[np.ndarray, "time unit"]]] = {
    "none": lambda values: values,
    "mean": _less_mean,
    "linear": _less_line,
}


def of_run(
    values: Float[np.ndarray, "time unit"], kind: str, *, standardize: bool
) -> Float[np.ndarray, "time unit"]:
    """Return the samples of one run without their trend, standardised where asked for."""
    size = np.abs(values).max(axis=0)
    values = DETRENDS[kind](values)
    if not standardize:
        return values
    values = _less_mean(values)
    sd = values.std(axis=0)
    return np.divide(values, sd, out=np.zeros_like(values), where=sd > _ROUNDING * size)


@short_tracebacks
def detrended(
    values: ArrayLike, *, runs: ArrayLike | None = None, kind: str = "linear", standardize: bool = False
) -> Float[np.ndarray, "time unit"]:
    """Return traces without the trend of each run.

    Parameters
    ----------
    values : (time, unit)
        Traces, such as fluorescence or the volumes of fMRI, at equal distances in time.
    runs : (time,)
        The run of each sample, by number or name; by default all are of one. The samples of a run follow one
        another.
    kind : {"none", "mean", "linear"}
        What is taken away of each unit in each run: nothing, its mean, or its mean and linear trend (the line
        of least squares).
    standardize
        Whether each unit has the mean 0 and the SD 1 in each run then. A unit that is constant in a run, or
        nothing but its trend, is 0 there.

    Returns
    -------
    (time, unit) float64
        In the unit of `values`, or without one where they are standardised.

    Raises
    ------
    InputError
        A value is not finite, the shapes do not fit, or a run is interrupted by another.
    """
    DETREND.checked(kind)
    array = np.asarray(values)
    if array.ndim != 2 or array.dtype.kind not in "fiub" or not array.size:
        raise InputError(
            f"values have the shape {array.shape} and type {array.dtype}; expected numbers (time, unit)"
        )
    array = array.astype(np.float64)
    require_no_gaps(array, np.arange(len(array)), "sample")
    labels = np.zeros(len(array)) if runs is None else np.asarray(runs)
    if labels.shape != array.shape[:1]:
        raise InputError(
            f"runs have the shape {labels.shape}; expected the run of each of the {len(array):,} samples"
        )
    edges = np.r_[0, np.flatnonzero(labels[1:] != labels[:-1]) + 1, len(labels)]
    if len(np.unique(labels)) < len(edges) - 1:
        twice = next(run for at, run in enumerate(labels[edges[:-1]]) if run in labels[: edges[at]])
        raise InputError(f"run {str(twice)!r} is interrupted by another; expected each run in one piece")
    for start, stop in pairwise(edges.tolist()):
        array[start:stop] = of_run(array[start:stop], kind, standardize=standardize)
    return array


def require_no_gaps(
    values: Float[np.ndarray, "time unit"], times: np.ndarray, what: str, units: object = None
) -> None:
    """Raise an error that names the first sample and unit that is not finite."""
    finite = np.isfinite(values)
    if not finite.all():
        time, unit = np.argwhere(~finite)[0].tolist()
        label = unit if units is None else list(units)[unit]  # type: ignore[call-overload]
        raise InputError(
            f"unit {label} is {values[time, unit]} at {what} {times[time]:.10g}; expected finite values: "
            "leave out this unit, or the times where values are missing"
        )


def runs_of(recording: Recording, runs: str) -> dict[str, tuple[float, float]]:
    """Return from when to when each run lasts, in the order of time.

    `runs` is a table of intervals, each of which is a run; or a column of such tables: a run is all that lies
    between the first and the last interval that have a value in common.
    """
    require_text("runs", runs)
    known = recording.intervals
    spans: dict[str, tuple[float, float]] = {}
    if runs in known:
        table: pd.DataFrame = known[runs]
        found = [
            (str(row), start, stop)
            for row, (start, stop) in enumerate(zip(table[START], table[STOP], strict=True), start=1)
        ]
    else:
        tables = [table for table in known.values() if runs in table]
        if not tables:
            columns = sorted({str(column) for table in known.values() for column in table} - {START, STOP})
            require_known("table of intervals, or column of one,", runs, [*known, *columns])
        found = [
            (name, start, stop)
            for table in tables
            for name, start, stop in zip(names_in(table[runs]), table[START], table[STOP], strict=True)
        ]
    for name, start, stop in found:
        if name:
            first, last = spans.get(name, (start, stop))
            spans[name] = min(first, float(start)), max(last, float(stop))
    spans = dict(sorted(spans.items(), key=lambda one: one[1]))
    for (name, (_, stop)), (other, (start, _)) in pairwise(spans.items()):
        if start < stop - SAME_TIME:
            raise InputError(
                f"runs={runs!r}: run {other!r} begins at {start:.6g} s, before the end of run {name!r}, at "
                f"{stop:.6g} s; expected runs that follow one another"
            )
    if not spans:
        raise InputError(f"runs={runs!r} names no run: its values are missing")
    return spans
