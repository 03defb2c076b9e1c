"""What stands on the page, as plain data."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from helpers.networks import tricky
from helpers.odd_networks import partly_without_channels, without_channels
from helpers.reports import measured
from helpers.results import neurons, of_sets

import differentia as dif
from differentia.output.chosen import spread_sets
from differentia.output.report.contents import contents
from differentia.output.report.pairs import pairs
from differentia.results.schema import what_is_left

RNG = np.random.default_rng(0)


def test_the_main_view_leaves_out_what_it_does_not_show() -> None:
    """Of the images only those of the nearest and farthest pairs have pictures; the whole page has all."""
    results = {"random": measured().drop_dims(["filter", "map_image"]).isel(layer=[3])}
    whole, view = contents(results), contents(results, main_view=True)
    assert whole["predictions"] is not None
    assert len(whole["gallery"]) == 15
    assert view["predictions"] is None
    assert view["gallery"] == []
    layers = view["kinds"][0]["pairs"]["layers"]
    ends = {
        row
        for layer in layers
        for of in layer["sets"]
        for end in ("nearest", "farthest")
        for row in of[end][:2]
    }
    pictured = {int(row) for row, image in view["images"].items() if "picture" in image}
    assert pictured == ends
    assert len(pictured) < 15
    assert {int(row) for row, image in whole["images"].items() if "picture" in image} == set(range(15))


def test_what_things_are_called() -> None:
    """Layers, images and units of a network; populations, stimuli and neurons of recordings, with bars."""
    of_network, of_recordings = (contents({"random": one})["words"] for one in (measured(), neurons()))
    nouns = ["items", "places", "units", "item", "place", "unit"]
    assert [of_network[name] for name in nouns] == ["images", "layers", "units", "image", "layer", "unit"]
    of_neurons = ["stimuli", "populations", "neurons", "stimulus", "population", "neuron"]
    assert [of_recordings[name] for name in nouns] == of_neurons
    assert (of_network["of_units"], of_recordings["of_units"]) == ("Dotted bands", "Thick bars")


def test_what_each_set_is_divided_by() -> None:
    """Told of each where they differ; otherwise there is the one of all."""
    one = contents({"random": neurons()})
    assert one["reference"] == "spontaneous"
    assert [(of["reference"], of["divided_by"]) for of in one["sets"]] == [(False, ""), (True, "")]
    several = neurons().assign_coords(set_reference=("set", ["spontaneous", "stimulus"]))
    found = contents({"random": several})
    assert found["reference"] == "each set's reference"
    assert [of["divided_by"] for of in found["sets"]] == ["spontaneous", "stimulus"]
    assert found["kinds"][0]["relative"] is not None
    arrays = {name: {"x": RNG.gamma(2.0, size=(8, 20))} for name in ("a", "b", "c")}
    some = contents({"all": dif.measure_responses(arrays, reference={"a": "b"})})
    assert [of["divided_by"] for of in some["sets"]] == ["b", "b", ""]
    assert some["kinds"][0]["relative"]["mean"][2] == [[None]]
    nothing = contents({"random": neurons().assign_attrs(reference="")})
    assert nothing["reference"] == ""
    assert nothing["kinds"][0]["relative"] is None


def test_a_layer_without_channels() -> None:
    """It is among the layers with all its numbers, and what is not known of it is None; JSON can hold it."""
    found = contents({"random": partly_without_channels()})
    assert [layer["name"] for layer in found["layers"]] == ["input", "conv", "cut", "head"]
    assert [layer is None for layer in found["filters"]["layers"]] == [False, False, True, False]
    assert all(value is not None for value in found["layers"][2]["sd"])
    assert "filter_mean" not in found["missing"]
    none = contents({"random": without_channels()})
    assert none["filters"] is None
    assert "layers whose channels are known" in none["missing"]["filter_mean"]
    json.dumps([found, none], allow_nan=False)


def test_selections_of_sets_and_layers() -> None:
    """What is left is as if the others had not been measured: images, filters and maps go with their set."""
    sets = {name: RNG.integers(0, 256, (4, 16, 16, 3), dtype=np.uint8) for name in "abc"}
    network = dif.load_network(tricky(), preprocess="unit", input_shape=(3, 16, 16))
    options: dict[str, Any] = {"n_units": 20, "draws": 2, "map_images": (0, 2)}
    maps = {"conv": [1], "split[0]": [0, 1]}
    whole = dif.measure(network, sets, maps=maps, **options)
    chosen = whole.sel(set=["a", "c"], layer=["conv", "head"])
    alone = dif.measure(
        network,
        {"a": sets["a"], "c": sets["c"]},
        layers=["conv", "head"],
        maps={"conv": [1]},
        **options,
    )
    left = what_is_left(chosen)
    assert left["image_set"].values.tolist() == ["a"] * 4 + ["c"] * 4
    assert set(left["filter_layer"].values) == {"conv", "head"}
    for name in (
        "differentiation",
        "filter_mean",
        "prediction",
        "thumbnail",
        "distance",
        "map_image",
        "map_0",
    ):
        np.testing.assert_array_equal(left[name].values, alone[name].values, err_msg=name)
    assert "map_1" not in left
    assert contents({"random": left}) == contents({"random": alone})
    assert what_is_left(whole).identical(whole)


def test_what_is_known_of_an_image_is_told() -> None:
    """With its name and as it is shown; nothing where nothing is known; no text is long."""
    result = measured()
    count = result.sizes["image"]
    assert not any("known" in image for image in contents({"random": result})["images"].values())
    numbers = [np.nan, 1 / 3, np.inf, *[2.0] * (count - 3)]
    texts = ["", "<b>a</b>\n b", "x" * 1000, *["c"] * (count - 3)]
    known = result.assign_coords(image_weight=("image", numbers), image_said=("image", texts))
    known["image_weight"].attrs["long_name"] = "weight (kg)"
    images = contents({"random": known})["images"]
    assert "known" not in images["0"]
    assert images["1"]["known"] == [["weight (kg)", "0.333333"], ["said", "<b>a</b> b"]]
    assert images["3"]["known"] == [["weight (kg)", "2"], ["said", "c"]]
    (_, infinite), (_, long) = images["2"]["known"]
    assert infinite == "inf"
    assert len(long) < 110
    json.dumps(images, allow_nan=False)
    many = result.assign_coords({f"image_{number}": ("image", numbers) for number in range(20)})
    assert len(contents({"random": many})["images"]["1"]["known"]) == 8


def test_many_sets_begin_with_a_few() -> None:
    """With looks of their own, as in figures; all of their images are in the matrix, some of the others."""
    result = of_sets(40, layers=2)
    whole = contents({"all": result})
    few = spread_sets(result)
    assert [whole["sets"][place]["name"] for place in whole["shown"]] == few
    colours = [whole["sets"][place]["colour"]["light"] for place in whole["shown"]]
    assert len(set(colours)) == len(few)
    assert len({one["colour"]["light"] for one in whole["sets"]}) < 40
    # room for 20 more images than those of the few sets have
    side = 4 * len(few) + 20
    shown = pairs(result, entries=side * (side - 1))["images"]  # type: ignore[index]
    assert shown == sorted(shown)
    assert len(shown) == side
    of_few = np.flatnonzero(np.isin(result["image_set"].values.astype(str), few))
    assert {*of_few.tolist()} < {*shown}
    # of few sets all are shown, and none comes first
    assert contents({"all": of_sets(3, layers=2)})["shown"] == [0, 1, 2]
