"""Responses to stimuli against loops over presentations and spikes; what is refused, and what is told."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers.neurons import averaged, counted, random_spikes, spiking, table, traced
from helpers.nwb_files import write_allen_ephys, write_allen_ophys
from scipy.signal import detrend

import differentia as dif
from differentia.neurons.recording import Recording

TRAINS = random_spikes(0)
ONSETS = np.round(np.arange(1, 51, 0.7), 1)
SETS = np.array([("gratings", "movie", "movie")[at % 3] for at in range(len(ONSETS))])
SHOWN = table(start=ONSETS, stop=ONSETS + 0.5, stimulus_name=SETS, frame=np.arange(len(ONSETS)) % 7)
AREAS = ["V1", "LM", "V1", "V1", "LM"]


def recorded(**fields: Any) -> Recording:
    """Return five units in two areas, and presentations of two sets."""
    return spiking(TRAINS, SHOWN, AREAS, **fields)


def test_counts_are_those_of_loops() -> None:
    """For each set and area; a window moved by a tenth gives others."""
    responses = dif.stimulus_responses(recorded(), by="stimulus_name", window=(0, 0.3))
    moved = dif.stimulus_responses(recorded(), by="stimulus_name", window=(0.1, 0.4))
    assert list(responses) == ["gratings", "movie"]
    for name in responses:
        expected = counted(TRAINS, [(start, start + 0.3) for start in ONSETS[name == SETS]])
        assert list(responses[name]) == ["V1", "LM"]
        for area, units in (("V1", [0, 2, 3]), ("LM", [1, 4])):
            found = responses[name][area]
            assert found.dims == ("presentation", "unit")
            assert found.dtype == np.int8
            np.testing.assert_array_equal(found, expected[:, units])
            assert found["unit"].values.tolist() == [10 + unit for unit in units]
            assert not np.array_equal(found, moved[name][area])
    movie = responses["movie"]["V1"]
    np.testing.assert_array_equal(movie["start"], ONSETS[SETS == "movie"])
    np.testing.assert_array_equal(movie["frame"], SHOWN["frame"][SETS == "movie"])
    assert movie["presentation"].values[:2].tolist() == ["movie 1", "movie 2"]
    assert responses.told == ()


def test_whole_presentations_have_rates() -> None:
    """Counts over how long each lasts; counts of unequal windows are refused."""
    lengths = np.where(np.arange(len(ONSETS)) % 2, 0.5, 0.4)
    shown = table(start=ONSETS, stop=ONSETS + lengths, stimulus_name="all of them")
    with pytest.warns(
        dif.DifferentiaWarning, match=r"windows last from 0\.4 to 0\.5 s: responses in long"
    ) as told:
        responses = dif.stimulus_responses(spiking(TRAINS, shown), by="stimulus_name")
    assert [one.message.kind for one in told] == ["other"]  # type: ignore[union-attr]
    assert responses.told == ()  # nothing was left out
    given = json.loads(dif.measure_responses(responses).attrs["provenance"])["warnings"]
    assert {"kind": "other", "text": str(told[0].message)} in given
    windows = [(start, start + length) for start, length in zip(ONSETS, lengths, strict=True)]
    expected = counted(TRAINS, windows) / lengths[:, np.newaxis]
    np.testing.assert_allclose(responses["all of them"]["all"], expected, rtol=1e-12)
    with pytest.raises(dif.InputError, match=r"^windows last from 0\.4 to 0\.5 s, and counts compare"):
        dif.stimulus_responses(spiking(TRAINS, shown), by="stimulus_name", value="count")
    equal = dif.stimulus_responses(recorded(), by="stimulus_name", value="count")
    windows = [(start, start + 0.5) for start in ONSETS[SETS == "movie"]]
    np.testing.assert_array_equal(equal["movie"]["V1"], counted(TRAINS, windows)[:, [0, 2, 3]])


@pytest.mark.parametrize("base", [0.0, 1e5])
def test_a_spike_at_an_edge_counts_once(base: float) -> None:
    """In the window that begins with it, though the end of the one before is not quite the same number."""
    onsets = base + np.arange(30) * 0.1  # 0.1 + 0.2 is not 0.3
    ends = [start + 0.1 for start in onsets.tolist()]
    assert any(end != start for end, start in zip(ends, onsets[1:].tolist(), strict=False))
    spikes = onsets.tolist()
    shown = table(start=onsets, stop=ends, kind="one")
    for options in ({"window": (0, 0.1)}, {"value": "count"}):
        found = dif.stimulus_responses(spiking([spikes, []], shown), by="kind", **options)["one"]["all"]
        np.testing.assert_array_equal(found[:, 0], np.ones(30))
        np.testing.assert_array_equal(found[:, 1], np.zeros(30))


@pytest.mark.parametrize(
    ("most", "expected"), [(127, np.int8), (128, np.int16), (32767, np.int16), (32768, np.int32)]
)
def test_counts_take_little_memory_and_do_not_overflow(most: int, expected: type) -> None:
    """Those of all units are as wide as the largest needs."""
    shown = table(start=[0.0, 1.0], stop=[1.0, 2.0], kind="a")
    trains = [[0.5], np.linspace(1, 1.9, most).tolist(), [0.1, 1.7]]
    found = dif.stimulus_responses(spiking(trains, shown), by="kind", window=(0, 1))["a"]["all"]
    assert found.dtype == expected
    np.testing.assert_array_equal(found, [[1, 0, 1], [0, most, 1]])


def test_they_are_measured_as_they_are() -> None:
    """The same as plain arrays; a result knows presentations by name, when they were, and their columns."""
    fields = {"session": "s1", "subject": "mouse", "source": "s1.nwb", "told": ("One unit is bad.",)}
    responses = dif.stimulus_responses(recorded(**fields), by="stimulus_name", window=(0, 0.3))
    plain = {
        name: {area: one.to_numpy() for area, one in of_set.items()} for name, of_set in responses.items()
    }
    result = dif.measure_responses(responses, normalize="unit")
    expected = dif.measure_responses(plain, normalize="unit")
    np.testing.assert_array_equal(result["differentiation"], expected["differentiation"])
    np.testing.assert_array_equal(result["differentiation_low"], expected["differentiation_low"])
    assert np.isfinite(result["differentiation_low"].sel(source="images", layer="V1")).all()
    assert result["image_name"].values[-1] == f"movie {(SETS == 'movie').sum()}"
    np.testing.assert_array_equal(
        result["image_start"], np.concatenate([ONSETS[name == SETS] for name in responses])
    )
    assert "image_frame" in result.coords
    told = result.attrs["provenance"]
    how = json.loads(told)["stimulus_responses"]
    assert how == dict(responses.how)
    assert (how["by"], how["window"], how["value"]) == ("stimulus_name", [0.0, 0.3], "count")
    assert all(text in told for text in ("s1.nwb", '"session": "s1"', "One unit is bad."))
    assert "One unit is bad." in repr(responses)


def test_spontaneous_intervals_are_cut() -> None:
    """Into windows as long as the stimuli's, one after the other; the rest is told, not warned of."""
    shown = table(
        start=[0, 10, 10.5, 11, 20], stop=[10.1, 10.2, 10.7, 11.2, 22], kind=["rest", "a", "a", "a", "rest"]
    )
    shown.loc[0, "stop_time"] = 9.95
    recording = spiking(TRAINS, shown)
    responses = dif.stimulus_responses(recording, by="kind", window=(0, 0.2), spontaneous="rest")
    windows = [(at * 0.2, (at + 1) * 0.2) for at in range(49)]
    windows += [(20 + at * 0.2, 20 + (at + 1) * 0.2) for at in range(10)]
    rest = responses["rest"]["all"]
    assert rest.shape == (59, 5)
    np.testing.assert_allclose(rest["start"], [start for start, _ in windows], atol=1e-9)
    edges = np.round([start for start, _ in windows] + [windows[-1][1]], 10)
    exact = [(edges[at], np.round(edges[at] + 0.2, 10)) for at in range(59)]
    np.testing.assert_array_equal(rest, counted(TRAINS, exact))
    assert rest["presentation"].values[[0, 1, 49]].tolist() == ["rest 1.1", "rest 1.2", "rest 2.1"]
    (told,) = responses.told
    assert told.startswith("2 intervals of 'rest' gave 59 windows of 0.2 s")
    assert "(0.15 s)" in told
    whole = dif.stimulus_responses(recording, by="kind", spontaneous="rest", value="rate")
    np.testing.assert_allclose(whole["rest"]["all"], rest / 0.2)
    uncut = dif.stimulus_responses(recording, by="kind", window=(0, 0.2))
    assert uncut["rest"]["all"].shape == (2, 5)
    short = table(start=[0, 1, 2], stop=[0.5, 1.5, 2.1], kind=["a", "a", "rest"])
    with pytest.raises(dif.InputError, match=r"no interval of 'rest' is as long as a window of 0\.5 s"):
        dif.stimulus_responses(spiking(TRAINS, short), by="kind", spontaneous="rest")
    with pytest.raises(dif.InputError, match="unknown set 'dark'"):
        dif.stimulus_responses(recording, by="kind", spontaneous="dark")


