"""A real network on real photographs, against an oracle that records and loops by itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import oracles
import PIL.Image
import pytest
import xarray as xr

import differentia as dif
from differentia.cli import main
from differentia.units import draw_units

pytestmark = pytest.mark.real_data

TABBY = 281

#: The table of the data's README: all units of every layer.
EXPECTED = {
    "input": (1.414, 1.24, 1.31),
    "conv_pw_3_relu": (0.87, 0.67, 0.73),
    "conv_pw_6_relu": (0.42, 0.91, 1.01),
    "conv_pw_12_relu": (0.29, 0.89, 0.97),
    "global_average_pooling2d": (0.28, 0.96, 1.39),
    "predictions": (0.38, 0.36, 1.40),
}
SETS = ("white_noise", "tabby_cats", "photographs")


class Stage(NamedTuple):
    """What the tests share: the network, the three sets, and what a plain model records of them."""

    spec: str
    sources: dict[str, str]
    recorded: dict[str, dict[str, np.ndarray]]


def pixels_of(paths: list[Path]) -> np.ndarray:
    """Return files as a batch of 224 x 224 RGB images, by Pillow alone."""
    batch = []
    for path in paths:
        with PIL.Image.open(path) as image:
            batch.append(np.asarray(image.convert("RGB").resize((224, 224), PIL.Image.Resampling.BILINEAR)))
    return np.stack(batch)


@pytest.fixture(scope="module")
def stage(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    """The 43 cats that the network itself calls tabby, the photographs, saved noise; recorded plainly."""
    weights = real_data / "mobilenet_025_224_imagenet.weights.h5"
    model = keras.applications.MobileNet(alpha=0.25, weights=str(weights))
    model.get_layer(index=-5).name = "global_average_pooling2d"  # Keras numbers unnamed layers on
    outputs = {"input": model.input, **{layer.name: layer.output for layer in model.layers[1:]}}
    plain = keras.Model(model.input, list(outputs.values()))

    def record(pixels: np.ndarray) -> dict[str, np.ndarray]:
        batch = keras.applications.mobilenet.preprocess_input(pixels.astype(np.float32))
        parts = [plain(batch[start : start + 16], training=False) for start in range(0, len(batch), 16)]
        arrays = [
            np.concatenate([keras.ops.convert_to_numpy(part).reshape(len(part), -1) for part in layer])
            for layer in zip(*parts, strict=True)
        ]
        return dict(zip(outputs, arrays, strict=True))

    folder = tmp_path_factory.mktemp("sets")
    cats = sorted((real_data / "cats").iterdir())
    probabilities = model.predict(
        keras.applications.mobilenet.preprocess_input(pixels_of(cats).astype(np.float32)), verbose=0
    )[:, TABBY]
    (folder / "tabby_cats").mkdir()
    tabbies = [path for path, probability in zip(cats, probabilities, strict=True) if probability > 0.5]
    for path in tabbies:
        shutil.copy(path, folder / "tabby_cats")
    noise = np.random.default_rng(0).integers(0, 256, (43, 224, 224, 3), dtype=np.uint8)
    np.save(folder / "noise.npy", noise)
    photographs = sorted((real_data / "random").iterdir())
    images = {
        "white_noise": noise,
        "tabby_cats": pixels_of([folder / "tabby_cats" / name for name in names_in_order(tabbies)]),
        "photographs": pixels_of(photographs),
    }
    return Stage(
        f"keras:MobileNet?alpha=0.25&weights={weights}&classes={real_data / 'imagenet_class_index.json'}",
        {
            "white_noise": str(folder / "noise.npy"),
            "tabby_cats": str(folder / "tabby_cats"),
            "photographs": str(real_data / "random"),
        },
        {name: record(pixels) for name, pixels in images.items()},
    )


def names_in_order(paths: list[Path]) -> list[str]:
    """Return ``cat.N.jpg`` by number: the natural order."""
    return sorted((path.name for path in paths), key=lambda name: int(name.split(".")[1]))


def measure(stage: Stage, out: Path, *options: str) -> xr.Dataset:
    sets = [part for name, source in stage.sources.items() for part in ("--set", f"{name}={source}")]
    arguments = ["measure", stage.spec, *sets, "--reference", "white_noise", "--out", str(out), "--json"]
    assert main([*arguments, *options]) == 0
    return dif.load_result(out / "result.nc")


@pytest.fixture(scope="module")
def all_units(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    return measure(stage, tmp_path_factory.mktemp("all"), "--units", "all")


@pytest.fixture(scope="module")
def sampled(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> xr.Dataset:
    """Three draws, not twenty: each of them is compared with a double loop."""
    options = ("--n-units", "200,10000,100000", "--draws", "3")
    return measure(stage, tmp_path_factory.mktemp("sampled"), *options)


def test_there_are_43_tabbies(stage: Stage) -> None:
    """As the data's README says; the other cats are far from it."""
    assert {len(arrays["input"]) for arrays in stage.recorded.values()} == {43}
    assert (stage.recorded["tabby_cats"]["predictions"][:, TABBY] > 0.5).all()


