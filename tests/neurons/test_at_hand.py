"""Recordings at hand: pynapple's objects, arrays and xarray give what they hold, with labels and times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pynapple as nap
import pytest
import xarray as xr

import differentia as dif

TRAINS = [np.array([0.1, 0.2, 0.9]), np.array([0.3]), np.array([])]


def spikes_of(recording: dif.Recording) -> list[list[float]]:
    """Return the spike times of each unit."""
    activity: Any = recording.activity
    return [activity.times(unit).tolist() for unit in range(activity.n_units)]


def samples_of(recording: dif.Recording) -> np.ndarray:
    """Return all traces, (sample, unit)."""
    activity: Any = recording.activity
    return activity.samples(0, len(activity.times))


def test_spike_times_of_pynapple() -> None:
    """A TsGroup gives its units in their order, with what it says of them, and when they were recorded."""
    support = nap.IntervalSet(start=[0.0, 0.6], end=[0.5, 1.0])
    trains = {3: nap.Ts(np.array([0.1, 0.2, 0.9])), 7: nap.Ts(np.array([0.3, 0.55]))}
    group = nap.TsGroup(trains, time_support=support, metadata={"location": ["V1", "LM"], "snr": [1.0, 3.0]})
    recording = dif.as_recording(group)
    assert spikes_of(recording) == [[0.1, 0.2, 0.9], [0.3]]  # pynapple leaves out what is outside its support
    assert recording.units.index.tolist() == [3, 7]
    assert recording.units["location"].tolist() == ["V1", "LM"]
    assert recording.observed is not None
    for spans in recording.observed:
        np.testing.assert_array_equal(spans, [[0.0, 0.5], [0.6, 1.0]])
    assert spikes_of(dif.as_recording(group, units="snr > 2 and location == 'LM'")) == [[0.3]]


def test_traces_of_pynapple() -> None:
    """A TsdFrame gives its columns; a Tsd is of one unit."""
    values = np.random.default_rng(0).normal(size=(6, 2))
    times = 0.5 + np.arange(6) / 10
    frame = nap.TsdFrame(t=times, d=values, columns=["x", "y"], metadata={"location": ["V1", "LM"]})
    recording = dif.as_recording(frame)
    assert not recording.has_spikes
    np.testing.assert_array_equal(samples_of(recording), values)
    np.testing.assert_array_equal(recording.activity.times, times)
    assert recording.units.index.tolist() == ["x", "y"]
    assert recording.units["location"].tolist() == ["V1", "LM"]
    single = dif.as_recording(nap.Tsd(t=times, d=values[:, 0]))
    np.testing.assert_array_equal(samples_of(single), values[:, :1])
    chosen = dif.as_recording(frame, units="location == 'LM'")
    np.testing.assert_array_equal(samples_of(chosen), values[:, 1:])


def test_intervals() -> None:
    """Tables of every kind come out with starts and ends first, whatever these are called."""
    data = pd.DataFrame({"stimulus": ["a", "b"], "start_time": [0, 5], "stop_time": [1, 6]}, index=[4, 5])
    expected = data[["start_time", "stop_time", "stimulus"]].astype({"start_time": float, "stop_time": float})
    given = {
        "pandas": data,
        "pynapple": nap.IntervalSet(start=[0, 5], end=[1, 6], metadata={"stimulus": ["a", "b"]}),
        "columns": {"start": [0, 5], "stop": [1, 6], "stimulus": ["a", "b"]},
        "invalid_times": {"start_time": [2.0], "stop_time": [3.0]},
    }
    recording = dif.as_recording(TRAINS, intervals=given)
    assert list(recording.intervals) == ["pandas", "pynapple", "columns"]
    for table in recording.intervals.values():
        pd.testing.assert_frame_equal(table.reset_index(drop=True), expected.reset_index(drop=True))
    assert recording.intervals["pandas"].index.tolist() == [4, 5]
    np.testing.assert_array_equal(recording.invalid, [[2.0, 3.0]])
    for name in ("pandas", "pynapple", "columns"):
        (only,) = dif.as_recording(TRAINS, intervals=given[name]).intervals
        assert only == "trials"


def test_arrays() -> None:
    """Spike times by unit or in a list, and traces with times or a rate; tables of units are added."""
    table = pd.DataFrame({"location": ["V1", "V1", "LM"]})
    recording = dif.as_recording(TRAINS, units=table, observed=[0.0, 1.0], session="s1", subject="m1")
    assert spikes_of(recording) == [train.tolist() for train in TRAINS]
    assert recording.units["location"].tolist() == ["V1", "V1", "LM"]
    assert recording.observed is not None
    np.testing.assert_array_equal(recording.observed[2], [[0.0, 1.0]])
    assert (recording.session, recording.subject) == ("s1", "m1")
    named = dif.as_recording({"u1": [0.5], "u2": [0.1, 0.1]}, units={"snr": [1, 2]})
    assert named.units.index.tolist() == ["u1", "u2"]
    assert named.units["snr"].tolist() == [1, 2]
    labelled = dif.as_recording(TRAINS, units=table.set_axis([5, 6, 7]))
    assert labelled.units.index.tolist() == [5, 6, 7]
    values = np.arange(8.0).reshape(4, 2)
    for options in ({"rate": 4.0}, {"times": np.arange(4) / 4}):
        traces = dif.as_recording(values, **options)
        np.testing.assert_array_equal(samples_of(traces), values)
        np.testing.assert_array_equal(traces.activity.times, [0.0, 0.25, 0.5, 0.75])
    assert dif.as_recording(values[:, 0].tolist(), rate=1).activity.n_units == 1
    frame = dif.as_recording(pd.DataFrame(values, index=[0.0, 0.1, 0.2, 0.3], columns=["a", "b"]))
    np.testing.assert_array_equal(frame.activity.times, [0.0, 0.1, 0.2, 0.3])


def test_xarray() -> None:
    """Either order of dimensions; coordinates along the units are columns."""
    values = np.arange(8.0).reshape(4, 2)
    coords = {"time": np.arange(4) / 4, "cell": ["x", "y"], "location": ("cell", ["V1", "LM"])}
    array = xr.DataArray(values, dims=("time", "cell"), coords=coords)
    for given in (array, array.T):
        recording = dif.as_recording(given)
        np.testing.assert_array_equal(samples_of(recording), values)
        np.testing.assert_array_equal(recording.activity.times, np.arange(4) / 4)
        assert recording.units.index.tolist() == ["x", "y"]
        assert recording.units["location"].tolist() == ["V1", "LM"]
    frames = array.rename(time="frame").assign_coords(time=("frame", np.arange(4) * 2.0))
    np.testing.assert_array_equal(dif.as_recording(frames).activity.times, [0, 2, 4, 6])


VALUES = np.zeros((4, 2))
FRAME = pd.DataFrame(VALUES)
STARTS = {"start_time": [0.0]}
TWICE = pd.DataFrame([[0.0, 1.0, 2, 3]], columns=["start_time", "stop_time", "run", "run"])
BACKWARDS = {"start_time": [1.0], "stop_time": [0.0]}


@pytest.mark.parametrize(
    ("told", "given"),
    [
        ("^unit 1: spike times are out of order", {"activity": [[0.1], [0.3, 0.2]]}),
        ("^unit 'b': number 0 of the spike times is nan", {"activity": {"b": [np.nan]}}),
        ("unit 0: the spike times are no numbers", {"activity": [["a"]]}),
        ("unit 0: the spike times are no numbers", {"activity": [[[0.1], [0.2, 0.3]]]}),
        ("is a list of numbers; expected one array of spike times for each unit", {"activity": [0.1, 0.2]}),
        ("the activity is of no unit", {"activity": []}),
        ("of type str; expected spike times", {"activity": "session.nwb"}),
        (r"of type ndarray of shape \(4, 2\), without times; expected", {"activity": VALUES}),
        ("times and rate are both given", {"activity": VALUES, "times": range(4), "rate": 1.0}),
        ("the traces: the rate is 0; expected", {"activity": VALUES, "rate": 0.0}),
        ("the traces: the rate is '1'; expected", {"activity": VALUES, "rate": "1"}),
        ("do not ascend", {"activity": VALUES, "times": [0, 1, 1, 2]}),
        ("3 times of samples, and data of 4 samples; expected one", {"activity": VALUES, "times": range(3)}),
        ("it seems to be .unit, sample.: transpose it", {"activity": VALUES.T, "times": range(4)}),
        ("holds text of shape", {"activity": np.full((4, 2), "a"), "rate": 1.0}),
        ("rate is given with a DataFrame, which has its own", {"activity": FRAME, "rate": 1.0}),
        ("expected .time, unit., and the coordinate time", {"activity": xr.DataArray(VALUES)}),
        ("units has 2 rows, and 1 units are recorded", {"activity": [[0.1]], "units": {"snr": [1, 2]}}),
        ("units are a list; say what they are", {"activity": [[0.1]], "units": ["V1"]}),
        ("units are no table", {"activity": [[0.1]], "units": 7}),
        ("observed has the shape", {"activity": [[0.1]], "observed": [1.0, 2.0, 3.0]}),
        ("observed: interval 0 ends at 0 s", {"activity": [[0.1]], "observed": [1.0, 0.0]}),
        ("intervals: has the columns start_time; expected stop", {"activity": [[0.1]], "intervals": STARTS}),
        ("intervals.'a'.: interval 0 ends at 0 s", {"activity": [[0.1]], "intervals": {"a": BACKWARDS}}),
        ("intervals are of type int", {"activity": [[0.1]], "intervals": 7}),
        ("intervals: has several columns 'run'", {"activity": [[0.1]], "intervals": TWICE}),
        ("units has several columns 'run'", {"activity": [[0.1]], "units": TWICE}),
        ("intervals.'a'.: is no table", {"activity": [[0.1]], "intervals": {"a": 7}}),
    ],
)  # fmt: skip
def test_what_is_no_recording(told: str, given: dict[str, Any]) -> None:
    """What is wrong is told in one line, and what was expected."""
    with pytest.raises(dif.InputError, match=told) as caught:
        dif.as_recording(given.pop("activity"), **given)
    assert "\n" not in str(caught.value)
