"""A real network on real photographs, against an oracle that records and loops by itself."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import av
import keras
import numpy as np
import PIL.Image
import pytest
import xarray as xr
from helpers import oracles
from helpers.browser import browsing

import differentia as dif
from differentia.cli import main
from differentia.recording.units import draw_units

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = [
    pytest.mark.real_data,
    # Some of the cats are there twice, which is said where it matters: test_duplicates_are_told.
    pytest.mark.filterwarnings("ignore:images of one set have the same content"),
]

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
    record: Callable[[np.ndarray], dict[str, np.ndarray]]


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
        record,
    )


def differentiation_by_products(matrix: np.ndarray) -> float:
    """Return the default measure of a large matrix by products in float64; loops would take a minute."""
    rows = np.asarray(matrix, dtype=np.float64)
    rows = rows - np.mean(rows)
    products = rows @ rows.T
    squares = np.diag(products)[:, None] + np.diag(products) - 2 * products
    distances = np.sqrt(np.maximum(squares[np.triu_indices(len(rows), 1)], 0) / rows.shape[1])
    return float(np.median(distances) / math.sqrt(np.trace(products) / rows.size))


def names_in_order(paths: list[Path]) -> list[str]:
    """Return ``cat.N.jpg`` by number: the natural order."""
    return sorted((path.name for path in paths), key=lambda name: int(name.split(".")[1]))


@pytest.fixture(scope="module")
def everything(stage: Stage) -> dif.Responses:
    """Whole layers and all views, of one pass."""
    return dif.record(stage.spec, stage.sources, units="all")


@pytest.fixture(scope="module")
def all_units(everything: dif.Responses) -> xr.Dataset:
    return dif.measure_responses(everything, reference="white_noise")


@pytest.fixture(scope="module")
def sampled(stage: Stage) -> xr.Dataset:
    """Two draws, not twenty: each of them is compared with a double loop."""
    options: dict[str, Any] = {"draws": 2, "views": False}
    return dif.measure(stage.spec, stage.sources, reference="white_noise", **options)


def test_there_are_43_tabbies(stage: Stage) -> None:
    """As the data's README says; the other cats are far from it."""
    assert {len(arrays["input"]) for arrays in stage.recorded.values()} == {43}
    assert (stage.recorded["tabby_cats"]["predictions"][:, TABBY] > 0.5).all()


def test_products_are_the_loops(stage: Stage) -> None:
    """On layers early and late, small and large; of one image less the value is another."""
    for layer in ("conv_pw_1_relu", "conv_pw_6_bn", "conv_pw_13_relu", "predictions"):
        for name in SETS:
            responses = stage.recorded[name][layer]
            expected = oracles.differentiation_by_loops(responses)
            assert differentiation_by_products(responses) == pytest.approx(expected, rel=1e-9)
            assert differentiation_by_products(responses[1:]) != pytest.approx(expected, rel=1e-6)


def test_all_units_equal_the_oracle(stage: Stage, all_units: xr.Dataset) -> None:
    """Every set and layer within 1e-4 of a plain model and of products in float64."""
    compared = 0
    for layer in all_units["layer"].values:
        for name in SETS:
            expected = differentiation_by_products(stage.recorded[name][str(layer)])
            value = float(all_units["differentiation"].sel(set=name, layer=layer).isel(n_units=0, draw=0))
            assert value == pytest.approx(expected, rel=1e-4), (layer, name)
            compared += 1
    assert compared == 3 * 89


