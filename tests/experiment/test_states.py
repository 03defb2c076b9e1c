"""Trials over time to a result: against plain loops over trials, draws and pairs of states."""

from __future__ import annotations

import inspect
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import xarray as xr
from helpers import oracles

import differentia as dif
from differentia.experiment.options import MeasureOptions
from differentia.experiment.states import MeasureStatesKeywords, MeasureStatesOptions
from differentia.output.words import unit_of
from differentia.recording.units import draw_units, unit_order
from differentia.results.dataset import provenance
from differentia.results.doubts import say_undefined
from differentia.results.schema import require_whole, validate_result
from differentia.results.subject import subject_of

RATE, LENGTH, SAMPLES = 20.0, 0.4, 8
SIZES = {"V1": 6, "LM": 4}


def signals(trials: int = 4, *, seconds: float = 4.0, seed: int = 0) -> dict[str, dict[str, np.ndarray]]:
    """Return signals of two sets in two areas; those of the second set are stronger."""
    rng = np.random.default_rng(seed)
    shape = trials, round(seconds * RATE)
    return {
        name: {area: rng.gamma(2.0, scale, (*shape, size)) for area, size in SIZES.items()}
        for name, scale in (("natural", 1.0), ("noise", 2.0))
    }


def measured(given: Any = None, **options: Any) -> xr.Dataset:
    return dif.measure_states(
        signals() if given is None else given, **{"rate": RATE, "length": LENGTH, **options}
    )


