"""The signals of a recording within windows: spikes in bins, traces as they were sampled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast, overload

import numpy as np
from jaxtyping import Float, Int

from differentia.errors import InputError
from differentia.neurons.activity import Preprocessing
from differentia.neurons.binning import Bins
from differentia.neurons.preprocessing import of_run, require_no_gaps, runs_of
from differentia.neurons.recording import Recording
from differentia.neurons.windows import Windows, require_inside

if TYPE_CHECKING:
    from differentia.neurons.recording import Spikes, Traces

#: As a share of the time from sample to sample, by how much it may vary.
_JITTER = 1e-3

#: Reads the signal of an area's units in a window, by its place.
Reader = Callable[[str, int], Float[np.ndarray, "time unit"]]


@dataclass(frozen=True, eq=False)
class ReadSignals(Sequence[Float[np.ndarray, "time unit"]]):
    """Signals of an area, each of which is read when it is asked for."""

    read: Reader
    area: str
    rows: tuple[int, ...]

    def __len__(self) -> int:
        """Return the number of signals."""
        return len(self.rows)

    @overload
    def __getitem__(self, at: int) -> Float[np.ndarray, "time unit"]: ...

    @overload
    def __getitem__(self, at: slice) -> ReadSignals: ...

    def __getitem__(self, at: int | slice) -> Float[np.ndarray, "time unit"] | ReadSignals:
        """Return a signal, or some that are read later."""
        if isinstance(at, slice):
            return ReadSignals(self.read, self.area, self.rows[at])
        return self.read(self.area, self.rows[at])


def binned(
    recording: Recording, windows: Windows, areas: Mapping[str, Int[np.ndarray, " _"]], bins: Bins
) -> Reader:
    """Return what reads spikes in bins; the spike times of one area are held at a time."""
    spikes = cast("Spikes", recording.activity)

    @lru_cache(maxsize=1)
    def trains(area: str) -> list[Float[np.ndarray, " _"]]:
        return [spikes.times(unit) for unit in areas[area].tolist()]

    def read(area: str, at: int) -> Float[np.ndarray, "time unit"]:
        return bins.counted(trains(area), float(windows.starts[at]), float(windows.stops[at]))

    return read


class Sampled:
    """The traces of a recording, whose samples are equally far from each other within each window."""

    def __init__(
        self,
        recording: Recording,
        windows: Windows,
        areas: Mapping[str, Int[np.ndarray, " _"]],
        preprocessing: Preprocessing,
    ) -> None:
        self._traces = cast("Traces", recording.activity)
        self._labels, self._areas, self._preprocessing = recording.units.index, areas, preprocessing
        self._times = np.asarray(self._traces.times, dtype=np.float64)
        if len(self._times) < 2:
            raise InputError("the traces have fewer than two samples; expected samples over time")
        steps = np.diff(self._times)
        self._period = float(np.median(steps))
        last = float(self._times[-1]) + self._period
        require_inside(windows, float(self._times[0]), last, "samples")
        # So that windows of one length hold as many samples, whose times are not quite even.
        tolerance = windows.tolerance + _JITTER * self._period
        cut_off = (windows.starts < self._times[0] - tolerance) | (windows.stops > last + tolerance)
        self.windows = windows.keep(~cut_off, "the recording begins or ends during them")
        edges = np.stack([self.windows.starts, self.windows.stops], axis=1) - tolerance
        self._sampled = np.searchsorted(self._times, edges)
        self._require_regular(np.flatnonzero(np.abs(steps - self._period) > _JITTER * self._period))
        self._runs = self._ranges(recording)
        self._whole = lru_cache(maxsize=1)(self._of_run)

    @property
    def rate(self) -> float:
        """Samples in a second."""
        return 1 / self._period

    def _require_regular(self, uneven: Int[np.ndarray, " _"]) -> None:
        """Raise an error where a step that differs from the others lies within a window."""
        for at, (first, last) in enumerate(self._sampled.tolist()):
            within = uneven[np.searchsorted(uneven, first) : np.searchsorted(uneven, last - 1)]
            if len(within):
                one = int(within[0])
                raise InputError(
                    f"in {self.windows.words(at)}, the sample after {self._times[one]:.10g} s comes "
                    f"{self._times[one + 1] - self._times[one]:.6g} s later, and others "
                    f"{self._period:.6g} s; states need samples at equal distances: resample the traces, or "
                    "leave this one out (where=)"
                )

    def _ranges(self, recording: Recording) -> Int[np.ndarray, "run 2"]:
        """Return from which sample to before which each run lasts, or the whole recording."""
        runs, windows = self._preprocessing.runs, self.windows
        if not self._preprocessing.needed or runs is None:
            return np.array([[0, len(self._times)]])
        spans = np.array([*runs_of(recording, runs).values()])
        ranges = np.searchsorted(self._times, spans - windows.tolerance)
        place = np.searchsorted(ranges[:, 0], self._sampled[:, 0], side="right") - 1
        outside = (place < 0) | (self._sampled[:, 1] > ranges[place, 1])
        if outside.any():
            raise InputError(
                f"{windows.words(int(np.argmax(outside)))}, lies in no run of runs={runs!r}; leave such "
                "presentations out (where=), or detrend without runs"
            )
        return ranges

    def _of_run(self, start: int, stop: int) -> Float[np.ndarray, "time unit"]:
        values = np.asarray(self._traces.samples(start, stop), dtype=np.float64)
        require_no_gaps(values, self._times[start:stop], "second", self._labels)
        how = self._preprocessing
        return of_run(values, how.detrend, standardize=how.standardize)

    def read(self, area: str, at: int) -> Float[np.ndarray, "time unit"]:
        """Return the samples of an area in a window; those of one run are held where it is preprocessed."""
        first, last = self._sampled[at].tolist()
        if self._preprocessing.needed:
            run = int(np.searchsorted(self._runs[:, 0], first, side="right")) - 1
            start, stop = self._runs[run].tolist()
            return self._whole(start, stop)[first - start : last - start, self._areas[area]]
        values = np.asarray(self._traces.samples(first, last), dtype=np.float64)[:, self._areas[area]]
        require_no_gaps(values, self._times[first:last], "second", self._labels[self._areas[area]])
        return values
