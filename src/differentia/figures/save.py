"""All pictures of a result as files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.figures.contrasts import contrasts_figure, require_contrasts
from differentia.figures.heatmaps import (
    chosen_layers,
    distance_grid,
    filter_grid,
    plot_distances,
    plot_filters,
    plot_predictions,
    prediction_grid,
)
from differentia.figures.lines import figure_size, kinds_figure, plot, plot_kinds, plot_relative
from differentia.figures.maps import map_grid, plot_maps
from differentia.figures.panels import RESOLUTION, Grid
from differentia.folders import require_writable, written_whole
from differentia.schema import checked, map_names

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Rows of heat maps that fit onto a page.
LAYERS_ON_A_PAGE = 7

#: In dots per inch; heat maps have fewer, since there are many of them.
CURVES_RESOLUTION = 200

#: The files that `save_figures` writes; those that a new result has not are removed.
NAMES = re.compile(
    r"(differentiation|relative|contrast|kinds|predictions|(filters|distances)(_\d+)?|maps_\d+)\.(png|svg)"
)


@checked
def save_figures(result: xr.Dataset, folder: Path, contrasts: Sequence[xr.Dataset] = ()) -> list[Path]:
    """Write all that a result has data for as PNG and SVG.

    Parameters
    ----------
    result
        What `measure` returned.
    folder
        Made if it is missing. Pictures of an earlier result are replaced or removed.
    contrasts
        Of sets of the result, at most 6: what `differentia.contrasts.contrasts_between_sets` returned. They
        are marked above the curves, and have a picture of their own.

    Returns
    -------
    list of Path
        ``differentiation.*``; where the result has a reference, ``relative.*``; where there are contrasts,
        ``contrast.*``; and where it has their data, ``predictions.*``, ``filters.*`` and ``distances.*``
        (``filters_1.*``, ... where one page does not hold all layers), and ``maps_1.*``, ... in the order
        in which the filters were chosen.

    Raises
    ------
    InputError
        It is no result, `folder` can't be written to, a contrast is of sets or layers that the result has
        not, or there are too many.
    StorageError
        The disk is full.
    """
    require_contrasts(result, contrasts)
    require_writable(folder, str(folder))
    written = [
        path for name, figure in _figures(result, contrasts) for path in _save_figure(figure, folder, name)
    ]
    for path in folder.iterdir():
        if NAMES.fullmatch(path.name) and path not in written:
            path.unlink()
    return written


@checked
def save_kinds(results: Mapping[str, xr.Dataset], folder: Path) -> list[Path]:
    """Write the curves of several kinds of units side by side as PNG and SVG.

    Parameters
    ----------
    results
        What `differentia.experiment.measure_kinds` returned.
    folder
        Made if it is missing.

    Returns
    -------
    list of Path
        ``kinds.png`` and ``kinds.svg``.

    Raises
    ------
    InputError
        There is no result, they differ in their sets or layers, or `folder` can't be written to.
    StorageError
        The disk is full.
    """
    from matplotlib.figure import Figure

    require_writable(folder, str(folder))
    figure, axes = kinds_figure(results, Figure)
    plot_kinds(results, axes=axes)
    return _save_figure(figure, folder, "kinds")


def _figures(result: xr.Dataset, contrasts: Sequence[xr.Dataset]) -> Iterator[tuple[str, Figure]]:
    """Yield each picture's name and the picture, one at a time, since all together take much memory."""
    from matplotlib.figure import Figure

    def page(grid: Grid) -> tuple[Figure, np.ndarray]:
        figure = Figure(figsize=grid.size, dpi=RESOLUTION)
        return figure, grid.add_axes(figure)

    curves: dict[str, Callable[..., Axes]] = {"differentiation": plot, "relative": plot_relative}
    for name, draw in curves.items():
        if name == "differentiation" or result.attrs["reference"]:
            figure = Figure(
                figsize=figure_size(result, contrasts), dpi=CURVES_RESOLUTION, layout="constrained"
            )
            draw(result, ax=figure.add_subplot(), contrasts=contrasts)
            yield name, figure
    if contrasts:
        yield "contrast", contrasts_figure(contrasts, partial(Figure, dpi=CURVES_RESOLUTION))
    if "prediction" in result:
        figure, axes = page(prediction_grid(result))
        plot_predictions(result, axes=axes)
        yield "predictions", figure
    if {"filter_mean", "layer_mean", "layer_sd"} <= set(result):
        for name, layers in _pages(result, "filters"):
            figure, axes = page(filter_grid(result, layers))
            plot_filters(result, layers, axes=axes)
            yield name, figure
    if "distance" in result:
        for name, layers in _pages(result, "distances"):
            figure, axes = page(distance_grid(result, layers))
            plot_distances(result, layers, axes=axes)
            yield name, figure
    if {"layer_mean", "layer_sd"} <= set(result):
        for number, name in enumerate(map_names(result), start=1):
            figure, axes = page(map_grid(result))
            plot_maps(result, **result[name].attrs, axes=axes)
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
