"""How layers follow the stimulus as a picture, read back from the axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.figures import bands_of, legend_entries, require_readable
from helpers.following import films, measured
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

import differentia as dif
from differentia.output.colours import COLOURS
from differentia.output.figures.correlations import ALONE, CURVE_WIDTH, LINE_WIDTH


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def found() -> xr.Dataset:
    return dif.depth(measured(), pairs=False)


def many(sets: int, layers: int, *, long: bool = False, seed: int = 0) -> xr.Dataset:
    """Return what `depth` might say of so many sets and layers, all made up."""
    rng = np.random.default_rng(seed)
    some = found()
    name = "encoder.layer.of_a_name_that_goes_on_and_on_until_the_end" if long else "layer"
    one = some.isel(set=rng.integers(0, 12, sets), layer=np.append(0, rng.integers(1, 4, layers)))
    return one.assign_coords(
        set=[f"set {n}" for n in range(sets)],
        layer=["input", *(f"{name}_{n}" for n in range(layers))],
    ).assign(stimulus=("set", rng.gamma(9, 1, sets)))


def curves(ax: Axes) -> list[Line2D]:
    return [line for line in ax.get_lines() if line.get_linewidth() == CURVE_WIDTH and len(x_of(line)) > 2]


def x_of(line: Line2D) -> np.ndarray:
    return np.asarray(line.get_xdata(), dtype=float)


def test_sets_and_depth() -> None:
    """At the left a point for each set, and SciPy's line; at the right the correlations, without the base."""
    given = found()
    sets, depth = dif.plot_depth(given)
    for at, layer in enumerate(("early", "late", "noise")):
        colour = COLOURS[at].figure
        points, line = (line for line in sets.get_lines() if to_hex(line.get_color()).upper() == colour)
        np.testing.assert_array_equal(points.get_xdata(), given["stimulus"])
        np.testing.assert_array_equal(points.get_ydata(), given["value"].sel(layer=layer))
        assert line.get_linewidth() == LINE_WIDTH
        x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
        expected = np.polyfit(given["stimulus"], given["value"].sel(layer=layer), 1)
        np.testing.assert_allclose(y, np.polyval(expected, x))
        assert x.tolist() == [given["stimulus"].min(), given["stimulus"].max()]
    (curve,) = curves(depth)
    np.testing.assert_array_equal(curve.get_ydata(), given["pearson"][1:])
    limits = np.stack([given["pearson_low"][1:], given["pearson_high"][1:]], axis=1)
    np.testing.assert_allclose(bands_of(depth)[ALONE], limits)
    assert [label.get_text() for label in depth.get_xticklabels()] == ["early", "late", "noise"]
    filled = [
        to_hex(line.get_markerfacecolor()) != "#ffffff" for line in depth.get_lines() if len(x_of(line)) == 1
    ]
    assert filled == (given["pearson_p_corrected"][1:] < 0.05).values.tolist() == [True, True, False]
    assert legend_entries(sets.figure.figure) == [
        *("early", "late", "noise", "correlation over 12 sets", "95 %: other sets"),
        *("corrected p < 0.05", "corrected p \N{GREATER-THAN OR EQUAL TO} 0.05"),
    ]
    assert sets.get_xlabel() == "Differentiation of the stimulus"
    assert sets.get_ylabel() == "Differentiation\n(unit of the responses)"
    require_readable(sets.figure.figure)


def test_what_is_chosen() -> None:
    """Other layers, and the rank correlation."""
    given = found()
    sets, depth = dif.plot_depth(given, layers=["late"], coefficient="spearman")
    assert len(sets.get_lines()) == 2
    np.testing.assert_array_equal(curves(depth)[0].get_ydata(), given["spearman"][1:])
    assert depth.get_ylabel() == "Rank correlation"
    for options, message in (
        ({"layers": ["lat"]}, "unknown layer 'lat'. Did you mean 'late'"),
        ({"coefficient": "kendall"}, "unknown coefficient 'kendall'"),
    ):
        with pytest.raises(dif.InputError, match=message):
            dif.plot_depth(given, **options)


def test_several_results() -> None:
    """A curve each: over the same layers, or, where these differ, over relative depth."""
    one, other = found(), many(30, 7)
    sets, depth = dif.plot_depth({"small": one, "large $x$": other})
    first, second = curves(depth)
    np.testing.assert_allclose(x_of(first), [0, 0.5, 1])
    np.testing.assert_allclose(x_of(second), np.linspace(0, 1, 7))
    np.testing.assert_array_equal(second.get_ydata(), other["pearson"][1:])
    assert depth.get_xlabel() == "Relative depth (1: the last layer)"
    assert "small: 12 sets, left early" in legend_entries(sets.figure.figure)
    assert "large \\$x\\$: 12 sets" in " ".join(legend_entries(sets.figure.figure))
    require_readable(sets.figure.figure)
    _, alike = dif.plot_depth({"a": one, "b": one.copy()})
    left, right = map(x_of, curves(alike))
    assert (left < right).all()
    assert [label.get_text() for label in alike.get_xticklabels()] == ["early", "late", "noise"]
    with pytest.raises(dif.InputError, match="layers= is of one result"):
        dif.plot_depth({"a": one, "b": one}, layers=["early"])


