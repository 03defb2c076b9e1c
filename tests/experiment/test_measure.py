"""measure and measure_responses: what they compute, equal to oracles, and what they refuse."""

from __future__ import annotations

import json
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from helpers import oracles
from helpers.networks import tricky
from torch import nn

import differentia as dif
from differentia.experiment.measure import measure_kinds
from differentia.recording.units import UNIT_KINDS, draw_units, filter_order, unit_order

RNG = np.random.default_rng(0)
SETS = {
    "white_noise": dif.noise(6),
    "few": RNG.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8),
    "dark": RNG.integers(0, 90, (7, 16, 16, 3), dtype=np.uint8),
}
#: Recorded neurons: two areas, three conditions, spike rates of different scales.
NEURONS = {
    name: {"V1": RNG.gamma(2.0, 3.0, (n, 40)) * RNG.uniform(1, 9, 40), "LM": RNG.gamma(1.0, 1.0, (n, 25))}
    for name, n in {"stimulus": 12, "other": 9, "spontaneous": 11}.items()
}


def load(module: nn.Module | None = None) -> dif.Network:
    return dif.load_network(module or tricky(), preprocess="unit", input_shape=(3, 16, 16))


def test_every_value_equals_the_oracle() -> None:
    """Each set, layer, number of units and draw equals a double loop over the very units."""
    counts, draws = (10, 100, 1000), 4
    result = dif.measure(load(), SETS, n_units=counts, draws=draws, seed=2)
    everything = dif.record(load(), SETS, units="all")
    compared = 0
    for layer in everything.layers:
        pool = result["unit"].sel(layer=layer.name).values
        pool = pool[pool >= 0]
        for name, rows in everything.sets.items():
            responses = np.asarray(everything.values[layer.name])[rows][:, pool]
            for count in counts:
                for draw in range(draws):
                    value = float(
                        result["differentiation"].sel(set=name, layer=layer.name, n_units=count, draw=draw)
                    )
                    chosen = draw_units(layer.name, len(pool), count, draw, seed=2)
                    if chosen is None:
                        assert np.isnan(value)
                        continue
                    expected = oracles.differentiation_by_loops(responses[:, chosen])
                    assert value == pytest.approx(expected, rel=1e-5, abs=1e-6)
                    compared += 1
    assert compared > 200


def test_schema() -> None:
    """The variables hold what their names say."""
    result = dif.measure(load(), SETS, n_units=(10, 1000), draws=3, seed=2)
    conv = result.sel(layer="conv")
    assert conv["layer_size"] == 2048
    assert conv["pool_size"] == 1000
    assert conv["units_used"].values.tolist() == [10, 1000]
    assert result.sel(layer="head")["units_used"].values.tolist() == [5, 5]
    assert result["units"].item() == "random"
    assert str(conv["layer_kind"].values) == "Conv2d"
    assert str(conv["layer_shape"].values) == "8x16x16"
    assert result["image_set"].values.tolist() == ["white_noise"] * 6 + ["few"] * 5 + ["dark"] * 7
    everything = dif.record(load(), SETS, units="all").values["conv"][:, conv["unit"].values]
    np.testing.assert_allclose(conv["image_sum"], everything.sum(axis=1, dtype=float), rtol=1e-6)
    np.testing.assert_allclose(conv["image_sumsq"], (everything.astype(float) ** 2).sum(axis=1), rtol=1e-6)
    distances = np.linalg.norm(everything[:, None].astype(float) - everything[None], axis=2)
    np.testing.assert_allclose(conv["distance"], distances, rtol=1e-5, atol=1e-5)
    # D follows from what is stored: the median distance over sigma and the root of K
    rows = slice(6, 11)
    total, squares = conv["image_sum"].values[rows].sum(), conv["image_sumsq"].values[rows].sum()
    sigma = np.sqrt(squares / 5000 - (total / 5000) ** 2)
    median = np.median(distances[rows, rows][np.triu_indices(5, 1)])
    stored = float(conv["differentiation"].sel(set="few", n_units=1000, draw=0))
    assert stored == pytest.approx(median / sigma / np.sqrt(1000), rel=1e-5)
    provenance = json.loads(result.attrs["provenance"])
    assert provenance["fingerprint"] == load().fingerprint
    assert provenance["versions"]["torch"] == torch.__version__
    assert provenance["sets"]["white_noise"] == "noise:6?kind=uniform&seed=0"
    assert result.attrs["reference"] == "white_noise"


