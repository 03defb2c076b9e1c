"""What is known of each image stays with it: from a table into the result, its file, and parts of it."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers.image_files import write

import differentia as dif
from differentia.results.attributes import attribute_labels, renamed_in_words
from differentia.results.dataset import provenance
from differentia.results.schema import attribute_names, validate_result

#: By set, grey levels that images are of, and that a table says; -1 is no image.
LEVELS = {"a": [10, 20, -1, 30, 20, 40], "b": [50, 60, 70]}


@pytest.fixture
def sets(tmp_path: Path) -> dict[str, Any]:
    """Two sets of a table, of which one has a copy and a broken file, and one of arrays."""
    rows = []
    for name, levels in LEVELS.items():
        for place, level in enumerate(levels):
            path = tmp_path / f"{name}{place}.png"
            path.write_bytes(b"no image") if level < 0 else write(path, np.full((8, 8), level, np.uint8))
            rows.append({"file": str(path), "set": name, "level": level, "said": f"{level} é", "name": place})
    arrays = np.random.default_rng(0).integers(0, 256, (3, 8, 8), np.uint8)
    return {"noise": "noise:2", **dif.sets_from(pd.DataFrame(rows)), "arrays": arrays}


def measured(sets: dict[str, Any], **options: Any) -> xr.Dataset:
    with pytest.warns(dif.DifferentiaWarning) as warned:
        result = dif.measure("digits", sets, layers=["input", "block1_pool"], n_units=20, draws=1, **options)
    (renamed,) = [str(one.message) for one in warned if "other names" in str(one.message)]
    assert renamed.endswith("in the result: 'name' is image_name_2")
    assert renamed in [one["text"] for one in provenance(result)["warnings"]]
    return result


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, [10, 20, 30, 20, 40]),
        ({"drop_duplicates": True}, [10, 20, 30, 40]),
        ({"store": True}, [10, 20, 30, 20, 40]),
    ],
    ids=["all", "without copies", "stored"],
)
def test_each_image_keeps_what_is_known_of_it(
    sets: dict[str, Any], tmp_path: Path, options: dict[str, Any], kept: list[int]
) -> None:
    """Where images were left out too, and where a recording goes on; other sets say nothing."""
    if "store" in options:
        options = {"store": tmp_path / "store"}
        measured({**sets, "a": sets["b"]}, skip_unreadable=True, **options)
    result = measured(sets, skip_unreadable=True, **options)
    expected = [math.nan] * 2 + [float(level) for level in [*kept, *LEVELS["b"]]] + [math.nan] * 3
    assert result["image_level"].dims == ("image",)
    np.testing.assert_array_equal(result["image_level"].values, expected)
    texts = [""] * 2 + [f"{level} é" for level in [*kept, *LEVELS["b"]]] + [""] * 3
    assert result["image_said"].values.tolist() == texts
    of_table = np.isin(result["image_set"].values, ["a", "b"])
    names = result["image_name"].values[of_table]
    assert [LEVELS[name[0]][int(name[1])] for name in names] == result["image_level"].values[
        of_table
    ].tolist()
    means = result["image_sum"].sel(layer="input").values[of_table]
    assert np.corrcoef(means, result["image_level"].values[of_table])[0, 1] == pytest.approx(1)
    assert attribute_names(result) == ["image_level", "image_said", "image_name_2"]
    assert (result["image_level"].attrs["long_name"], result["image_name_2"].attrs["long_name"]) == (
        "level",
        "name",
    )
    assert "as a table or a film says it" in result["image_said"].attrs["description"]


def test_they_are_saved_and_taken_out(sets: dict[str, Any], tmp_path: Path) -> None:
    """A file gives them back, a selection has its own, and one that was changed in a file is told."""
    result = measured(sets, skip_unreadable=True)
    dif.save(result, tmp_path / "x.nc")
    again = dif.load_result(tmp_path / "x.nc")
    assert {*attribute_names(again)} == {"image_level", "image_said", "image_name_2"}
    xr.testing.assert_identical(again, result)
    dif.save(result.sel(set=["b", "a"]), tmp_path / "part.nc")
    part = dif.load_result(tmp_path / "part.nc")
    assert part["image_level"].values.tolist() == [50.0, 60, 70, 10, 20, 30, 20, 40]
    assert part["image_said"].values[0] == "50 é"
    with xr.open_dataset(tmp_path / "x.nc", engine="h5netcdf") as opened:
        other = opened.load()
    for name, values in (("image_level", [1.0] * 13), ("image_said", ["a"] * 13)):
        changed = other.assign_coords({name: ("image", values)})
        changed.to_netcdf(tmp_path / "changed.nc", engine="h5netcdf")
        with pytest.raises(dif.InputError, match="its content is not what was saved"):
            dif.load_result(tmp_path / "changed.nc")
    named = dif.rename(result, sets={"b": "c"})
    assert named["image_level"].equals(result["image_level"].assign_coords(named["image_level"].coords))


def test_responses_keep_them(sets: dict[str, Any]) -> None:
    """Recorded ones that are measured later; those at hand have none."""
    with pytest.warns(dif.DifferentiaWarning, match="left out"):
        recorded = dif.record(
            "digits", sets, layers=["input"], pool=20, skip_unreadable=True, drop_duplicates=True
        )
    with pytest.warns(dif.DifferentiaWarning, match="'name' is image_name_2"):
        result = dif.measure_responses(recorded, n_units=10)
    assert result["image_level"].values[2:9].tolist() == [10.0, 20, 30, 40, 50, 60, 70]
    at_hand = dif.measure_responses({"a": np.random.default_rng(0).normal(size=(4, 5))})
    assert attribute_names(at_hand) == []


def test_numbers_and_texts_of_one_name(tmp_path: Path) -> None:
    """Together they are text; a wrong number of values is an error."""
    arrays = np.random.default_rng(0).integers(0, 256, (4, 2, 8, 8), np.uint8)
    given = {name: dif.images(array) for name, array in zip("abcd", arrays, strict=True)}
    given["a"].attributes = {"x": [1.0, math.nan], "\0odd": ["a\0b", "\udcff"]}
    given["b"].attributes = {"x": ["one", ""]}
    given["c"].attributes = {"x": [2.5, 1e20]}
    result = dif.measure("digits", given, layers=["input"], n_units=20)
    assert result["image_x"].values.tolist() == ["1", "", "one", "", "2.5", "1e+20", "", ""]
    dif.save(result, tmp_path / "x.nc")
    again = dif.load_result(tmp_path / "x.nc")
    assert again["image_odd"].values.tolist() == ["ab", "?", *[""] * 6]
    given["d"].attributes = {"x": [1.0]}
    with pytest.raises(
        dif.InputError, match=r"set 'd': its attribute 'x' has 1 values; expected .* 2 images"
    ):
        dif.measure("digits", given, layers=["input"], n_units=20)


def test_names_that_python_and_the_schema_allow() -> None:
    """None is one of the schema's, nor another's."""
    names = ["weight (kg)", "weight_kg", "set", "hash", "other", "größe", "%", "2nd", ""]
    labels = attribute_labels(names)
    assert [*labels.values()] == [
        "image_weight_kg",
        "image_weight_kg_2",
        "image_set_2",
        "image_hash_2",
        "image_other_2",
        "image_größe",
        "image_attribute",
        "image_2nd",
        "image_attribute_2",
    ]
    assert all(label.isidentifier() for label in labels.values())
    assert renamed_in_words(["weight", "%"]) == ""
    assert "'set' is image_set_2, 'other' is image_other_2" in renamed_in_words(["set", "a", "other"])


def test_coordinates_of_users() -> None:
    """Of images, they are numbers or text; what else there is, is not asked."""
    arrays = np.random.default_rng(0).normal(size=(3, 4))
    result = dif.measure_responses({"a": arrays})
    validate_result(result.assign_coords(image_rating=("image", [1, 2, 3]), other=("image", [None] * 3)))
    with pytest.raises(
        dif.InputError, match=r"image_rating has the dimensions \('set',\); expected \('image',\)"
    ):
        validate_result(result.assign_coords(image_rating=("set", [1])))
    with pytest.raises(dif.InputError, match=r"image_when is of type datetime64.*; expected numbers or text"):
        validate_result(result.assign_coords(image_when=("image", pd.to_datetime(["2020-01-01"] * 3))))
