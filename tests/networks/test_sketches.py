"""Sketches: sums of all units with random signs, in the pass and for each draw; what is measured by them."""

from __future__ import annotations

import itertools
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import xarray as xr
from helpers import oracles
from helpers.networks import tricky
from torch import nn

import differentia as dif
from differentia.experiment.folding import folding
from differentia.experiment.measure import measure_kinds
from differentia.networks.layers import Layer
from differentia.networks.sketches import Sketch, SketchProbe
from differentia.recording.options import RecordOptions
from differentia.recording.record import record_kinds
from differentia.results.views import distance_units

RNG = np.random.default_rng(0)
SETS = {
    "white_noise": dif.noise(6),
    "few": RNG.integers(0, 256, (5, 16, 16, 3), dtype=np.uint8),
    "dark": RNG.integers(0, 90, (7, 16, 16, 3), dtype=np.uint8),
}
SOME = ["conv", "act:1", "named[mean]", "head"]

#: Layers of each number of axes of space, the filters first and last, and more filters than sums.
LAYERS = {
    "first": Layer("a", "Conv2d", (6, 13, 7), "a", channel_axis=0),
    "last": Layer("a", "Conv2D", (13, 7, 6), "a", channel_axis=2),
    "volume": Layer("a", "Conv3d", (3, 5, 4, 9), "a", channel_axis=0),
    "tokens": Layer("a", "LayerNorm", (31, 6), "a", channel_axis=1),
    "vector": Layer("a", "Linear", (300,), "a"),
    "wide": Layer("a", "Conv2d", (90, 2, 3), "a", channel_axis=0),
}


def load(module: nn.Module | None = None) -> dif.Network:
    return dif.load_network(module or tricky(), preprocess="unit", input_shape=(3, 16, 16))


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> int:
    """So few sums are kept that also small layers are summed up."""
    monkeypatch.setattr("differentia.recording.units.SKETCH_WIDTH", 150)
    return 150


def layouts(output: torch.Tensor) -> list[torch.Tensor]:
    """Return the same numbers in every order of axes in memory, and with gaps."""
    orders = itertools.permutations(range(output.ndim))
    same = [output.permute(order).contiguous().permute(tuple(np.argsort(order))) for order in orders]
    return [*same, torch.stack([output, -output], dim=-1)[..., 0]]


@pytest.mark.parametrize("width", [1, 7, 50, 64, 177])
@pytest.mark.parametrize("name", LAYERS)
def test_the_probe_equals_a_dense_matrix(name: str, width: int) -> None:
    """In float64, and of every layout the same to the bit; also from an array, of any number of images."""
    layer = LAYERS[name]
    output = torch.from_numpy(RNG.normal(0.7, 1.0, (3, *layer.shape)))
    matrix = oracles.sketch_matrix("a", layer.shape, layer.channel_axis, width, seed=5)
    assert (np.count_nonzero(matrix, axis=0) == 1).all(), "every unit is in one sum"
    assert np.count_nonzero(matrix, axis=1).max() <= 2 * math.ceil(layer.size / width), "none has too many"
    probe = SketchProbe(Sketch(layer, width, seed=5))
    found = probe(output)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, output.reshape(3, -1).numpy() @ matrix.T, rtol=1e-12, atol=1e-12)
    for same in layouts(output):
        np.testing.assert_array_equal(probe(same), found)
    np.testing.assert_array_equal(probe(output.numpy()), found)
    np.testing.assert_array_equal(np.concatenate([probe(image[None]) for image in output]), found)
    others = SketchProbe(Sketch(layer, width, seed=6))(output)
    assert not np.allclose(others, found)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_types_of_numbers(dtype: torch.dtype) -> None:
    """Half precision is summed as float32; far from 0 distances are as exact as the responses are."""
    layer = Layer("a", "Conv2d", (16, 60, 50), "a", channel_axis=0)
    output = torch.from_numpy(RNG.normal(30.0, 1.0, (2, *layer.shape))).to(dtype)
    found = SketchProbe(Sketch(layer, 1000, seed=0))(output)
    assert found.dtype == np.float32
    exact = SketchProbe(Sketch(layer, 1000, seed=0))(output.double())
    np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-4)
    distance = np.linalg.norm(found[0].astype(np.float64) - found[1])
    assert distance == pytest.approx(np.linalg.norm(exact[0] - exact[1]), rel=1e-6)