def test_all_units() -> None:
    """``all`` looks at every unit, in one number for each set and layer."""
    result = dif.measure(load(), SETS, units="all")
    assert result.sizes["n_units"] == 1
    assert "unit" not in result
    np.testing.assert_array_equal(result["units_used"].isel(n_units=0), result["layer_size"])
    everything = dif.record(load(), SETS, units="all")
    expected = oracles.differentiation_by_loops(np.asarray(everything.values["conv"])[6:11])
    value = float(result["differentiation"].sel(layer="conv", set="few").isel(n_units=0, draw=0))
    assert value == pytest.approx(expected, rel=1e-5)


def test_same_seed_same_numbers() -> None:
    """Two runs are identical; another seed looks at other units."""
    first = dif.measure(load(), SETS, n_units=50, draws=3, seed=1)
    assert first.identical(dif.measure(load(), SETS, n_units=50, draws=3, seed=1))
    second = dif.measure(load(), SETS, n_units=50, draws=3, seed=2)
    assert not np.array_equal(first["differentiation"], second["differentiation"])


def test_a_sets_numbers_do_not_depend_on_the_others() -> None:
    """Sets come and go without a change to the last bit."""
    together = dif.measure(load(), SETS, n_units=50, draws=3)
    alone = dif.measure(load(), {"dark": SETS["dark"]}, n_units=50, draws=3)
    np.testing.assert_array_equal(
        together["differentiation"].sel(set="dark"), alone["differentiation"].sel(set="dark")
    )


@cache
def recordings() -> tuple[dif.Responses, dif.Responses]:
    """Return what is recorded of a pool of units, and of all."""
    return dif.record(load(), SETS, pool=300, seed=3), dif.record(load(), SETS, units="all")


@pytest.mark.parametrize("normalize", ["layer", "response", "unit", "none"])
def test_stored_responses_give_what_measure_gave(normalize: str) -> None:
    """From recorded responses, and from plain arrays with the same seed."""
    options: dict[str, Any] = {"n_units": (60, 300), "draws": 3, "normalize": normalize}
    measured = dif.measure(load(), SETS, seed=3, **options)["differentiation"]
    recorded, everything = recordings()
    np.testing.assert_array_equal(dif.measure_responses(recorded, **options)["differentiation"], measured)
    arrays = {
        name: {layer: np.asarray(values)[rows] for layer, values in everything.values.items()}
        for name, rows in everything.sets.items()
    }
    stored = dif.measure_responses(arrays, pool=300, seed=3, **options)
    np.testing.assert_array_equal(stored["differentiation"], measured)
    other = dif.measure_responses(arrays, pool=300, seed=4, **options)
    assert not np.array_equal(other["differentiation"], measured)


def test_recorded_neurons() -> None:
    """Neurons take the second half alone: all of them, relative to spontaneous activity."""
    result = dif.measure_responses(NEURONS, reference="spontaneous")
    assert result["units_used"].values.tolist() == [[40], [25]]
    assert dif.relative(result).notnull().all()  # of all neurons there is one draw
    assert dif.measure_responses(NEURONS, n_units=25)["draw"].values.tolist() == list(range(20))
    for name, areas in NEURONS.items():
        for area, rates in areas.items():
            value = float(result["differentiation"].sel(set=name, layer=area).isel(n_units=0, draw=0))
            assert value == pytest.approx(oracles.differentiation(rates), rel=1e-9)
    ratio = dif.relative(result).sel(set="stimulus", layer="V1").isel(n_units=0, draw=0)
    expected = oracles.differentiation(NEURONS["stimulus"]["V1"]) / oracles.differentiation(
        NEURONS["spontaneous"]["V1"]
    )
    assert float(ratio) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("kind", [np.asarray, pd.DataFrame, partial(xr.DataArray, dims=("neuron", "trial"))])
