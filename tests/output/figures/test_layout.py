"""Curves have most of their figure, whatever the names, the numbers of sets and layers, and the width."""

from __future__ import annotations

import functools
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
import xarray as xr
from helpers.figures import of_network, require_readable, texts
from matplotlib.cbook import is_math_text
from matplotlib.figure import Figure

import differentia as dif

#: Of a name, with what tells it apart where another shortens it.
LONG = "of_a_name_that_goes_on_and_on_until_it_has_sixty_characters_x"


def named(kind: str, number: int, *, long: bool) -> str:
    return f"{kind}{number}_{LONG}"[:60] if long else f"{kind}_{number}"


@functools.cache
def large(sets: int, layers: int, *, long: bool) -> xr.Dataset:
    """Return a result of so many sets and layers, all alike but for a trend."""
    rng = np.random.default_rng(0)
    names = [named("photographs", n, long=long) for n in range(sets)]
    one = dif.measure_responses(
        {name: {"x": rng.gamma(1 + n, 1.0, (5, 9))} for n, name in enumerate(names)},
        n_units=(3, 9),
        draws=2,
        reference=names[0],
    )
    many = one.isel(layer=np.zeros(layers, dtype=int)).assign_coords(
        layer=[named("encoder.layer", n, long=long) for n in range(layers)]
    )
    trend = xr.DataArray(np.linspace(1.0, 2.0, layers), dims="layer")
    changed = {name: many[name] * trend for name in many if str(name).startswith("differentiation")}
    kept = {name: values.assign_attrs(many[name].attrs) for name, values in changed.items()}
    return of_network(many.assign({name: kept[name].transpose(*many[name].dims) for name in kept}))


def plot(result: xr.Dataset, figure: Figure) -> Any:
    return dif.plot(result, figure)


def plot_relative(result: xr.Dataset, figure: Figure) -> Any:
    return dif.plot_relative(result, None, figure)


def plot_marked(result: xr.Dataset, figure: Figure) -> Any:
    return dif.plot(result, figure, contrasts=[contrast(result), contrast(result, 2)])


def plot_contrast(result: xr.Dataset, figure: Figure) -> Any:
    return dif.plot_contrast(contrast(result), figure)


def plot_kinds(result: xr.Dataset, figure: Figure) -> Any:
    return dif.plot_kinds({"random": result, "filter_mean": result}, figure)


def plot_across(result: xr.Dataset, figure: Figure) -> Any:
    changed = result.assign(differentiation=result["differentiation"] * 1.1)
    return dif.plot_across(dif.across({"one": result, "other": changed}), figure)


def contrast(result: xr.Dataset, second: int = 1) -> xr.Dataset:
    """Return a contrast of a set with the reference, made up."""
    from differentia.results.contrasts import CONTRAST_VALUES

    values = np.linspace(0.01, 1.0, result.sizes["layer"])
    return xr.Dataset(
        dict.fromkeys(CONTRAST_VALUES, ("layer", values)),
        coords={"layer": result["layer"].values},
        attrs={
            "first": str(result["set"].values[0]),
            "second": str(result["set"].values[second]),
            "n_units": int(result["n_units"].max()),
            "units": str(result["units"].item()),
            "confidence": 0.95,
            "paired": 0,
            "corrected_over": "layers",
            "n_tests": len(values),
        },
    )


CURVES: tuple[Callable[[xr.Dataset, Figure], Any], ...] = (
    *(plot, plot_relative, plot_marked, plot_contrast, plot_kinds, plot_across),
)


#: What is drawn as wide as a journal's column, or its page.
COLUMNS = [(draw, 85) for draw in CURVES] + [(plot_marked, 180), (plot_kinds, 180)]


def share_of_axes(figure: Figure) -> float:
    """Return how much of the height of a figure its axes take, one above the other."""
    return sum({round(ax.get_position().y0, 3): ax.get_position().height for ax in figure.axes}.values())


