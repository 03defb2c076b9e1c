"""Whole maps of single channels: where in an image a channel responds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import InputError
from differentia.output.chosen import choice_told, chosen_sets, spread_sets
from differentia.output.colours import set_colours
from differentia.output.figures.labels import plain, shortened, text_width
from differentia.output.figures.panels import (
    ABOVE,
    LEFT,
    LOWEST_PANEL,
    PAGE_HEIGHT,
    SMALL_GAP,
    SMALL_TEXT,
    Grid,
    Scale,
    add_colour_bar,
    asked_width,
    draw_heat_map,
    hide,
    write_above,
)
from differentia.results.dataset import require_variables
from differentia.results.schema import checked, map_names
from differentia.results.subject import subject_of
from differentia.results.summaries import colour_limits, rows_by_set
from differentia.results.views import map_scores

if TYPE_CHECKING:
    import xarray as xr

#: In inches.
HIGHEST_MAP = 1.6
ROOM_FOR_TITLES = 1.0
BETWEEN_MAPS = 0.06

#: In characters.
LONGEST_LAYER = 44


@checked
def plot_maps(
    result: xr.Dataset,
    layer: str | None = None,
    filter: int | None = None,  # noqa: A002 - what a map's channel is called in the result
    axes: Any = None,
    *,
    sets: str | Sequence[str] | None = None,
) -> np.ndarray:
    """Draw the whole map of one channel for chosen images: images in rows, sets in columns.

    Responses are z-scored by the mean and SD of all units of the layer over the set's images. All panels
    share their colours, which end at the 1st and 99th percentiles of what is shown.

    Parameters
    ----------
    result
        What `measure` returned, given ``maps=``.
    layer, filter
        Whose map; by default the first that was kept.
    axes : (n_images, n_sets) of matplotlib.axes.Axes, optional
        To draw into, or an empty figure, which keeps a width that it was given; by default a new one.
    sets
        Names of the sets to draw; by default all, or of more than 12 as many, evenly spread over their order.
        The figure says how many of how many.

    Returns
    -------
    (n_images, n_sets) of matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result, no such map was kept, there is no such set, or `axes` are too few or too many.
    """
    require_variables(result, "map_0", "layer_mean", "layer_sd")
    scores = map_scores(result, _find_map(result, layer, filter))
    shown = chosen_sets(result, sets, spread_sets(result))
    colours, rows = set_colours(result, shown), rows_by_set(result)
    maps = _maps_by_place(result, scores.values)
    places = sorted({place for place, _ in maps})
    # Low enough for all rows to fit onto a page.
    height = (PAGE_HEIGHT - ROOM_FOR_TITLES) / len(places) - ABOVE - BETWEEN_MAPS
    height = max(LOWEST_PANEL, min(HIGHEST_MAP, height))
    grid = Grid(
        len(places),
        tuple(colours),
        height,
        square=True,
        below=BETWEEN_MAPS,
        gap=SMALL_GAP,
        width=asked_width(axes),
        note=choice_told(result, shown),
    )
    panels = grid.headed_axes(axes, colours)
    scale = Scale(*colour_limits(scores.values), "response of the channel (SDs from the layer's mean)")
    longest = int(72 * grid.panel[0] / text_width("n", SMALL_TEXT))
    item = subject_of(result).item.one
    channel = f", channel {scores.attrs['filter']}"
    letters = int(72 * (grid.size[0] - LEFT) / text_width("n", SMALL_TEXT + 0.5)) - len(channel)
    caption = shortened(scores.attrs["layer"], min(LONGEST_LAYER, letters)) + channel
    image = None
    for row, place in zip(panels, places, strict=True):
        for ax, name in zip(row, colours, strict=True):
            if (place, name) in maps:
                drawn = draw_heat_map(
                    ax, maps[place, name], scale, rows="", columns="", square=True, numbered=False
                )
                image = image or drawn
                image_name = str(result["image_name"].values[rows[name][place]])
                write_above(ax, shortened(image_name, longest), SMALL_TEXT, middle=True)
            else:  # the set has fewer images
                ax.spines[:].set_visible(False)
            hide(ax.xaxis, ax.yaxis)
        row[0].yaxis.set_visible(True)
        row[0].set_yticks([])
        row[0].set_ylabel(f"{item} {place}", fontsize=SMALL_TEXT + 0.5)
    panels[-1, 0].xaxis.set_visible(True)
    panels[-1, 0].set_xticks([])
    panels[-1, 0].set_xlabel(plain(caption), loc="left", fontsize=SMALL_TEXT + 0.5)
    if image is not None:
        add_colour_bar(panels[0, -1], image, scale)
    return panels


def _find_map(result: xr.Dataset, layer: str | None, number: int | None) -> str:
    """Return the variable that holds the map of a channel."""
    kept = {
        name: (result[name].attrs["layer"], int(result[name].attrs["filter"])) for name in map_names(result)
    }
    for name, (its_layer, its_filter) in kept.items():
        if layer in (None, its_layer) and number in (None, its_filter):
            return name
    wanted = " of ".join(
        [*([] if number is None else [f"channel {number}"]), *([] if layer is None else [f"layer {layer!r}"])]
    )
    raise InputError(
        f"the result has no map of {wanted}; it has those of "
        f"{', '.join(f'{of} channel {its}' for of, its in kept.values())}: "
        "choose one of them, or measure again with maps= (--map)"
    )


def _maps_by_place(result: xr.Dataset, maps: np.ndarray) -> dict[tuple[int, str], np.ndarray]:
    """Return each map by its image's place in the set, and the set."""
    rows = rows_by_set(result)
    found = {}
    for values, row in zip(maps, result["map_image"].values.tolist(), strict=True):
        name = str(result["image_set"].values[row])
        found[row - int(rows[name][0]), name] = values
    return found
