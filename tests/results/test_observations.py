"""Trials as a table: what is taken from tables and results, what is left out, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

import differentia as dif
from differentia.results.dataset import with_provenance
from differentia.results.observations import Observations, observations_of

COLUMNS: dict[str, Any] = {"value": "differentiation", "condition": "set", "session": "session"}


def trials(**columns: Any) -> pd.DataFrame:
    """Return two sessions of two conditions and a third one, three trials each."""
    rows = [(s, c, k) for s in (7, 8) for c in ("a", "b", "c") for k in range(3)]
    table = pd.DataFrame(rows, columns=["session", "set", "trial"])
    table["differentiation"] = np.arange(1.0, len(table) + 1)
    table["area"] = "V1"
    return table.assign(**columns)


def of(values: Any, first: Any = "a", second: Any = "b", **options: Any) -> Observations:
    return observations_of(values, first, second, **{**COLUMNS, **options})


def test_a_table() -> None:
    """The trials of two conditions, or of several together; the others, and their gaps, do not count."""
    table = trials()
    table.loc[table["set"] == "c", ["differentiation", "area"]] = [np.nan, None]
    given = of(table, group="area")
    assert (given.first, given.second) == ("a", "b")
    kept = table[table["set"] != "c"]
    np.testing.assert_array_equal(given.trials["value"], kept["differentiation"])
    np.testing.assert_array_equal(given.trials["first"], kept["set"] == "a")
    assert given.trials["session"].tolist() == kept["session"].astype(str).tolist()
    assert set(given.trials["group"]) == {"V1"}
    assert set(of(table).trials["group"]) == {"all"}
    assert set(of(trials(layer="L4")).trials["group"]) == {"L4"}
    several = of(trials(), ["a", "c"], np.array(["b"]))
    assert several.first == "a, c"
    assert several.trials["first"].tolist() == (trials()["set"] != "b").tolist()
    numbers = of(trials(set=np.tile(np.repeat([1, 2, 3], 3), 2)), 1, [2])
    assert (numbers.first, len(numbers.trials)) == ("1", 12)


def test_labels_of_sessions() -> None:
    """Groups, subjects and blocks by a column or, but for blocks, by session."""
    mapped = of(trials(), group={7: "V1", "8": "LM"}, subject={7: 1, 8: 1}, block="trial").trials
    assert mapped.groupby("session")["group"].unique().str[0].to_dict() == {"7": "V1", "8": "LM"}
    assert set(mapped["subject"]) == {"1"}
    assert mapped["block"].tolist() == ["0", "1", "2"] * 4


def test_logarithms() -> None:
    """To the base 10."""
    np.testing.assert_allclose(10 ** of(trials(), log=True).trials["value"], of(trials()).trials["value"])


def test_tables_and_results_of_sessions() -> None:
    """Tables by session; of results the trials of each population, at the largest number of neurons."""
    by_session = {"one": trials().drop(columns="session"), "two": trials()}
    assert set(of(by_session).trials["session"]) == {"one", "two"}
    rng = np.random.default_rng(0)
    arrays = {name: {area: rng.normal(size=(4, 40, 6)) for area in ("V1", "LM")} for name in ("a", "b", "c")}
    results = {
        name: dif.measure_states(arrays, rate=10.0, length=0.5, n_units=(2, 6), draws=2, seed=seed)
        for seed, name in enumerate(("monday", "tuesday"))
    }
    assert of(results).grouped_by == "population"
    assert of({name: trials(layer="L4") for name in (7, 8)}).grouped_by == "layer"
    assert of(trials(), group="area").grouped_by == "area"
    given = of(results).trials
    assert given.groupby(["session", "group"], sort=False).size().to_dict() == {
        (session, area): 8 for session in ("monday", "tuesday") for area in ("V1", "LM")
    }
    expected = results["monday"]["trial_differentiation"].sel(layer="V1", n_units=6)
    expected = expected.isel(image=np.isin(results["monday"]["image_set"], ["a", "b"]))
    found = given[(given["session"] == "monday") & (given["group"] == "V1")]
    np.testing.assert_allclose(found["value"], expected.mean("draw"))


def test_what_is_left_out_is_told() -> None:
    """Trials without a value, then sessions with fewer than two trials of a condition."""
    table = trials()
    table.loc[0, "differentiation"] = np.nan
    with pytest.warns(dif.DifferentiaWarning, match="left out 1 trials without a value, of the sessions 7$"):
        assert len(of(table).trials) == 11
    table.loc[[0, 1], "differentiation"] = np.nan
    with pytest.warns(dif.DifferentiaWarning) as told:
        given = of(table, group="area")
    assert [str(one.message) for one in told][1:] == [
        "left out sessions with fewer than 2 trials of one condition: 7 (V1)"
    ]
    assert set(given.trials["session"]) == {"8"}


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (3, {}, "the trials are of type int; expected a DataFrame"),
        ({}, {}, "of type dict; expected a DataFrame"),
        (trials(), {"value": "differentation"}, "unknown column 'differentation'. Did you mean 'differen"),
        (trials(), {"group": "layer"}, "unknown column 'layer'.* Known: session, set, trial"),
        (trials(), {"first": "A"}, "unknown value of 'set' 'A'. Did you mean 'a'"),
        (trials(), {"second": []}, "no value of 'set' was given"),
        (trials(), {"second": ["b", "a"]}, "a: in both conditions"),
        (trials(), {"value": "set"}, "the column 'set' holds no numbers"),
        (trials(differentiation=np.inf), {}, "session 7: 'differentiation' of a trial is infinite"),
        (
            trials(differentiation=np.arange(18.0) - 9),
            {"log": True},
            r"session 7: 'differentiation' of a trial is -9, which has no logarithm \(7 of 12 trials\)",
        ),
        (trials(session=[None] + [1] * 17), {}, "row 1: it has no session"),
        (trials(area=["V1"] * 9 + [""] + ["V1"] * 8), {"group": "area"}, "a group has an empty name"),
        (trials(), {"group": {7: "V1"}}, "group= names no group for 8"),
        (trials(), {"subject": {7: "m", 9: "m"}}, "unknown session in subject= '9'"),
        (trials(), {"subject": "trial"}, r"session 7: it is of several subjects \(0, 1, 2\)"),
        (
            trials(layer=["V1", "LM"] * 9),
            {"group": {7: "wild type", 8: "mutant"}},
            r"session 7, group wild type: trials have values of several layer \(V1, LM\)",
        ),
        (trials(n_units=[10, 20] * 9), {}, r"session 7: trials have values of several n_units \(10, 20\)"),
        (trials().drop_duplicates(["session", "set"]), {}, "every session has fewer than 2 trials of one"),
    ],
)
def test_errors(values: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(dif.InputError, match=message):
        of(values, **options)


def test_no_value_at_all() -> None:
    with (
        pytest.warns(dif.DifferentiaWarning, match="left out 12 trials"),
        pytest.raises(dif.InputError, match="no trial of the two conditions has a value"),
    ):
        of(trials(differentiation=np.nan))


def test_results_without_trials() -> None:
    """A result of stimuli has no trials, and windows can't change places."""
    rng = np.random.default_rng(1)
    plain = dif.measure_responses({name: {"V1": rng.normal(size=(4, 6))} for name in "ab"})
    with pytest.raises(dif.InputError, match="the result has no values of trials"):
        of({"monday": plain})
    trial = dif.measure_states({name: rng.normal(size=(3, 40, 4)) for name in "ab"}, rate=10.0, length=0.5)
    assert len(of({"monday": trial}).trials) == 6
    with pytest.raises(dif.InputError, match="session monday: its values are those of windows"):
        of({"monday": with_provenance(trial, items="windows")})
