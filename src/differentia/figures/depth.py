"""The axis of layers, in the order of computation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from differentia.figures.labels import LONGEST_LAYER_NAME, plain, shortened

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

#: Layers beyond this many share their names out: every second, every third, ...
MOST_LAYER_NAMES = 60

#: In inches: a layer's name on its side, in small and in large letters.
ROOM_FOR_A_NAME, ROOM_FOR_A_LARGE_NAME = 0.115, 0.16

#: In points: layers closer than this have smaller marks, down to a share of the usual ones.
ROOM_FOR_MARKS, LEAST_SCALE = 10.0, 0.4


def layer_names(dataset: xr.Dataset) -> list[str]:
    """Return the layers' names as text."""
    return [str(name) for name in dataset["layer"].values]


def axes_width(ax: Axes) -> float:
    """Return inches, as the axes stand before a layout is solved."""
    return float(ax.get_position().width * ax.figure.bbox.width / ax.figure.dpi)


def mark_scale(ax: Axes, layers: int) -> float:
    """Return by how much marks are made smaller where so many layers stand close."""
    return min(1.0, max(LEAST_SCALE, 72 * axes_width(ax) / layers / ROOM_FOR_MARKS))


def name_layers(ax: Axes, layers: Sequence[str]) -> None:
    """Name as many layers as there is room for, in letters as large as there is room for."""
    room = axes_width(ax)
    most = max(2, min(MOST_LAYER_NAMES, int(room / ROOM_FOR_A_NAME)))
    large = room / min(most, len(layers)) > ROOM_FOR_A_LARGE_NAME
    name_some_layers(ax, layers, most=most, size=8 if large else 6.5)


def name_some_layers(
    ax: Axes, layers: Sequence[str], *, most: int, size: float, longest: int = LONGEST_LAYER_NAME
) -> None:
    """Name at most so many layers, evenly; the first and the last are among them."""
    step = -(-len(layers) // most)
    shown = sorted({*range(0, len(layers), step), len(layers) - 1})
    if len(shown) > 1 and shown[-1] - shown[-2] < step:
        del shown[-2]
    ax.set_xticks(
        shown,
        [plain(shortened(layers[place], longest)) for place in shown],
        rotation=60,
        ha="right",
        rotation_mode="anchor",
        fontsize=size,
    )
    ax.set_xlim(-0.5, len(layers) - 0.5)
    ax.set_xlabel("Layer, in the order of computation")