def test_a_set_of_one_population_needs_no_name_of_it(kind: Any) -> None:
    """Its array, table or DataArray alone is that of "all"."""
    rates = {name: areas["V1"] for name, areas in NEURONS.items()}
    given = {name: kind(array.T if isinstance(kind, partial) else array) for name, array in rates.items()}
    result = dif.measure_responses(given)
    assert result["layer"].values.tolist() == ["all"]
    for name, array in rates.items():
        value = result["differentiation"].sel(set=name, draw=0).item()
        assert value == pytest.approx(oracles.differentiation(array), rel=1e-9)


def test_unit_normalisation_pools_all_sets() -> None:
    """Each neuron is divided by its SD over the responses of all sets, not of its own set."""
    result = dif.measure_responses(NEURONS, normalize="unit")
    pooled = np.concatenate([areas["V1"] for areas in NEURONS.values()]).std(axis=0)
    own = NEURONS["other"]["V1"].std(axis=0)
    value = float(result["differentiation"].sel(set="other", layer="V1").isel(n_units=0, draw=0))
    assert value == pytest.approx(oracles.differentiation(NEURONS["other"]["V1"], "unit", scale=pooled))
    assert value != pytest.approx(
        oracles.differentiation(NEURONS["other"]["V1"], "unit", scale=own), rel=1e-3
    )


def test_units_that_only_rounding_moves_are_told() -> None:
    """They count as constant in every set, and the result says how many there are."""
    rng = np.random.default_rng(3)
    level = np.float32(0.3)
    sets = {}
    for name in ("one", "other"):
        values = rng.standard_normal((12, 20)).astype(np.float32)
        values[:, 5:] = np.where(rng.random((12, 15)) < 0.5, level, np.nextafter(level, np.float32(1)))
        sets[name] = {"moved": values, "moving": values[:, :5]}
    with pytest.warns(dif.DifferentiaWarning, match="only rounding moves 15 of 20 units of 'moved': with"):
        result = dif.measure_responses(sets, normalize="unit")
    found = result["differentiation"].sel(draw=0).isel(n_units=0)
    for name, layers in sets.items():
        pooled = np.concatenate([of_set["moved"] for of_set in sets.values()]).std(axis=0, dtype=float)
        assert (pooled > 0).all()
        right = np.where(np.arange(20) < 5, pooled, 0.0)
        expected = oracles.differentiation(layers["moved"], "unit", scale=right)
        assert float(found.sel(set=name, layer="moved")) == pytest.approx(expected, rel=1e-9)
        wrong = oracles.differentiation(layers["moved"], "unit", scale=pooled)
        assert abs(wrong - expected) > 0.5
    warned = json.loads(result.attrs["provenance"])["warnings"]
    assert [one["kind"] for one in warned] == ["rounding"]
    assert "15 of 20 units of" in dif.describe_methods(result).text
    assert dif.measure_responses(sets)["differentiation"].notnull().all()  # and nothing is said


@pytest.mark.parametrize("variation", [1.0, 1e-2, 1e-3, 1e-4])
def test_few_units_beside_many_that_have_other_levels(variation: float) -> None:
    """The SD of one unit loses no digit to its level, which is not that of all."""
    rng = np.random.default_rng(0)
    levels = rng.standard_normal(40)
    rates = (levels + variation * rng.standard_normal((12, 40))).astype(np.float32)
    result = dif.measure_responses({"a": {"V1": rates}}, n_units=(1, 2, 40), draws=5)
    pool = unit_order("V1", 40, 40, seed=0)
    for count, draw in ((1, 0), (1, 1), (1, 4), (2, 2), (40, 0)):
        chosen = draw_units("V1", 40, count, draw, seed=0)
        assert chosen is not None
        value = float(result["differentiation"].sel(set="a", layer="V1", n_units=count, draw=draw))
        assert value == pytest.approx(oracles.differentiation(rates[:, pool[chosen]]), rel=1e-5)