def test_sampled_units_equal_the_oracle(stage: Stage, sampled: xr.Dataset, all_units: xr.Dataset) -> None:
    """Every set and layer, on the units that the result names; of the fewest, two draws.

    Each layer is compared at one number of units, which they have in turns. Where these are the whole layer,
    its value is the one that the test above compares with the oracle.
    """
    looped = whole = 0
    for turn, layer in enumerate(str(name) for name in sampled["layer"].values):
        units = sampled["unit"].sel(layer=layer).values
        units = units[units >= 0]
        for place, count in enumerate((200, 10_000, 100_000)):
            for draw in range(2 if count == 200 else 1):
                chosen = draw_units(layer, len(units), count, draw, seed=0)
                for name in SETS:
                    at = {"set": name, "layer": layer, "n_units": count, "draw": draw}
                    value = float(sampled["differentiation"].sel(at))
                    if chosen is None:
                        assert np.isnan(value)
                        continue
                    if len(chosen) == stage.recorded[name][layer].shape[1]:
                        of_all = float(all_units["differentiation"].sel(set=name, layer=layer)[0, 0])
                        assert value == pytest.approx(of_all, rel=1e-6, nan_ok=True), at
                        whole += 1
                        continue
                    if (turn + place) % 3:
                        continue
                    responses = stage.recorded[name][layer][:, units[chosen]]
                    if responses.max() == responses.min():
                        assert np.isnan(value)
                        continue
                    assert value == pytest.approx(differentiation_by_products(responses), rel=1e-4), at
                    looped += 1
    assert looped > 3 * 89 * 2 / 3
    assert whole > 3 * 60


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
    """Batches of 1, 5 and 12 agree within 1e-5 relative or 1e-6 absolute; equal runs are identical."""
    options: dict[str, Any] = {"n_units": (200, 2000), "draws": 2, "views": False}
    photographs = {"photographs": sorted(Path(stage.sources["photographs"]).iterdir())[:12]}
    results = [
        dif.measure(stage.spec, photographs, batch_size=size, **options)["differentiation"]
        for size in (1, 5, 12, 12)
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


def test_moments_of_all_units_are_exact(everything: dif.Responses, all_units: xr.Dataset) -> None:
    """Within 1e-6 of float64 NumPy over the whole layers, for every set and layer."""
    for layer in everything.layers:
        for name, rows in everything.sets.items():
            stored = np.asarray(everything.values[layer.name])[rows]
            sd = float(stored.std(dtype=np.float64))
            at = {"set": name, "layer": layer.name}
            assert float(all_units["layer_sd"].sel(at)) == pytest.approx(sd, rel=1e-6), at
            mean = float(stored.mean(dtype=np.float64))
            assert float(all_units["layer_mean"].sel(at)) == pytest.approx(mean, rel=1e-6, abs=1e-6 * sd), at


def test_filter_means_are_exact(everything: dif.Responses, all_units: xr.Dataset) -> None:
    """Within 1e-6 of float64 NumPy over the stored maps, whose last axis is the filters."""
    for layer in everything.layers:
        stored = np.asarray(everything.values[layer.name]).reshape(
            len(everything.images), -1, layer.shape[-1]
        )
        expected = stored.mean(axis=1, dtype=np.float64)
        found = all_units["filter_mean"].values[:, all_units["filter_layer"].values == layer.name]
        size = np.abs(stored).mean(axis=1, dtype=np.float64)  # what is summed, where the mean is near zero
        assert (np.abs(found - expected) <= 1e-6 * size + 1e-30).all(), layer.name


def test_predictions_are_those_of_the_model(stage: Stage, all_units: xr.Dataset) -> None:
    """The probabilities of a plain model, with the names of the classes; tabbies are tabbies."""
    for name in SETS:
        rows = all_units["image_set"].values == name
        found = all_units["prediction"].values[rows]
        np.testing.assert_allclose(found, stage.recorded[name]["predictions"], atol=1e-5)
    best = dif.top_classes(all_units)
    tabbies = best["class_name"].values[best["image_set"].values == "tabby_cats"]
    assert set(tabbies[:, 0]) == {"tabby"}
    assert best.sizes["place"] == 5


def test_the_top_units_hold_what_all_units_hold(stage: Stage, all_units: xr.Dataset) -> None:
    """200 of 1,000 predictions: the most active ones give the value of all, random ones do not.

    In conv_pw_1_relu the most active units are saturated for every image: no value, and the warning says why.
    """
    with pytest.warns(dif.DifferentiaWarning) as told:
        results = dif.measure_kinds(
            stage.spec,
            stage.sources,
            kinds=("random", "top", "top_variance"),
            n_units=200,
            layers=["conv_pw_1_relu", "predictions"],
            reference="white_noise",
        )
    values = {
        kind: dif.draw_mean(result["differentiation"], result)[..., 0] for kind, result in results.items()
    }
    for name in SETS:
        at = {"set": name, "layer": "predictions"}
        exact = float(all_units["differentiation"].sel(at)[0, 0])
        assert float(values["top"].sel(at)) == pytest.approx(exact, abs=0.02)
        assert float(values["top_variance"].sel(at)) == pytest.approx(exact, abs=0.02)
    missed = {"set": "photographs", "layer": "predictions"}
    assert float(values["random"].sel(missed)) < 0.6 * float(values["top"].sel(missed))
    assert values["top"].sel(layer="conv_pw_1_relu").isnull().all()
    assert values["top_variance"].sel(layer="conv_pw_1_relu").notnull().all()
    (warning,) = [str(one.message) for one in told if "differentiation is NaN" in str(one.message)]
    assert "layer 'conv_pw_1_relu', set 'tabby_cats': it gives 6 in every unit for every stimulus" in warning
    assert "may be saturated for every image; those of units='top_variance' can't be" in warning


def test_duplicates_are_told(stage: Stage, everything: dif.Responses) -> None:
    """Files of the same bytes in a set, and no others."""
    files = sorted(Path(stage.sources["tabby_cats"]).iterdir())
    contents = [path.read_bytes() for path in files]
    expected = {
        frozenset(p.name for p, c in zip(files, contents, strict=True) if c == content)
        for content in contents
        if contents.count(content) > 1
    }
    found = everything.provenance["duplicates"]
    assert {frozenset(image["name"] for image in group) for group in found} == expected
    assert len(expected) == 7


def test_select_finds_the_43_tabbies(stage: Stage, real_data: Path, tmp_path: Path) -> None:
    """Exactly those that a plain model puts in the class, of the 100 cats."""
    out = tmp_path / "tabbies"
    arguments = ["select", stage.spec, str(real_data / "cats"), "--class", "tabby", "--out", str(out)]
    assert main(arguments) == 0
    expected = {path.name for path in Path(stage.sources["tabby_cats"]).iterdir()}
    assert {path.name for path in out.glob("*.jpg")} == expected
    assert len(expected) == 43


@pytest.mark.usefixtures("no_pictures")
def test_a_film_in_one_command(stage: Stage, real_data: Path, tmp_path: Path) -> None:
    """The curve of a second's frames is that of the frames which PyAV decodes; not that of any others."""
    path, layers = real_data / "movies" / "bikes.mp4", ["input", "conv_pw_3_relu", "predictions"]
    arguments = ["measure", stage.spec, "--set", f"bikes={path}?fps=1", "--units", "all", "--no-store"]
    assert main([*arguments, "--layers", ",".join(layers), "--no-views", "--out", str(tmp_path)]) == 0
    result = dif.load_result(tmp_path / "result.nc")
    assert result["image_time"].values.tolist() == list(range(10))
    with av.open(str(path)) as container:
        frames = {frame.time: frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)}
    for shift, same in ((0.0, True), (0.04, False)):
        images = [PIL.Image.fromarray(frames[second + shift]) for second in range(10)]
        shown = [image.resize((224, 224), PIL.Image.Resampling.BILINEAR) for image in images]
        recorded = stage.record(np.stack([np.asarray(image) for image in shown]))
        for layer in layers:
            found = result["differentiation"].sel(set="bikes", layer=layer).item()
            expected = oracles.differentiation_by_loops(recorded[layer])
            assert (found == pytest.approx(expected, rel=1e-4)) is same