def test_what_is_kept_is_a_copy() -> None:
    """What is done to the output in place afterwards does not change it."""
    output = torch.ones(2, 300)
    kept = SketchProbe(Sketch(LAYERS["vector"], 150, seed=0))(output)
    before = kept.copy()
    output.zero_()
    np.testing.assert_array_equal(kept, before)


@pytest.mark.parametrize("rank", ["few", "one", "sparse"])
def test_squared_distances_are_right_on_average(rank: str) -> None:
    """Over seeds the mean is the layer's own, and the SD what is promised, or less where few units differ."""
    layer = Layer("a", "Conv2D", (12, 5, 20), "a", channel_axis=2)
    filters = RNG.gamma(0.3, 1.0, 20)  # some respond much more than others
    difference = RNG.normal(size=(12, 5, 20)) * filters
    if rank == "one":
        difference[:] = filters
    if rank == "sparse":
        difference[RNG.random(difference.shape) < 0.99] = 0.0
    exact = float(np.sum(difference**2))
    width, count, seeds = 400, 50, 600
    both = []
    for seed in range(seeds):
        kept = SketchProbe(Sketch(layer, width, seed))(difference[None])[0]
        few = folding("a", width, count, 0, seed=seed) @ kept
        both.append([np.sum(kept**2) / exact, np.sum(few**2) / exact])
    means, sds = np.mean(both, axis=0), np.std(both, axis=0)
    np.testing.assert_allclose(means, 1.0, atol=4 * max(sds) / math.sqrt(seeds))
    promised = np.sqrt(2 * (1 / np.array([width, count]) - 1 / layer.size))
    assert (sds < 1.15 * promised).all()
    if rank != "sparse":  # filters that respond more are as many units fewer
        assert (sds > 0.7 * promised).all()


def everything() -> dif.Responses:
    return dif.record(load(), SETS, units="all")


@pytest.mark.parametrize("normalize", ["layer", "none"])
def test_every_value_equals_the_oracle(normalize: str, narrow: int) -> None:
    """Each set, layer, number and draw equals a double loop over dense projections of all units."""
    counts, draws = (10, 60, 150), 3
    result = dif.measure(
        load(), SETS, units="sketch", n_units=counts, draws=draws, normalize=normalize, seed=2
    )
    whole, compared = everything(), 0
    for layer in whole.layers:
        about = result.sel(layer=layer.name)
        size, pool = layer.size, min(layer.size, narrow)
        assert int(about["pool_size"]) == pool
        assert about["units_used"].values.tolist() == [min(count, size) for count in counts]
        kept = np.eye(size)
        if pool < size:
            kept = oracles.sketch_matrix(layer.name, layer.shape, layer.channel_axis, pool, 2)
        for count, draw in itertools.product(counts, range(draws)):
            values = about["differentiation"].sel(n_units=count, draw=draw)
            if count >= pool and draw:
                assert values.isnull().all(), "of a whole pool there is one draw"
                continue
            fold = oracles.fold_matrix(layer.name, pool, count, draw, 2) if count < size else np.eye(size)
            for name, rows in whole.sets.items():
                responses = np.asarray(whole.values[layer.name])[rows]
                expected = oracles.sketched(responses, kept, fold, normalize)
                assert float(values.sel(set=name)) == pytest.approx(expected, rel=1e-5, abs=1e-6)
                compared += 1
    assert compared > 200


