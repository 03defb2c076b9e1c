"""Detrending against NumPy's polynomials, run by run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.neurons import table, traced

import differentia as dif
from differentia.neurons.preprocessing import runs_of

RNG = np.random.default_rng(0)
RUNS = np.repeat(["a", "b", "c"], [40, 1, 59])
VALUES = RNG.normal(size=(100, 3)) + np.outer(np.arange(100), [1.0, -2.0, 0.3]) + 500


def fitted(degree: int) -> np.ndarray:
    """Return the values less a polynomial fitted to each trace in each run, by loops."""
    left = np.empty_like(VALUES)
    for run in ("a", "b", "c"):
        rows = np.flatnonzero(run == RUNS)
        for unit in range(3):
            of_run = VALUES[rows, unit]
            terms = np.polyfit(rows, of_run, min(degree, len(rows) - 1))
            left[rows, unit] = of_run - np.polyval(terms, rows)
    return left


@pytest.mark.parametrize(("kind", "degree"), [("mean", 0), ("linear", 1)])
def test_trends_are_those_of_numpys_polynomials(kind: str, degree: int) -> None:
    """In each run; over all of it they are others."""
    found = dif.detrended(VALUES, runs=RUNS, kind=kind)
    np.testing.assert_allclose(found, fitted(degree), atol=1e-9)
    assert not np.allclose(dif.detrended(VALUES, kind=kind), found)
    np.testing.assert_array_equal(dif.detrended(VALUES, runs=RUNS, kind="none"), VALUES)


def test_standardised_traces_have_mean_0_and_sd_1() -> None:
    """In each run; what is constant there is 0. What was given is not changed."""
    given = np.asarray(np.round(VALUES * 100), dtype=np.int64)
    given[RUNS == "c", 1] = 7
    given[RUNS == "c", 2] = np.arange(59) * 100_003
    before = given.copy()
    found = dif.detrended(given, runs=RUNS, standardize=True)
    np.testing.assert_array_equal(given, before)
    left = dif.detrended(given, runs=RUNS)
    np.testing.assert_allclose(found[:40], left[:40] / left[:40].std(axis=0), atol=1e-10)
    assert (found[RUNS == "c", 1:] == 0).all()
    assert (found[RUNS == "c", 0] != 0).all()
    assert (found[RUNS == "b"] == 0).all()
    scaled = dif.detrended(VALUES, runs=RUNS, kind="none", standardize=True)[:40]
    np.testing.assert_allclose(scaled, (VALUES[:40] - VALUES[:40].mean(axis=0)) / VALUES[:40].std(axis=0))


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (VALUES[:, 0], {}, r"values have the shape \(100,\) and type float64; expected numbers"),
        (VALUES.astype(str), {}, "values have the shape"),
        (np.where(VALUES[3, 1] == VALUES, np.nan, VALUES), {}, "unit 1 is nan at sample 3; expected finite"),
        (VALUES, {"runs": RUNS[:-1]}, r"runs have the shape \(99,\); expected the run of each of the 100"),
        (VALUES, {"runs": ["a", "b"] * 50}, "run 'a' is interrupted by another"),
        (VALUES, {"kind": "quadratic"}, "unknown detrending 'quadratic'"),
    ],
)
def test_what_is_refused(given: np.ndarray, options: dict[str, Any], message: str) -> None:
    """Each by what was given and expected."""
    with pytest.raises(dif.InputError, match=f"^{message}"):
        dif.detrended(given, **options)


def test_runs_are_rows_of_a_table_or_values_of_a_column() -> None:
    """From the first to the last interval of each value, in the order of time."""
    trials = table(start=[5.0, 0.0, 7.0, 2.0], stop=[6.0, 1.0, 8.0, 3.0], run=[2, 1, 2, 1])
    blocks = table(start=[4.0, 0.0], stop=[9.0, 4.0])
    recording = traced(VALUES, np.arange(100.0), {"trials": trials, "blocks": blocks})
    assert runs_of(recording, "run") == {"1": (0.0, 3.0), "2": (5.0, 8.0)}
    assert runs_of(recording, "blocks") == {"2": (0.0, 4.0), "1": (4.0, 9.0)}
    with pytest.raises(dif.InputError, match="runs is 5; expected a name, as text"):
        runs_of(recording, 5)  # type: ignore[arg-type]
