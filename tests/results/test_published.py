"""The published curves of VGG16, and the comparison of a result with them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import xarray as xr
from helpers.results import PUBLISHED_SETS as SETS, VGG16_PREPROCESSING as PREPROCESSING, vgg16_result

import differentia as dif
from differentia.results.dataset import with_provenance
from differentia.results.published import LAYER_SIZES, MEASURED_WITH, is_published_network

RNG = np.random.default_rng(0)


def changed(without: tuple[str, ...] = (), **sizes: int) -> dict[str, int]:
    """Return VGG16's layers with some left out and others added or of another size."""
    return {name: size for name, size in {**LAYER_SIZES, **sizes}.items() if name not in without}


def test_the_published_values() -> None:
    """Numbers known from the figures and the text beside them: 0.20, 0.02, 0.37 in the last layer."""
    curves = dif.published_curves()
    assert tuple(curves["set"].values) == SETS
    assert list(curves["n_units"].values) == [200, 10_000, 100_000]
    assert curves.sizes["layer"] == 21
    assert list(curves["layer"].values[[0, 1, -2, -1]]) == ["input", "block1_conv1", "flatten", "predictions"]
    assert {variable.dims for variable in curves.values()} == {("set", "layer", "n_units")}
    assert all(bool(variable.notnull().all()) for variable in curves.values())
    assert curves.attrs["images_per_set"] == 43

    def value(name: str, layer: str, count: int, variable: str = "differentiation") -> float:
        return float(curves[variable].sel(set=name, layer=layer, n_units=count))

    assert value("white_noise", "input", 100_000) == 1.4006
    assert value("white_noise", "input", 100_000, "reading_error") == 0.0010
    last = [value(name, "predictions", 200) for name in SETS]
    np.testing.assert_allclose(last, [0.20, 0.02, 0.37], atol=0.005)
    whole = [value(name, "predictions", 100_000) for name in SETS]
    np.testing.assert_allclose(whole, [0.3852, 0.2439, 1.4010])
    assert value("random_images", "predictions", 100_000, "relative_differentiation") == 3.6371
    # noise rises there, though it falls over the network as a whole
    assert value("white_noise", "block4_conv3", 10_000) > value("white_noise", "block4_conv1", 10_000)


def test_relative_values_are_ratios_to_noise() -> None:
    """Both figures agree within their reading errors, for white noise at 100,000 units and nothing else."""
    curves = dif.published_curves()
    values, errors = curves["differentiation"], curves["reading_error"]

    def agrees(name: str, count: int) -> bool:
        at = {"set": name, "n_units": count}
        divisor, its_error = values.sel(at, drop=True), errors.sel(at, drop=True)
        ratio = values / divisor
        tolerance = curves["relative_reading_error"] + (errors + ratio * its_error) / divisor
        return bool((abs(curves["relative_differentiation"] - ratio) <= tolerance).all())

    assert agrees("white_noise", 100_000)
    assert not agrees("tabby_cats", 100_000)
    assert not agrees("white_noise", 10_000)


@pytest.mark.slow
def test_the_layers_are_those_of_keras() -> None:
    """Names, order, sizes and preprocessing are what a result of ``keras:VGG16`` has."""
    network = dif.load_network("keras:VGG16?weights=none")
    not_published = ("fc1", "fc2")
    sizes = {layer.name: layer.size for layer in network.layers if layer.name not in not_published}
    assert list(sizes.items()) == list(LAYER_SIZES.items())
    assert network.preprocessing == PREPROCESSING


def test_the_comparison() -> None:
    """The difference is what was put in, and only what both have is compared."""
    order = tuple(reversed(LAYER_SIZES))[:12]
    sizes = {"fc1": 4096, **{name: LAYER_SIZES[name] for name in order}}
    result = vgg16_result(sizes=sizes, sets=("dogs", "random_images", "white_noise"), n_units=(50, 200, 300))
    published = dif.published_curves()["differentiation"]
    common = {"set": ["random_images", "white_noise"], "layer": list(reversed(order)), "n_units": [200]}
    change = RNG.uniform([[[-0.05]], [[0.4]]], 1.0, (2, 12, 1))  # no value becomes negative
    put_in = xr.DataArray(change, dims=tuple(common), coords=common)
    offset = xr.DataArray([-0.3, -0.1, 0.1, 0.3], dims="draw")
    values = result["differentiation"].copy()
    values.loc[common] = (published.sel(common) + put_in + offset).transpose(*values.dims)
    result = result.assign(differentiation=values)
    compared = dif.compare_with_published(result)
    assert {variable.dims for variable in compared.values()} == {("set", "layer", "n_units")}
    xr.testing.assert_allclose(compared["difference"].drop_vars("published_set"), put_in)
    xr.testing.assert_equal(compared["published"].drop_vars("published_set"), published.sel(common))
    xr.testing.assert_allclose(compared["difference"], compared["measured"] - compared["published"])
    spread = dif.draw_spread(values, result).sel(common)
    np.testing.assert_array_equal(compared["spread"], spread)
    assert float(compared["spread"].min()) > 0.1