RNG = np.random.default_rng(1)
TIMES = 3 + np.arange(900) / 30
TRACES = RNG.normal(size=(900, 4)).cumsum(axis=0)
SEEN = table(
    start=3 + np.arange(0, 28, 2), stop=4.5 + np.arange(0, 28, 2), kind=["a", "b"] * 7, run=[1] * 7 + [2] * 7
)


def test_means_of_traces_are_those_of_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the samples in each window, also where few samples are read at once."""
    recording = traced(TRACES, TIMES, SEEN, ["V1", "LM", "V1", "LM"])
    windows = [(start + 0.1, start + 0.35) for start in SEEN["start_time"]]
    expected = averaged(TRACES, TIMES, windows)
    found = dif.stimulus_responses(recording, by="kind", window=(0.1, 0.35))
    np.testing.assert_allclose(found["b"]["LM"], expected[1::2][:, [1, 3]], rtol=1e-12)
    monkeypatch.setattr("differentia.neurons.activity.READ_VALUES", 300)
    again = dif.stimulus_responses(recording, by="kind", window=(0.1, 0.35))
    np.testing.assert_allclose(again["b"]["LM"], found["b"]["LM"], rtol=1e-14)
    assert not np.allclose(found["b"]["LM"], expected[::2][:, [1, 3]])


def test_windows_at_the_ends_of_traces() -> None:
    """A sample stands for the time up to the next, so that the last window may end there."""
    shown = table(start=[0.0, 1.0, 2.0], stop=[1.0, 2.0, 3.0], kind="a")
    values = np.arange(12.0).reshape(12, 1)
    found = dif.stimulus_responses(traced(values, np.arange(12) / 4, shown), by="kind")["a"]["all"]
    np.testing.assert_array_equal(found[:, 0], [1.5, 5.5, 9.5])
    with pytest.warns(dif.DifferentiaWarning, match="the recording begins or ends during them"):
        found = dif.stimulus_responses(traced(values[:-1], np.arange(11) / 4, shown), by="kind")["a"]["all"]
    assert found["presentation"].values.tolist() == ["a 1", "a 2"]


def test_detrending_within_runs_is_scipys() -> None:
    """Of the samples from the first to the last interval of each run; of the whole recording otherwise."""
    recording = traced(TRACES, TIMES, SEEN)
    windows = [(start, start + 1.5) for start in SEEN["start_time"]]
    spans = [(3.0, 16.5), (17.0, 30.5)]
    inside = [(start <= TIMES) & (stop - 1e-9 > TIMES) for start, stop in spans]
    expected, scaled = np.full_like(TRACES, np.nan), np.full_like(TRACES, np.nan)
    for rows in inside:
        expected[rows] = detrend(TRACES[rows], axis=0)
        scaled[rows] = expected[rows] / expected[rows].std(axis=0)
    options: dict[str, Any] = {"by": "kind", "detrend": "linear"}
    found = dif.stimulus_responses(recording, runs="run", **options)["a"]["all"]
    np.testing.assert_allclose(found, averaged(expected, TIMES, windows)[::2], atol=1e-10)
    found = dif.stimulus_responses(recording, runs="run", standardize=True, **options)["a"]["all"]
    np.testing.assert_allclose(found, averaged(scaled, TIMES, windows)[::2], atol=1e-10)
    whole = dif.stimulus_responses(recording, **options)["a"]["all"]
    np.testing.assert_allclose(whole, averaged(detrend(TRACES, axis=0), TIMES, windows)[::2], atol=1e-10)
    assert not np.allclose(found, whole)


def test_each_sample_as_a_response() -> None:
    """They are the samples in the windows; and have no limits, for they are not independent."""
    recording = traced(TRACES, TIMES, SEEN)
    responses = dif.stimulus_responses(recording, by="kind", window=(0, 0.2), value="samples")
    rows = [
        at
        for start in SEEN["start_time"][::2]
        for at in np.flatnonzero((start - 1e-9 <= TIMES) & (start + 0.2 - 1e-9 > TIMES))
    ]
    found = responses["a"]["all"]
    np.testing.assert_array_equal(found, TRACES[rows])
    np.testing.assert_array_equal(found["start"], TIMES[rows])
    assert found["presentation"].values[[0, 1, 6]].tolist() == ["a 1.1", "a 1.2", "a 2.1"]
    with pytest.raises(dif.InputError, match="unknown set 'c'"):
        dif.stimulus_responses(recording, by="kind", value="samples", spontaneous="c")
    result = dif.measure_responses(responses)
    assert (dif.doubts(result) == "windows").all()
    assert np.isnan(result["differentiation_low"].sel(source="images")).all()
    assert "no independent sample" in dif.say_doubts(result)[0]
    assert np.isnan(dif.contrast(result, "a", "b")["p"]).all()
    assert np.isnan(dif.statistics(result)["p"]).all()
    means = dif.stimulus_responses(recording, by="kind", window=(0, 0.2))
    assert np.isfinite(dif.statistics(dif.measure_responses(means))["p"]).all()
    assert (dif.doubts(dif.measure_responses(means)) != "windows").all()


def test_overlapping_windows_are_refused() -> None:
    """Also across sets; where they are allowed, responses are marked as dependent."""
    shown = table(start=[1.0, 1.033, 1.066], stop=[1.033, 1.066, 1.1], kind=["a", "b", "a"])
    recording = spiking(TRAINS, shown)
    with pytest.raises(dif.InputError) as caught:
        dif.stimulus_responses(recording, by="kind", window=(0, 0.25))
    assert str(caught.value) == (
        "the window of 'a 1', from 1 to 1.25 s, and the window of 'b 1', from 1.033 to 1.283 s, overlap, and "
        "so do 1 more; give a shorter window= (--window), choose tables or presentations (table=, where=), "
        "or say allow_overlap=True (--allow-overlap)"
    )
    found = dif.stimulus_responses(recording, by="kind", window=(0, 0.25), allow_overlap=True)
    assert not found.independent
    expected = counted(TRAINS, [(1.0, 1.25), (1.066, 1.316)])
    np.testing.assert_array_equal(found["a"]["all"], expected)
    apart = dif.stimulus_responses(recording, by="kind", window=(0, 0.033), allow_overlap=True)
    assert apart.independent


def test_frames_of_a_monitor_may_be_a_little_short() -> None:
    """A window that reaches into the next by less than 1 % ends there: each spike counts once."""
    onsets = np.cumsum([1.0, *np.random.default_rng(5).normal(0.25, 2e-4, 99).tolist()])
    shown = table(start=onsets, stop=onsets + 0.2, kind="a")
    spikes = np.sort(np.r_[onsets, onsets[1:] - 1e-5, onsets + 0.1])
    found = dif.stimulus_responses(spiking([spikes.tolist()], shown), by="kind", window=(0, 0.25))["a"]["all"]
    assert (np.diff(onsets) < 0.25).sum() > 20
    assert (found["stop"].values[:-1] <= onsets[1:]).all()
    stops = np.minimum(onsets + 0.25, [*onsets[1:], np.inf])
    np.testing.assert_array_equal(found, counted([spikes.tolist()], [*zip(onsets, stops, strict=True)]))
    assert found.sum() == counted([spikes.tolist()], [(onsets[0], stops[-1])]).sum() - sum(
        counted([spikes.tolist()], [*zip(stops[:-1], onsets[1:], strict=True)])[:, 0]
    )


def test_a_long_window_overlaps_later_ones_too() -> None:
    """The third lies in the first, though not in the second."""
    shown = table(start=[1.0, 2.0, 4.0], stop=[9.0, 3.0, 5.0], kind="a")
    with pytest.raises(dif.InputError, match=r"'a 1', from 1 to 9 s, .* overlap, and so do 1 more"):
        dif.stimulus_responses(spiking(TRAINS, shown), by="kind")


def test_tables_are_merged_by_time() -> None:
    """Those that have the column, unless some are chosen; a query chooses presentations."""
    tables = {
        "movie_presentations": table(
            start=[5.0, 6.0, 1.0], stop=[5.5, 6.5, 1.5], stimulus_name="movie", frame=[1, 2, 0]
        ),
        "spontaneous_presentations": table(start=[2.0, 3.0], stop=[2.5, 3.5], stimulus_name="spontaneous"),
        "epochs": table(start=[0.0], stop=[60.0], tags=["all"]),
    }
    recording = spiking(TRAINS, tables)
    responses = dif.stimulus_responses(recording, by="stimulus_name", window=(0, 0.5))
    assert list(responses) == ["movie", "spontaneous"]
    np.testing.assert_array_equal(responses["movie"]["all"]["frame"], [0, 1, 2])
    np.testing.assert_array_equal(responses["movie"]["all"]["start"], [1, 5, 6])
    one = dif.stimulus_responses(recording, by="stimulus_name", table="movie_presentations")
    assert list(one) == ["movie"]
    some = dif.stimulus_responses(recording, by="stimulus_name", where="frame >= 1")
    assert some["movie"]["all"]["start"].values.tolist() == [5, 6]
    assert some.told == ("3 of 5 presentations (1.5 s) were left out: they are not among where='frame >= 1'",)
    for options, message in (
        ({"by": "stimulus_name", "table": "movies"}, "unknown table of intervals 'movies'"),
        (
            {"by": "stimulus"},
            r"no interval has the column 'stimulus'; expected one of these \(movie_presentations: ",
        ),
        ({"by": "tags", "table": ["epochs", "movie_presentations"]}, "no interval has the column 'tags'"),
        (
            {"by": "stimulus_name", "where": "frame > 7"},
            "no presentation is left: all 5, of 0.5 s, were left out: they are not",
        ),
        (
            {"by": "stimulus_name", "where": "frames > 7"},
            "unknown column of intervals 'frames'. Did you mean",
        ),
        ({"by": "stimulus_name", "where": "len(frame)"}, "the choice of intervals 'len.frame.' holds"),
        ({"by": "stimulus_name", "window": (0.3, 0.1)}, r"window is \(0\.3, 0\.1\); expected two numbers"),
        ({"by": "stimulus_name", "window": 0.3}, r"window is 0\.3; expected two numbers"),
        ({"by": ["stimulus_name"]}, r"by is \['stimulus_name'\]; expected a name, as text"),
        ({"by": "stimulus_name", "table": 5}, "table is 5; expected the name of a table of intervals, or"),
        ({"by": "stimulus_name", "table": [5]}, "table is 5; expected a name, as text"),
    ):
        with pytest.raises(dif.InputError, match=f"^{message}"):
            dif.stimulus_responses(recording, **options)


def test_sets_are_named_shortly() -> None:
    """Numbers without what is not needed; rows without a value are left out and told."""
    shown = table(start=[0.0, 1.0, 2.0, 3.0], stop=[0.5, 1.5, 2.5, 3.5], angle=[30.0, np.nan, 0.1, 30.0])
    with pytest.warns(
        dif.DifferentiaWarning, match="1 of 4 presentations .* value of 'angle' is missing"
    ) as told:
        responses = dif.stimulus_responses(spiking(TRAINS, shown), by="angle")
    assert list(responses) == ["30", "0.1"]
    assert responses["30"]["all"].sizes["presentation"] == 2
    assert [one.message.kind for one in told] == ["left_out"]  # type: ignore[union-attr]


def test_columns_of_the_table_stay_with_presentations() -> None:
    """Numbers and texts, some of which are missing in one table; those of neither kind do not."""
    shown = table(
        start=np.arange(8.0),
        stop=np.arange(8.0) + 0.5,
        kind=["a"] * 4 + ["b"] * 4,
        correct=pd.array([True, None, False, True] * 2, dtype="boolean"),
        block=range(8),
        phase=["x", None, "y", "z", None, None, None, None],
        mixed=["x", "y", "z", "x", 1, 2, 3, 4],
    )
    responses = dif.stimulus_responses(spiking(TRAINS, shown), by="kind")
    result = dif.measure_responses(responses)
    np.testing.assert_array_equal(result["image_correct"], [1, np.nan, 0, 1] * 2)
    np.testing.assert_array_equal(result["image_block"], np.arange(8))
    assert result["image_phase"].values.tolist() == ["x", "", "y", "z", "", "", "", ""]
    assert "image_mixed" not in result.coords
    assert "image_kind" not in result.coords


def test_invalid_times_are_left_out() -> None:
    """Presentations that lie in them, though by a part only; those that touch them are kept."""
    invalid = np.array([[1.2, 2.5], [2.4, 3.0], [8.5, 9.0]])
    shown = table(start=np.arange(0.0, 20), stop=np.arange(0.0, 20) + 0.5, kind="a")
    with pytest.warns(
        dif.DifferentiaWarning, match=r"2 of 20 presentations \(1 s\) were left out: .* invalid"
    ):
        found = dif.stimulus_responses(spiking(TRAINS, shown, invalid=invalid), by="kind")["a"]["all"]
    assert found["start"].values.tolist() == [0.0, *np.arange(3.0, 20)]


def test_what_was_not_observed_is_left_out() -> None:
    """Presentations that most units were not observed in, then units not observed in the others."""
    shown = table(start=np.arange(0.0, 20), stop=np.arange(0.0, 20) + 0.5, kind="a")
    usual = np.array([[0.0, 10.0], [10.0, 15.5]])
    observed = (usual, usual, usual, np.array([[3.0, 20.0]]), np.array([[0.0, 20.0]]))
    with pytest.warns(dif.DifferentiaWarning) as warned:
        responses = dif.stimulus_responses(spiking(TRAINS, shown, AREAS, observed=observed), by="kind")
    assert len(warned) == 1
    assert responses.told == (
        "4 of 20 presentations (2 s) were left out: most units were not observed during the whole of them "
        "(obs_intervals, time_support)",
        "1 of 5 units were left out: they were not observed during all of these presentations "
        "(obs_intervals, time_support)",
    )
    assert responses["a"]["V1"]["start"].values.tolist() == [*np.arange(16.0)]
    assert responses["a"]["V1"]["unit"].values.tolist() == [10, 12]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        dif.stimulus_responses(spiking(TRAINS, shown, observed=(np.array([[0.0, 20.0]]),) * 5), by="kind")


@pytest.mark.parametrize("observed", [None, (np.array([[0.0, 60.0]]),) * 5])
def test_windows_outside_of_the_recording_are_refused(observed: Any) -> None:
    """As where their clocks differ; or tables are in milliseconds."""
    shown = table(start=[1.0, 1000.0], stop=[2.0, 1001.0], kind="a")
    with pytest.raises(
        dif.InputError, match=r"^1 of 2 windows lie outside of the recording, such as .* 'a 2'"
    ):
        dif.stimulus_responses(spiking(TRAINS, shown, observed=observed), by="kind")
    with pytest.raises(dif.InputError, match="1 of 2 windows lie outside of the recording"):
        dif.stimulus_responses(traced(TRACES, TIMES - 3, shown), by="kind")


def test_units_without_an_area_are_left_out() -> None:
    """Which is told; a column that is not there is an error, unless it is the usual one."""
    recording = spiking(TRAINS, SHOWN, ["V1", None, "V1", "", "LM"])
    with pytest.warns(dif.DifferentiaWarning, match="2 of 5 units were left out: they have no location"):
        responses = dif.stimulus_responses(recording, by="stimulus_name", window=(0, 0.1))
    assert responses["movie"]["V1"]["unit"].values.tolist() == [10, 12]
    alone = dif.stimulus_responses(spiking(TRAINS, SHOWN), by="stimulus_name", window=(0, 0.1))
    assert list(alone["movie"]) == ["all"]
    with pytest.raises(
        dif.InputError, match=r"^unknown column of units 'locations'. Did you mean 'location'"
    ):
        dif.stimulus_responses(recording, by="stimulus_name", window=(0, 0.1), area="locations")
    nowhere = dif.stimulus_responses(spiking(TRAINS, SHOWN, [""] * 5), by="stimulus_name", window=(0, 0.1))
    np.testing.assert_array_equal(nowhere["movie"]["all"], alone["movie"]["all"])
    assert nowhere.told == ("no unit has a location: all 5 are one population",)


def test_nan_in_traces_is_refused() -> None:
    """Where it lies in a window; with detrending, in the run; not between windows otherwise."""
    values = TRACES.copy()
    values[110, 2] = np.nan  # at 6.6667 s, between windows of 0.2 s
    recording = traced(values, TIMES, SEEN)
    options: dict[str, Any] = {"by": "kind", "window": (0, 0.2)}
    clean = dif.stimulus_responses(traced(TRACES, TIMES, SEEN), **options)
    np.testing.assert_array_equal(dif.stimulus_responses(recording, **options)["a"]["all"], clean["a"]["all"])
    with pytest.raises(
        dif.InputError, match=r"^unit 12 is nan at second 6\.666666667; expected finite values"
    ):
        dif.stimulus_responses(recording, by="kind", window=(1.5, 1.8))
    with pytest.raises(dif.InputError, match="unit 12 is nan"):
        dif.stimulus_responses(recording, detrend="mean", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"value": "counts"}, "unknown value of a response 'counts'. Did you mean 'count'"),
        ({"value": "mean"}, "value is 'mean', but the recording has spikes; expected 'count' or 'rate'"),
        ({"detrend": "linear"}, "detrend= and standardize= are of traces"),
        ({"detrend": "slope"}, "unknown detrending 'slope'. Did you mean 'linear'"),
        ({"runs": "frame"}, "runs='frame' says within what traces"),
    ],
)
def test_what_does_not_go_with_spikes(options: dict[str, Any], message: str) -> None:
    """Each says what does."""
    with pytest.raises(dif.InputError, match=f"^{message}"):
        dif.stimulus_responses(recorded(), by="stimulus_name", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"value": "rate"}, "value is 'rate', but the recording has traces; expected 'mean' or 'samples'"),
        ({"window": (0, 0.01)}, "14 of 14 windows hold no sample|1[0-9] of 14 windows hold no sample"),
        (
            {"detrend": "mean", "runs": "runs"},
            "unknown table of intervals, or column of one, 'runs'. Did you mean 'run'",
        ),
        (
            {"detrend": "mean", "runs": "kind"},
            "runs='kind': run 'b' begins at 5 s, before the end of run 'a'",
        ),
        (
            {"detrend": "mean", "runs": "run", "window": (1, 1.9)},
            "the window of 'a 4', from 16.01 to 16.91 s, lies in no run of runs='run'",
        ),
    ],
)
def test_what_does_not_go_with_traces(options: dict[str, Any], message: str) -> None:
    """Each says what does."""
    shown = SEEN.assign(start_time=SEEN["start_time"] + 0.01, stop_time=SEEN["stop_time"] + 0.01)
    with pytest.raises(dif.InputError, match=f"^({message})"):
        dif.stimulus_responses(
            traced(TRACES, TIMES, shown if "window" in options else SEEN), by="kind", **options
        )


def test_what_is_no_recording() -> None:
    """The error says what makes one."""
    with pytest.raises(dif.InputError, match=r"^the recording is of type list; expected what read_recording"):
        dif.stimulus_responses([], by="kind")  # type: ignore[arg-type]
    with pytest.raises(dif.InputError, match="has no table of intervals"):
        dif.stimulus_responses(spiking(TRAINS, {}), by="kind")
    with pytest.raises(dif.InputError, match="presentation 'a 1', at 1 s, lasts 0 s"):
        dif.stimulus_responses(spiking(TRAINS, table(start=[1.0], stop=[1.0], kind="a")), by="kind")
    with pytest.raises(dif.InputError, match="row 0: stop_time is missing"):
        dif.stimulus_responses(spiking(TRAINS, table(start=[1.0], stop=[np.nan], kind="a")), by="kind")


def test_they_are_a_mapping_of_arrays() -> None:
    """And show what they hold."""
    responses = dif.stimulus_responses(recorded(), by="stimulus_name", window=(0, 0.3))
    assert isinstance(responses, dif.StimulusResponses)
    assert len(responses) == 2
    assert isinstance(dict(responses)["movie"]["LM"], xr.DataArray)
    assert repr(responses).startswith("Responses to presentations in 2 sets\n  sets:  gratings (24), movie (")


def test_a_file_of_spikes(tmp_path: Path) -> None:
    """As the Allen Institute lays it out, with several tables; what was left out is told once."""
    trains = random_spikes(3, n_units=6, seconds=21.0)
    shown = {
        "natural_movie_one_presentations": {
            "starts": np.arange(1.0, 11, 0.25),
            "stimulus_name": ["movie"] * 40,
        },
        "spontaneous_presentations": {"starts": [11.0, 18.0], "length": 3.6, "stimulus_name": ["rest"] * 2},
    }
    shown["natural_movie_one_presentations"] |= {"length": 0.25, "frame": [*range(20)] * 2}
    path = write_allen_ephys(tmp_path / "session.nwb", trains, intervals=shown)
    recording = dif.read_recording(path, units="quality == 'good'")
    responses = dif.stimulus_responses(
        recording, by="stimulus_name", window=(0, 0.25), spontaneous="rest", area="quality"
    )
    kept = [0, 1, 2, 4, 5]
    windows = [(start, start + 0.25) for start in np.arange(1.0, 11, 0.25)]
    np.testing.assert_array_equal(responses["movie"]["good"], counted(trains, windows)[:, kept])
    rest = responses["rest"]["good"]
    cut = [(start, start + 0.25) for start in (*np.arange(11, 14.5, 0.25), *np.arange(18, 21.5, 0.25))]
    np.testing.assert_array_equal(rest, counted(trains, cut)[:, kept])
    *_, of_units, of_rest = responses.told
    assert of_units.startswith("1 of 6 units are left out")
    assert of_rest.startswith("2 intervals of 'rest' gave 28 windows of 0.25 s")
    result = dif.measure_responses(responses, normalize="unit", reference="rest")
    assert (result["differentiation"] > 0).all()
    repeats = dif.repeated_responses(
        recording,
        by="stimulus_name",
        stimulus="frame",
        table="natural_movie_one_presentations",
        area="quality",
    )
    both = counted(trains, windows)[:, kept].reshape(2, 20, 5) / 0.25
    np.testing.assert_allclose(repeats["movie"]["good"], both)


def test_a_file_of_traces(tmp_path: Path) -> None:
    """Read and averaged as its conversion says."""
    values = np.random.default_rng(4).normal(size=(500, 6))
    recording = dif.read_recording(write_allen_ophys(tmp_path / "imaging.nwb", values), traces="dff/traces")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        responses = dif.stimulus_responses(recording, by="stimulus_name", detrend="mean")
    times = 0.5 + np.arange(500) / 30
    starts = 1.0 + 0.25 * np.arange(60)
    scaled = 2.0 * (values - values.mean(axis=0))
    expected = averaged(scaled, times, [(start, start + 0.25) for start in starts])
    np.testing.assert_allclose(responses["static_gratings"]["VISp"], expected[1::3], atol=1e-12)


def test_pynapples_spikes() -> None:
    """Give the same as plain lists."""
    nap = pytest.importorskip("pynapple")
    group = nap.TsGroup({label: nap.Ts(np.array(times)) for label, times in enumerate(TRAINS)})
    trials = nap.IntervalSet(ONSETS, ONSETS + 0.5, metadata={"stimulus_name": SETS})
    recording = dif.as_recording(group, intervals=trials)
    found = dif.stimulus_responses(recording, by="stimulus_name", window=(0, 0.3))
    expected = dif.stimulus_responses(spiking(TRAINS, SHOWN), by="stimulus_name", window=(0, 0.3))
    for name in ("gratings", "movie"):
        np.testing.assert_array_equal(found[name]["all"], expected[name]["all"])
