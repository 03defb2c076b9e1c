"""The labelled result: its kinds of units, provenance, moments and views."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import xarray as xr
from helpers import oracles
from helpers.odd_networks import inputs, mixed, outputs_of, partly_without_channels, without_channels
from helpers.results import by_hand, neurons, viewed

import differentia as dif
from differentia.results.dataset import as_kinds, provenance, require_variables, set_rows, with_provenance
from differentia.results.schema import validate_result

RNG = np.random.default_rng(0)


def test_results_by_kind() -> None:
    """One, or several of the same sets, images, layers and measure, each under its own kind."""
    arrays = {name: {"V1": RNG.normal(0, 1, (4, 30))} for name in ("stimulus", "spontaneous")}
    first = dif.measure_responses(arrays, n_units=20, reference="spontaneous")
    second = first.assign_coords(units="top")
    assert as_kinds(second) == {"top": second}
    both = {"random": first, "top": with_provenance(second, warnings=["of top"], command="x", batch_size=2)}
    assert list(as_kinds(both)) == ["random", "top"]
    assert as_kinds(both)["top"] is both["top"]
    renamed = second.assign_coords(layer=["V2"])
    moved = second.drop_vars("set_size").assign_coords(
        image_set=("image", ["stimulus"] * 5 + ["spontaneous"] * 3)
    )
    hashed = second.assign_coords(image_hash=("image", ["a"] * second.sizes["image"]))
    cases: list[tuple[Any, str]] = [
        ({}, r"expected a result, or results as \{kind of units: result\}; got none"),
        ([first], "the result is of type list; expected the Dataset"),
        (None, "the result is of type NoneType"),
        ({"random": first, "other": 3}, "the result of kind 'other' is of type int"),
        (xr.Dataset(), "is not a result of differentia: schema_version, "),
        (
            {"random": first, "b": first},
            "the result of kind 'b' is of the kind 'random'; give each result",
        ),
        (
            {"random": second},
            "the result of kind 'random' is of the kind 'top'; give each result under its own",
        ),
        ({"random": first, "b": second}, "the result of kind 'b' is of the kind 'top'"),
    ]
    differing = {
        "sets": second.isel(set=[0]),
        "layers; give results .* together": renamed,
        "image names": second.assign_coords(image_name=("image", ["a"] * second.sizes["image"])),
        "image sets": moved,
        "image hashes": hashed,
        "normalize, 'layer' and 'unit'": second.assign_attrs(normalize="unit"),
        "metric, 'euclidean' and 'cosine'": second.assign_attrs(metric="cosine"),
        "reference, 'spontaneous' and ''": second.assign_attrs(reference=""),
        "seed, 0 and 1": second.assign_attrs(seed=1),
        "network, '' and 'net'": with_provenance(second, network="net"),
        "fingerprint": with_provenance(second, fingerprint="0" * 64),
        "input shape": with_provenance(second, input_shape=[8, 8, 1]),
        "tokens, 'all' and 'class'": with_provenance(second, tokens="class"),
    }
    for what, other in differing.items():
        cases.append(({"random": first, "top": other}, f"'random' and 'top' differ in their {what}"))
    for wrong, message in cases:
        with pytest.raises(dif.InputError, match=message):
            as_kinds(wrong)


def test_provenance() -> None:
    """What was written comes back, also with more facts; a result that says nothing says none."""
    result = neurons()
    assert provenance(result)["versions"]["numpy"] == np.__version__
    more = with_provenance(result, command="x")
    assert provenance(more) == {**provenance(result), "command": "x"}
    silent = result.assign_attrs(provenance="")
    assert provenance(silent) == {}
    assert provenance(with_provenance(silent, network="net")) == {"network": "net"}


def test_moments_of_each_set_and_layer() -> None:
    """Mean and SD over all units and images of a set, whatever was sampled, against float64."""
    result, given = viewed(), by_hand()
    for layer in result["layer"].values:
        for name, rows in {"bright": slice(0, 4), "dark": slice(4, 7)}.items():
            entries = given[layer][rows].ravel()
            at = result.sel(set=name, layer=layer)
            assert float(at["layer_mean"]) == pytest.approx(oracles.mean(entries), abs=1e-6)
            assert float(at["layer_sd"]) == pytest.approx(oracles.population_sd(entries), rel=1e-6, abs=1e-7)
    assert result["layer_mean"].dims == result["layer_sd"].dims == ("set", "layer")
    # the control: the mean of the images' SDs is not the SD of the set
    of_images = [oracles.population_sd(image.ravel()) for image in given["named[mean]"][:4]]
    assert abs(float(result["layer_sd"].sel(set="bright", layer="named[mean]")) - np.mean(of_images)) > 1e-6


def test_filter_means_are_labelled() -> None:
    """Each column is one filter of one layer, its mean over space in float64."""
    result, given = viewed(), by_hand()
    expected = {layer: oracles.filter_means(given[layer], 0) for layer in result["layer"].values}
    assert result.sizes["filter"] == sum(means.shape[1] for means in expected.values())
    for column in range(result.sizes["filter"]):
        layer = str(result["filter_layer"].values[column])
        means = expected[layer][:, int(result["filter_index"].values[column])]
        np.testing.assert_allclose(result["filter_mean"].values[:, column], means, atol=1e-6)
    pairs = set(zip(result["filter_layer"].values, result["filter_index"].values, strict=True))
    assert len(pairs) == result.sizes["filter"]


def test_a_layer_without_channels_has_no_means_of_them() -> None:
    """The others have theirs, and its units, moments and distances are as those of any layer."""
    result, given = partly_without_channels(), outputs_of(mixed(), inputs())
    assert result["layer"].values.tolist() == ["input", "conv", "cut", "head"]
    assert set(result["filter_layer"].values) == {"input", "conv", "head"}
    for layer in ("conv", "head"):
        at = (result["filter_layer"] == layer).values
        means = oracles.filter_means(given[layer], 0)
        np.testing.assert_allclose(result["filter_mean"].values[:, at], means, atol=1e-6)
    entries = given["cut"][:4].ravel()
    at_cut = result.sel(layer="cut", set="bright")
    assert float(at_cut["layer_mean"]) == pytest.approx(oracles.mean(entries), abs=1e-6)
    assert float(at_cut["layer_sd"]) == pytest.approx(oracles.population_sd(entries), rel=1e-6)
    assert (int(at_cut["layer_size"]), str(at_cut["layer_shape"].item())) == (576, "3x192")
    assert np.isfinite(result["distance"].sel(layer="cut")).all()
    alone = without_channels()
    assert not {"filter_mean", "filter_layer", "filter_index"} & set(alone.variables)
    with pytest.raises(
        dif.InputError, match=r"no filter_mean; measure .* and layers whose channels are known"
    ):
        require_variables(alone, "filter_mean")


def test_views_can_be_left_out() -> None:
    """The measure is the same to the last bit, and the result is whole without them."""
    plain, whole = viewed(views=False), viewed()
    for name in ("layer_mean", "layer_sd", "filter_mean", "prediction", "filter_layer", "class_name"):
        assert name in whole
        assert name not in plain
    for variable in plain.data_vars:
        xr.testing.assert_equal(plain[variable], whole[variable])
    xr.testing.assert_identical(validate_result(plain), plain)


def test_labels_must_come_with_their_variable() -> None:
    """A view without its labels is no result; nor is a map with other dimensions."""
    result = viewed(maps={"conv": [3]})
    with pytest.raises(dif.InputError, match="not a result of differentia: class_name missing"):
        validate_result(result.drop_vars("class_name"))
    with pytest.raises(dif.InputError, match="not a result of differentia: map_image missing"):
        validate_result(result.drop_vars("map_image"))
    with pytest.raises(dif.InputError, match=r"map_0 has the dimensions .* expected .*'map_0_y', 'map_0_x'"):
        validate_result(result.rename(map_0_y="height"))
    validate_result(result.drop_vars(["prediction", "class_name"]))


def test_moments_of_stored_responses() -> None:
    """Recorded neurons have their means and SDs too, over all of them, and no other view."""
    arrays = {name: {"V1": RNG.gamma(2.0, 3.0, (n, 30)) + 100} for name, n in {"a": 5, "b": 3}.items()}
    result = dif.measure_responses(arrays, n_units=10, draws=2)
    for name, areas in arrays.items():
        at = result.sel(set=name, layer="V1")
        assert float(at["layer_mean"]) == pytest.approx(oracles.mean(areas["V1"].ravel()), rel=1e-12)
        assert float(at["layer_sd"]) == pytest.approx(oracles.population_sd(areas["V1"].ravel()), rel=1e-9)
    assert "prediction" not in result
    assert "filter_mean" not in result


def test_parts_of_a_result() -> None:
    """The rows of a set; what is missing, and what there is not."""
    result = neurons()
    assert set_rows(result, "spontaneous").tolist() == list(range(8, 16))
    require_variables(result, "distance", "layer_sd")
    with pytest.raises(dif.InputError, match="no filter_mean; measure at most 2,000 images, with views=True"):
        require_variables(result, "distance", "filter_mean")
    with pytest.raises(dif.InputError, match="no distance; measure at most 2,000 images"):
        require_variables(result.drop_vars("distance"), "distance")
    with pytest.raises(dif.InputError, match="unknown set 'silence'"):
        set_rows(result, "silence")
