"""Heat maps of every image of every set: predictions, mean responses of channels, distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.definition.measure import is_raw_euclidean
from differentia.errors import InputError, require_known
from differentia.output.chosen import choice_told, chosen_sets, spread_sets
from differentia.output.colours import set_colours
from differentia.output.figures.labels import plain, shortened
from differentia.output.figures.panels import (
    ABOVE,
    BELOW,
    BOLD_LETTER,
    GAP,
    LARGE_TEXT,
    LOWEST_PANEL,
    PAGE_HEIGHT,
    PEAK,
    SMALL_GAP,
    Grid,
    Scale,
    add_colour_bar,
    asked_width,
    draw_heat_map,
    mark_set,
    name_columns,
)
from differentia.results.dataset import require_variables
from differentia.results.schema import checked, what_is_left
from differentia.results.subject import subject_of
from differentia.results.summaries import class_scores, distances_of_sets, layer_names, rows_by_set
from differentia.results.views import filter_scores, layers_with_channels

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

#: How many columns of a heat map are named.
MOST_CLASSES_NAMED = 5
FEW_CLASSES = 12
MOST_FILTERS_NAMED = 4

#: In characters.
LONGEST_CLASS_NAME = 20

#: In inches.
PREDICTIONS_HEIGHT, FILTERS_HEIGHT, DISTANCES_HEIGHT = 1.1, 0.78, 0.78

PREDICTIONS = Scale(0.0, 1.0, "probability / SD of all in the set", extend="max")
MAPPED_FILTERS = Scale(0.0, 1.0, "mean response (SDs from the layer's mean)")
PLAIN_UNITS = Scale(-1.0, 1.0, "response (SDs from the layer's mean)", "RdBu_r")

#: Colours end at this percentile of a layer's distances, so that a single image does not darken the rest.
END_OF_DISTANCES = 99.0

#: Rows of panels beside which a colour bar stands that holds for all of them.
ROWS_OF_BAR = 2


@checked
def plot_predictions(
    result: xr.Dataset, axes: Any = None, *, sets: str | Sequence[str] | None = None
) -> np.ndarray:
    """Draw what the network says of each image: a heat map for each set, images x classes.

    A set's probabilities are divided by their SD, as in the published figure; colours go from 0 to 1. The
    classes with the highest mean probabilities are named. Where there are more classes than pixels,
    neighbours share a pixel, which shows the most probable; the axis label says so.

    Parameters
    ----------
    result
        What `measure` returned.
    axes : (n_sets,) of matplotlib.axes.Axes, optional
        To draw into, or an empty figure, which keeps a width that it was given; by default a new one.
    sets
        Names of the sets to draw; by default all; of more than 12 beside the reference, 12 and it.
        The figure says how many of how many.

    Returns
    -------
    (n_sets,) of matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result, has no predictions, there is no such set, or `axes` are too few or too many.
    """
    require_variables(result, "prediction")
    result, note = _of_sets(result, sets)
    n_sets = result.sizes["set"]
    height = PAGE_HEIGHT / n_sets - ABOVE - BELOW  # low enough for all sets to fit onto a page
    height = max(LOWEST_PANEL, min(PREDICTIONS_HEIGHT, height))
    names = [shortened(str(name), LONGEST_CLASS_NAME) for name in result["class_name"].values]
    classes = "classes (named: the highest means)" if len(names) > FEW_CLASSES else "classes"
    grid = Grid(n_sets, ("",), height, label=classes, width=asked_width(axes), note=note)
    panels = grid.axes(axes)[:, 0]
    longest = int(grid.panel[0] / BOLD_LETTER)
    scores, rows, explained = class_scores(result), rows_by_set(result), False
    items = subject_of(result).item.many
    for ax, (set_name, colour) in zip(panels, set_colours(result).items(), strict=True):
        values = scores[rows[set_name]]
        image = draw_heat_map(ax, values, PREDICTIONS, rows=items, columns=classes, sharing=PEAK)
        title = plain(shortened(set_name, longest))
        ax.set_title(title, color=colour, fontsize=LARGE_TEXT, fontweight="bold", y=1.0, pad=4)
        mark_set(ax, colour)
        if image is not None:
            name_columns(ax, values.mean(axis=0), names, most=MOST_CLASSES_NAMED, few=FEW_CLASSES)
            if not explained:
                add_colour_bar(ax, image, PREDICTIONS)
                explained = True
    return panels


@checked
def plot_filters(
    result: xr.Dataset,
    layers: str | Sequence[str] | None = None,
    axes: Any = None,
    *,
    sets: str | Sequence[str] | None = None,
) -> np.ndarray:
    """Draw each channel's mean response to each image: a heat map for each layer and set, images x channels.

    A channel is a filter of a convolution, or a feature of a token; its mean is over positions. Responses
    are z-scored by the mean and SD of all units of the layer over the set's images. Colours go from 0 to 1
    SD, and from -1 to 1 for vectors, whose units are their channels. The channels with the highest means
    over the set are named. Where there are more channels than pixels, neighbours share a pixel, which shows
    their mean; the axis label says so.

    Parameters
    ----------
    result
        What `measure` returned.
    layers
        A name or several; by default all whose channels are known.
    axes : (n_layers, n_sets) of matplotlib.axes.Axes, optional
        To draw into, or an empty figure, which keeps a width that it was given; by default a new one.
    sets
        Names of the sets to draw; by default all; of more than 12 beside the reference, 12 and it.
        The figure says how many of how many.

    Returns
    -------
    (n_layers, n_sets) of matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result, has no means of channels, there is no such layer or set, the layer's channels are not
        known, or `axes` are too few or too many.
    """
    require_variables(result, "filter_mean", "layer_mean", "layer_sd")
    with_channels = layers_with_channels(result)
    chosen = _chosen_layers(result, with_channels if layers is None else layers)
    for layer in chosen:
        if layer not in with_channels:
            raise InputError(
                f"layer {layer!r} has no means of channels: which axis of its output holds them is not "
                "known; leave it out of layers="
            )
    result, note = _of_sets(result, sets)
    colours = set_colours(result)
    subject, scores, rows = subject_of(result), filter_scores(result).values, rows_by_set(result)
    labels = {units: f"{units} (numbered: the highest means)" for units in ("channels", subject.unit.many)}
    grid = _grid_of_sets(axes, rows, len(chosen), FILTERS_HEIGHT, max(labels.values(), key=len), note)
    panels = grid.headed_axes(axes, colours)
    explained: list[Scale] = []
    of_filters, numbers = (result[name].values for name in ("filter_layer", "filter_index"))
    for row, layer in zip(panels, chosen, strict=True):
        at_layer = layer_names(result).index(layer)
        (columns,) = np.nonzero(of_filters == layer)
        has_space = len(columns) < int(result["layer_size"].values[at_layer])
        scale, units = (MAPPED_FILTERS, "channels") if has_space else (PLAIN_UNITS, subject.unit.many)
        names = [str(number) for number in numbers[columns]]
        grid.head_row(row[0], layer, str(result["layer_shape"].values[at_layer]))
        matrices = [scores[np.ix_(rows[name], columns)] for name in colours]
        drawn = _draw_row(row, matrices, scale, (subject.item.many, labels[units]))
        for ax, matrix, _ in drawn:
            name_columns(ax, matrix.mean(axis=0), names, most=MOST_FILTERS_NAMED)
        if drawn and scale not in explained:
            add_colour_bar(row[-1], drawn[-1][2], scale)
            explained.append(scale)
    return panels


def _grid_of_sets(
    given: Any,
    rows: Mapping[str, np.ndarray],
    count: int,
    height: float,
    label: str,
    note: str,
    *,
    square: bool = False,
) -> Grid:
    """Return a grid with a column for each set; those of as many images are numbered once, at the first."""
    alike = len({len(of_set) for of_set in rows.values()}) == 1
    width = asked_width(given)
    gap = SMALL_GAP if alike and not (square and width is None) else GAP
    return Grid(count, tuple(rows), height, label=label, square=square, gap=gap, width=width, note=note)


def _draw_row(
    row: np.ndarray,
    matrices: Sequence[np.ndarray],
    scale: Scale,
    labels: tuple[str, str],
    *,
    square: bool = False,
) -> list[tuple[Axes, np.ndarray, AxesImage]]:
    """Draw a heat map for each set, the first with labels; return those that show something."""
    drawn = []
    for ax, matrix in zip(row, matrices, strict=True):
        rows, columns = labels if ax is row[0] else ("", "")
        numbered = ax is row[0] or len(matrix) != len(matrices[0])
        image = draw_heat_map(ax, matrix, scale, rows=rows, columns=columns, square=square, numbered=numbered)
        if image is not None:
            drawn.append((ax, matrix, image))
    return drawn


@checked
def plot_distances(
    result: xr.Dataset,
    layers: str | Sequence[str] | None = None,
    axes: Any = None,
    *,
    sets: str | Sequence[str] | None = None,
) -> np.ndarray:
    """Draw the distances of all pairs of images: a matrix for each layer and set.

    With the default measure, the median of what is above the diagonal is the differentiation of draw 0 at
    the largest `n_units`. Other measures compare otherwise; then too these are Euclidean distances, and
    the label says so. All panels share their colours, from 0 to the 99th percentile of the layer that has the
    highest; in the unit of the responses (``normalize="none"``) those of a layer do.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    layers
        A name or several; by default all.
    axes : (n_layers, n_sets) of matplotlib.axes.Axes, optional
        To draw into, or an empty figure, which keeps a width that it was given; by default a new one.
    sets
        Names of the sets to draw; by default all; of more than 12 beside the reference, 12 and it.
        The figure says how many of how many.

    Returns
    -------
    (n_layers, n_sets) of matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result, has no distances, there is no such layer or set, or `axes` are too few or too many.
    """
    require_variables(result, "distance")
    result, note = _of_sets(result, sets)
    chosen, colours = _chosen_layers(result, layers), set_colours(result)
    items = subject_of(result).item.many
    grid = _grid_of_sets(axes, rows_by_set(result), len(chosen), DISTANCES_HEIGHT, items, note, square=True)
    panels = grid.headed_axes(axes, colours)
    shown = [list(by_set.values()) for by_set in distances_of_sets(result, chosen)]
    # In the unit of the responses layers can't be compared.
    alike = result.attrs["normalize"] != "none"
    label = _distance_label(result, shared=alike and len(chosen) > 1)
    scales = _distance_scales(shown, label, together=alike)
    explained = False
    for at, (row, layer, matrices, scale) in enumerate(zip(panels, chosen, shown, scales, strict=True)):
        grid.head_row(row[0], layer)
        drawn = _draw_row(row, matrices, scale, (items, items), square=True)
        for ax, matrix, _ in drawn:
            ax.set_xticks(sorted({0, len(matrix) - 1}))
        if drawn and not (alike and explained):
            bottom = panels[min(at + ROWS_OF_BAR, len(panels)) - 1, -1] if alike else None
            add_colour_bar(row[-1], drawn[-1][2], scale, down_to=bottom)
            explained = True
    return panels


def _distance_scales(shown: Sequence[Sequence[np.ndarray]], label: str, *, together: bool) -> list[Scale]:
    """Return the colours of each layer, up to its largest distances, or to those of all layers together."""
    ends = []
    for matrices in shown:
        known = [matrix.ravel() for matrix in matrices if np.isfinite(matrix).all()]
        ends.append(float(np.percentile(np.concatenate(known), END_OF_DISTANCES)) if known else 0.0)
    if together:
        ends = [max(ends)] * len(ends)
    return [Scale(0.0, end or 1.0, label, extend="max") for end in ends]


def _distance_label(result: xr.Dataset, *, shared: bool) -> str:
    """Return what the colours say, also whether one bar holds for all panels."""
    normalize, metric = result.attrs["normalize"], result.attrs["metric"]
    label = f"Euclidean distance {'per unit' if normalize == 'none' else '/ SD'}{', all panels' * shared}"
    measured = is_raw_euclidean(normalize, metric)
    return label if measured else f"{label} (not the measure used)"


def _of_sets(result: xr.Dataset, sets: str | Sequence[str] | None) -> tuple[xr.Dataset, str]:
    """Return a result of the sets to draw, and what is said of the choice."""
    shown = chosen_sets(result, sets, spread_sets(result))
    return what_is_left(result.sel(set=shown)), choice_told(result, shown)


def _chosen_layers(result: xr.Dataset, layers: str | Sequence[str] | None) -> list[str]:
    """Return the layers to draw, in the order in which they are wanted; by default all."""
    known = layer_names(result)
    if layers is None:
        return known
    names = [layers] if isinstance(layers, str) else [str(name) for name in layers]
    for name in names:
        require_known("layer", name, known)
    if not names:
        raise InputError("no layer was asked for; leave layers= out for all of them")
    return names