def test_neurons_of_few_units_are_drawn_like_layers() -> None:
    """Draws of recorded neurons equal the oracle on the very neurons, of all that there are."""
    result = dif.measure_responses(NEURONS, n_units=(5, 30), draws=3, seed=1)
    assert result["pool_size"].values.tolist() == [40, 25]
    assert result["differentiation"].sel(layer="V1").notnull().all()
    few = dif.measure_responses(NEURONS, n_units=(5, 30), draws=3, seed=1, pool=30)
    first, same = (one["differentiation"].sel(draw=0) for one in (result, few))
    np.testing.assert_allclose(first, same, rtol=1e-12)
    pool = unit_order("V1", 40, 40, seed=1)
    chosen = draw_units("V1", 40, 5, 2, seed=1)
    assert chosen is not None
    value = float(result["differentiation"].sel(set="other", layer="V1", n_units=5, draw=2))
    assert value == pytest.approx(oracles.differentiation(NEURONS["other"]["V1"][:, pool[chosen]]), rel=1e-9)
    assert result.sel(layer="LM")["units_used"].values.tolist() == [5, 25]


def test_dead_layers_are_one_warning() -> None:
    """A layer that never changes is NaN; one warning names every such layer, and the others are fine."""

    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.alive, self.dead, self.saturated = nn.Identity(), nn.ReLU(), nn.Hardtanh(0, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.alive(x) + self.dead(x - 9) + self.saturated(x + 9)

    with pytest.warns(dif.DifferentiaWarning) as caught:
        result = dif.measure(load(Dead()), SETS, n_units=50, draws=1, layers=["*"])
    assert len(caught) == 1
    message = str(caught[0].message)
    assert json.loads(result.attrs["provenance"])["warnings"] == [{"kind": "undefined", "text": message}]
    assert "6 values" in message
    assert "layer 'dead', set 'few': it gives 0 in every unit" in message
    assert "layer 'saturated', set 'dark': it gives 1 in every unit" in message
    assert "alive" not in message
    values = result["differentiation"]
    assert values.sel(layer=["dead", "saturated"]).isnull().all()
    assert values.sel(layer=["input", "alive"]).notnull().all()
    assert dif.relative(result).sel(layer="dead").isnull().all()


def test_a_constant_response_is_named() -> None:
    """Under ``response`` a row without correlation makes the value NaN, and the warning names the image."""
    images = np.array(SETS["few"])
    images[3] = 77
    with pytest.warns(
        dif.DifferentiaWarning, match="layer 'input', set 'a': the response to image '3' is constant"
    ):
        result = dif.measure(load(nn.Identity()), {"a": images}, n_units=50, draws=2, normalize="response")
    assert result["differentiation"].sel(layer="input").isnull().all()
    assert dif.measure(load(nn.Identity()), {"a": images}, n_units=50)["differentiation"].notnull().any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_units": 0}, "n_units is 0; expected at least 1"),
        ({"n_units": "abc"}, "n_units is 'abc'; expected a whole number"),
        ({"n_units": (1.5,)}, "is 1.5"),
        ({"n_units": 1e4}, "is 10000.0"),
        ({"n_units": np.array(0)}, "n_units is 0; expected at least 1"),
        ({"n_units": (5, 5)}, "n_units: 5 is given twice; give it once"),
        ({"n_units": ()}, r"n_units is \[\]; expected 1 or more of them"),
        ({"n_units": 10, "pool": 5}, "pool is 5, less than the largest n_units, 10"),
        ({"n_units": 10, "units": "all"}, "do not go with units='all'"),
        ({"draws": 0}, "draws is 0"),
        ({"metric": "euclid"}, "Did you mean 'euclidean'"),
        ({"normalize": "batch"}, "unknown normalization 'batch'"),
        ({"reference": "noise"}, "unknown set for reference .* Did you mean 'white_noise'"),
    ],
)
def test_wrong_options_are_refused_before_recording(options: dict[str, Any], message: str) -> None:
    """No image is shown before every option is known to be right."""

    class Untouched(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise AssertionError("the network was run")

    with pytest.raises(dif.InputError, match=message):
        dif.measure(load(Untouched()), SETS, **options)


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({}, {}, "at least one set"),
        ({"a": [1.0]}, {}, "set 'a' holds no layer; expected {set: {layer: array}} or {set: array}"),
        ({"a": {}}, {}, "set 'a' holds no layer"),
        ({"a": np.zeros(4)}, {}, r"set 'a', layer 'all' has the shape \(4,\)"),
        ([NEURONS], {}, "expected responses as {set: {layer: array}}"),
        (
            {"a": {"x": np.zeros((0, 4))}, "b": {"x": np.ones((3, 4))}},
            {},
            "set 'a', layer 'x' has 0 responses",
        ),
        ({1: NEURONS["other"], "1": NEURONS["other"]}, {}, "two sets have the name '1'"),
        ({"a": {0: np.ones((3, 4)), "0": np.ones((3, 4))}}, {}, "two layers have the name '0'"),
        ({"a": {"x": [[1, 2], [3]]}}, {}, "set 'a', layer 'x' is not a matrix"),
        ({"a": {"x": np.zeros(4)}}, {}, r"set 'a', layer 'x' has the shape \(4,\)"),
        ({"a": {"x": np.zeros((1, 4))}}, {}, "set 'a', layer 'x' has 1 responses"),
        ({"a": {"x": np.zeros((3, 4))}, "b": {"y": np.zeros((3, 4))}}, {}, "differ in the layers x, y"),
        (
            {"a": {"x": np.zeros((3, 4))}, "b": {"x": np.zeros((3, 5))}},
            {},
            "has 4 units in set 'a' but 5 in 'b'",
        ),
        ({"a": {"x": np.zeros((3, 4)), "y": np.zeros((2, 4))}}, {}, "different numbers of responses"),
        ({"a": {"x": np.array([["p", "q"]] * 3)}}, {}, "expected real numbers"),
        (NEURONS, {"reference": "silence"}, "unknown set for reference"),
        (NEURONS, {"pool": 3}, "give both, or leave pool out"),
        *((NEURONS, {"seed": seed}, "^seed is .*; expected a whole number$") for seed in (False, 0.0, "")),
    ],
)
def test_responses_that_can_not_be_compared(arrays: Any, options: dict[str, Any], message: str) -> None:
    """Each error names the set and the layer."""
    with pytest.raises(dif.InputError, match=message):
        dif.measure_responses(arrays, **options)