@pytest.mark.parametrize(("sets", "layers", "millimetres"), [(200, 100, None), (4, 1, None), (30, 21, 85)])
def test_readable(sets: int, layers: int, millimetres: float | None) -> None:
    """With few and many sets and layers, with long names, and as wide as a journal's column."""
    width = None if millimetres is None else (millimetres / 25.4, 1.0)
    figure = Figure() if width is None else Figure(figsize=width)
    of_sets, of_depth = dif.plot_depth(many(sets, layers, long=layers > 50), figure)
    require_readable(figure)
    if width is not None:
        assert figure.get_figwidth() == pytest.approx(width[0])
        assert of_sets.get_window_extent().y0 > of_depth.get_window_extent().y1
    assert figure.get_figheight() <= 9.7


def test_recordings() -> None:
    """No line joins populations, and each interval is a box."""
    arrays = {name: {layer: of[layer] for layer in ("late", "noise")} for name, of in films().items()}
    given = dif.depth(dif.measure_responses(arrays, normalize="none"), stimulus=measured(), pairs=False)
    _, depth = dif.plot_depth(given)
    assert {line.get_linestyle() for line in depth.get_lines() if len(x_of(line)) == 2} >= {"None"}
    assert len(bands_of(depth, whole=True)[ALONE]) == 2
    assert depth.get_xlabel() == "Population"
    # beside a network, whose layers are joined, whichever comes first
    for both in ({"mouse": given, "network": found()}, {"network": found(), "mouse": given}):
        _, beside = dif.plot_depth(both)
        styles = {str(line.get_label()): line.get_linestyle() for line in beside.get_lines()}
        assert (styles["mouse"], styles["network"]) == ("None", "-")


def test_nothing_known_and_errors() -> None:
    """Of three sets points are drawn, and no line; what is no such Dataset is refused."""
    few = dif.depth(measured(), sets=["film 1", "film 2", "film 3"], pairs=False)
    sets, depth = dif.plot_depth(few)
    assert len(sets.get_lines()) == 3
    assert not bands_of(depth)
    ax = Figure().add_subplot()
    with pytest.raises(dif.InputError, match="axes= holds 1 axes; expected 2"):
        dif.plot_depth(found(), ax)
    two = Figure().subplots(1, 2)
    assert dif.plot_depth(found(), two).tolist() == list(two)
    for wrong, message in (
        (measured(), r"not what depth\(result\) returned"),
        ({}, "nothing to draw"),
        (3, "int"),
    ):
        with pytest.raises(dif.InputError, match=message):
            dif.plot_depth(wrong)  # type: ignore[arg-type]


def test_it_is_saved_where_there_are_enough_sets(tmp_path: Path) -> None:
    """With the layer that is the stimulus, and four sets beside the reference."""
    result = measured().drop_vars("distance")
    for name, given in {
        "all": result,
        "few": result.isel(set=slice(0, 4), image=slice(0, 32)),
        "without": result.sel(layer=["early", "late"]),
    }.items():
        files = dif.save_figures(given, tmp_path / name, contrasts=(), formats="svg")
        expected = {"differentiation", "relative"}
        expected |= {"sets"} if given.sizes["set"] > 13 else set()
        assert {path.stem for path in files} == expected | ({"depth"} if name == "all" else set())
    assert ">correlation over 12 sets<" in (tmp_path / "all" / "depth.svg").read_text()
    dif.save_figures(result.sel(layer=["late"]), tmp_path / "all", contrasts=(), formats="svg")
    assert not (tmp_path / "all" / "depth.svg").exists()


def of_areas(one: xr.Dataset, areas: Sequence[str]) -> xr.Dataset:
    """Return the same as if it were of the areas of a recording, which has no layer that is the stimulus."""
    left = one.isel(layer=range(1, len(areas) + 1)).assign_coords(layer=list(areas))
    return left.assign_attrs(recorded=1, has_base=0)


def test_areas_beside_a_network() -> None:
    """They stand right of relative depth, by their names, and those of one name together."""
    network = many(30, 7)
    mouse, other = of_areas(many(30, 7), ["VISp", "VISl", "VISal"]), of_areas(many(30, 7), ["VISl", "VISp"])
    _, depth = dif.plot_depth({"vgg16": network, "mouse": mouse, "other": other})
    curve, *_ = curves(depth)
    np.testing.assert_allclose(x_of(curve), np.linspace(0, 1, 7))
    at = {
        line.get_label(): x_of(line) for line in depth.get_lines() if line.get_label() in ("mouse", "other")
    }
    ticks = dict(
        zip([label.get_text() for label in depth.get_xticklabels()], depth.get_xticks(), strict=True)
    )
    assert [*ticks] == ["0", "0.5", "1", "VISp", "VISl", "VISal"]
    assert 1 < ticks["VISp"] < ticks["VISl"] < ticks["VISal"]
    for name, areas in (("mouse", ["VISp", "VISl", "VISal"]), ("other", ["VISl", "VISp"])):
        np.testing.assert_allclose(at[name], [ticks[area] for area in areas], atol=0.05)
    assert depth.get_xlabel() == "Relative depth (1: the last layer); populations"
    require_readable(depth.figure.figure)
    _, alone = dif.plot_depth({"mouse": mouse, "other": other})
    assert [label.get_text() for label in alone.get_xticklabels()] == ["VISp", "VISl", "VISal"]
    assert alone.get_xlabel() == "Population"