def powers(signal: np.ndarray) -> np.ndarray:
    """Return the spectral states of a signal, (state, unit, frequency), by NumPy's transform of all."""
    cut = signal[: len(signal) // SAMPLES * SAMPLES].reshape(-1, SAMPLES, signal.shape[1])
    return np.abs(np.fft.fft(cut, axis=1)[:, : SAMPLES // 2 + 1].transpose(0, 2, 1)) ** 2


def published(states: np.ndarray) -> float:
    """Return the median Euclidean distance over the root of the number of units."""
    rows = states.reshape(len(states), -1)
    pairs = itertools.combinations(range(len(rows)), 2)
    distances = [np.sqrt(((rows[i] - rows[j]) ** 2).sum()) for i, j in pairs]
    return float(np.median(distances) / np.sqrt(states.shape[1]))


def test_each_trial_has_the_value_of_its_states() -> None:
    """Those of the definition, never of averaged trials; the set's is their mean."""
    given, result = signals(), measured()
    for layer, area in enumerate(SIZES):
        for at, name in enumerate(given):
            each = [
                oracles.differentiation(powers(one).reshape(10, -1), "layer", "euclidean")
                for one in given[name][area]
            ]
            np.testing.assert_allclose(
                result["trial_differentiation"][4 * at : 4 * at + 4, layer, 0, 0], each, rtol=1e-9
            )
            assert float(result["differentiation"][at, layer, 0, 0]) == pytest.approx(np.mean(each))
            averaged = powers(given[name][area].mean(axis=0)).reshape(10, -1)
            assert oracles.differentiation(averaged, "layer", "euclidean") != pytest.approx(np.mean(each))


def test_it_is_a_result() -> None:
    """It passes every check, has areas as layers and trials as images, and says so."""
    result = measured(reference="noise")
    require_whole(validate_result(result))
    assert result["image_name"].values.tolist() == ["0", "1", "2", "3"] * 2
    assert result["image_states"].values.tolist() == [10.0] * 8
    assert "distance" not in result
    subject = subject_of(result)
    assert (subject.item.many, subject.place.many, subject.unit.many) == ("trials", "populations", "neurons")
    assert "states of each" in result["differentiation"].attrs["description"]
    assert provenance(result)["states"]["samples"] == SAMPLES
    assert float(dif.relative(result).sel(set="noise").min()) == 1.0


def test_the_published_scale() -> None:
    """It is that of loops, and ours times the root of the number of values of each neuron."""
    given = signals()
    with pytest.warns(dif.DifferentiaWarning, match="squared magnitudes"):
        result = measured(scale="published")
    with pytest.warns(dif.DifferentiaWarning, match="squared magnitudes"):
        ours = measured(normalize="none")
    expected = [published(powers(one)) for one in given["natural"]["V1"]]
    np.testing.assert_allclose(result["trial_differentiation"][:4, 0, 0, 0], expected, rtol=1e-10)
    factor = np.sqrt(SAMPLES // 2 + 1)
    np.testing.assert_allclose(result["differentiation"], factor * ours["differentiation"], rtol=1e-12)
    assert (result.attrs["scale"], ours.attrs["scale"]) == ("published", "differentiation")
    assert unit_of(result) == "squared unit of the responses" == result["differentiation"].attrs["units"]


@pytest.mark.filterwarnings("ignore::differentia.DifferentiaWarning")
def test_of_few_frequencies_the_factor_is_the_root_of_their_number() -> None:
    """Not that of all that there are."""
    result, ours = (
        measured(frequencies=3, **scale) for scale in ({"scale": "published"}, {"normalize": "none"})
    )
    np.testing.assert_allclose(result["differentiation"], np.sqrt(3) * ours["differentiation"], rtol=1e-12)


def test_rates_on_the_published_scale_are_ours() -> None:
    """A state holds one number of each neuron."""
    with pytest.warns(dif.DifferentiaWarning, match="values depend on their number"):
        result = measured(scale="published", states="rate")
    ours = measured(normalize="none", states="rate", n_units=6)
    np.testing.assert_allclose(result["differentiation"], ours["differentiation"], rtol=1e-12)
    assert unit_of(result) == "unit of the responses"


@pytest.mark.filterwarnings("ignore::differentia.DifferentiaWarning")
@pytest.mark.parametrize(("states", "factor"), [("spectral", 4.0), ("rate", 2.0)])
def test_a_signal_twice_as_strong(states: str, factor: float) -> None:
    """Has four times the published value of spectra, twice that of rates, and the same of ours."""
    twice = {name: {area: 2 * one for area, one in of.items()} for name, of in signals().items()}
    one, two = (measured(given, states=states, scale="published") for given in (None, twice))
    np.testing.assert_allclose(two["differentiation"], factor * one["differentiation"], rtol=1e-12)
    one, two = (measured(given, states=states) for given in (None, twice))
    np.testing.assert_allclose(two["differentiation"], one["differentiation"], rtol=1e-12)


def test_draws_are_of_neurons_with_all_their_frequencies() -> None:
    """The same draws as those of layers, by the name of the area."""
    given, result = signals(), measured(n_units=3, draws=4, seed=7)
    pool = unit_order("V1", 6, 6, seed=7)
    for draw in range(4):
        positions = draw_units("V1", 6, 3, draw, seed=7)
        assert positions is not None
        for at, one in enumerate(given["natural"]["V1"]):
            chosen = powers(one)[:, pool[positions]].reshape(10, -1)
            expected = oracles.differentiation(chosen, "layer", "euclidean")
            assert float(result["trial_differentiation"][at, 0, 0, draw]) == pytest.approx(expected)
    assert result["units_used"].values.ravel().tolist() == [3, 3]
    assert float(result["differentiation"].std("draw").min()) > 0


def test_by_unit_divides_by_one_sd_of_all_states() -> None:
    """Of all trials and sets together, for each neuron and frequency."""
    given, result = signals(), measured(normalize="unit")
    together = np.concatenate([powers(one) for name in given for one in given[name]["V1"]])
    scale = together.std(axis=0)
    for at, one in enumerate(given["noise"]["V1"]):
        states = (powers(one) / scale).reshape(10, -1)
        expected = oracles.differentiation(states, "none", "euclidean")
        assert float(result["trial_differentiation"][4 + at, 0, 0, 0]) == pytest.approx(expected, rel=1e-9)


def test_by_unit_rounding_is_not_divided_by_itself() -> None:
    """Traces that are held within each state have power at 0 alone, but for what the transform leaves."""
    held = np.repeat(np.random.default_rng(0).gamma(2.0, 1.0, (3, 10, 5)), 7, axis=1) + 1 / 3
    assert dif.states(held[0], rate=RATE, length=0.35).reshape(10, 5, 4)[..., 1:].max() > 0
    result = measured({"a": held}, normalize="unit", length=0.35)
    found = result["trial_differentiation"].values[:, 0, 0, 0]
    sums = held[:, ::7] * 7
    scale = (sums**2).reshape(-1, 5).std(axis=0)
    factor = np.sqrt(4)  # of 4 values of each neuron, 3 are 0
    for trial, one in enumerate(sums):
        expected = oracles.differentiation(one**2 / scale, "none", "euclidean") / factor
        assert found[trial] == pytest.approx(expected, rel=1e-9)


def test_by_unit_rates_that_only_rounding_moves_count_as_constant() -> None:
    """A trace that is the same but for its last digits adds nothing, and is counted."""
    rng = np.random.default_rng(0)
    traces = rng.gamma(2.0, 1.0, (3, 60, 2))
    still = np.full((3, 60, 4), 1 / 3) * (1 + 2.3e-16 * rng.integers(0, 2, (3, 60, 4)))
    given = {"a": np.concatenate([traces, still], axis=2)}
    options: dict[str, Any] = {"normalize": "unit", "states": "rate", "length": 0.35}
    with pytest.warns(dif.DifferentiaWarning, match="only rounding moves 4 of 6 units of 'all'"):
        found = measured(given, **options)["trial_differentiation"].values
    alone = measured({"a": traces}, **options)["trial_differentiation"].values
    np.testing.assert_allclose(found, alone * np.sqrt(2 / 6), rtol=1e-9)


@pytest.mark.parametrize("normalize", ["response", "none"])
@pytest.mark.parametrize("metric", ["cityblock", "correlation", "cosine"])
@pytest.mark.filterwarnings("ignore::differentia.DifferentiaWarning")
def test_other_distances(normalize: str, metric: str) -> None:
    """Those of the definition."""
    given, result = signals(), measured(normalize=normalize, metric=metric)
    expected = oracles.differentiation(powers(given["noise"]["LM"][1]).reshape(10, -1), normalize, metric)
    assert float(result["trial_differentiation"][5, 1, 0, 0]) == pytest.approx(expected, rel=1e-9)


def test_lists_of_trials_of_unequal_length() -> None:
    """Each has as many states as fit."""
    given = {
        "a": [np.arange(40.0)[:, None] ** 2, np.arange(27.0)[:, None] ** 2],
        "b": signals()["noise"]["V1"][:, :, :1],
    }
    result = dif.measure_states(given, rate=RATE, length=LENGTH)
    assert result["image_states"].values.tolist() == [5, 3, 10, 10, 10, 10]
    assert result["layer"].values.tolist() == ["all"]


def test_labelled_arrays_go_by_their_dimensions() -> None:
    """Wherever trial, time and unit stand."""
    given = signals()
    labelled = {
        name: {
            area: xr.DataArray(one, dims=("trial", "time", "unit")).transpose("unit", "trial", "time")
            for area, one in of.items()
        }
        for name, of in given.items()
    }
    xr.testing.assert_equal(measured(labelled)["differentiation"], measured(given)["differentiation"])


def test_a_silent_trial_has_no_value() -> None:
    """It is named, and its set has none; on the published scale its states have the distance 0."""
    given = signals()
    given["natural"]["V1"][2] = 0.0
    with pytest.warns(
        dif.DifferentiaWarning, match="area 'V1', set 'natural', trial '2': gives 0 in every"
    ) as told:
        result = measured(given)
    assert [one.message.kind for one in told] == ["undefined"]  # type: ignore[union-attr]
    assert np.isnan(result["differentiation"].sel(set="natural", layer="V1")).all()
    assert say_undefined(result) == ["No value for natural in V1: in one of the trials all states are equal."]
    assert np.isfinite(result["differentiation"].sel(set="noise")).all()
    with pytest.warns(dif.DifferentiaWarning, match="squared"):
        result = measured(given, scale="published")
    assert float(result["trial_differentiation"][2, 0, 0, 0]) == 0.0


def test_what_the_authors_warn_of_is_told_once() -> None:
    """Of spectra that nothing normalises, and of areas of unequal numbers; of neither where neither is so."""
    with pytest.warns(dif.DifferentiaWarning) as told:
        result = measured(scale="published")
    assert len(told) == 1
    assert "four times the value" in str(told[0].message)
    assert "n_units=4" in str(told[0].message)
    assert [one["kind"] for one in provenance(result)["warnings"]] == ["other"]
    assert not provenance(measured(n_units=4, normalize="unit"))["warnings"]


@pytest.mark.filterwarnings("ignore::differentia.DifferentiaWarning")
@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"rate": None}, "arrays need rate="),
        ({"scale": "published", "normalize": "unit"}, "leave normalize='unit' out"),
        ({"scale": "published", "metric": "cosine"}, "leave metric='cosine' out"),
        ({"scale": "publshed"}, "Did you mean 'published'"),
        (
            {"length": 2.4},
            "set 'natural', trial '0' has 80 samples, and states of 48; .* at least two states",
        ),
        ({"reference": "rest"}, "unknown set for reference"),
        ({"n_unit": 3}, "unknown option 'n_unit'. Did you mean 'n_units'"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_options_that_can_not_be_used(change: dict[str, Any], says: str) -> None:
    """Each is told with a way out."""
    with pytest.raises(dif.InputError, match=says):
        measured(**change)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "expected signals as"),
        ({"a": {}}, "set 'a' holds no area"),
        ({"a": np.ones((3, 40))}, r"area 'all' has the shape \(3, 40\); expected \(trial, time, unit\)"),
        ({"a": []}, "set 'a', area 'all' holds no trials"),
        ({"a": np.ones((1, 40, 2)), "b": np.ones((1, 40, 3))}, "has 2 units in set 'a', trial 0, but 3"),
        ({"a": {"x": np.ones((1, 40, 2))}, "b": {"y": np.ones((1, 40, 2))}}, "differ in the areas x, y"),
        ({"a": {"x": np.ones((1, 40, 2)), "y": np.ones((2, 40, 2))}}, "different numbers of trials"),
        ({"a": np.full((2, 40, 2), np.nan)}, "set 'a', area 'all', trial 0 holds nan in sample 0, unit 0"),
    ],
)
def test_signals_that_can_not_be_used(given: Any, says: str) -> None:
    """Each is told with the place."""
    with pytest.raises(dif.InputError, match=says):
        dif.measure_states(given, rate=RATE, length=LENGTH)