def test_missing_responses_are_named() -> None:
    """A NaN among recorded neurons is an error with its place, not a number."""
    arrays = {"a": {"V1": np.ones((4, 3)) * np.arange(4)[:, None]}}
    arrays["a"]["V1"][2, 1] = np.nan
    with pytest.raises(dif.InputError, match="set 'a', layer 'V1' holds nan in response 2, unit 1"):
        dif.measure_responses(arrays)


def test_recorded_pools_are_not_exceeded() -> None:
    """More units than were recorded are refused; a pool and seed come with the responses."""
    responses = dif.record(load(), SETS, pool=100, seed=3)
    with pytest.raises(dif.InputError, match="only 100 of the 768 units of 'input' were recorded"):
        dif.measure_responses(responses, n_units=200)
    with pytest.raises(dif.InputError, match="leave pool= and seed= out"):
        dif.measure_responses(responses, seed=4)
    assert dif.measure_responses(responses)["n_units"].values.tolist() == [100]
    # all units are in their own order, of which the first ones are no random sample
    with pytest.raises(dif.InputError, match="measured whole: leave n_units= out"):
        dif.measure_responses(dif.record(load(), SETS, units="all"), n_units=10)


def test_kinds_are_not_named_by_units() -> None:
    """As of one kind they are named by ``units``, it is an error here, not left aside."""
    with pytest.raises(dif.InputError, match="takes no units=; name the kinds of units as kinds="):
        dif.measure_kinds(load(), SETS, units="top")  # type: ignore[call-arg]