def test_as_many_as_units_are_all_units(narrow: int) -> None:
    """Identical to what ``all`` gives, also without moments to look at; also beside fewer."""
    whole = dif.measure(load(), SETS, units="all", layers=["head", "named[mean]"], draws=2)
    for counts in ((8,), (5, 100), (3, 10_000)):
        options: dict[str, Any] = {"n_units": counts, "draws": 2, "layers": ["head", "named[mean]"]}
        sketched = dif.measure(load(), SETS, units="sketch", views=False, **options)
        values = sketched["differentiation"].sel(n_units=max(counts))
        np.testing.assert_array_equal(values.sel(draw=0), whole["differentiation"][..., 0, 0])
        assert values.isel(draw=slice(1, None)).isnull().all()
        np.testing.assert_array_equal(sketched["distance"], whole["distance"])
        for name in ("image_sum", "image_sumsq"):
            np.testing.assert_allclose(sketched[name], whole[name], rtol=1e-6, atol=1e-6)
        assert (dif.draw_spread(sketched["differentiation"], sketched).sel(n_units=max(counts)) == 0).all()


def test_sums_are_of_all_units(narrow: int) -> None:
    """Exact, whatever was kept; so are the SDs that the distances are divided by."""
    result = dif.measure(load(), SETS, units="sketch", n_units=(10, 60), draws=2, views=False, layers=SOME)
    assert "unit" not in result
    assert "filter_mean" not in result
    whole = everything()
    for layer in SOME:
        values = np.asarray(whole.values[layer]).astype(np.float64)
        found = result.sel(layer=layer)
        np.testing.assert_allclose(found["image_sum"], values.sum(axis=1), rtol=1e-6, atol=1e-5)
        np.testing.assert_allclose(found["image_sumsq"], (values**2).sum(axis=1), rtol=1e-6)
        of_set = values[whole.sets["few"]]
        assert float(found["layer_sd"].sel(set="few")) == pytest.approx(of_set.std(), rel=1e-6)
    units = distance_units(result)
    for at, name in enumerate(SETS):
        (rows,) = np.nonzero(result["image_set"].values == name)
        pairs = np.triu_indices(len(rows), k=1)
        for layer in SOME:
            apart = result["distance"].sel(layer=layer).values[np.ix_(rows, rows)][pairs]
            value = np.median(apart) / float(units.sel(set=name, layer=layer))
            expected = result["differentiation"].sel(layer=layer, n_units=60, draw=0)[at]
            assert value == pytest.approx(float(expected), rel=1e-5)


def test_batches_and_sets_do_not_matter(narrow: int) -> None:
    """Nor do other layers; another seed does."""
    options: dict[str, Any] = {"units": "sketch", "pool": 20, "layers": ["conv", "act"]}
    expected = dif.record(load(), SETS, batch_size=7, **options)
    assert np.asarray(expected.values["conv"]).shape == (18, narrow)
    for batch_size in (1, 3):
        found = dif.record(load(), SETS, batch_size=batch_size, **options)
        for name, values in expected.values.items():
            np.testing.assert_allclose(found.values[name][:, :], values[:, :], rtol=1e-5, atol=1e-5)
    one = dif.record(load(), {"dark": SETS["dark"]}, batch_size=7, **{**options, "layers": ["act"]})
    np.testing.assert_array_equal(one.values["act"], np.asarray(expected.values["act"])[11:])
    other = dif.record(load(), SETS, batch_size=7, seed=1, **options)
    assert not np.allclose(other.values["conv"][:, :], expected.values["conv"][:, :])