def test_all_units_equal_the_oracle(stage: Stage, all_units: xr.Dataset) -> None:
    """Every set and layer within 1e-4 of a plain model and a float64 double loop."""
    compared = 0
    for layer in all_units["layer"].values:
        for name in SETS:
            expected = oracles.differentiation_by_loops(stage.recorded[name][str(layer)])
            value = float(all_units["differentiation"].sel(set=name, layer=layer).isel(n_units=0, draw=0))
            assert value == pytest.approx(expected, rel=1e-4), (layer, name)
            compared += 1
    assert compared == 3 * 89


def test_sampled_units_equal_the_oracle(stage: Stage, sampled: xr.Dataset) -> None:
    """Every set, layer, number of units and draw, on the units that the result names."""
    compared = 0
    for layer in (str(name) for name in sampled["layer"].values):
        units = sampled["unit"].sel(layer=layer).values
        units = units[units >= 0]
        for count in (200, 10_000, 100_000):
            for draw in range(3):
                chosen = draw_units(layer, len(units), count, draw, seed=0)
                for name in SETS:
                    at = {"set": name, "layer": layer, "n_units": count, "draw": draw}
                    value = float(sampled["differentiation"].sel(at))
                    if chosen is None:
                        assert np.isnan(value)
                        continue
                    responses = stage.recorded[name][layer][:, units[chosen]]
                    if responses.max() == responses.min():
                        assert np.isnan(value)
                        continue
                    assert value == pytest.approx(oracles.differentiation_by_loops(responses), rel=1e-4), at
                    compared += 1
    assert compared > 3 * 89 * 4


def test_the_table_of_the_data_holds(all_units: xr.Dataset) -> None:
    """Within 0.1, and in the same order where the table's values are further apart than that."""
    for layer, expected in EXPECTED.items():
        values = [float(all_units["differentiation"].sel(set=name, layer=layer)[0, 0]) for name in SETS]
        np.testing.assert_allclose(values, expected, atol=0.1, err_msg=layer)
        for i in range(3):
            for j in range(3):
                if expected[i] > expected[j] + 0.05:
                    assert values[i] > values[j], (layer, SETS[i], SETS[j])


def test_the_findings_of_the_notebook(all_units: xr.Dataset, sampled: xr.Dataset) -> None:
    """Noise falls, one category collapses at the very end, many categories stay high."""
    values = all_units["differentiation"].isel(n_units=0, draw=0)
    noise, cats, photographs = (values.sel(set=name) for name in SETS)
    assert float(noise.sel(layer="predictions")) < float(noise.sel(layer="input")) / 2
    assert float(cats.sel(layer="conv_pw_13_relu")) > 1.0
    assert float(cats.sel(layer="predictions")) < 0.5
    assert float(photographs.sel(layer="conv_pw_13_relu")) > 1.2
    assert float(photographs.sel(layer="predictions")) > 1.2
    means = sampled["differentiation"].mean("draw")
    difference = np.abs(means.sel(n_units=10_000) - means.sel(n_units=100_000))
    assert np.isfinite(np.asarray(difference)).all()
    assert float(difference.max()) < 0.05
    few = float(means.sel(set="photographs", layer="predictions", n_units=200))
    all_of_them = float(photographs.sel(layer="predictions"))
    assert few < 0.6 * all_of_them


def test_relative_curves(all_units: xr.Dataset) -> None:
    """Relative to noise the photographs rise, and are those of a division by hand."""
    relative = dif.relative(all_units).isel(n_units=0, draw=0)
    values = all_units["differentiation"].isel(n_units=0, draw=0)
    by_hand = float(values.sel(set="photographs", layer="predictions")) / float(
        values.sel(set="white_noise", layer="predictions")
    )
    assert float(relative.sel(set="photographs", layer="predictions")) == pytest.approx(by_hand)
    assert by_hand > 3
    assert float(relative.sel(set="photographs", layer="input")) < 1


def test_batch_sizes_agree_and_runs_repeat(stage: Stage) -> None:
    """Batches of 1, 7 and 43 agree within 1e-5 relative or 1e-6 absolute; equal runs are identical."""
    options: dict[str, Any] = {"n_units": (200, 2000), "draws": 2, "reference": "white_noise"}
    sets: dict[str, Any] = dict(stage.sources)
    results = [
        dif.measure(stage.spec, sets, batch_size=size, **options)["differentiation"]
        for size in (1, 7, 43, 43)
    ]
    for other in results[:2]:
        np.testing.assert_allclose(other, results[2], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(results[2], results[3])


def test_class_names_come_from_the_index(stage: Stage, real_data: Path) -> None:
    """The network's class names are ImageNet's."""
    names = dif.load_network(stage.spec).class_names
    assert names is not None
    index = json.loads((real_data / "imagenet_class_index.json").read_text())
    assert len(names) == 1000
    assert names[TABBY] == index[str(TABBY)][1] == "tabby"
