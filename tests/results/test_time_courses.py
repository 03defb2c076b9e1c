"""The values of windows over time, against loops over single windows."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from helpers.windowed import LENGTH, STEP, windowed

import differentia as dif
from differentia.results.time_courses import has_time_courses, time_courses

TRIALS = {"natural": [0.0, 20.0, 40.0], "scrambled": [10.0, 30.0, 50.0], "rest": [100.0]}
LASTING = {"natural": 6.0, "scrambled": 5.0, "rest": 12.0}


def values_of(result: xr.Dataset, name: str) -> np.ndarray:
    """Return the value of each window of a set (window, layer), at the most units, over draws."""
    rows = result["image_set"].values == name
    return result["trial_differentiation"].values[rows, :, -1].mean(axis=-1)


def test_trials_that_begin_together() -> None:
    """The mean over trials at each lag with its standard error, trial by trial."""
    result = windowed(TRIALS, LASTING, reference="rest", n_units=(4, 6), draws=2)
    found = time_courses(result)
    assert found.aligned
    assert [*found.of_sets] == [*TRIALS]
    for name in ("natural", "scrambled"):
        course, n_lags = found.of_sets[name], round((LASTING[name] - LENGTH) / STEP) + 1
        of_trials = values_of(result, name).reshape(3, n_lags, 2)
        np.testing.assert_allclose(course.times, LENGTH / 2 + STEP * np.arange(n_lags))
        np.testing.assert_allclose(course.values, of_trials.mean(axis=0), rtol=1e-12)
        for lag in range(n_lags):
            for layer in range(2):
                of_lag = [float(of_trials[trial, lag, layer]) for trial in range(3)]
                mean = sum(of_lag) / 3
                variance = sum((one - mean) ** 2 for one in of_lag) / 2
                assert course.error[lag, layer] == pytest.approx((variance / 3) ** 0.5, rel=1e-10)
        assert (course.n_trials, course.constant) == (3, False)
    rest = found.of_sets["rest"]
    assert rest.constant
    np.testing.assert_allclose(rest.times, [0.0, found.of_sets["natural"].times[-1]])
    np.testing.assert_allclose(rest.values, np.tile(values_of(result, "rest").mean(axis=0), (2, 1)))
    assert np.isnan(rest.error).all()


def test_a_trial_without_a_value() -> None:
    """It is left out of the mean at its lag, and of that lag's error."""
    result = windowed(TRIALS, LASTING)
    values = result["trial_differentiation"].values
    values[0, 1] = np.nan
    course = time_courses(result).of_sets["natural"]
    of_trials = values_of(result, "natural").reshape(3, 5, 2)
    assert course.values[0, 1] == pytest.approx(of_trials[1:, 0, 1].mean())
    assert course.error[0, 1] == pytest.approx(of_trials[1:, 0, 1].std(ddof=1) / 2**0.5)
    assert np.isfinite(course.values).all()


def test_a_window_that_was_left_out() -> None:
    """The others keep their place after the onset."""
    whole = windowed(TRIALS, LASTING)
    left = whole.isel(image=np.arange(1, whole.sizes["image"]))
    expected, found = (time_courses(one).of_sets["natural"] for one in (whole, left))
    np.testing.assert_allclose(found.times, expected.times)
    np.testing.assert_allclose(found.values[1:], expected.values[1:])
    assert found.values[0, 0] != expected.values[0, 0]


def test_one_trial_of_each_set() -> None:
    """Windows stand where they are in the recording; nothing is averaged, and lines break between trials."""
    onsets, lasting = {"a": [0.0], "b": [10.0, 200.0]}, {"a": 6.0, "b": LENGTH}
    result = windowed(onsets, lasting)
    found = time_courses(result)
    assert not found.aligned
    np.testing.assert_allclose(found.of_sets["a"].times, 1.0 + np.arange(5.0))
    np.testing.assert_allclose(found.of_sets["a"].values, values_of(result, "a"))
    assert np.isnan(found.of_sets["a"].error).all()
    together = windowed({"a": [0.0], "b": [10.0, 200.0]}, {"a": 6.0, "b": 4.0})
    b = time_courses(together).of_sets["b"]
    assert time_courses(together).aligned
    assert b.n_trials == 2
    assert time_courses(together).of_sets["a"].constant


def test_what_has_no_windows() -> None:
    """Responses to stimuli, and trials that are whole: the error says what gives windows."""
    rng = np.random.default_rng(0)
    arrays = {name: rng.gamma(2.0, 1.0, (4, 20, 6)) for name in ("a", "b")}
    whole = dif.measure_states(arrays, rate=10.0, states="rate", length=0.5)
    responses = dif.measure_responses({name: array[:, 0] for name, array in arrays.items()})
    for result in (whole, responses):
        assert not has_time_courses(result)
        with pytest.raises(dif.InputError, match=r"no values over time; .*--length and --step"):
            dif.plot_time_courses(result)
    assert has_time_courses(windowed(TRIALS, LASTING))
