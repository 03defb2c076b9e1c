"""Selections of a result: each public function gives of them what it gives of the whole, or says why not."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers.figures import legend_entries

import differentia as dif
from differentia.output.report.facts import facts
from differentia.results.summaries import distances_of_sets

SETS, LAYERS = ("rest", "movie", "gratings"), ("V1", "V2", "V4")


@cache
def whole() -> xr.Dataset:
    """Return a result of three sets of different sizes, which no test may change."""
    rng = np.random.default_rng(5)
    sizes = dict(zip(SETS, (12, 14, 16), strict=True))
    arrays = {
        name: {layer: rng.gamma(1 + at, 1.0, (size, 40)) for at, layer in enumerate(LAYERS)}
        for name, size in sizes.items()
    }
    return dif.measure_responses(arrays, reference="rest", n_units=(5, 10), pool=20, draws=4)


#: By name: how it is selected.
SELECTIONS: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    "other order of sets": lambda result: result.sel(set=["gratings", "rest", "movie"]),
    "two sets": lambda result: result.sel(set=["movie", "rest"]),
    "without the reference": lambda result: result.sel(set=["movie", "gratings"]),
    "set dropped": lambda result: result.drop_sel(set="rest"),
    "one set": lambda result: result.sel(set=["gratings"]),
    "layers": lambda result: result.sel(layer=["V4", "V1"]),
    "sets and layers": lambda result: result.isel(set=[2, 0], layer=slice(1, None)),
    "fewer units": lambda result: result.sel(n_units=[5]),
    "most units": lambda result: result.isel(n_units=[-1]),
    "other order of units": lambda result: result.sel(n_units=[10, 5]),
    "other order of draws": lambda result: result.isel(draw=[3, 1, 0, 2]),
    "renamed": lambda result: dif.rename(result, sets={"movie": "film"}).sel(set=["film", "rest"]),
}


def of_all(found: xr.DataArray, like: xr.DataArray) -> xr.DataArray:
    """Return what was found of the whole, at the labels of what was found of a selection."""
    names = {"film": "movie"}
    at: dict[str, Any] = {
        name: like[name].values for name in ("layer", "n_units", "draw") if name in like.dims
    }
    if "set" in like.dims:
        at["set"] = [names.get(str(name), str(name)) for name in like["set"].values]
    return found.sel(at)


def assert_same(found: xr.DataArray, expected: xr.DataArray) -> None:
    """Assert that a selection gives what the whole gives there."""
    there = of_all(expected, found).transpose(*found.dims)
    if found.dtype.kind == "f":
        np.testing.assert_allclose(found.values, there.values, rtol=1e-12)
    else:
        np.testing.assert_array_equal(found.values, there.values)


@cache
def of_whole(function: Callable[[xr.Dataset], Any]) -> Any:
    """Return what a function gives of the whole."""
    return function(whole())


def ninety_percent(result: xr.Dataset) -> xr.Dataset:
    return dif.with_intervals(result, confidence=0.9)


@pytest.mark.parametrize("name", SELECTIONS)
def test_numbers_of_a_selection_are_those_of_the_whole(name: str) -> None:
    """Values, limits, spreads, doubts, distances, and, where their reference is left, relative ones."""
    chosen = SELECTIONS[name](whole())
    for function in (dif.draw_mean, dif.draw_spread, dif.doubts):
        assert_same(function(chosen), of_whole(function))
    again, ninety = ninety_percent(chosen), of_whole(ninety_percent)
    for limit in ("differentiation_low", "differentiation_high"):
        assert_same(again[limit], ninety[limit])
    half, expected = dif.precision(chosen), of_whole(dif.precision)
    assert_same(half["half_width"], expected["half_width"])
    assert_same(half["images"], expected["images"].assign_coords(set=list(SETS)))
    layers = [str(layer) for layer in chosen["layer"].values]
    sets = [str(one) for one in chosen["set"].values]
    for found, there in zip(
        distances_of_sets(chosen, layers), distances_of_sets(whole(), layers), strict=True
    ):
        for one in sets:
            np.testing.assert_allclose(found[one], there[{"film": "movie"}.get(one, one)])
    if "rest" in sets and 10 in chosen["n_units"].values:
        assert_same(dif.relative(chosen), of_whole(dif.relative))
        assert_same(dif.relative_interval(chosen)[1], of_whole(dif.relative_interval)[1])


@pytest.mark.parametrize("name", SELECTIONS)
def test_a_selection_is_saved_and_read(name: str, tmp_path: Path) -> None:
    """What is read has its images in the order of its sets, and the same values, with any function."""
    chosen = SELECTIONS[name](whole())
    dif.save(chosen, tmp_path / "x.nc")
    loaded = dif.load_result(tmp_path / "x.nc")
    assert_same(loaded["differentiation"], whole()["differentiation"])
    assert loaded["set"].values.tolist() == chosen["set"].values.tolist()
    assert loaded["layer"].values.tolist() == chosen["layer"].values.tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dif.DifferentiaWarning)
        pd.testing.assert_frame_equal(dif.to_dataframe(loaded), dif.to_dataframe(chosen))
    assert str(dif.describe_methods(loaded)) == str(dif.describe_methods(chosen))


def test_sets_of_a_selection_are_compared_as_in_the_whole() -> None:
    """Whatever sets are beside them, and in which order; only what is corrected is drawn at random."""
    expected = dif.contrast(whole(), "movie", "gratings")
    drawn = [name for name in expected if str(name).endswith(("_simultaneous", "_corrected"))]
    for sets in (["gratings", "rest", "movie"], ["movie", "gratings"], ["gratings", "movie"]):
        found = dif.contrast(whole().sel(set=sets), "movie", "gratings")
        xr.testing.assert_equal(found.drop_vars(drawn), expected.drop_vars(drawn))
        xr.testing.assert_allclose(found[drawn], expected[drawn], atol=0.02)
    other = dif.contrast(whole(), "gratings", "movie")
    np.testing.assert_allclose(other["difference"], -expected["difference"])  # the control
    fewer = dif.contrast(whole().sel(layer=["V4"]), "movie", "gratings")
    for of_layer in ("difference", "difference_low", "p"):
        np.testing.assert_allclose(fewer[of_layer], expected[of_layer].sel(layer=["V4"]))


def test_a_reference_that_is_gone_is_told(tmp_path: Path) -> None:
    """By errors of what is relative, by a warning with a table, and in the report; another can be named."""
    chosen = whole().sel(set=["movie", "gratings"])
    for function in (dif.relative, dif.relative_interval, dif.plot_relative):
        with pytest.raises(
            dif.InputError, match="the result's reference, the set 'rest', was left out of it"
        ):
            function(chosen)
    dif.save(chosen, tmp_path / "x.nc")
    for one in (chosen, dif.load_result(tmp_path / "x.nc")):
        with pytest.warns(dif.DifferentiaWarning, match="^the reference, the set 'rest', was left out"):
            table = dif.to_dataframe(one)
        assert table["relative"].isna().all()
    dif.write_report(dif.load_result(tmp_path / "x.nc"), tmp_path / "x.html")
    page = (tmp_path / "x.html").read_text()
    assert "none: rest was left out of the result" in page
    assert '"rest"' not in page
    np.testing.assert_allclose(
        dif.relative(chosen, "movie").sel(set="gratings"), dif.relative(whole(), "movie").sel(set="gratings")
    )
    assert ("Reference", "rest") in facts({"random": whole()})  # the control


#: By what the error says: what was done to the result.
NO_RESULTS: dict[str, Callable[[xr.Dataset], xr.Dataset]] = {
    r"lost its dimension 'set': 'movie' alone .* with a list, \.sel\(set=\['movie'\]\)": (
        lambda result: result.sel(set="movie")
    ),
    r"\.sel\(layer=\['V2'\]\)": lambda result: result.isel(layer=1),
    r"\.sel\(n_units=\[5\]\)": lambda result: result.sel(n_units=5),
    r"\.sel\(draw=\[0\]\)": lambda result: result.isel(draw=0),
    r"\.sel\(source=\['both'\]\)": lambda result: result.sel(source="both"),
    r"lost its dimension 'set'": lambda result: result.sel(set=["movie"]).squeeze(),
    "no set left": lambda result: result.sel(set=[]),
    "no n_units left": lambda result: result.isel(n_units=[]),
    "no draw left": lambda result: result.isel(draw=[]),
    "has lost its dimension 'draw'": lambda result: result.mean("draw"),
    "the set 'gratings' has 14 of its 16 images": lambda result: result.isel(image=slice(0, 40)),
    "the set 'rest' has 11 of its 12": (
        lambda result: result.isel(image=slice(1, None), image_other=slice(1, None))
    ),
    "the set 'a' has none of the result's images": lambda result: result.assign_coords(set=["a", "b", "c"]),
    "set holds 'movie' twice": lambda result: result.sel(set=["movie", "movie"]),
    "draw is .* each number once": lambda result: result.isel(draw=[0, 0]),
}

#: What is called with a result alone, or else with what beside it.
FUNCTIONS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("contrasts_between_sets", "describe_methods", "doubts", "plot", "plot_distances"), ()),
    **dict.fromkeys(("plot_relative", "precision", "relative", "relative_interval", "rename"), ()),
    **dict.fromkeys(("say_doubts", "say_precision", "to_dataframe", "with_intervals", "write_report"), ()),
    "contrast": ("movie", "gratings"),
    "save": ("x.nc",),
}


@pytest.mark.parametrize("message", NO_RESULTS)
def test_what_is_no_selection_is_refused_in_one_line(
    message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By every function alike, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    given = NO_RESULTS[message](whole())
    for name, beside in FUNCTIONS.items():
        with pytest.raises(dif.InputError, match=message) as caught:
            getattr(dif, name)(given, *beside)
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_results_of_older_versions_may_be_selected(tmp_path: Path) -> None:
    """They do not tell over how many units distances are, nor how many images a set had."""
    older = whole().drop_vars(["units_at_hand", "set_size"])
    chosen = older.sel(set=["movie", "rest"], layer=["V4"])
    assert_same(dif.draw_mean(chosen), dif.draw_mean(whole()))
    for one, other in zip(distances_of_sets(chosen, ["V4"]), distances_of_sets(whole(), ["V4"]), strict=True):
        np.testing.assert_allclose(one["movie"], other["movie"])
    with pytest.raises(dif.InputError, match=re.escape("holds distances of 42 images but only 30")):
        dif.save(older.isel(image=slice(0, 30)), tmp_path / "x.nc")
    with pytest.raises(dif.InputError, match="the set 'gratings' has none of the result's images"):
        dif.save(older.isel(image=slice(0, 20), image_other=slice(0, 20)), tmp_path / "x.nc")


def test_figures_of_a_selection() -> None:
    """Sets and layers stand in its order."""
    chosen = whole().sel(set=["gratings", "movie"], layer=["V4", "V1"])
    ax = dif.plot(chosen)
    assert [entry for entry in legend_entries(ax) if entry in SETS] == ["gratings", "movie"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["V4", "V1"]