@pytest.mark.parametrize(("draw", "long"), [*product(CURVES, [True]), (plot, False), (plot_contrast, False)])
def test_axes_keep_most_of_the_height(draw: Callable[[xr.Dataset, Figure], Any], *, long: bool) -> None:
    """With 12 sets and 200 layers, and names of 60 characters; no text is small, cut, or over another."""
    figure = Figure()
    draw(large(12, 200, long=long), figure)
    require_readable(figure)
    assert share_of_axes(figure) >= 0.6
    assert figure.get_figwidth() <= 7.2
    assert figure.get_figheight() <= 9.7
    shown = [text.get_text() for ax in figure.axes for text in ax.get_xticklabels() if text.get_text()]
    start = "encoder.layer" if long else "encoder.layer_"
    assert (shown[0][: len(start) + 1], shown[-1][: len(start) + 3]) == (f"{start}0", f"{start}199")
    assert len({*shown}) == len(shown)


@pytest.mark.parametrize(("draw", "millimetres"), COLUMNS)
def test_the_width_of_a_column(draw: Callable[[xr.Dataset, Figure], Any], millimetres: float) -> None:
    """It is kept; letters have 6 to 8 points; what has no room beside the axes stands below them."""
    figure = Figure(figsize=(millimetres / 25.4, 1.0))
    draw(large(4, 21, long=False), figure)
    require_readable(figure)
    assert figure.get_figwidth() == pytest.approx(millimetres / 25.4)
    assert {6 <= float(text.get_fontsize()) <= 8 for text in texts(figure)} == {True}
    narrowest = min(ax.get_position().width for ax in figure.axes) * millimetres
    assert narrowest > (50 if draw is not plot_kinds else 40)
    legend = next(iter(figure.legends), None) or figure.axes[0].get_legend()
    assert legend is not None
    lowest = min(ax.get_window_extent().y0 for ax in figure.axes)
    assert (legend.get_window_extent().y1 < lowest) == (millimetres == 85)


@pytest.mark.parametrize("draw", CURVES)
def test_marks_are_whole(draw: Callable[[xr.Dataset, Figure], Any]) -> None:
    """Those of the first and of the last layer, and of the highest values, do not reach over the frame."""
    figure = Figure()
    draw(large(3, 200, long=False), figure)
    figure.draw_without_rendering()
    for ax in figure.axes:
        box = ax.get_window_extent()
        for line in ax.get_lines():
            if line.get_marker() not in ("None", "", " ") and line.get_clip_on():
                radius = line.get_markersize() / 2 * figure.dpi / 72
                points = line.get_transform().transform(line.get_xydata())
                points = points[np.isfinite(points).all(axis=1)]
                assert (points.min(axis=0) - radius >= box.min).all()
                assert (points.max(axis=0) + radius <= box.max).all()


def test_names_are_shown_as_they_are() -> None:
    """What would start mathematics or markup elsewhere is a letter."""
    sets, layers = ["a_$x^2$", "<i>b</i>", "50% \\alpha_1$"], ["$l_1^2$<b>", "x$", "{y}^_", "z"]
    rng = np.random.default_rng(0)
    arrays = {name: {layer: rng.normal(size=(5, 9)) for layer in layers} for name in sets}
    result = of_network(dif.measure_responses(arrays, reference=sets[0]))
    drawn: tuple[Callable[[xr.Dataset, Figure], Any], ...] = (*CURVES, plot_distances)
    for draw in drawn:
        figure = Figure()
        draw(result, figure)
        figure.draw_without_rendering()
        shown = [text.get_text() for text in texts(figure)]
        assert not [text for text in shown if is_math_text(text) is True]
        everything = "\n".join(shown).replace("\\$", "$")
        assert set(layers) <= set(everything.split("\n")) or draw is plot_distances
        assert sets[0] in everything


def plot_distances(result: xr.Dataset, figure: Figure) -> Any:
    return dif.plot_distances(result, axes=figure)
