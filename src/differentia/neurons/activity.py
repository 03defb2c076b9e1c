"""What units did within windows: their spikes counted, their traces averaged, or taken sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
from jaxtyping import Float, Int, Num

from differentia.errors import InputError
from differentia.neurons.preprocessing import Preprocessing
from differentia.neurons.recording import Recording
from differentia.neurons.samples import Samples, samples_in
from differentia.neurons.windows import Windows, require_inside

if TYPE_CHECKING:
    from differentia.neurons.recording import Spikes

#: Values of traces that are read at once, 32 MiB of them, unless they are preprocessed run by run.
READ_VALUES = 2**22


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
    samples = samples_in(recording, windows, preprocessing)
    found = np.empty((len(samples.windows), recording.activity.n_units))
    for start, values, rows in _parts(samples):
        edges = samples.ranges[rows] - start
        # Of what lies between windows, too, which is not looked at; the last sum needs a row to begin at.
        sums = np.add.reduceat(np.vstack([values, values[:1]]), edges.ravel(), axis=0)[::2]
        found[rows] = sums / np.diff(edges, axis=1)
    return Found(samples.windows, found)


def take_samples(recording: Recording, windows: Windows, preprocessing: Preprocessing) -> Found:
    """Return every sample of each window as a response of its own."""
    samples = samples_in(recording, windows, preprocessing)
    counts = np.diff(samples.ranges, axis=1)[:, 0]
    ends = counts.cumsum()
    found = np.empty((int(ends[-1]), recording.activity.n_units))
    for start, values, rows in _parts(samples):
        for row in rows.tolist():
            first, last = samples.ranges[row] - start
            found[ends[row] - counts[row] : ends[row]] = values[first:last]
    parts, part = samples.windows.split(counts)
    times = samples.times[np.repeat(samples.ranges[:, 0], counts) + part]
    return Found(replace(parts, starts=times, stops=times + samples.period), found)


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


def _parts(
    samples: Samples,
) -> Iterator[tuple[int, Float[np.ndarray, "sample unit"], Int[np.ndarray, " _"]]]:
    """Yield a first sample, the samples from there on, preprocessed, and the rows of the windows in them."""
    if samples.preprocessing.needed:
        for run, rows in samples.by_run():
            yield int(samples.runs[run, 0]), samples.preprocessed(run), rows
        return
    for rows in _groups(samples.ranges, READ_VALUES // max(samples.traces.n_units, 1)):
        ranges = samples.ranges[rows]
        start = int(ranges[:, 0].min())
        values = samples.read(start, int(ranges[:, 1].max()))
        if not np.isfinite(values).all():
            for first, last in ranges.tolist():
                samples.require_finite(values[first - start : last - start], first)
        yield start, values, rows


def _groups(ranges: Int[np.ndarray, "window 2"], most: int) -> Iterator[Int[np.ndarray, " _"]]:
    """Yield the rows of windows that follow one another and together reach over few samples, at least one."""
    first = 0
    while first < len(ranges):
        reach = np.maximum.accumulate(ranges[first:, 1]) - ranges[first, 0]
        last = first + max(1, int(np.searchsorted(reach, most, side="right")))
        yield np.arange(first, last)
        first = last