def test_kinds_together_are_as_each_alone(narrow: int) -> None:
    """Beside ranked units, whose images may be shown twice, and beside all of them."""
    kinds = ("sketch", "top", "random", "all")
    together = record_kinds(load(), SETS, RecordOptions(kinds, pool=40, layers=tuple(SOME)))
    alone = dif.record(load(), SETS, units="sketch", pool=40, layers=SOME)
    for name, values in alone.values.items():
        np.testing.assert_array_equal(together["sketch"].values[name], values)
    results = measure_kinds(load(), SETS, kinds=kinds[:3], n_units=(10, 40), draws=2, layers=SOME)
    one = dif.measure(load(), SETS, units="sketch", n_units=(10, 40), draws=2, layers=SOME)
    xr.testing.assert_identical(results["sketch"], one)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_compiled_pass(
    narrow: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The probe sees the outputs between what is compiled; one that is wrong is found."""
    monkeypatch.setattr(torch, "compile", lambda module, **options: module)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(2048, 200)]
    network = load(nn.Sequential(*layers))
    options: dict[str, Any] = {"units": "sketch", "pool": 20, "batch_size": 4}
    found = dif.record(network, SETS, compile="always", **options)
    expected = dif.record(network, SETS, compile="never", **options)
    assert found.provenance["compiled"] is True
    for name, values in expected.values.items():
        np.testing.assert_allclose(found.values[name][:, :], values[:, :], rtol=1e-4, atol=1e-4)
    monkeypatch.setattr(torch, "compile", lambda module, **options: lambda batch: module(batch * 1.01))
    with caplog.at_level(logging.INFO, "differentia"):
        wrong = dif.record(network, SETS, compile="always", views=False, **options)
    assert "differs from the network's own pass" in caplog.text
    np.testing.assert_array_equal(wrong.values["0"], expected.values["0"])


def test_a_keras_model(narrow: int) -> None:
    """Its filters are last, and its outputs may lie in memory in any way; the sums are those of all units."""
    import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((16, 16, 3), name="image")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    x = keras.layers.Flatten(name="flat")(x)
    model = keras.Model(image, keras.layers.Dense(5, activation="softmax", name="predictions")(x))
    network = dif.load_network(model, preprocess="unit")
    layers = ["input", "conv", "flat", "predictions"]
    sketched = dif.record(network, SETS, units="sketch", pool=20, seed=3, layers=layers)
    whole = dif.record(network, SETS, units="all", layers=layers)
    for layer in whole.layers:
        values = np.asarray(whole.values[layer.name]).astype(np.float64)
        if layer.size > narrow:
            matrix = oracles.sketch_matrix(layer.name, layer.shape, layer.channel_axis, narrow, 3)
            values = values @ matrix.T
        np.testing.assert_allclose(sketched.values[layer.name][:, :], values, rtol=1e-4, atol=1e-5)


class Constant(nn.Module):
    """Gives one number everywhere in one layer, and in another the same for every image."""

    def __init__(self) -> None:
        super().__init__()
        self.dead, self.same = nn.ReLU(), nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.dead(-x - 1)
        return self.same(torch.linspace(-1, 1, x[0].numel()).reshape(1, *x.shape[1:]).expand_as(x) + 0)


@pytest.mark.parametrize("normalize", ["layer", "none"])
def test_constant_responses(normalize: str, narrow: int) -> None:
    """A dead layer has no value and is named; equal responses that are not constant are at distance 0."""
    with pytest.warns(dif.DifferentiaWarning, match="layer 'dead'.*it gives 0 in every unit") as caught:
        result = dif.measure(
            load(Constant()),
            {"few": SETS["few"], "dark": SETS["dark"]},
            units="sketch",
            n_units=(10, 150),
            draws=2,
            normalize=normalize,
            layers=["dead", "same"],
        )
    assert "'same'" not in str(caught[0].message)
    assert result["differentiation"].sel(layer="dead").isnull().all()
    values = result["differentiation"].sel(layer="same")
    assert (values.sel(n_units=10) == 0).all()
    assert (values.sel(draw=0) == 0).all()
    assert (result["distance"] == 0).all()


def test_a_bad_unit_is_found(narrow: int) -> None:
    """A NaN is in some sum; infinities, of any sign, leave no number either."""

    class Bad(nn.Module):
        def __init__(self, bad: float) -> None:
            super().__init__()
            self.act, self.bad = nn.Identity(), bad

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = x.clone()
            x[:, 2, 7, 9] = torch.where(x.amax((1, 2, 3)) > 0.99, self.bad, x[:, 2, 7, 9])
            return self.act(x)

    images = np.full((5, 16, 16, 3), 100, np.uint8)
    images[3] = 255
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(dif.RecordingError, match=r"set 'a', layer 'act', image '3': .* are -?(nan|inf)"):
            dif.record(load(Bad(bad)), {"a": images}, units="sketch", layers=["act"], views=False)


@pytest.mark.parametrize(
    "options",
    [
        {"normalize": "response"},
        {"normalize": "unit"},
        {"metric": "cityblock"},
        {"metric": "correlation"},
        {"metric": "cosine", "normalize": "none"},
    ],
)
def test_other_measures_are_refused(options: dict[str, Any], narrow: int) -> None:
    """Before anything is recorded, and of responses at hand; the error says what there is."""
    message = r"units='sketch' does not go with normalize='\w+' and metric='\w+': .* Use metric='euclidean'"

    class Unseen(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            raise AssertionError("nothing is shown")

    with pytest.raises(dif.InputError, match=message):
        measure_kinds(load(), SETS, kinds=("random", "sketch"), **options)
    responses = dif.record(load(), SETS, units="sketch", pool=10, layers=["head"])
    with pytest.raises(dif.InputError, match=message):
        dif.measure_responses(responses, **options)
    measure_kinds(load(), SETS, kinds=("random",), n_units=5, draws=1, layers=["head"], **options)


def test_a_store_goes_on(tmp_path: Path, narrow: int, caplog: pytest.LogCaptureFixture) -> None:
    """What is kept is not recorded again, whatever is drawn of it; more images, and more sums, are."""
    options: dict[str, Any] = {"units": "sketch", "layers": SOME, "store": tmp_path / "r", "draws": 2}
    first = {"few": SETS["few"]}
    dif.measure(load(), first, n_units=(10, 60), **options)
    with caplog.at_level(logging.INFO, "differentia"):
        again = dif.measure(load(), first, n_units=(20, 150), normalize="none", **options)
        assert "all that is needed of 5 images is recorded already" in caplog.text
        caplog.clear()
        more = dif.measure(load(), SETS, n_units=(10, 60), **options)
        assert "all that is needed of 5 images is recorded already; 13 images are new" in caplog.text
        caplog.clear()
        wider = dif.measure(load(), SETS, n_units=(10, 170), **options)
        assert "18 images are partly recorded already" in caplog.text
    del options["store"]
    expected = dif.measure(load(), first, n_units=(20, 150), normalize="none", **options)
    xr.testing.assert_equal(again, expected)
    for found, counts in ((more, (10, 60)), (wider, (10, 170))):
        expected = dif.measure(load(), SETS, n_units=counts, **options)
        np.testing.assert_allclose(found["differentiation"], expected["differentiation"], rtol=1e-5)
        assert found["pool_size"].values.tolist() == expected["pool_size"].values.tolist()


def test_the_spread_is_that_over_seeds() -> None:
    """Draws of one sketch, corrected for the sums that they share, vary as fresh sketches of the layer do."""
    layer = Layer("a", "Conv2D", (20, 10, 20), "a", channel_axis=2)
    values = RNG.normal(size=(2, layer.size))
    exact = float(np.sum((values[0] - values[1]) ** 2))
    width, count, draws, seeds = 120, 60, 20, 150
    fresh, spreads = [], []
    for seed in range(seeds):
        kept = SketchProbe(Sketch(layer, width, seed))(values.reshape(2, 20, 10, 20))
        folded = [folding("a", width, count, draw, seed=seed) @ (kept[0] - kept[1]) for draw in range(draws)]
        apart = [math.sqrt(float(few @ few) / exact) for few in folded]
        fresh.append(apart[0])
        spreads.append(np.var(apart, ddof=1))
    correction = (1 - count / layer.size) / (1 - count / width)
    expected, found = np.var(fresh, ddof=1), np.mean(spreads) * correction
    assert found == pytest.approx(expected, rel=0.3)
    assert np.mean(spreads) < 0.7 * expected, "without the correction it is too small"
