"""What units did within windows: their spikes counted, their traces averaged, or taken sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from jaxtyping import Float, Int, Num

from differentia.errors import InputError
from differentia.neurons.preprocessing import of_run, require_no_gaps, runs_of
from differentia.neurons.recording import Recording
from differentia.neurons.windows import Windows, require_inside, sample_period

if TYPE_CHECKING:
    from differentia.neurons.recording import Spikes, Traces

#: Values of traces that are read at once, 32 MiB of them, unless they are preprocessed run by run.
READ_VALUES = 2**22


@dataclass(frozen=True)
class Preprocessing:
    """What is done to traces before anything else."""

    detrend: str = "none"
    standardize: bool = False
    runs: str | None = None

    @property
    def needed(self) -> bool:
        return self.detrend != "none" or self.standardize


class Found(NamedTuple):
    """What was found in windows; where each sample is a response, it has a window of its own."""

    windows: Windows
    values: Num[np.ndarray, "window unit"]


def count_spikes(recording: Recording, windows: Windows, _: Preprocessing) -> Found:
    """Return the number of spikes in each window, in the smallest type that holds them."""
    spikes = cast("Spikes", recording.activity)
    # Signed, because differences of what has no sign are wrong where they would be negative.
    counts = np.zeros((spikes.n_units, len(windows)), dtype=np.int8)
    first, last = np.inf, -np.inf
    for unit in range(spikes.n_units):
        times = spikes.times(unit)
        if not len(times):
            continue
        first, last = min(first, float(times[0])), max(last, float(times[-1]))
        found = np.searchsorted(times, windows.stops) - np.searchsorted(times, windows.starts)
        if (most := int(found.max())) > np.iinfo(counts.dtype).max:
            counts = counts.astype(np.min_scalar_type(-most - 1))
        counts[unit] = found
    if recording.observed is None:  # else they are known to lie within the recording
        if first > last:
            raise InputError("no unit has a spike; expected spike times in seconds")
        require_inside(windows, first, last, "spikes of all units")
    return Found(windows, counts.T)


def mean_traces(recording: Recording, windows: Windows, preprocessing: Preprocessing) -> Found:
    """Return the mean of each trace over the samples of each window."""
    windows, sampled = _sampled(recording, windows)
    found = np.empty((len(windows), recording.activity.n_units))
    for start, values, rows in _parts(recording, windows, sampled, preprocessing):
        edges = sampled[rows] - start
        # Of what lies between windows, too, which is not looked at; the last sum needs a row to begin at.
        sums = np.add.reduceat(np.vstack([values, values[:1]]), edges.ravel(), axis=0)[::2]
        found[rows] = sums / np.diff(edges, axis=1)
    return Found(windows, found)


def take_samples(recording: Recording, windows: Windows, preprocessing: Preprocessing) -> Found:
    """Return every sample of each window as a response of its own."""
    windows, sampled = _sampled(recording, windows)
    counts = np.diff(sampled, axis=1)[:, 0]
    ends = counts.cumsum()
    found = np.empty((int(ends[-1]), recording.activity.n_units))
    for start, values, rows in _parts(recording, windows, sampled, preprocessing):
        for row in rows.tolist():
            first, last = sampled[row] - start
            found[ends[row] - counts[row] : ends[row]] = values[first:last]
    of = np.repeat(np.arange(len(windows)), counts)
    place = np.arange(len(of)) - np.repeat(ends - counts, counts)
    times = _times(recording)[np.repeat(sampled[:, 0], counts) + place]
    samples = windows.take(of)
    names = [f"{name}.{number + 1}" for name, number in zip(samples.names, place.tolist(), strict=True)]
    return Found(
        replace(
            samples, starts=times, stops=times + sample_period(recording), names=np.array(names, dtype=object)
        ),
        found,
    )


class Value(NamedTuple):
    """What a response is."""

    read: Callable[[Recording, Windows, Preprocessing], Found]
    of_spikes: bool
    per_second: bool = False


VALUES = {
    "count": Value(count_spikes, of_spikes=True),
    "rate": Value(count_spikes, of_spikes=True, per_second=True),
    "mean": Value(mean_traces, of_spikes=False),
    "samples": Value(take_samples, of_spikes=False),
}


def _times(recording: Recording) -> Float[np.ndarray, " sample"]:
    return np.asarray(cast("Traces", recording.activity).times, dtype=np.float64)


def _sampled(recording: Recording, windows: Windows) -> tuple[Windows, Int[np.ndarray, "window 2"]]:
    """Return the windows that lie within the recording, and which samples each begins and ends before."""
    times = _times(recording)
    if not len(times):
        raise InputError("the traces have no sample")
    last = float(times[-1]) + sample_period(recording)
    require_inside(windows, float(times[0]), last, "samples")
    cut_off = (windows.starts < times[0] - windows.tolerance) | (windows.stops > last + windows.tolerance)
    windows = windows.keep(~cut_off, "the recording begins or ends during them")
    edges = np.stack([windows.starts, windows.stops], axis=1) - windows.tolerance
    sampled = np.searchsorted(times, edges)
    empty = sampled[:, 0] == sampled[:, 1]
    if empty.any():
        one = int(np.argmax(empty))
        raise InputError(
            f"{np.count_nonzero(empty):,} of {len(windows):,} windows hold no sample, such as "
            f"{windows.words(one)}; the time from sample to sample is {sample_period(recording):.6g} s: give "
            "a longer window="
        )
    return windows, sampled


def _parts(
    recording: Recording,
    windows: Windows,
    sampled: Int[np.ndarray, "window 2"],
    preprocessing: Preprocessing,
) -> Iterator[tuple[int, Float[np.ndarray, "sample unit"], Int[np.ndarray, " _"]]]:
    """Yield a first sample, the samples from there on, preprocessed, and the rows of the windows in them."""
    traces = cast("Traces", recording.activity)
    labels = recording.units.index
    times = _times(recording)
    if not preprocessing.needed:
        for rows in _groups(sampled, READ_VALUES // max(traces.n_units, 1)):
            start, stop = int(sampled[rows, 0].min()), int(sampled[rows, 1].max())
            values = np.asarray(traces.samples(start, stop), dtype=np.float64)
            for first, last in sampled[rows] - start if not np.isfinite(values).all() else ():
                require_no_gaps(values[first:last], times[start + first : start + last], "second", labels)
            yield start, values, rows
        return
    for (start, stop), rows in _by_run(recording, windows, sampled, preprocessing.runs):
        values = np.asarray(traces.samples(start, stop), dtype=np.float64)
        require_no_gaps(values, times[start:stop], "second", labels)
        yield start, of_run(values, preprocessing.detrend, standardize=preprocessing.standardize), rows


def _groups(sampled: Int[np.ndarray, "window 2"], most: int) -> Iterator[Int[np.ndarray, " _"]]:
    """Yield the rows of windows that follow one another and together reach over few samples, at least one."""
    first = 0
    while first < len(sampled):
        reach = np.maximum.accumulate(sampled[first:, 1]) - sampled[first, 0]
        last = first + max(1, int(np.searchsorted(reach, most, side="right")))
        yield np.arange(first, last)
        first = last


def _by_run(
    recording: Recording, windows: Windows, sampled: Int[np.ndarray, "window 2"], runs: str | None
) -> Iterator[tuple[tuple[int, int], Int[np.ndarray, " _"]]]:
    """Yield the samples of each run, from where to before where, and the rows of the windows in it."""
    times = _times(recording)
    if runs is None:
        yield (0, len(times)), np.arange(len(windows))
        return
    spans = np.array([*runs_of(recording, runs).values()])
    ranges = np.searchsorted(times, spans - windows.tolerance)
    place = np.searchsorted(ranges[:, 0], sampled[:, 0], side="right") - 1
    outside = (place < 0) | (sampled[:, 1] > ranges[place, 1])
    if outside.any():
        one = int(np.argmax(outside))
        raise InputError(
            f"{windows.words(one)}, lies in no run of runs={runs!r}; leave such presentations out (where=), "
            "or detrend without runs"
        )
    for run in np.unique(place).tolist():
        yield (int(ranges[run, 0]), int(ranges[run, 1])), np.flatnonzero(place == run)
