"""All pictures of a result as files."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.output.figures.contrasts import draw_contrasts, require_room
from differentia.output.figures.heatmaps import plot_distances, plot_filters, plot_predictions
from differentia.output.figures.lines import plot, plot_kinds, plot_relative
from differentia.output.figures.maps import plot_maps
from differentia.output.figures.panels import RESOLUTION
from differentia.results.schema import checked, map_names
from differentia.results.summaries import layer_names
from differentia.results.views import layers_with_channels
from differentia.system.files import require_writable, written_whole

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


@checked
def save_figures(result: xr.Dataset, folder: Path, contrasts: Sequence[xr.Dataset] = ()) -> list[Path]:
    """Write all that a result has data for as PNG and SVG; pictures of an earlier result are removed."""
    require_room(result, contrasts)
    require_writable(folder, str(folder))
    written = [path for picture in _pictures(result, contrasts) for path in _save_picture(*picture, folder)]
    for path in folder.iterdir():
        if NAMES.fullmatch(path.name) and path not in written:
            path.unlink()
    return written


@checked
def save_kinds(results: Mapping[str, xr.Dataset], folder: Path) -> list[Path]:
    """Write the curves of several kinds of units side by side as PNG and SVG."""
    require_writable(folder, str(folder))
    return _save_picture("kinds", RESOLUTION, partial(plot_kinds, results), folder)


def _pictures(
    result: xr.Dataset, contrasts: Sequence[xr.Dataset]
) -> Iterator[tuple[str, float, Callable[[Figure], Any]]]:
    """Yield each picture's name, its dots per inch, and what draws it into a figure."""
    yield "differentiation", CURVES_RESOLUTION, partial(plot, result, contrasts=contrasts)
    if result.attrs["reference"]:
        yield "relative", CURVES_RESOLUTION, partial(plot_relative, result, None, contrasts=contrasts)
    if contrasts:
        yield "contrast", CURVES_RESOLUTION, partial(draw_contrasts, contrasts)
    if "prediction" in result:
        yield "predictions", RESOLUTION, partial(plot_predictions, result)
    if {"filter_mean", "layer_mean", "layer_sd"} <= set(result):
        for name, layers in _pages(layers_with_channels(result), "filters"):
            yield name, RESOLUTION, partial(plot_filters, result, layers)
    if "distance" in result:
        for name, layers in _pages(layer_names(result), "distances"):
            yield name, RESOLUTION, partial(plot_distances, result, layers)
    if {"layer_mean", "layer_sd"} <= set(result):
        for number, name in enumerate(map_names(result), start=1):
            about = result[name].attrs
            yield f"maps_{number}", RESOLUTION, partial(plot_maps, result, about["layer"], about["filter"])


def _pages(layers: list[str], name: str) -> list[tuple[str, list[str]]]:
    """Return the layers of each page, about as many on each, and the page's name."""
    if not layers:
        return []
    count = -(-len(layers) // LAYERS_ON_A_PAGE)
    pages = [part.tolist() for part in np.array_split(layers, count)]
    return [(name if count == 1 else f"{name}_{number}", page) for number, page in enumerate(pages, start=1)]


def _save_picture(name: str, resolution: float, draw: Callable[[Figure], Any], folder: Path) -> list[Path]:
    """Draw a picture and write it as PNG and SVG; the same picture gives the same files."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    figure, cut = Figure(dpi=resolution), None
    draw(figure)
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