@pytest.mark.browser
def test_the_report_of_photographs(
    stage: Stage, all_units: xr.Dataset, tmp_path: Path, browser: Browser
) -> None:
    """From folders to a report by one command: the very numbers, every image, the cats by their name."""
    layers = ["input", "conv_pw_3_relu", "predictions"]
    sets = [part for name, source in stage.sources.items() for part in ("--set", f"{name}={source}")]
    options = [
        "--units",
        "all",
        "--layers",
        ",".join(layers),
        "--map",
        "conv_pw_3_relu:5",
        "--map-images",
        "0,7",
    ]
    arguments = ["measure", stage.spec, *sets, *options, "--reference", "white_noise", "--out", str(tmp_path)]
    assert main(arguments) == 0
    with browsing(browser) as context:
        page = context.new_page()
        page.goto((tmp_path / "report.html").as_uri())
        page.wait_for_selector("body[data-ready]")
        drawn = page.evaluate(
            "document.getElementById('curves').data.filter(one => one.meta.role === 'mean').map(one => one.y)"
        )
        expected = all_units["differentiation"].sel(layer=layers).isel(n_units=0, draw=0)
        np.testing.assert_allclose(drawn, expected.transpose("set", "layer").values, rtol=1e-5)
        assert [gallery.locator("img").count() for gallery in page.locator(".gallery").all()] == [43] * 3
        cats = page.locator(".gallery").nth(1).locator("li > details > summary").all_inner_texts()
        assert len(cats) == 43
        assert all(said.split()[0] == "tabby" and float(said.split()[1]) > 0.5 for said in cats)
        page.select_option("#layer", label="conv_pw_3_relu")
        assert page.locator("#maps img").count() == 6
        assert "same content" in page.locator("section.warning").inner_text()
        methods = page.locator("#methods-text").inner_text()
        assert '"mobilenet_025_224_imagenet.weights.h5"' in methods
        assert '"tabby_cats" (43 images)' in methods
