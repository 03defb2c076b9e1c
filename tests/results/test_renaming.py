"""Sets and layers under other names: the same values, wherever the names stand."""

from __future__ import annotations

from pathlib import Path

import pytest
import xarray as xr
from helpers.results import neurons, viewed

import differentia as dif
from differentia.results.dataset import provenance, with_provenance


def test_a_renamed_result_is_that_of_other_names(tmp_path: Path) -> None:
    """Images, channels, maps, the reference and the provenance follow; and back it is the same."""
    image = {"set": "dark", "name": "x"}
    facts = {"skipped": [image], "dropped": [image], "duplicates": [[image, image]]}
    result = with_provenance(viewed(maps={"conv": [3]}, reference="dark"), **facts)
    renamed = dif.rename(result, sets={"dark": "night"}, layers={"conv": "first"})
    assert renamed["set"].values.tolist() == ["bright", "night"]
    assert renamed["image_set"].values.tolist() == ["bright"] * 4 + ["night"] * 3
    assert renamed["map_0"].attrs["layer"] == "first"
    assert renamed["filter_layer"].values.tolist().count("first") == 8
    assert list(provenance(renamed)["sets"]) == ["bright", "night"]
    assert "dark" not in renamed.attrs["provenance"]
    assert result["map_0"].attrs["layer"] == "conv"  # what was given stays as it was
    xr.testing.assert_equal(
        dif.relative(renamed).drop_vars(["set", "layer"]), dif.relative(result).drop_vars(["set", "layer"])
    )
    dif.save(renamed, tmp_path / "x.nc")
    back = dif.rename(dif.load_result(tmp_path / "x.nc"), sets={"night": "dark"}, layers={"first": "conv"})
    xr.testing.assert_identical(back, result)


def test_names_may_change_places() -> None:
    """Each set keeps its own values."""
    result = neurons()
    swapped = dif.rename(result, sets={"stimulus": "spontaneous", "spontaneous": "stimulus"})
    for old, new in (("stimulus", "spontaneous"), ("spontaneous", "stimulus")):
        xr.testing.assert_equal(
            swapped["differentiation"].sel(set=new, drop=True),
            result["differentiation"].sel(set=old, drop=True),
        )
    assert swapped.attrs["reference"] == "stimulus"


def test_names_that_can_not_be_given() -> None:
    """Of no set, of two sets, or none at all; a set that was renamed alone is told how it is done."""
    result = neurons()
    for wrong, message in (
        ({"sets": {"stimulos": "a"}}, r"unknown set 'stimulos'\. Did you mean 'stimulus'"),
        ({"sets": {"stimulus": "spontaneous"}}, "two sets have the name 'spontaneous'"),
        ({"layers": {"features.0": " "}}, "a layer has an empty name"),
        ({"sets": ["a", "b"]}, r"sets= is \['a', 'b'\]; expected \{name: new name\}"),
    ):
        with pytest.raises(dif.InputError, match=message):
            dif.rename(result, **wrong)
    with pytest.raises(dif.InputError, match=r"the set 'a' has none of the result's images.*dif\.rename"):
        dif.plot(result.assign_coords(set=["a", "b"]))
