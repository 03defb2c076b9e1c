"""The values of windows in the order of time: through the recording, or after the onset of repeated trials."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from differentia.errors import InputError
from differentia.results.dataset import provenance, set_rows
from differentia.results.draws import draw_mean
from differentia.results.schema import ATTRIBUTE, TRIAL_VALUES

if TYPE_CHECKING:
    import xarray as xr

#: When each window begins and ends, in seconds.
START, STOP = f"{ATTRIBUTE}start", f"{ATTRIBUTE}stop"

#: Windows that begin so many steps after the one before are of another trial.
JUMP = 1.5

#: Times that differ by less, as a share of the step between windows, are one time after onset.
SAME_LAG = 1e-3


class Course(NamedTuple):
    """The values of a set over time; where a trial ends, there is a NaN between it and the next."""

    #: Seconds: the middle of each window, in the recording or after the onset of its trial.
    times: Float[np.ndarray, " time"]
    values: Float[np.ndarray, "time layer"]
    #: The standard error of a mean over trials; NaN where it is not one.
    error: Float[np.ndarray, "time layer"]
    n_trials: int
    #: Whether it is one mean over all windows, of a set without trials beside sets that have some.
    constant: bool = False


class TimeCourses(NamedTuple):
    """The courses of sets, and whether they are means over trials that begin together."""

    of_sets: dict[str, Course]
    aligned: bool


def has_time_courses(result: xr.Dataset) -> bool:
    """Return whether a result has values of windows that moved through time."""
    return {TRIAL_VALUES, START, STOP} <= {*result.variables} and provenance(result).get("items") == "windows"


def time_courses(result: xr.Dataset) -> TimeCourses:
    """Return the values of a result's windows over time, at the largest number of units.

    Where a set has several trials with windows at the same times after their onsets, its course is the mean
    over them, with its standard error.
    """
    if not has_time_courses(result):
        raise InputError(
            "the result has no values over time; measure states in moving windows: trials(..., length=, step=), "
            "or --states with --length and --step"
        )
    values = draw_mean(result[TRIAL_VALUES], result).sel(n_units=result["n_units"].max())
    values = values.transpose("image", "layer").values.astype(np.float64)
    starts, stops = (result[name].values.astype(np.float64) for name in (START, STOP))
    rows = {str(name): set_rows(result, str(name)) for name in result["set"].values}
    begins = {name: _first_windows(starts[at]) for name, at in rows.items()}
    aligned = any(first.sum() > 1 and len(first) > first.sum() for first in begins.values())
    middles = (starts + stops) / 2
    if not aligned:
        courses = {name: _through_time(middles[at], values[at], begins[name]) for name, at in rows.items()}
        return TimeCourses(courses, aligned=False)
    longest = 0.0
    courses = {}
    for name, at in rows.items():
        if begins[name].sum() > 1:
            courses[name] = _after_onset(starts[at], stops[at], values[at], begins[name])
            longest = max(longest, float(courses[name].times[-1]))
    for name, at in rows.items():
        if name not in courses:
            courses[name] = _constant(values[at], longest)
    return TimeCourses({name: courses[name] for name in rows}, aligned=True)


def _first_windows(starts: Float[np.ndarray, " window"]) -> Bool[np.ndarray, " window"]:
    """Return which windows are the first of their trial."""
    steps = np.diff(starts)
    forward = steps[steps > 0]
    step = float(np.median(forward)) if len(forward) else np.inf
    return np.r_[True, (steps <= 0) | (steps > JUMP * step)]


def _through_time(
    times: Float[np.ndarray, " window"],
    values: Float[np.ndarray, "window layer"],
    first: Bool[np.ndarray, " window"],
) -> Course:
    """Return the windows as they follow one another in the recording."""
    gaps = np.flatnonzero(first)[1:]
    values = np.insert(values, gaps, np.nan, axis=0)
    error = np.full(values.shape, np.nan)
    return Course(np.insert(times, gaps, np.nan), values, error, int(first.sum()))


def _after_onset(
    starts: Float[np.ndarray, " window"],
    stops: Float[np.ndarray, " window"],
    values: Float[np.ndarray, "window layer"],
    first: Bool[np.ndarray, " window"],
) -> Course:
    """Return the mean over trials of the windows that begin at the same time after onset."""
    trial: Int[np.ndarray, " window"] = np.cumsum(first) - 1
    lags = starts - starts[first][trial]
    steps = lags[~first]
    step = float(steps.min()) if len(steps) else 1.0
    order = np.unique(np.round(lags / (step * SAME_LAG)), return_inverse=True)[1]
    n_lags, n_layers = order.max() + 1, values.shape[1]
    times = np.array([(lags + (stops - starts) / 2)[order == at].mean() for at in range(n_lags)])
    mean, error = (np.full((n_lags, n_layers), np.nan) for _ in range(2))
    for at in range(n_lags):
        for layer in range(n_layers):
            known = values[order == at, layer]
            known = known[np.isfinite(known)]
            if len(known):
                mean[at, layer] = known.mean()
            if len(known) > 1:
                error[at, layer] = known.std(ddof=1) / np.sqrt(len(known))
    return Course(times, mean, error, int(first.sum()))


def _constant(values: Float[np.ndarray, "window layer"], longest: float) -> Course:
    """Return the mean over all windows of a set, as a level beside the courses of others."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    mean = np.where(count > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
    level = np.stack([mean, mean])
    return Course(np.array([0.0, longest]), level, np.full(level.shape, np.nan), 1, constant=True)