def test_sets_of_other_names() -> None:
    """A mapping says which set stands for which; two may stand for the same, others are left out."""
    result = vgg16_result(sets=("cats", "kittens", "white_noise"))
    compared = dif.compare_with_published(result, {"kittens": "tabby_cats", "cats": "tabby_cats"})
    assert list(compared["set"].values) == ["kittens", "cats"]
    assert list(compared["published_set"].values) == ["tabby_cats", "tabby_cats"]
    published = dif.published_curves()["differentiation"].sel(set="tabby_cats", n_units=[200, 10_000])
    for name in ("cats", "kittens"):
        np.testing.assert_array_equal(compared["published"].sel(set=name), published)
    own = dif.draw_mean(result["differentiation"], result)
    np.testing.assert_array_equal(compared["measured"].sel(set="cats"), own.sel(set="cats"))
    with pytest.raises(dif.InputError, match=r"unknown set of the result 'cat'\. Did you mean 'cats'"):
        dif.compare_with_published(result, {"cat": "tabby_cats"})
    with pytest.raises(dif.InputError, match="unknown published set 'tabbies'"):
        dif.compare_with_published(result, {"cats": "tabbies"})
    with pytest.raises(dif.InputError, match=r"no set of the result \(cats, kittens, white_noise\)"):
        dif.compare_with_published(result, {})
    unnamed = vgg16_result(sets=("cats", "noise"))
    with pytest.raises(dif.InputError, match=r"\(white_noise, .*sets=\{'cats': 'white_noise'\}"):
        dif.compare_with_published(unnamed)


@pytest.mark.parametrize(
    ("network", "sizes", "message"),
    [
        (None, changed(block3_conv4=56 * 56 * 256), "the layer 'block3_conv4', which VGG16 does not have"),
        (None, changed(block1_conv1=64), "'block1_conv1' has 64 units, expected 3,211,264"),
        (None, changed(predictions=10), "'predictions' has 10 units, expected 1,000"),
        (
            None,
            {"input": 150_528, "conv1": 9, "predictions": 1000},
            "expected some of the layers block1_conv1 to block5_pool, found input, conv1, predictions",
        ),
        ("keras:VGG19", {"block1_conv1": LAYER_SIZES["block1_conv1"]}, "is of keras:VGG19, not of VGG16"),
        ("keras:VGG16?weights=none", LAYER_SIZES, r"random weights \(weights=none\)"),
    ],
)
def test_other_networks_are_refused(network: str | None, sizes: dict[str, int], message: str) -> None:
    """By what the result says of its network, and by its layers where it says nothing."""
    with pytest.raises(dif.InputError, match=message):
        dif.compare_with_published(vgg16_result(network, sizes=sizes))


@pytest.mark.parametrize(
    "network", [None, "Functional", "keras:VGG16?weights=vgg16.h5", "my.code:vgg?weights=none"]
)
def test_any_vgg16_is_compared(network: str | None) -> None:
    """A model that was given as an object, a file's weights, stored responses; also a part of the layers."""
    few = changed(without=("input", "block1_conv1", "flatten", "predictions"))
    compared = dif.compare_with_published(vgg16_result(network, sizes=few))
    assert list(compared["layer"].values) == list(few)


def test_other_measurements_are_refused() -> None:
    """Another measure or choice of units gives other values; so do other numbers of units."""
    for option, other in {"normalize": "response", "metric": "cosine"}.items():
        result = vgg16_result().assign_attrs({option: other})
        message = rf"{option}='{other}', the published curves with '{MEASURED_WITH[option]}'.*--{option} "
        with pytest.raises(dif.InputError, match=message):
            dif.compare_with_published(result)
    whole = vgg16_result().assign_coords(units="all")
    with pytest.raises(dif.InputError, match=r"units='all', .* 'random', .*\(--units random\)"):
        dif.compare_with_published(whole)
    with pytest.raises(dif.InputError, match=r"n_units \[100, 300\].*\[200, 10000, 100000\].*--n-units 200,"):
        dif.compare_with_published(vgg16_result(n_units=(100, 300)))
    with pytest.raises(dif.InputError, match="not a result of differentia: differentiation"):
        dif.compare_with_published(vgg16_result().drop_vars("differentiation"))


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("keras:VGG16", True),
        ("keras:VGG16?weights=imagenet", True),
        ("keras:VGG16?classes=index.json&include_top=true&pooling=none", True),
        ("keras:VGG16?weights=none", False),
        ("keras:VGG16?weights=vgg16.h5", False),
        ("keras:VGG16?include_top=false", False),
        ("keras:VGG16?classes=10", False),
        ("keras:VGG16?pooling=avg", False),
        ("keras:VGG19", False),
        ("my.code:VGG16", False),
        ("digits", False),
        (None, False),
    ],
)
def test_the_published_network(network: str | None, expected: bool) -> None:
    """Only VGG16 as Keras ships it."""
    assert is_published_network(vgg16_result(network)) is expected


def test_the_published_network_measured_otherwise() -> None:
    """Another preprocessing, measure or choice of units is another curve; a silent provenance is not."""
    result = vgg16_result()
    assert is_published_network(result)
    assert not is_published_network(with_provenance(result, preprocessing="signed"))
    assert not is_published_network(result.assign_attrs(normalize="unit"))
    assert not is_published_network(result.assign_attrs(metric="cosine"))
    assert not is_published_network(result.assign_coords(units="all"))
    assert is_published_network(result.assign_attrs(provenance=json.dumps({"network": "keras:VGG16"})))
    assert not is_published_network(result.assign_attrs(provenance=""))
    with pytest.raises(dif.InputError, match="dict; expected the Dataset"):
        is_published_network({})  # type: ignore[arg-type]


def test_another_preprocessing_is_refused() -> None:
    """Other pixels give other curves, whatever the layers are called."""
    result = with_provenance(vgg16_result(), network="net", preprocessing="unit")
    with pytest.raises(dif.InputError, match="measured with the preprocessing 'unit', the published curves"):
        dif.compare_with_published(result)
    for same in ("caffe", PREPROCESSING):
        dif.compare_with_published(with_provenance(result, preprocessing=same))
