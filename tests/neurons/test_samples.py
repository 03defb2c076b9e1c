"""Which samples lie in a window, and in which run: against loops, with times that are not quite even."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.neurons import table, traced

import differentia as dif
from differentia.neurons.preprocessing import Preprocessing
from differentia.neurons.samples import JITTER, Samples, samples_in
from differentia.neurons.windows import presentations

ONSETS = np.array([1.0, 3.0, 11.0, 13.0])
SHOWN = table(start=ONSETS, stop=ONSETS + 1, kind="a", run=[1, 1, 2, 2])


def found(times: np.ndarray, *preprocessing: object) -> Samples:
    recording = traced(np.arange(2.0 * len(times)).reshape(-1, 2), times, SHOWN)
    return samples_in(recording, presentations(recording, "kind"), Preprocessing(*preprocessing))  # type: ignore[arg-type]


@pytest.mark.parametrize("base", [0.0, 1.7e9, -500.0])
def test_windows_of_one_length_hold_as_many_samples(base: float) -> None:
    """Whatever the jitter of their times within a thousandth; with more of it they do not."""
    even = np.arange(320) / 20
    for jitter, alike in ((0.9 * JITTER, True), (100 * JITTER, False)):
        moved = np.random.default_rng(0).uniform(-jitter / 2, jitter / 2, len(even)) / 20
        recording = traced(np.zeros((len(even), 1)), base + even + moved, SHOWN.assign(
            start_time=base + ONSETS, stop_time=base + ONSETS + 1
        ))  # fmt: skip
        samples = samples_in(recording, presentations(recording, "kind"), Preprocessing())
        expected = [[int(20 * onset), int(20 * onset) + 20] for onset in ONSETS]
        assert (samples.ranges.tolist() == expected) == alike


def test_runs_are_those_of_their_windows() -> None:
    """From the first sample of the first window to the last one of the last."""
    samples = found(np.arange(320) / 20, "mean", False, "run")
    assert samples.runs.tolist() == [[20, 80], [220, 280]]
    assert samples.run_of.tolist() == [0, 0, 1, 1]
    assert [(run, rows.tolist()) for run, rows in samples.by_run()] == [(0, [0, 1]), (1, [2, 3])]
    np.testing.assert_allclose(samples.preprocessed(1)[:, 0], 2 * (np.arange(60) - 29.5))
    whole = found(np.arange(320) / 20, "mean")
    assert whole.runs.tolist() == [[0, 320]]
    assert whole.run_of.tolist() == [0, 0, 0, 0]


def test_windows_that_the_recording_cuts_off() -> None:
    """They are left out; those outside, and those without a sample, are refused."""
    samples = found(np.arange(265) / 20)
    assert len(samples.windows) == 3
    assert "the recording begins or ends during them" in samples.windows.told[0].text
    for times, says in (
        (np.arange(120) / 20, "2 of 4 windows lie outside of the recording"),
        (np.arange(10) * 2.1, "4 of 4 windows hold no sample"),
        (np.zeros(1), "the traces have fewer than two samples"),
    ):
        with pytest.raises(dif.InputError, match=says):
            found(times)