def test_tables_have_a_row_for_each_trial() -> None:
    """With the mean over draws; other results have no such table."""
    result = measured(n_units=[2, 3], draws=3)
    table = dif.trial_values(result)
    assert list(table) == [
        *("session", "set", "trial", "start", "stop", "states", "layer", "n_units", "units_used"),
        "differentiation",
    ]
    assert len(table) == 8 * 2 * 2
    row = table[(table["set"] == "noise") & (table["trial"] == "1") & (table["layer"] == "LM")].iloc[1]
    assert row["differentiation"] == pytest.approx(float(result["trial_differentiation"][5, 1, 1].mean()))
    assert row["n_units"] == 3
    assert table["states"].dtype == np.int64
    unknown = dif.trial_values(result.drop_vars("image_states"))
    assert unknown["states"].isna().all()
    with pytest.raises(dif.InputError, match="no values of trials"):
        dif.trial_values(dif.measure_responses({"a": np.eye(3)}))


def test_results_are_kept_selected_and_drawn(tmp_path: Path) -> None:
    """As any other."""
    result = measured(n_units=3, draws=2, reference="noise")
    dif.save(result, tmp_path / "states.nc")
    kept = dif.load_result(tmp_path / "states.nc")
    xr.testing.assert_equal(kept["trial_differentiation"], result["trial_differentiation"])
    left = dif.trial_values(result.sel(set=["noise"]))
    assert set(left["set"]) == {"noise"}
    assert len(dif.to_dataframe(kept)) == 4


def test_texts_are_of_trials_and_states() -> None:
    """The methods, the sentences and the errors; none asks for fewer images."""
    result = measured(n_units=3, draws=2)
    text = str(dif.describe_methods(result))
    assert "pairs of states of each trial; that of a set is the mean over its trials" in text
    assert "states of 0.4 s (8 samples at 20 a second) with no overlap" in text
    assert "Student's t for the mean over trials" in text
    assert "stimul" not in text.split("\n\n")[1].replace("Measuring stimulus-evoked", "").split("Arkhipov")[0]
    with pytest.raises(dif.InputError, match="no distance; of values over time it keeps one of each trial"):
        dif.plot_distances(result)
    with pytest.warns(dif.DifferentiaWarning, match="keeps one of each trial"):
        dif.statistics(result)


def test_the_keywords_are_the_options() -> None:
    """None is missing in the signature."""
    own = {*inspect.signature(dif.measure_states).parameters} - {"trials", "rate", "seed", "progress"}
    fields = {*MeasureStatesOptions.__dataclass_fields__, *MeasureOptions.__dataclass_fields__}
    assert own == fields == {*MeasureStatesKeywords.__annotations__}
