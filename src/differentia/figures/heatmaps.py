"""Heat maps of every image of every set: predictions, mean responses of filters, distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.dataset import require_variables, set_rows
from differentia.errors import InputError, require_known
from differentia.figures.labels import plain, set_colours, shortened
from differentia.figures.panels import (
    ABOVE,
    BELOW,
    LARGE,
    PAGE_HEIGHT,
    PEAK,
    Grid,
    Scale,
    add_colour_bar,
    draw_heat_map,
    mark_set,
    name_columns,
)
from differentia.schema import checked
from differentia.views import filter_scores, set_distances

if TYPE_CHECKING:
    import xarray as xr

#: How many columns of a heat map are named.
MOST_CLASSES_NAMED = 5
FEW_CLASSES = 12
MOST_FILTERS_NAMED = 4

#: In characters.
LONGEST_CLASS_NAME = 20

#: In inches.
LOWEST_PREDICTIONS = 0.2
PREDICTIONS_HEIGHT, FILTERS_HEIGHT, DISTANCES_HEIGHT = 1.1, 0.78, 0.78

PREDICTIONS = Scale(0.0, 1.0, "probability / SD", extend="max")
MAPPED_FILTERS = Scale(0.0, 1.0, "mean response, z-scored")
PLAIN_UNITS = Scale(-1.0, 1.0, "response, z-scored", "RdBu_r")


@checked
def plot_predictions(result: xr.Dataset, axes: Any = None) -> np.ndarray:
    """Draw what the network says of each image: a heat map for each set, images x classes.

    A set's probabilities are divided by their SD, as in the published figure; colours go from 0 to 1. The
    classes with the highest mean probabilities are named. Where there are more classes than pixels,
    neighbours share a pixel, which shows the most probable; the axis label says so.

    Parameters
    ----------
    result
        What `measure` returned.
    axes : (n_sets,) of matplotlib.axes.Axes, optional
        To draw into; by default those of a new figure.

    Returns
    -------
    (n_sets,) of matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result, has no predictions, or `axes` are too few or too many.
    """
    require_variables(result, "prediction")
    panels = prediction_grid(result).axes(axes)[:, 0]
    names = [shortened(str(name), LONGEST_CLASS_NAME) for name in result["class_name"].values]
    which = " (named: the highest means)" if len(names) > FEW_CLASSES else ""
    explained = False
    for ax, (set_name, colour) in zip(panels, set_colours(result).items(), strict=True):
        values = result["prediction"].values[set_rows(result, set_name)].astype(np.float64)
        sd = values.std()  # to divide by the mean first, as the published figure did, changes nothing
        image = draw_heat_map(
            ax,
            values / (sd if sd > 0 else np.nan),
            PREDICTIONS,
            rows="images",
            columns=f"classes{which}",
            sharing=PEAK,
        )
        ax.set_title(
            plain(shortened(set_name, 80)), color=colour, fontsize=LARGE, fontweight="bold", y=1.0, pad=4
        )
        mark_set(ax, colour)
        if image is not None:
            name_columns(ax, values.mean(axis=0), names, most=MOST_CLASSES_NAMED, few=FEW_CLASSES)
            if not explained:
                add_colour_bar(ax, image, PREDICTIONS)
                explained = True
    return panels


def prediction_grid(result: xr.Dataset) -> Grid:
    """Return the panels of `plot_predictions`, low enough for all sets to fit onto a page."""
    rows = result.sizes["set"]
    height = PAGE_HEIGHT / rows - ABOVE - BELOW
    return Grid(rows, ("",), max(LOWEST_PREDICTIONS, min(PREDICTIONS_HEIGHT, height)))


@checked
def plot_filters(
    result: xr.Dataset, layers: str | Sequence[str] | None = None, axes: Any = None
) -> np.ndarray:
    """Draw each filter's mean response to each image: a heat map for each layer and set, images x filters.

    Responses are z-scored by the mean and SD of all units of the layer over the set's images. Colours go
    from 0 to 1 SD, and from -1 to 1 for layers without space, whose units are their filters. The filters
    with the highest means over the set are named. Where there are more filters than pixels, neighbours
    share a pixel, which shows their mean; the axis label says so.

    Parameters
    ----------
    result
        What `measure` returned.
    layers
        A name or several; by default all.
    axes : (n_layers, n_sets) of matplotlib.axes.Axes, optional
        To draw into; by default those of a new figure.

    Returns
    -------
    (n_layers, n_sets) of matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result, has no means of filters, there is no such layer, or `axes` are too few or too many.
    """
    require_variables(result, "filter_mean", "layer_mean", "layer_sd")
    grid = filter_grid(result, layers)
    panels, colours = grid.axes(axes), set_colours(result)
    grid.head_columns(panels, colours)
    explained: list[Scale] = []
    every = filter_scores(result).values
    for row, layer in zip(panels, chosen_layers(result, layers), strict=True):
        at_layer = result["layer"].values.tolist().index(layer)
        (columns,) = np.nonzero(result["filter_layer"].values == layer)
        numbers = [str(number) for number in result["filter_index"].values[columns]]
        shape = str(result["layer_shape"].values[at_layer])
        has_space = len(columns) < int(result["layer_size"].values[at_layer])
        scale, units = (MAPPED_FILTERS, "filters") if has_space else (PLAIN_UNITS, "units")
        grid.head_row(row[0], layer, shape)
        image = None
        for ax, name in zip(row, colours, strict=True):
            scores = every[np.ix_(set_rows(result, name), columns)]
            first = ax is row[0]
            drawn = draw_heat_map(
                ax,
                scores,
                scale,
                rows="images" if first else "",
                columns=f"{units} (numbered: the highest means)" if first else "",
            )
            if drawn is not None:
                image = drawn
                name_columns(ax, scores.mean(axis=0), numbers, most=MOST_FILTERS_NAMED)
        if image is not None and scale not in explained:
            add_colour_bar(row[-1], image, scale)
            explained.append(scale)
    return panels


def filter_grid(result: xr.Dataset, layers: str | Sequence[str] | None) -> Grid:
    """Return the panels of `plot_filters`."""
    names = tuple(str(name) for name in result["set"].values)
    return Grid(len(chosen_layers(result, layers)), names, FILTERS_HEIGHT)


@checked
def plot_distances(
    result: xr.Dataset, layers: str | Sequence[str] | None = None, axes: Any = None
) -> np.ndarray:
    """Draw the distances of all pairs of images: a matrix for each layer and set.

    With the default measure, the median of what is above the diagonal is the differentiation of draw 0 at
    the largest `n_units`. Other measures compare otherwise; then too these are Euclidean distances, and
    the label says so. The sets of a layer share their colours, which start from 0.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    layers
        A name or several; by default all.
    axes : (n_layers, n_sets) of matplotlib.axes.Axes, optional
        To draw into; by default those of a new figure.

    Returns
    -------
    (n_layers, n_sets) of matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result, has no distances, there is no such layer, or `axes` are too few or too many.
    """
    require_variables(result, "distance")
    grid = distance_grid(result, layers)
    panels, colours = grid.axes(axes), set_colours(result)
    grid.head_columns(panels, colours)
    for row, layer in zip(panels, chosen_layers(result, layers), strict=True):
        matrices = [set_distances(result, layer, name).values for name in colours]
        largest = max((float(matrix.max()) for matrix in matrices if np.isfinite(matrix).all()), default=1.0)
        scale = Scale(0.0, largest or 1.0, _distance_label(result), extend="neither")
        grid.head_row(row[0], layer)
        image = None
        for ax, matrix in zip(row, matrices, strict=True):
            label = "images" if ax is row[0] else ""
            drawn = draw_heat_map(ax, matrix, scale, rows=label, columns=label, square=True)
            if drawn is not None:
                image = drawn
                ax.set_xticks(ax.get_yticks())
        if image is not None:
            add_colour_bar(row[-1], image, scale)
    return panels


def distance_grid(result: xr.Dataset, layers: str | Sequence[str] | None) -> Grid:
    """Return the panels of `plot_distances`."""
    names = tuple(str(name) for name in result["set"].values)
    return Grid(len(chosen_layers(result, layers)), names, DISTANCES_HEIGHT, square=True)


def _distance_label(result: xr.Dataset) -> str:
    normalize, metric = result.attrs["normalize"], result.attrs["metric"]
    if (normalize, metric) == ("layer", "euclidean"):
        return "distance / SD"
    if (normalize, metric) == ("none", "euclidean"):
        return "distance per unit"
    label = "Euclidean" if normalize == "none" else "Euclidean / SD"
    return f"{label}; D: {metric}, {normalize}"


def chosen_layers(result: xr.Dataset, layers: str | Sequence[str] | None) -> list[str]:
    """Return the layers to draw, in the order in which they are wanted.

    Raises
    ------
    InputError
        The result has no such layer.
    """
    known = [str(name) for name in result["layer"].values]
    if layers is None:
        return known
    names = [layers] if isinstance(layers, str) else [str(name) for name in layers]
    for name in names:
        require_known("layer", name, known)
    if not names:
        raise InputError("no layer was asked for; leave layers= out for all of them")
    return names
