"""The differentiation of every set in every layer as one heat map, for more sets than curves can show."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from differentia.errors import require_known
from differentia.output.figures.depth import AXIS_LABEL, LABEL_SIZE, axis_label, names_with_room
from differentia.output.figures.labels import plain, text_width, told_apart
from differentia.output.figures.panels import (
    CONSTANT_COLOUR,
    LINE,
    PAGE_HEIGHT,
    PAGE_WIDTH,
    RESOLUTION,
    SMALL_LINE,
    SMALL_TEXT,
    asked_width,
    figure_in,
)
from differentia.output.words import tokens_label, unit_of, units_title
from differentia.results.draws import draw_mean
from differentia.results.schema import checked
from differentia.results.subject import SETS, subject_of
from differentia.results.summaries import layer_names

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: In which order the rows may stand: as in the result, or by the mean over layers, the highest first.
ORDERS = ("given", "value")

#: In characters.
LONGEST_SET = 28

#: In inches: right of the map, with the colour bar; a row with a name; the lowest map and the highest bar.
RIGHT, ROW, LOWEST_MAP, HIGHEST_BAR = 0.85, SMALL_LINE, 0.6, 2.5


@checked
def plot_sets(
    result: xr.Dataset, ax: Axes | Figure | None = None, *, order: Literal["given", "value"] = "given"
) -> Axes:
    """Draw the differentiation of every set in every layer: a heat map, sets x layers.

    Values are means over draws at the largest number of units; grey is a value that is not known. As many
    sets are named as have room: every second, every third, and so on.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    ax
        To draw into: axes, or an empty figure, which keeps a width that it was given; by default a new one.
    order
        Of the rows: that of the result (``"given"``), or by the mean over layers, the highest at the top
        (``"value"``).

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result, or the order is not known.
    """
    require_known("order", order, ORDERS)
    count = int(result["n_units"].max())
    values = draw_mean(result["differentiation"], result).sel(n_units=count).transpose("set", "layer").values
    rows = np.arange(len(values))
    if order == "value":
        known = np.isfinite(values)
        means = np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        rows = np.argsort(np.where(known.any(axis=1), -means, np.inf), kind="stable")
    names = told_apart([str(result["set"].values[row]) for row in rows], LONGEST_SET)
    layers, subject = layer_names(result), subject_of(result)
    left = (max(text_width(name, SMALL_TEXT) for name in names) + LABEL_SIZE) / 72 + 2 * LINE
    figure = figure_in(ax, RESOLUTION)
    if figure is not None:
        width = asked_width(figure) or PAGE_WIDTH
        room = width - left - RIGHT
        below = names_with_room(layers, room).height + AXIS_LABEL
        height = min(max(LOWEST_MAP, ROW * len(rows)), PAGE_HEIGHT - below - 2 * LINE)
        whole = height + below + 2 * LINE
        figure.set_size_inches(width, whole)
        ax = figure.add_axes((left / width, below / whole, room / width, height / whole))
    assert ax is not None
    drawn: Axes = ax  # type: ignore[assignment]
    box = drawn.get_window_extent()
    across, down = (length / drawn.figure.dpi for length in (box.width, box.height))
    drawn.set_facecolor(CONSTANT_COLOUR)
    image = drawn.imshow(np.ma.masked_invalid(values[rows]), aspect="auto", interpolation="nearest", vmin=0.0)
    step = max(1, int(np.ceil(SMALL_LINE * len(rows) / down - 0.01)))
    places = range(0, len(rows), step)
    drawn.set_yticks(places, [plain(names[place]) for place in places], fontsize=SMALL_TEXT)
    drawn.tick_params(length=2, width=0.5, pad=1.5)
    named = SETS.count(len(rows)) + (f", every {_ordinal(step)} named" if step > 1 else "")
    drawn.set_ylabel(f"{named}{', by their means' if order == 'value' else ''}", fontsize=LABEL_SIZE)
    names_with_room(layers, across).draw(drawn)
    drawn.set_xlabel(axis_label(subject, across, tokens_label(result)), fontsize=LABEL_SIZE)
    drawn.spines[:].set_linewidth(0.5)
    unit = unit_of(result)
    high = min(1.0, HIGHEST_BAR / down)
    beside = drawn.inset_axes((1 + 0.08 / across, 1 - high, 0.1 / across, high))
    bar = drawn.figure.colorbar(image, cax=beside)
    bar.ax.tick_params(labelsize=SMALL_TEXT, length=2, width=0.5)
    bar.outline.set_linewidth(0.5)
    bar.set_label(f"Differentiation{f' ({unit})' if unit else ''}", fontsize=LABEL_SIZE)
    title = units_title(str(result["units"].item()), count, subject.unit.many)
    drawn.set_title(title, fontsize=LABEL_SIZE, loc="left")
    return drawn


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")
