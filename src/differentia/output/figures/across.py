"""Several networks, animals or sessions: each as a thin line, and the mean over them with its interval."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import short_tracebacks
from differentia.output.colours import set_looks
from differentia.output.figures.depth import LABEL_SIZE, mark_scale, panel_in, rule
from differentia.output.figures.intervals import LEGEND_COLOUR, band_key, draw_band
from differentia.output.figures.legends import key
from differentia.output.figures.lines import (
    BAND_OF_ONE,
    LINE_STYLES,
    MARK_SIZE,
    MOST_ABOVE,
    positions,
    set_entries,
    values_label,
)
from differentia.results.across import require_across
from differentia.results.subject import subject_of
from differentia.results.summaries import layer_names, percent

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: How marks of groups are filled where no lines join them.
FILLS = ("full", "none", "left", "right", "bottom")

#: In points: the line of a mean; that of a result, the points on it, and how strong its colour is.
THICK, THIN, POINT_SIZE, STRENGTH = 2.0, 0.6, 2.0, 0.5


@short_tracebacks
def plot_across(found: xr.Dataset, ax: Axes | Figure | None = None) -> Axes:
    """Draw several networks, animals or sessions against depth, one colour for each set.

    A thin line is one result, a thick one the mean over the results of a group; groups differ in their line
    style, or in how their marks are filled where no lines join them, as in recordings. The band is the
    interval of the mean. Sets stand a little beside each other. What reaches beyond twice the highest value
    is cut off.

    Parameters
    ----------
    found
        What `across` returned, or a selection of its sets, groups and layers.
    ax
        To draw into: axes, or an empty figure, which keeps a width that it was given; by default a new one.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is not what `across` returned.
    """
    require_across(found)
    layers, looks = layer_names(found), set_looks(found)
    members = {str(name): found["result_group"].values == name for name in found["group"].values}
    styles = {name: LINE_STYLES[place % len(LINE_STYLES)] for place, name in enumerate(members)}
    counts = {name: int(of_group.sum()) for name, of_group in members.items()}
    subject = subject_of(found)
    separate = subject.recorded or len(layers) == 1
    entries = [set_entries(looks, separate=separate), *_explained(found, styles, counts, separate=separate)]
    marks = _marks_of_groups(styles, separate=separate)
    ax, around = panel_in(ax, layers, subject, entries)
    mark_size = MARK_SIZE * mark_scale(around.room, len(layers))
    values = found["value"].transpose("set", "result", "layer")
    for (place, (name, look)), (rank, group) in product(enumerate(looks.items()), enumerate(members)):
        x = positions(len(layers), (place, len(looks)), (rank, len(members)), separate=separate)
        about: dict[str, Any] = {"color": look.colour.figure, "label": name, **marks[rank]}
        for line in values.sel(set=name).values[members[group]]:
            # The point is seen where a layer stands alone.
            ax.plot(x, line, linewidth=THIN, alpha=STRENGTH, marker=".", markersize=POINT_SIZE, **about)
        mean, low, high = (
            found[which].sel(set=name, group=group).values for which in ("mean", "low", "high")
        )
        draw_band(ax, x, low, high, look.colour.figure, half_width=BAND_OF_ONE, separate=separate)
        marker = look.symbol.marker
        ax.plot(x, mean, linewidth=THICK, marker=marker, markersize=mark_size, zorder=3, **about)
    highest = float(values.max().fillna(0.0))
    top = min(ax.get_ylim()[1], MOST_ABOVE * highest or np.inf)
    ax.set_ylim(-0.03 * top, top)
    rule(ax)
    reference = found.attrs["reference"] if found.attrs["measure"] == "relative" else None
    ax.set_ylabel(values_label(found, reference), fontsize=LABEL_SIZE)
    around.name(ax)
    around.explain(ax)
    return ax


def _explained(
    found: xr.Dataset, styles: Mapping[str, Any], counts: Mapping[str, int], *, separate: bool
) -> Iterator[dict[str, Artist]]:
    """Yield what the legend says of groups, of lines or marks, and of bands."""
    one: dict[str, Any] = {"linestyle": "-", "linewidth": THIN, "color": LEGEND_COLOUR}
    several: dict[str, Any] = one | {"linewidth": THICK}
    if separate:
        one = {"marker": ".", "markersize": POINT_SIZE, "color": LEGEND_COLOUR}
        several = {"marker": "o", "markersize": MARK_SIZE, "color": LEGEND_COLOUR}
    mean = f"mean of {sum(counts.values())}"
    if len(counts) > 1:
        mean = "mean of each group"
        yield {
            f"{name} ({counts[name]})": key(**several | style)
            for name, style in zip(styles, _marks_of_groups(styles, separate=separate), strict=True)
        }
    of = "recording" if subject_of(found).recorded else "result"
    yield {f"one {of}": key(**one), mean: key(**several)}
    if bool((found["high"] > found["low"]).any()):
        yield {f"{percent(found.attrs['confidence'])}: mean of all": band_key()}


def _marks_of_groups(styles: Mapping[str, Any], *, separate: bool) -> list[dict[str, Any]]:
    """Return in what groups differ: in their lines, or in how their marks are filled where there are none."""
    if separate:
        return [{"linestyle": "none", "fillstyle": FILLS[rank % len(FILLS)]} for rank, _ in enumerate(styles)]
    return [{"linestyle": style} for style in styles.values()]
