"""Times of spikes, samples and intervals: whether they can be what they are said to be."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float

from differentia.errors import InputError


def spike_times(given: Any, where: str, way_out: str = "sort them") -> Float[np.ndarray, " spike"]:
    """Return spike times as float64, or raise an error where one is missing, or comes before the last.

    They are not sorted here: times that are out of order are most often those of two units, which an index
    that is wrong has put together.
    """
    times = _numbers(given, where, "spike times")
    if (at := _first_descent(times)) is not None:
        raise InputError(
            f"{where}: spike times are out of order ({times[at + 1]:g} s after {times[at]:g} s); {way_out}"
        )
    return times


def sample_times(given: Any, where: str) -> Float[np.ndarray, " sample"]:
    """Return the times of samples as float64, or raise an error unless each is later than the last."""
    times = _numbers(given, where, "times of samples")
    if (at := _first_descent(times, allow_equal=False)) is not None:
        raise InputError(
            f"{where}: the times of samples do not ascend ({times[at + 1]:g} s after {times[at]:g} s); "
            "give each sample a later one"
        )
    return times


def regular_times(start: Any, rate: Any, count: int, where: str) -> Float[np.ndarray, " sample"]:
    """Return the times of samples that are taken at a rate, in Hz, from a time on."""
    first, per_second = (number(value) for value in (start, rate))
    if not (np.isfinite(per_second) and per_second > 0):
        raise InputError(f"{where}: the rate is {_shown(rate)}; expected samples per second, above 0")
    if not np.isfinite(first):
        raise InputError(f"{where}: the first sample is at {_shown(start)}; expected a time in seconds")
    return first + np.arange(count) / per_second


def spans(starts: Any, stops: Any, where: str) -> Float[np.ndarray, "n 2"]:
    """Return intervals (start, stop) as float64, or raise an error where a time is missing, or goes back."""
    times = [_numbers(given, where, what) for given, what in ((starts, "starts"), (stops, "ends"))]
    if len(times[0]) != len(times[1]):
        raise InputError(f"{where}: {len(times[0]):,} starts and {len(times[1]):,} ends; expected as many")
    if (early := np.flatnonzero(times[1] < times[0])).size:
        at = int(early[0])
        raise InputError(
            f"{where}: interval {at} ends at {times[1][at]:g} s, before it begins at {times[0][at]:g} s; "
            "correct it, or leave it out"
        )
    return np.column_stack(times)


def _numbers(given: Any, where: str, what: str) -> Float[np.ndarray, " n"]:
    try:
        values = np.asarray(given)
    except (TypeError, ValueError):  # rows of unequal length
        values = np.empty(1, object)
    if values.ndim != 1 or (values.dtype.kind not in "iuf" and values.size):
        found = f"of shape {values.shape}" if values.dtype.kind in "iuf" else "no numbers"
        raise InputError(
            f"{where}: the {what} are {found}; expected numbers, in seconds, one after the other"
        )
    numbers = values.astype(np.float64)
    if not np.isfinite(numbers).all():
        at = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise InputError(
            f"{where}: number {at} of the {what} is {numbers[at]}; expected seconds: leave out "
            "what has no time"
        )
    return numbers


def number(value: Any) -> float:
    """Return a single number, NaN for anything else."""
    single = np.asarray(value)
    return float(single.reshape(())) if single.size == 1 and single.dtype.kind in "iuf" else float("nan")


def _shown(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float | np.floating) else repr(value)


def _first_descent(times: Float[np.ndarray, " n"], *, allow_equal: bool = True) -> int | None:
    """Return the first place after which times do not go on as they should."""
    wrong = times[1:] < times[:-1] if allow_equal else times[1:] <= times[:-1]
    return int(np.argmax(wrong)) if wrong.any() else None
