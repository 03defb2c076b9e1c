"""The samples of traces: which of them lie in each window, and in which run these are preprocessed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from jaxtyping import Float, Int

from differentia.errors import InputError
from differentia.neurons.preprocessing import Preprocessing, of_run, require_no_gaps, runs_of
from differentia.neurons.recording import Recording
from differentia.neurons.windows import Windows, require_inside, sample_period

if TYPE_CHECKING:
    import pandas as pd

    from differentia.neurons.recording import Traces

#: As a share of the time from sample to sample, by how much it may vary: windows of one length hold as many
#: samples, though the times of these are not quite even.
JITTER = 1e-3


@dataclass(frozen=True, eq=False)
class Samples:
    """The samples of a recording's traces in the windows that lie within it."""

    traces: Traces
    units: pd.Index[Any]
    times: Float[np.ndarray, " sample"]
    period: float
    preprocessing: Preprocessing
    windows: Windows
    #: From which sample to before which each window lasts.
    ranges: Int[np.ndarray, "window 2"]
    #: The same of each run within which samples are preprocessed, and in which of them each window lies.
    runs: Int[np.ndarray, "run 2"]
    run_of: Int[np.ndarray, " window"]

    def read(self, start: int, stop: int) -> Float[np.ndarray, "sample unit"]:
        """Return the samples from one to before another as they were recorded."""
        return np.asarray(self.traces.samples(start, stop), dtype=np.float64)

    def preprocessed(self, run: int) -> Float[np.ndarray, "sample unit"]:
        """Return the samples of a run without their trend, standardised where asked for."""
        start, stop = self.runs[run].tolist()
        values = self.read(start, stop)
        self.require_finite(values, start)
        how = self.preprocessing
        return of_run(values, how.detrend, standardize=how.standardize)

    def by_run(self) -> Iterator[tuple[int, Int[np.ndarray, " _"]]]:
        """Yield each run with windows in it, and the rows of these."""
        for run in np.unique(self.run_of).tolist():
            yield run, np.flatnonzero(self.run_of == run)

    def require_finite(
        self, values: Float[np.ndarray, "sample unit"], start: int, units: Any = slice(None)
    ) -> None:
        """Raise an error where samples from one on, of some units by their places, are not finite."""
        require_no_gaps(values, self.times[start : start + len(values)], "second", self.units[units])


def samples_in(recording: Recording, windows: Windows, preprocessing: Preprocessing) -> Samples:
    """Return the samples in windows, without those during which the recording begins or ends."""
    traces = cast("Traces", recording.activity)
    times = np.asarray(traces.times, dtype=np.float64)
    if len(times) < 2:
        raise InputError("the traces have fewer than two samples; expected samples over time")
    period = sample_period(recording)
    first, last = float(times[0]), float(times[-1]) + period
    require_inside(windows, first, last, "samples")
    tolerance = windows.tolerance + JITTER * period
    cut_off = (windows.starts < first - tolerance) | (windows.stops > last + tolerance)
    windows = windows.keep(~cut_off, "the recording begins or ends during them")
    ranges = np.searchsorted(times, np.stack([windows.starts, windows.stops], axis=1) - tolerance)
    empty = ranges[:, 0] == ranges[:, 1]
    if empty.any():
        one = int(np.argmax(empty))
        raise InputError(
            f"{np.count_nonzero(empty):,} of {len(windows):,} windows hold no sample, such as "
            f"{windows.words(one)}; the time from sample to sample is {period:.6g} s: give a longer window="
        )
    runs, run_of = np.array([[0, len(times)]]), np.zeros(len(windows), dtype=np.intp)
    if preprocessing.needed and preprocessing.runs is not None:
        spans = np.array([*runs_of(recording, preprocessing.runs).values()])
        runs = np.searchsorted(times, spans - tolerance)
        run_of = _runs_of_windows(windows, ranges, runs, preprocessing.runs)
    return Samples(traces, recording.units.index, times, period, preprocessing, windows, ranges, runs, run_of)


def _runs_of_windows(
    windows: Windows, ranges: Int[np.ndarray, "window 2"], runs: Int[np.ndarray, "run 2"], name: str
) -> Int[np.ndarray, " window"]:
    """Return in which run each window lies, or raise an error for one that lies in none."""
    place = np.searchsorted(runs[:, 0], ranges[:, 0], side="right") - 1
    outside = (place < 0) | (ranges[:, 1] > runs[place, 1])
    if outside.any():
        raise InputError(
            f"{windows.words(int(np.argmax(outside)))}, lies in no run of runs={name!r}; leave such "
            "presentations out (where=), or detrend without runs"
        )
    return place
