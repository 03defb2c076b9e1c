"""A panel of values against depth: its axis of layers, in the order of computation, and its legend."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from differentia.output.figures.labels import LONGEST_LAYER_NAME, plain, shortened
from differentia.output.figures.panels import sized_figure

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Layers beyond this many share their names out: every second, every third, ...
MOST_LAYER_NAMES = 60

#: In inches: a layer's name on its side, in small and in large letters.
ROOM_FOR_A_NAME, ROOM_FOR_A_LARGE_NAME = 0.115, 0.16

#: In points: layers closer than this have smaller marks, down to a share of the usual ones.
ROOM_FOR_MARKS, LEAST_SCALE = 10.0, 0.4

#: In points.
LEGEND_SIZE = 8.0


def panel_in(given: Axes | Figure | None, size: tuple[float, float]) -> Axes:
    """Return a user's axes, or those of a figure made as large as `size` (inches)."""
    figure = sized_figure(given, size)
    if figure is None:
        return given  # type: ignore[return-value]
    figure.set_layout_engine("constrained")
    return figure.add_subplot()


def axes_width(ax: Axes) -> float:
    """Return inches, as the axes stand before a layout is solved."""
    return float(ax.get_position().width * ax.figure.bbox.width / ax.figure.dpi)


def mark_scale(ax: Axes, layers: int) -> float:
    """Return by how much marks are made smaller where so many layers stand close."""
    return min(1.0, max(LEAST_SCALE, 72 * axes_width(ax) / layers / ROOM_FOR_MARKS))


def rule(ax: Axes) -> None:
    """Draw lines across the panel at the numbers of its y axis, and leave the frame open."""
    ax.grid(axis="y", color="#E5E5E5", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


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
    names = [plain(shortened(layers[place], longest)) for place in shown]
    ax.set_xticks(shown, names, rotation=60, ha="right", rotation_mode="anchor", fontsize=size)
    ax.set_xlim(-0.5, len(layers) - 0.5)
    ax.set_xlabel("Layer, in the order of computation")


def key(**style: Any) -> Artist:
    """Return what stands in a legend beside words: a line or a mark, or nothing at all."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **{"linestyle": "none", **style})


def add_legend(
    ax: Axes, groups: Sequence[Mapping[str, Artist]], *, size: float = LEGEND_SIZE, length: float = 2.6
) -> None:
    """Say beside the axes what is what, one group below the other."""
    entries: list[tuple[str, Any]] = []
    for group in groups:
        if entries and group:
            entries.append(("", key()))
        entries += group.items()
    names, handles = zip(*entries, strict=True)
    beside: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0), "frameon": False}
    ax.legend(handles, names, fontsize=size, handlelength=length, **beside)
