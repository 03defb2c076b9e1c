"""Recorded neurons that are made up, and plain loops over presentations, spikes and samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from differentia.neurons.recording import Recording


@dataclass(frozen=True)
class Trains:
    """Spike times of units, all at hand."""

    trains: Sequence[np.ndarray]

    @property
    def n_units(self) -> int:
        return len(self.trains)

    def times(self, unit: int) -> np.ndarray:
        return self.trains[unit]


@dataclass(frozen=True)
class Series:
    """Traces of units, all at hand."""

    values: np.ndarray
    times: np.ndarray

    @property
    def n_units(self) -> int:
        return int(self.values.shape[1])

    def samples(self, start: int, stop: int) -> np.ndarray:
        return self.values[start:stop]


def table(**columns: Any) -> pd.DataFrame:
    """Return a table of intervals, whose times are called start and stop."""
    named = {"start": "start_time", "stop": "stop_time"}
    return pd.DataFrame({named.get(name, name): values for name, values in columns.items()})


def spiking(
    trains: Sequence[Sequence[float]],
    intervals: pd.DataFrame | Mapping[str, pd.DataFrame],
    location: Sequence[object] | None = None,
    **fields: Any,
) -> Recording:
    """Return a recording of spikes, whose units are labelled 10, 11, ..."""
    activity = Trains([np.asarray(times, dtype=np.float64) for times in trains])
    return _recording(activity, intervals, location, fields)


def traced(
    values: np.ndarray,
    times: np.ndarray,
    intervals: pd.DataFrame | Mapping[str, pd.DataFrame],
    location: Sequence[object] | None = None,
    **fields: Any,
) -> Recording:
    """Return a recording of traces, whose units are labelled 10, 11, ..."""
    return _recording(Series(values, times), intervals, location, fields)


def _recording(
    activity: Any, intervals: Any, location: Sequence[object] | None, fields: Mapping[str, Any]
) -> Recording:
    columns = {} if location is None else {"location": [*location]}
    units = pd.DataFrame(columns, index=pd.RangeIndex(10, 10 + activity.n_units, name="id"))
    tables = {"trials": intervals} if isinstance(intervals, pd.DataFrame) else dict(intervals)
    return Recording(activity, units, tables, **fields)


def random_spikes(seed: int, n_units: int = 5, seconds: float = 60.0, rate: float = 8.0) -> list[list[float]]:
    """Return spike times of Poisson neurons, some of which lie on whole tenths of seconds."""
    rng = np.random.default_rng(seed)
    trains = []
    for _ in range(n_units):
        times = rng.uniform(0, seconds, rng.poisson(rate * seconds))
        times[::3] = np.round(times[::3], 1)
        trains.append(np.sort(times).tolist())
    return trains


def counted(trains: Sequence[Sequence[float]], windows: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return the number of spikes of each unit in each window, by loops: (window, unit)."""
    found = np.zeros((len(windows), len(trains)))
    for row, (start, stop) in enumerate(windows):
        for unit, times in enumerate(trains):
            for time in times:
                if start <= time < stop:
                    found[row, unit] += 1
    return found


def averaged(values: np.ndarray, times: np.ndarray, windows: Sequence[tuple[float, float]]) -> np.ndarray:
    """Return the mean of each trace over the samples of each window, by loops: (window, unit)."""
    return np.array(
        [
            [
                np.mean([value for value, time in zip(trace, times, strict=True) if start <= time < stop])
                for trace in values.T
            ]
            for start, stop in windows
        ]
    )
