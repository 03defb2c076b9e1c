"""Two conditions compared over trials: every session as a point, and the mean over them beside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import short_tracebacks
from differentia.output.colours import COLOURS
from differentia.output.figures.depth import LABEL_SIZE, mark_scale, panel_in, rule, set_ends
from differentia.output.figures.intervals import LEGEND_COLOUR
from differentia.output.figures.labels import plain, shortened
from differentia.output.figures.legends import key
from differentia.results.across import ALL
from differentia.results.contrasts import SIGNIFICANT
from differentia.results.subject import subject_of
from differentia.results.summaries import percent
from differentia.results.trials import MOST_LEVELS, OBSERVED, SIDES, require_trials

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Of a group's place: where its first session stands, where its last, and the mean right of them.
FIRST, LAST, MEAN = -0.32, 0.16, 0.32
MIDDLE = (FIRST + LAST) / 2

#: In points: a session, the mean, and the line of its interval.
POINT_SIZE, MEAN_SIZE, INTERVAL_WIDTH = 4.5, 6.0, 1.6

#: In characters: a condition at the y axis.
LONGEST_CONDITION = 24

COLOUR = COLOURS[0].figure


@short_tracebacks
def plot_trials(found: xr.Dataset, ax: Axes | Figure | None = None) -> Axes:
    """Draw by how much two conditions differ, every session as a point, group by group.

    A filled point is a session whose trials differ (p < 0.05, by the test that was asked for); below the
    group stands how many do. The diamond is the mean over sessions, or animals, with its interval; the legend
    says where that may hold too seldom, as `say_trials` does.

    Parameters
    ----------
    found
        What `compare_trials` returned, or a selection of its groups.
    ax
        To draw into: axes, or an empty figure, which keeps a width that it was given; by default a new one.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is not what `compare_trials` returned.
    """
    require_trials(found)
    groups = found["group"].values.astype(str)
    counted = zip(groups, found["n_significant"].values, found["n_sessions"].values, strict=True)
    names = [f"{'' if name == ALL else f'{name}: '}{count} of {n}" for name, count, n in counted]
    ax, around = panel_in(ax, names, subject_of(found), _entries(found))
    ax.axhline(0.0, color="#808080", linewidth=0.8, zorder=0.5)
    scale = mark_scale(around.room, 6 * len(groups))
    for place, name in enumerate(groups):
        one = found.sel(group=name)
        known = np.isfinite(one["difference"].values)
        values, told = one["difference"].values[known], one["p"].values[known] < SIGNIFICANT
        x = place + np.linspace(FIRST, LAST, len(values)) if len(values) > 1 else np.array([place + MIDDLE])
        for which, fill in ((told, COLOUR), (~told, "white")):
            look: dict[str, Any] = {"color": COLOUR, "markerfacecolor": fill, "markeredgewidth": 0.8}
            ax.plot(x[which], values[which], "o", markersize=scale * POINT_SIZE, **look)
        at = [place + MEAN, place + MEAN]
        ends = [one["low"].item(), one["high"].item()]
        ax.plot(at, ends, "-", color=LEGEND_COLOUR, linewidth=INTERVAL_WIDTH, solid_capstyle="butt")
        ax.plot(at[:1], one["mean"].item(), "D", color=LEGEND_COLOUR, markersize=scale * MEAN_SIZE, zorder=3)
    rule(ax)
    conditions = [shortened(found.attrs[which], LONGEST_CONDITION) for which in ("first", "second")]
    unit = found.attrs["measure"].replace("_", " ")
    unit = f"log10 of {unit}" if found.attrs["log"] else unit
    ax.set_ylabel(plain(f"{conditions[0]} \N{MINUS SIGN} {conditions[1]}\n({unit})"), fontsize=LABEL_SIZE)
    around.names.draw(ax)
    set_ends(ax, len(groups), around.room)
    below = f"sessions with p < {SIGNIFICANT:g}"
    by = found.attrs["grouped_by"].replace("_", " ")
    label = below.capitalize() if [*groups] == [ALL] else f"{by.capitalize()}: {below}"
    ax.set_xlabel(plain(label), fontsize=LABEL_SIZE)
    around.explain(ax)
    return ax


def _entries(found: xr.Dataset) -> list[dict[str, Artist]]:
    """Return what the legend says of points, and of means."""
    point: dict[str, Any] = {"color": COLOUR, "marker": "o", "markersize": POINT_SIZE}
    side = SIDES[found.attrs["alternative"]]
    told = found["p"].values < SIGNIFICANT
    sessions: dict[str, Artist] = {}
    if told.any():
        sessions[f"session, p < {SIGNIFICANT:g} ({side})"] = key(**point)
    if (np.isfinite(found["difference"].values) & ~told).any():
        rest = "session" if told.any() else f"session ({side})"
        sessions[f"{rest}, p \N{GREATER-THAN OR EQUAL TO} {SIGNIFICANT:g}"] = key(
            **point | {"markerfacecolor": "white"}
        )
    mean: dict[str, Any] = {"color": LEGEND_COLOUR, "marker": "D", "markersize": MEAN_SIZE}
    observed = OBSERVED["subject" in found.dims]
    means: dict[str, Artist] = {f"mean over {observed}": key(**mean)}
    if np.isfinite(found["low"].values).any():
        line = key(color=LEGEND_COLOUR, linestyle="-", linewidth=INTERVAL_WIDTH)
        doubtful = (found["level_sd"] > MOST_LEVELS).any()
        doubt = " (doubtful)" if doubtful else ""
        means[f"{percent(found.attrs['confidence'])}: other {observed}{doubt}"] = line
    return [sessions, means]
