"""Repeated presentations: what the noise of trials adds to differentiation, and what is left without it."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import short_tracebacks
from differentia.output.colours import set_looks
from differentia.output.figures.depth import LABEL_SIZE, mark_scale, panel_in, rule
from differentia.output.figures.intervals import DOUBT, LEGEND_COLOUR, doubt_key, draw_bars, draw_doubts
from differentia.output.figures.legends import key
from differentia.output.figures.lines import MARK_SIZE, MOST_ABOVE, set_entries
from differentia.output.words import unit_of
from differentia.results.repeats import VALUES, require_repeats
from differentia.results.subject import subject_of
from differentia.results.summaries import layer_names, percent

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: How each value's mark is filled, how strong its colour is, and what the legend says of it.
_FILLS = {"plain": "none", "of_mean": "left", "noise_free": "full"}
_WORDS = {"plain": "single repeats", "of_mean": "mean response", "noise_free": "without noise"}

#: In layers: how far apart sets stand, and all of them at most.
STEP, WIDEST = 0.3, 0.8

#: In points: the limits.
_BAR = 1.1

#: The mark of a value that noise hides.
_UNKNOWN: dict[str, Any] = {"linestyle": "none", "marker": "x", "markersize": MARK_SIZE}


@short_tracebacks
def plot_repeats(found: xr.Dataset, ax: Axes | Figure | None = None) -> Axes:
    """Draw the differentiation of single repeats, of the mean response, and without noise, side by side.

    One colour stands for each set; marks of single repeats are open, those without noise filled, and those of
    the mean response half so. Bars are intervals for other stimuli. Crossed circles are values without noise
    that are not to be trusted; a cross at 0 is one that is not known, as noise hides it. What reaches beyond
    twice the highest value is cut off.

    Parameters
    ----------
    found
        What `measure_repeats` returned, or a selection of its sets and layers.
    ax
        To draw into: axes, or an empty figure, which keeps a width that it was given; by default a new one.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is not what `measure_repeats` returned.
    """
    require_repeats(found)
    layers, looks = layer_names(found), set_looks(found)
    doubted = found["doubt"].transpose("set", "layer") != ""
    unknown = found["noise_free"].transpose("set", "layer").isnull()
    ax, around = panel_in(
        ax,
        layers,
        subject_of(found),
        [set_entries(looks, separate=True), _explained(found, doubted, unknown)],
    )
    scale = mark_scale(around.room, len(layers) * len(VALUES))
    for (place, (name, look)), (rank, value) in product(enumerate(looks.items()), enumerate(VALUES)):
        step = min(STEP, WIDEST / len(looks))
        x = np.arange(len(layers)) + (place - (len(looks) - 1) / 2) * step
        x += (rank - (len(VALUES) - 1) / 2) * step / (len(VALUES) + 1)  # the three of a set stand together
        of_set = found.sel(set=name)
        values, low, high = (of_set[f"{value}{end}"].values for end in ("", "_low", "_high"))
        colour = look.colour.figure
        draw_bars(ax, x, low, high, colour, linewidth=_BAR)
        ax.plot(
            x,
            values,
            color=colour,
            linestyle="none",
            marker=look.symbol.marker,
            fillstyle=_FILLS[value],
            markersize=MARK_SIZE * scale,
            label=name,
        )
        if value == "noise_free":
            at, gone = (of.sel(set=name).values for of in (doubted, unknown))
            draw_doubts(ax, x[at], values[at], colour, scale=scale)
            if gone.any():  # an empty line that is not clipped lies at the figure's corner: axes would shrink
                ax.plot(x[gone], np.zeros(gone.sum()), color=colour, clip_on=False, **_UNKNOWN)
    rule(ax)
    highest = max(float(found[value].max().fillna(0.0)) for value in VALUES)
    ax.set_ylim(0, min(ax.get_ylim()[1], MOST_ABOVE * highest or np.inf))
    unit = unit_of(found)
    ax.set_ylabel(f"Differentiation ({unit})" if unit else "Differentiation", fontsize=LABEL_SIZE)
    around.name(ax)
    around.explain(ax)
    return ax


def _explained(found: xr.Dataset, doubted: xr.DataArray, unknown: xr.DataArray) -> dict[str, Artist]:
    """Return what the legend says of marks and bars."""
    mark: dict[str, Any] = {"marker": "o", "markersize": MARK_SIZE, "color": LEGEND_COLOUR}
    entries = {_WORDS[name]: key(**mark, fillstyle=_FILLS[name]) for name in VALUES}
    if any(bool(found[f"{name}_high"].notnull().any()) for name in VALUES):
        words = f"{percent(found.attrs['confidence'])}: other {subject_of(found).item.many}"
        entries[words] = key(color=LEGEND_COLOUR, marker="|", markersize=9, markeredgewidth=_BAR)
    if bool(doubted.any()):
        entries[DOUBT.partition(":")[0]] = doubt_key()
    if bool(unknown.any()):
        entries["hidden by noise"] = key(color=LEGEND_COLOUR, **_UNKNOWN)
    return entries
