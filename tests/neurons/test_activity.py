"""How samples are read: in parts that are not too large, or run by run."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
from helpers.neurons import table

from differentia.neurons.activity import mean_traces
from differentia.neurons.preprocessing import Preprocessing
from differentia.neurons.recording import Recording
from differentia.neurons.windows import presentations


@dataclass(frozen=True)
class Watched:
    """Traces that keep what was read of them."""

    values: np.ndarray
    read: list[tuple[int, int]] = field(default_factory=list)

    @property
    def n_units(self) -> int:
        return int(self.values.shape[1])

    @property
    def times(self) -> np.ndarray:
        return np.arange(len(self.values)) / 10

    def samples(self, start: int, stop: int) -> np.ndarray:
        self.read.append((start, stop))
        return self.values[start:stop]


def recorded() -> tuple[Watched, Recording]:
    """Return 60 s of 3 traces, and two runs of ten presentations."""
    traces = Watched(np.random.default_rng(0).normal(size=(600, 3)))
    starts = np.r_[np.arange(1.0, 21, 2), np.arange(31.0, 51, 2)]
    shown = table(start=starts, stop=starts + 0.5, kind="a", run=[1] * 10 + [2] * 10)
    return traces, Recording(traces, pd.DataFrame(index=range(3)), {"trials": shown})


def test_few_samples_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows that follow one another together, as far as they fit; each at least alone."""
    traces, recording = recorded()
    windows = presentations(recording, "kind")
    whole = mean_traces(recording, windows, Preprocessing()).values
    assert traces.read == [(10, 495)]
    for most, parts in ((3 * 25, 10), (3 * 45, 8), (1, 20)):
        traces.read.clear()
        monkeypatch.setattr("differentia.neurons.activity.READ_VALUES", most)
        again = mean_traces(recording, windows, Preprocessing()).values
        np.testing.assert_allclose(again, whole, rtol=1e-14)
        assert len(traces.read) == parts
        assert max(stop - start for start, stop in traces.read) <= max(most / 3, 5)


def test_runs_are_read_one_by_one() -> None:
    """Each from its first to its last interval, once."""
    traces, recording = recorded()
    windows = presentations(recording, "kind")
    mean_traces(recording, windows, Preprocessing(detrend="linear", runs="run"))
    assert traces.read == [(10, 195), (310, 495)]
    traces.read.clear()
    mean_traces(recording, windows, Preprocessing(detrend="mean"))
    assert traces.read == [(0, 600)]
