"""All pictures of a result as files."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.figures.contrasts import draw_contrasts, require_room
from differentia.figures.heatmaps import chosen_layers, plot_distances, plot_filters, plot_predictions
from differentia.figures.lines import plot, plot_kinds, plot_relative
from differentia.figures.maps import plot_maps
from differentia.figures.panels import RESOLUTION
from differentia.folders import require_writable, written_whole
from differentia.schema import map_names, validate_result

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.figure import Figure

#: Rows of heat maps that fit onto a page.
LAYERS_ON_A_PAGE = 7

#: In dots per inch; heat maps have fewer, since there are many of them.
CURVES_RESOLUTION = 200

#: The files that `save_figures` writes; those that a new result has not are removed.
NAMES = re.compile(
    r"(differentiation|relative|contrast|kinds|predictions|(filters|distances)(_\d+)?|maps_\d+)\.(png|svg)"
)


def save_figures(result: xr.Dataset, folder: Path, contrasts: Sequence[xr.Dataset] = ()) -> list[Path]:
    """Write all that a result has data for as PNG and SVG; pictures of an earlier result are removed.

    Those are ``differentiation``, ``relative``, ``contrast``, ``predictions``, ``filters`` and ``distances``
    (``filters_1``, ... where one page does not hold all layers), and ``maps_1``, ... as they were chosen.
    """
    validate_result(result)
    require_room(result, contrasts)
    require_writable(folder, str(folder))
    written = [
        path for name, figure in _figures(result, contrasts) for path in _save_figure(figure, folder, name)
    ]
    for path in folder.iterdir():
        if NAMES.fullmatch(path.name) and path not in written:
            path.unlink()
    return written


def save_kinds(results: Mapping[str, xr.Dataset], folder: Path) -> list[Path]:
    """Write the curves of several kinds of units side by side as PNG and SVG."""
    from matplotlib.figure import Figure

    require_writable(folder, str(folder))
    figure = Figure(dpi=RESOLUTION)
    plot_kinds(results, axes=figure)
    return _save_figure(figure, folder, "kinds")


def _figures(result: xr.Dataset, contrasts: Sequence[xr.Dataset]) -> Iterator[tuple[str, Figure]]:
    """Yield each picture's name and the picture, one at a time, since all together take much memory."""
    from matplotlib.figure import Figure

    def curves() -> Figure:
        return Figure(dpi=CURVES_RESOLUTION)

    def heat_maps() -> Figure:
        return Figure(dpi=RESOLUTION)

    plot(result, ax=(figure := curves()), contrasts=contrasts)
    yield "differentiation", figure
    if result.attrs["reference"]:
        plot_relative(result, ax=(figure := curves()), contrasts=contrasts)
        yield "relative", figure
    if contrasts:
        draw_contrasts(figure := curves(), contrasts)
        yield "contrast", figure
    if "prediction" in result:
        plot_predictions(result, axes=(figure := heat_maps()))
        yield "predictions", figure
    if {"filter_mean", "layer_mean", "layer_sd"} <= set(result):
        for name, layers in _pages(result, "filters"):
            plot_filters(result, layers, axes=(figure := heat_maps()))
            yield name, figure
    if "distance" in result:
        for name, layers in _pages(result, "distances"):
            plot_distances(result, layers, axes=(figure := heat_maps()))
            yield name, figure
    if {"layer_mean", "layer_sd"} <= set(result):
        for number, name in enumerate(map_names(result), start=1):
            plot_maps(result, **result[name].attrs, axes=(figure := heat_maps()))
            yield f"maps_{number}", figure


def _pages(result: xr.Dataset, name: str) -> list[tuple[str, list[str]]]:
    """Return the layers of each page, about as many on each, and the page's name."""
    layers = chosen_layers(result, None)
    count = -(-len(layers) // LAYERS_ON_A_PAGE)
    pages = [part.tolist() for part in np.array_split(layers, count)]
    return [(name if count == 1 else f"{name}_{number}", page) for number, page in enumerate(pages, start=1)]


def _save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write a picture as PNG and SVG; the same picture gives the same files."""
    import matplotlib as mpl

    cut = None
    if figure.get_constrained_layout():  # once for both files; legends stick out
        figure.draw_without_rendering()
        cut = figure.get_tightbbox().padded(0.1)
        figure.set_layout_engine("none")
    formats: dict[str, Any] = {"png": None, "svg": {"Date": None}}
    paths = []
    for suffix, metadata in formats.items():
        path = folder / f"{name}.{suffix}"
        with written_whole(path) as beside, mpl.rc_context({"svg.hashsalt": "differentia"}):
            figure.savefig(beside, format=suffix, dpi="figure", metadata=metadata, bbox_inches=cut)
        paths.append(path)
    return paths