def test_names_need_not_be_text() -> None:
    """Sets and areas named by numbers go by their text, the reference too."""
    arrays = {1: {17: NEURONS["stimulus"]["V1"]}, 2: {17: NEURONS["spontaneous"]["V1"]}}
    result = dif.measure_responses(arrays, reference=2)  # type: ignore[arg-type]
    assert result["set"].values.tolist() == ["1", "2"]
    assert float(dif.relative(result).sel(set="2").max()) == 1.0
    noise: Any = {1: "noise:3", 2: "noise:3?seed=1"}
    result = dif.measure(load(), noise, n_units=10, draws=2, reference=2)  # type: ignore[arg-type]
    assert result.attrs["reference"] == "2"


def test_double_precision_is_kept() -> None:
    """A network of float64 with a large offset loses nothing to float32."""

    class Offset(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.Identity()
            self.weight = nn.Parameter(torch.tensor(1e-3, dtype=torch.float64))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(x * self.weight + 1e4)

    result = dif.measure(load(Offset()), {"a": SETS["few"]}, units="all", layers=["input", "act"])
    first, second = result["differentiation"].sel(set="a").isel(draw=0).values.ravel()
    assert second == pytest.approx(first, rel=1e-5)


def test_numbers_of_numpy_are_numbers(tmp_path: Path) -> None:
    """NumPy's integers are taken wherever Python's are, to the end."""
    options: dict[str, Any] = {"n_units": np.int64(20), "draws": np.int64(2), "batch_size": np.int64(4)}
    result = dif.measure(load(), SETS, seed=np.int64(3), **options)  # type: ignore[arg-type]
    dif.save(result, tmp_path / "result.nc")
    plain = dif.measure(load(), SETS, n_units=20, draws=2, batch_size=4, seed=3)
    assert dif.load_result(tmp_path / "result.nc").identical(plain)
    assert json.loads(plain.attrs["provenance"])["device"] == "cpu"


def test_spread_is_unknown_where_draws_have_no_value() -> None:
    """The draws that are left do not stand for those that looked at dead units only."""
    rates = np.zeros((6, 40))
    rates[:, 0] = np.arange(6)
    with pytest.warns(dif.DifferentiaWarning, match="is NaN for"):
        result = dif.measure_responses({"a": {"x": rates}}, n_units=(5, 40), draws=12)
    values = result["differentiation"].sel(n_units=5)
    assert values.isnull().any()
    assert values.notnull().any()
    assert dif.draw_spread(result["differentiation"], result).sel(n_units=5).isnull().all()
    means = dif.draw_mean(result["differentiation"], result)
    assert means.sel(n_units=5).isnull().all()
    assert means.sel(n_units=40).item() == result["differentiation"].sel(n_units=40, draw=0).item()
    # relative to such a set, too, nothing is known
    with pytest.warns(dif.DifferentiaWarning):
        pooled = dif.measure_responses(
            {"a": {"x": rates}, "b": {"x": rates}}, n_units=5, pool=40, draws=12, reference="b"
        )
    assert dif.relative(pooled).isnull().all()
    assert dif.relative(pooled, matched=True).notnull().any()


#: Layers of maps, of tokens' worth of filters, and of a vector.
SOME = ["conv", "act:1", "split[0]", "head"]


def test_per_filter_equals_the_oracle() -> None:
    """Every number of units and draw has the same number of every filter, and is the measure of those."""
    counts, draws = (20, 60, 200), 3
    result = dif.measure(load(), SETS, n_units=counts, draws=draws, units="per_filter", layers=SOME, seed=2)
    assert result["units_used"].sel(layer="conv").values.tolist() == [16, 56, 200]
    assert result["units_used"].sel(layer="split[0]").values.tolist() == [20, 60, 200]
    assert result["units_used"].sel(layer="head").values.tolist() == [5, 5, 5]
    everything = dif.record(load(), SETS, units="all", layers=SOME)
    seen = set()
    for layer in everything.layers:
        order = filter_order(layer, int(result["pool_size"].sel(layer=layer.name)), seed=2)
        for count in counts:
            used = int(result["units_used"].sel(layer=layer.name, n_units=count))
            for draw in range(draws):
                chosen = draw_units(layer.name, len(order), count, draw, seed=2, strata=layer.n_filters)
                values = result["differentiation"].sel(layer=layer.name, n_units=count, draw=draw)
                if chosen is None:
                    assert values.isnull().all()
                    continue
                assert len(chosen) == used
                filters = np.bincount(order[chosen] // (layer.size // layer.n_filters))
                assert filters.tolist() == [used // layer.n_filters] * layer.n_filters
                for name, rows in everything.sets.items():
                    units = np.asarray(everything.values[layer.name])[rows][:, order[chosen]]
                    expected = oracles.differentiation_by_loops(units)
                    value = float(values.sel(set=name))
                    assert value == pytest.approx(expected, rel=1e-5)
                    seen.add(round(value, 12))
    assert len(seen) == 3 * (3 * 7 + 1)  # 3 sets of 3 layers with 3 + 3 + 1 draws, and of the vector


@pytest.mark.parametrize(("kind", "score"), [("top", np.mean), ("top_variance", np.var)])
def test_ranked_units_equal_the_oracle(kind: str, score: Any) -> None:
    """Only draw 0 exists; its spread is unknown, but for a whole layer."""
    counts = (20, 200)
    result = dif.measure(load(), SETS, n_units=counts, draws=3, units=kind, layers=SOME)
    everything = dif.record(load(), SETS, units="all", layers=SOME)
    for layer in everything.layers:
        whole = np.asarray(everything.values[layer.name])
        scores = score(whole.astype(np.float64), axis=0)
        for count in counts:
            best = oracles.highest(scores, count)
            assert result["unit"].sel(layer=layer.name).values[: len(best)].tolist() == best
            for name, rows in everything.sets.items():
                values = result["differentiation"].sel(set=name, layer=layer.name, n_units=count)
                expected = oracles.differentiation_by_loops(whole[rows][:, best])
                assert float(values.sel(draw=0)) == pytest.approx(expected, rel=1e-5)
                assert values.sel(draw=[1, 2]).isnull().all()
    means = dif.draw_mean(result["differentiation"], result)
    np.testing.assert_array_equal(means, result["differentiation"].sel(draw=0))
    spread = dif.draw_spread(result["differentiation"], result)
    assert spread.sel(layer=["conv", "act:1", "split[0]"]).isnull().all()
    assert (spread.sel(layer="head") == 0.0).all()


def test_filter_means_equal_the_oracle() -> None:
    """One number of units, which is each layer's filters; one draw."""
    result = dif.measure(load(), SETS, units="filter_mean", draws=2, layers=SOME)
    assert result["units_used"].values.tolist() == [[8], [8], [4], [5]]
    everything = dif.record(load(), SETS, units="all", layers=SOME)
    for layer in everything.layers:
        maps = np.asarray(everything.values[layer.name]).reshape(-1, *layer.shape)
        means = oracles.filter_means(maps, layer.channel_axis)
        for name, rows in everything.sets.items():
            values = result["differentiation"].sel(set=name, layer=layer.name).isel(n_units=0)
            assert float(values[0]) == pytest.approx(oracles.differentiation(means[rows]), rel=1e-5)
            assert np.isnan(float(values[1]))
    spread = dif.draw_spread(result["differentiation"], result)
    assert spread.sel(layer=["conv", "split[0]"]).isnull().all()
    with pytest.raises(dif.InputError, match="do not go with units='filter_mean'"):
        dif.measure(load(), SETS, units="filter_mean", n_units=10)


def test_saturated_units() -> None:
    """The highest units of a ReLU6 may be 6 for every image: NaN, with the reason and what to do instead."""

    class Saturated(nn.Module):
        def __init__(self, *offsets: float) -> None:
            super().__init__()
            self.act = nn.ReLU6()
            self.offsets = offsets

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.act(4 * x + torch.tensor(self.offsets).reshape(3, 1, 1))

    options: dict[str, Any] = {"n_units": (50, 300), "draws": 2, "layers": ["act"]}
    with pytest.warns(dif.DifferentiaWarning) as caught:
        result = dif.measure(load(Saturated(6, 0, 0)), SETS, units="top", **options)
    assert len(caught) == 1
    message = str(caught[0].message)
    assert "NaN for 3 values: layer 'act', set 'white_noise': it gives 6 in every unit" in message
    assert "may be saturated for every image; those of units='top_variance' can't be" in message
    assert result["differentiation"].sel(n_units=50).isnull().all()
    assert result["differentiation"].sel(n_units=300, draw=0).notnull().all()  # of which 44 are not saturated
    varied = dif.measure(load(Saturated(6, 0, 0)), SETS, units="top_variance", **options)
    assert varied["differentiation"].sel(draw=0).notnull().all()
    with pytest.warns(dif.DifferentiaWarning) as caught:  # where nothing varies, no other units would help
        dif.measure(load(Saturated(6, 6, 6)), SETS, units="random", **options)
    assert "it gives 6 in every unit" in str(caught[0].message)
    assert "top_variance" not in str(caught[0].message)


@pytest.mark.parametrize("images", [2_000, 10])
def test_kinds_together_are_what_each_is_alone(images: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The results are identical to those of a pass for each, with views of few images and of many."""
    monkeypatch.setattr("differentia.recording.record.MOST_IMAGES_TO_VIEW", images)
    options: dict[str, Any] = {"n_units": (10, 40), "draws": 3, "seed": 1, "layers": SOME}
    options["maps"] = {"conv": [1]}
    together = measure_kinds(load(), SETS, kinds=list(UNIT_KINDS), **options)
    assert list(together) == list(UNIT_KINDS)
    for kind, result in together.items():
        alone = dict(options)
        if not UNIT_KINDS[kind].counted:
            del alone["n_units"]
        xr.testing.assert_identical(result, dif.measure(load(), SETS, units=kind, **alone))
    assert len({float(result["differentiation"][0, 0, 0, 0]) for result in together.values()}) == 7


def test_kinds_concatenate() -> None:
    """Along ``units``, without the lists of units, whose lengths differ; each kind keeps its values."""
    apart = measure_kinds(load(), SETS, n_units=(10, 40), draws=2, layers=SOME)
    assert list(apart) == ["random", "top", "top_variance", "per_filter", "filter_mean"]
    one = xr.concat([result.drop_dims("rank") for result in apart.values()], dim="units", join="outer")
    assert one["units"].values.tolist() == list(apart)
    for kind, result in apart.items():
        counts = result["n_units"].values
        np.testing.assert_array_equal(
            one["differentiation"].sel(units=kind, n_units=counts), result["differentiation"]
        )
        means = dif.draw_mean(one["differentiation"], one).sel(units=kind, n_units=counts)
        np.testing.assert_array_equal(means, dif.draw_mean(result["differentiation"], result))
        spread = dif.draw_spread(one["differentiation"], one).sel(units=kind, n_units=counts)
        np.testing.assert_array_equal(spread, dif.draw_spread(result["differentiation"], result))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kinds": ()}, r"units is \[\]; expected 1 or more of them"),
        ({"kinds": ("top", "top")}, "units: 'top' is given twice; give it once"),
        ({"kinds": ("random", "bottom")}, "unknown kind of units 'bottom'"),
        ({"kinds": ("filter_mean", "all"), "n_units": 5}, "do not go with units='filter_mean'"),
        ({"kinds": "top", "n_units": 10, "pool": 5}, "pool is 5, less than the largest n_units, 10"),
    ],
)
def test_kinds_that_can_not_be_measured(options: dict[str, Any], message: str) -> None:
    """Each error says what was given."""
    with pytest.raises(dif.InputError, match=message):
        measure_kinds(load(), SETS, **options)
