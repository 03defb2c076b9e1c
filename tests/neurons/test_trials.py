"""Trials of a recording: their signals against loops over spikes and samples, and what is told or refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

import differentia as dif

RNG = np.random.default_rng(0)
AREAS = ["V1", "LM", "V1"]
STARTS = [1.0, 4.0, 7.0, 10.0]
SETS = ["natural", "scrambled", "natural", "scrambled"]
INTERVALS = pd.DataFrame(
    {"start_time": STARTS, "stop_time": [start + 2.0 for start in STARTS], "stimulus_name": SETS}
)
TRAINS = [np.sort(RNG.uniform(0, 14, 400)) for _ in AREAS]
TRACES = RNG.normal(size=(420, 3)).cumsum(axis=0)  # of 14 s at 30 samples a second


def spikes(**options: Any) -> dif.Recording:
    return dif.as_recording(TRAINS, units={"location": AREAS}, intervals=INTERVALS, session="s1", **options)


def traces(times: Any = None) -> dif.Recording:
    times = np.arange(420) / 30 if times is None else times
    return dif.as_recording(TRACES, units={"location": AREAS}, intervals=INTERVALS, times=times)


def test_spikes_are_counted_in_the_bins_of_each_trial() -> None:
    """By set and area, in the order of time; windows and sets are named."""
    found = dif.trials(spikes(), by="stimulus_name", bin=0.1)
    assert found.sets == {"natural": 2, "scrambled": 2}
    assert found.areas == ("V1", "LM")
    assert found.rate == pytest.approx(10.0)
    signal = found.signals["natural"]["V1"][1]
    for bin_, row in enumerate(signal):
        start = 7.0 + bin_ * 0.1
        for column, unit in enumerate((0, 2)):
            assert (
                row[column] == ((TRAINS[unit] >= start - 1e-12) & (TRAINS[unit] < start + 0.1 - 1e-12)).sum()
            )
    assert signal.shape == (20, 2)
    assert found.spans is not None
    assert found.spans["scrambled"].tolist() == [[4.0, 6.0], [10.0, 12.0]]
    assert found.names["natural"] == ("natural 1", "natural 2")
    assert "natural (2)" in repr(found)
    assert not found.windows


def test_traces_are_the_samples_of_each_trial() -> None:
    """At their own rate."""
    found = dif.trials(traces(), by="stimulus_name")
    assert found.rate == pytest.approx(30.0)
    np.testing.assert_array_equal(found.signals["scrambled"]["LM"][0], TRACES[120:180, 1:2])
    np.testing.assert_array_equal(found.signals["natural"]["V1"][-1], TRACES[210:270, [0, 2]])
    first = found.signals["natural"]["V1"][:1]
    assert len(first) == 1


def test_after_onset() -> None:
    """Trials last as long as their window."""
    found = dif.trials(traces(), by="stimulus_name", window=(0.5, 1.5))
    np.testing.assert_array_equal(found.signals["natural"]["LM"][0], TRACES[45:75, 1:2])


def test_moving_windows_within_trials() -> None:
    """Each has a signal of its own, says when it was, and that it is no independent sample."""
    found = dif.trials(traces(), by="stimulus_name", length=1.0, step=0.5)
    assert found.sets == {"natural": 6, "scrambled": 6}
    assert found.windows
    assert found.names["natural"][:4] == ("natural 1.1", "natural 1.2", "natural 1.3", "natural 2.1")
    np.testing.assert_array_equal(found.signals["natural"]["LM"][1], TRACES[45:75, 1:2])
    assert found.spans is not None
    assert found.spans["natural"][1].tolist() == [1.5, 2.5]
    one_each = dif.trials(traces(), by="stimulus_name", length=2.0)
    assert not one_each.windows


def test_a_set_whose_trials_are_shorter_than_the_window() -> None:
    """It is left out, which is told with its name."""
    shown = pd.DataFrame({"start_time": [0.0, 4.0, 8.0], "stop_time": [3.0, 7.0, 9.0], "kind": [*"aab"]})
    recording = dif.as_recording(TRACES, rate=30.0, intervals=shown)
    with pytest.warns(dif.DifferentiaWarning, match="no trial of 'b' is as long as a window of 2 s"):
        assert dif.trials(recording, by="kind", length=2.0).sets == {"a": 2}
    assert dif.trials(recording, by="kind", length=1.0).sets == {"a": 6, "b": 1}  # all are long enough


def test_moving_windows_of_a_whole_recording() -> None:
    """Without a column of sets."""
    found = dif.trials(spikes(observed=[[0.0, 14.0]]), bin=0.1, length=3.0)
    assert found.sets == {"all": 4}
    assert any("2 s) was left out" in one for one in found.told)
    assert found.spans is not None
    assert found.spans["all"][:, 0].tolist() == [0.0, 3.0, 6.0, 9.0]
    assert dif.trials(traces(), length=7.0).sets == {"all": 2}


def test_a_result_knows_its_recording() -> None:
    """Its trials have times, its session a name; it is the result of their signals."""
    found = dif.trials(spikes(), by="stimulus_name", bin=0.05)
    result = dif.measure_states(found, length=0.4)
    table = dif.trial_values(result)
    assert set(table["session"]) == {"s1"}
    assert table["start"].tolist() == [1.0, 1.0, 7.0, 7.0, 4.0, 4.0, 10.0, 10.0]
    arrays = {name: {area: [*of] for area, of in by_area.items()} for name, by_area in found.signals.items()}
    same = dif.measure_states(arrays, rate=found.rate, length=0.4)
    np.testing.assert_array_equal(same["trial_differentiation"], result["trial_differentiation"])


def test_windows_have_no_limits() -> None:
    """A doubt says why; trials have some."""
    windows = dif.trials(traces(), length=2.0)
    result = dif.measure_states(windows, length=0.5)
    assert set(dif.doubts(result).values.ravel()) == {"windows"}
    assert result["differentiation_low"].sel(source="images").isnull().all()
    assert "windows of one stretch of time follow one another" in dif.say_doubts(result)[0]
    assert "window" in str(dif.describe_methods(result))
    whole = dif.measure_states({"a": RNG.normal(size=(4, 60, 2))}, rate=30.0, length=0.5)
    assert whole["differentiation_low"].sel(source="images").notnull().all()


def test_traces_are_detrended_run_by_run() -> None:
    """The line of each run is taken away before trials are cut out of it; without, it is not."""
    drifting = TRACES * 0 + np.arange(420)[:, np.newaxis] % 210
    runs = pd.DataFrame({"start_time": [0.0, 7.0], "stop_time": [7.0, 14.0]})
    recording = dif.as_recording(
        drifting, intervals={"trials": INTERVALS, "runs": runs}, times=np.arange(420) / 30
    )
    found = dif.trials(recording, by="stimulus_name", detrend="linear", runs="runs")
    assert max(np.abs(one).max() for of in found.signals.values() for one in of["all"]) < 1e-9
    assert np.ptp(dif.trials(recording, by="stimulus_name").signals["natural"]["all"][0]) == 59


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "states of spikes need bins"),
        ({"bin": 0.1, "by": None}, "say how long moving windows are, length="),
        ({"bin": 0.1, "by": None, "length": 3.0, "where": "x > 1"}, "where= is of intervals"),
        ({"bin": 0.1, "step": 1.0}, "step is of moving windows"),
        ({"bin": 0.1, "length": 3.0}, "no trial is as long as a window of 3 s"),
        ({"bin": 0.1, "length": -1}, "length is -1; expected seconds"),
        ({"bin": 0.1, "length": 1e-9}, "windows, or samples of them, are more than 30,000,000"),
        ({"bin": 1e-11}, "bins of 2 units take .* of memory, and .* are free; give wider bins"),
        ({"bin": 0.1, "by": "stimulus"}, "no interval has the column 'stimulus'"),
        ({"bin": 0.1, "area": "region"}, "unknown column of units 'region'"),
        ({"bin": 0.1, "window": (0, 4)}, "overlap"),
        ({"bin": 0.1, "window": (40, 41)}, "lie outside of the recording"),
        ({"bin": 0.1, "detrend": "linear"}, "are of traces"),
    ],
)
def test_options_that_can_not_be_used(options: dict[str, Any], says: str) -> None:
    """Each is told with a way out."""
    with pytest.raises(dif.InputError, match=says):
        dif.trials(spikes(), **{"by": "stimulus_name", **options})


def test_traces_take_no_bins() -> None:
    """They have a rate."""
    with pytest.raises(dif.InputError, match="bin= is of spikes"):
        dif.trials(traces(), by="stimulus_name", bin=0.1)


def test_samples_at_unequal_distances_are_refused() -> None:
    """Within a trial, by more than a thousandth; between trials they may be, or by less."""
    times = np.arange(420) / 30
    late = times + 0.01 * (times > 7.5)
    with pytest.raises(dif.InputError, match=r"window of 'natural 2', .* the sample after 7\.5 s"):
        dif.trials(traces(late), by="stimulus_name")
    between = times + 0.01 * (times > 9.5)
    jitter = times + RNG.uniform(-1e-5, 1e-5, 420)
    for fine in (between, jitter):
        assert dif.trials(traces(fine), by="stimulus_name").signals["natural"]["V1"][1].shape[0] == 60


def test_a_gap_in_the_traces_is_told_where_it_is_read() -> None:
    """With the unit and the time."""
    holed = TRACES.copy()
    holed[215, 2] = np.nan
    recording = dif.as_recording(
        holed, units={"location": AREAS}, intervals=INTERVALS, times=np.arange(420) / 30
    )
    found = dif.trials(recording, by="stimulus_name")
    with pytest.raises(dif.InputError, match=r"unit 2 is nan at second 7.16"):
        dif.measure_states(found, length=0.5)


def test_what_is_left_out_is_told() -> None:
    """Trials in invalid times, with their number, and kept with the result."""
    intervals = {
        "trials": INTERVALS,
        "invalid_times": pd.DataFrame({"start_time": [4.5], "stop_time": [4.6]}),
    }
    recording = dif.as_recording(TRAINS, intervals=intervals)
    with pytest.warns(dif.DifferentiaWarning, match=r"1 of 4 presentations .* invalid"):
        found = dif.trials(recording, by="stimulus_name", bin=0.1)
    assert found.sets == {"natural": 2, "scrambled": 1}
    assert "invalid" in found.told[0]


class WatchedTraces:
    """Traces that remember from where to where they were read."""

    def __init__(self) -> None:
        self.times = np.arange(420) / 30
        self.n_units = 3
        self.read: list[tuple[int, int]] = []

    def samples(self, start: int, stop: int) -> np.ndarray:
        self.read.append((start, stop))
        return TRACES[start:stop]


def test_signals_are_read_trial_by_trial_when_they_are_asked_for() -> None:
    """None before, one trial at a time then, and twice where an SD of all is needed first."""
    watched = WatchedTraces()
    recording = replace(traces(), activity=watched)
    found = dif.trials(recording, by="stimulus_name", where="start_time < 9")
    assert not watched.read
    result = dif.measure_states(found, length=0.5)
    assert set(watched.read) == {(30, 90), (120, 180), (210, 270)}
    once = len(watched.read)
    dif.measure_states(found, length=0.5, normalize="unit")
    assert len(watched.read) - once == 2 * once - result.sizes["layer"]
