"""The signals of a recording within windows: spikes in bins, traces as they were sampled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, cast, overload

import numpy as np
from jaxtyping import Float, Int

from differentia.errors import InputError
from differentia.neurons.binning import Bins
from differentia.neurons.recording import Recording
from differentia.neurons.samples import JITTER, Samples
from differentia.neurons.windows import Windows
from differentia.system.machine import free_memory, written_size

if TYPE_CHECKING:
    from differentia.neurons.recording import Spikes

#: Arrays of the size of a signal that counting takes at once.
COPIES = 5

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
    _require_memory(bins, float(windows.lengths.max()), max(map(len, areas.values())))

    @lru_cache(maxsize=1)
    def trains(area: str) -> list[Float[np.ndarray, " _"]]:
        return [spikes.times(unit) for unit in areas[area].tolist()]

    def read(area: str, at: int) -> Float[np.ndarray, "time unit"]:
        return bins.counted(trains(area), float(windows.starts[at]), float(windows.stops[at]))

    return read


def _require_memory(bins: Bins, longest: float, n_units: int) -> None:
    """Raise an error unless the counts of the longest window fit into memory, several times."""
    needed, free = COPIES * 8 * bins.count(longest) * n_units, free_memory()
    if needed > free:
        raise InputError(
            f"{bins.count(longest):,} bins of {n_units:,} units take {written_size(needed)} of memory, and "
            f"{written_size(free)} are free; give wider bins (bin=), or shorter windows"
        )


def sampled(samples: Samples, areas: Mapping[str, Int[np.ndarray, " _"]]) -> Reader:
    """Return what reads traces as they were sampled, at equal distances within each window.

    Those of one run are held where they are preprocessed.
    """
    _require_regular(samples)
    whole = lru_cache(maxsize=1)(samples.preprocessed)

    def read(area: str, at: int) -> Float[np.ndarray, "time unit"]:
        (first, last), units = samples.ranges[at].tolist(), areas[area]
        if samples.preprocessing.needed:
            run = int(samples.run_of[at])
            start = int(samples.runs[run, 0])
            return whole(run)[first - start : last - start, units]
        values = samples.read(first, last)[:, units]
        samples.require_finite(values, first, units)
        return values

    return read


def _require_regular(samples: Samples) -> None:
    """Raise an error where a step that differs from the others lies within a window."""
    times, period = samples.times, samples.period
    uneven = np.flatnonzero(np.abs(np.diff(times) - period) > JITTER * period)
    ranges = samples.ranges
    within = np.searchsorted(uneven, ranges[:, 0]) < np.searchsorted(uneven, ranges[:, 1] - 1)
    if within.any():
        at = int(np.argmax(within))
        one = int(uneven[np.searchsorted(uneven, ranges[at, 0])])
        raise InputError(
            f"in {samples.windows.words(at)}, the sample after {times[one]:.10g} s comes "
            f"{times[one + 1] - times[one]:.6g} s later, and others {period:.6g} s; states need samples at "
            "equal distances: resample the traces, or leave this one out (where=)"
        )
