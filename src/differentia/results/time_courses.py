"""The values of windows over time: through the recording, or after the onset of repeated trials."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from differentia.errors import InputError
from differentia.results.dataset import provenance, set_rows
from differentia.results.draws import draw_mean
from differentia.results.schema import ATTRIBUTE, TRIAL_VALUES

if TYPE_CHECKING:
    import xarray as xr

#: When each window begins and ends, in seconds.
START, STOP = f"{ATTRIBUTE}start", f"{ATTRIBUTE}stop"

#: How the windows of a trial are called: those of "movie 3" are "movie 3.1", "movie 3.2", and so on.
NAMED = re.compile(r"(.+)\.([0-9]+)")


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
            "the result has no values over time; measure states in moving windows: trials(..., length=, "
            "step=), or --states with --length and --step"
        )
    means = draw_mean(result[TRIAL_VALUES], result).sel(n_units=result["n_units"].max())
    values = means.transpose("image", "layer").values.astype(np.float64)
    starts, stops = (result[name].values.astype(np.float64) for name in (START, STOP))
    trials, parts = _parts_of_trials(result["image_name"].values.astype(str).tolist())
    rows = {str(name): set_rows(result, str(name)) for name in result["set"].values}
    counts = {name: len(np.unique(trials[at])) for name, at in rows.items()}
    repeated = [name for name, at in rows.items() if 1 < counts[name] < len(at)]
    middles = (starts + stops) / 2
    if not repeated:
        courses = {name: _through_time(middles[at], values[at], trials[at]) for name, at in rows.items()}
        return TimeCourses(courses, aligned=False)
    courses = {
        name: _after_onset(starts[at], stops[at], values[at], trials[at], parts[at])
        for name, at in rows.items()
        if name in repeated
    }
    longest = max(float(course.times[-1]) for course in courses.values())
    levels = {name: _constant(values[at], longest) for name, at in rows.items() if name not in courses}
    return TimeCourses({name: (courses | levels)[name] for name in rows}, aligned=True)


def _parts_of_trials(names: list[str]) -> tuple[Int[np.ndarray, " window"], Int[np.ndarray, " window"]]:
    """Return the trial that each window is of, as a number, and which of its windows it is, from 0."""
    found = [NAMED.fullmatch(name) for name in names]
    of_trials: dict[str, int] = {}
    trials = [of_trials.setdefault(match[1] if match else "", len(of_trials)) for match in found]
    return np.array(trials), np.array([int(match[2]) - 1 if match else 0 for match in found])


def _through_time(
    times: Float[np.ndarray, " window"],
    values: Float[np.ndarray, "window layer"],
    trials: Int[np.ndarray, " window"],
) -> Course:
    """Return the windows as they follow one another in the recording."""
    gaps = np.flatnonzero(np.diff(trials)) + 1
    values = np.insert(values, gaps, np.nan, axis=0)
    return Course(np.insert(times, gaps, np.nan), values, np.full(values.shape, np.nan), len(gaps) + 1)


def _after_onset(
    starts: Float[np.ndarray, " window"],
    stops: Float[np.ndarray, " window"],
    values: Float[np.ndarray, "window layer"],
    trials: Int[np.ndarray, " window"],
    parts: Int[np.ndarray, " window"],
) -> Course:
    """Return the mean over trials of the windows that begin at the same time after onset."""
    apart = (np.diff(trials) == 0) & (np.diff(parts) > 0)
    step = float(np.median((np.diff(starts)[apart]) / np.diff(parts)[apart]))
    lags = np.unique(parts)
    mean, error = (np.full((len(lags), values.shape[1]), np.nan) for _ in range(2))
    for at, layer in np.ndindex(mean.shape):
        known = values[parts == lags[at], layer]
        known = known[np.isfinite(known)]
        if len(known):
            mean[at, layer] = known.mean()
        if len(known) > 1:
            error[at, layer] = known.std(ddof=1) / np.sqrt(len(known))
    middle = float(np.median(stops - starts)) / 2
    return Course(lags * step + middle, mean, error, len(np.unique(trials)))


def _constant(values: Float[np.ndarray, "window layer"], longest: float) -> Course:
    """Return the mean over all windows of a set, as a level beside the courses of others."""
    known = np.isfinite(values)
    count = known.sum(axis=0)
    mean = np.where(count > 0, np.where(known, values, 0.0).sum(axis=0) / np.maximum(count, 1), np.nan)
    level = np.stack([mean, mean])
    return Course(np.array([0.0, longest]), level, np.full(level.shape, np.nan), 1, constant=True)
