"""Whole maps of single filters: where in an image a filter responds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.dataset import require_variables, set_rows
from differentia.errors import InputError
from differentia.figures.labels import plain, set_colours, shortened, text_width
from differentia.figures.panels import (
    ABOVE,
    PAGE_HEIGHT,
    SMALL,
    Grid,
    Scale,
    add_colour_bar,
    draw_heat_map,
)
from differentia.schema import checked, map_names
from differentia.views import map_scores

if TYPE_CHECKING:
    import xarray as xr

#: In inches.
LARGEST_MAP, SMALLEST_MAP = 1.6, 0.2
ROOM_FOR_TITLES = 1.0
BETWEEN_MAPS = 0.06

#: The colours end at these percentiles of all that is shown, so that single peaks do not darken the rest.
PERCENTILES = (1.0, 99.0)


@checked
def plot_maps(
    result: xr.Dataset,
    layer: str | None = None,
    filter: int | None = None,  # noqa: A002 - what a map's filter is called in the result
    axes: Any = None,
) -> np.ndarray:
    """Draw the whole map of one filter for chosen images: images in rows, sets in columns.

    Responses are z-scored by the mean and SD of all units of the layer over the set's images. All panels
    share their colours, which end at the 1st and 99th percentiles of what is shown.

    Parameters
    ----------
    result
        What `measure` returned, given ``maps=``.
    layer, filter
        Whose map; by default the first that was kept.
    axes : (n_images, n_sets) of matplotlib.axes.Axes, optional
        To draw into; by default those of a new figure.

    Returns
    -------
    (n_images, n_sets) of matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result, no such map was kept, or `axes` are too few or too many.
    """
    require_variables(result, "map_0", "layer_mean", "layer_sd")
    shown = map_scores(result, _find_map(result, layer, filter))
    panels, colours = (grid := map_grid(result)).axes(axes), set_colours(result)
    grid.head_columns(panels, colours)
    maps = _by_place(result, shown)
    scale = _scale([values for _, values in maps.values()])
    longest = int(72 * grid.panel[0] / text_width("n", SMALL))
    caption = f"{shortened(shown.attrs['layer'])}, filter {shown.attrs['filter']}"
    panels[-1, 0].set_xlabel(plain(caption), loc="left", fontsize=SMALL + 0.5)
    image = None
    for row, place in zip(panels, _places(result), strict=True):
        for ax, name in zip(row, colours, strict=True):
            if (place, name) in maps:
                image_name, values = maps[place, name]
                last = caption if ax is panels[-1, 0] else ""
                drawn = draw_heat_map(ax, values, scale, rows="", columns=last, square=True)
                image = image or drawn
                above = plain(shortened(image_name, longest))
                ax.annotate(
                    above,
                    (0.5, 1),
                    xytext=(0, 3),
                    xycoords="axes fraction",
                    textcoords="offset points",
                    fontsize=SMALL,
                    ha="center",
                )
            else:  # the set has fewer images
                ax.spines[:].set_visible(False)
            ax.set(xticks=[], yticks=[], ylabel="")
        row[0].set_ylabel(f"image {place}", fontsize=SMALL + 0.5)
    if image is not None:
        add_colour_bar(panels[0, -1], image, scale)
    return panels


def map_grid(result: xr.Dataset) -> Grid:
    """Return the panels of `plot_maps`, small enough for all rows to fit onto a page."""
    names = tuple(str(name) for name in result["set"].values)
    rows = len(_places(result))
    height = (PAGE_HEIGHT - ROOM_FOR_TITLES) / rows - ABOVE - BETWEEN_MAPS
    return Grid(rows, names, max(SMALLEST_MAP, min(LARGEST_MAP, height)), square=True, below=BETWEEN_MAPS)


def _find_map(result: xr.Dataset, layer: str | None, number: int | None) -> str:
    """Return the variable that holds the map of a filter."""
    kept = {
        name: (result[name].attrs["layer"], int(result[name].attrs["filter"])) for name in map_names(result)
    }
    for name, (its_layer, its_filter) in kept.items():
        if layer in (None, its_layer) and number in (None, its_filter):
            return name
    wanted = " of ".join(
        [*([] if number is None else [f"filter {number}"]), *([] if layer is None else [f"layer {layer!r}"])]
    )
    raise InputError(
        f"the result has no map of {wanted}; it has those of "
        f"{', '.join(f'{of} filter {its}' for of, its in kept.values())}: "
        "choose one of them, or measure again with maps= (--map)"
    )


def _places(result: xr.Dataset) -> list[int]:
    """Return the places in their sets of the images whose maps were kept."""
    return sorted({_place_in_set(result, row)[1] for row in result["map_image"].values.tolist()})


def _place_in_set(result: xr.Dataset, row: int) -> tuple[str, int]:
    name = str(result["image_set"].values[row])
    return name, row - int(set_rows(result, name)[0])


def _by_place(result: xr.Dataset, shown: xr.DataArray) -> dict[tuple[int, str], tuple[str, np.ndarray]]:
    """Return each image's name and map, by its place and set."""
    maps = {}
    for scores, row in zip(shown.values, result["map_image"].values.tolist(), strict=True):
        name, place = _place_in_set(result, row)
        maps[place, name] = str(result["image_name"].values[row]), scores
    return maps


def _scale(maps: Sequence[np.ndarray]) -> Scale:
    entries = np.concatenate([values.ravel() for values in maps])
    entries = entries[np.isfinite(entries)]
    lowest, highest = np.percentile(entries, PERCENTILES) if len(entries) else (0.0, 1.0)
    # No narrower than an SD, so that a filter that is silent looks it.
    return Scale(float(lowest), max(float(highest), float(lowest) + 1.0), "response, z-scored")
