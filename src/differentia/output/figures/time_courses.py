"""The differentiation of windows against time: a panel for each area, a line for each set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import InputError
from differentia.output.chosen import chosen_sets, spread_sets
from differentia.output.colours import Look, set_looks
from differentia.output.figures.depth import AXIS_LABEL, LABEL_SIZE, LEFT, NUMBER_SIZE, rule
from differentia.output.figures.intervals import BAND_STRENGTH, band_key
from differentia.output.figures.labels import plain
from differentia.output.figures.legends import SMALL_LEGEND_SIZE, key, laid_out
from differentia.output.figures.lines import values_label
from differentia.output.figures.panels import PAGE_HEIGHT, PAGE_WIDTH, RESOLUTION, asked_width, figure_in
from differentia.results.schema import checked
from differentia.results.summaries import layer_names
from differentia.results.time_courses import Course, time_courses

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: In inches: a panel, at most and at least, and its title.
HIGHEST_PANEL, LOWEST_PANEL, TITLE = 1.5, 0.6, 0.25

#: Panels that have room for what the y axis is.
MOST_LABELLED = 5

#: In points.
LINE, MARK = 1.2, 2.5

#: Of a set that has no trials beside sets that have some: its mean.
CONSTANT = "--"


@checked
def plot_time_courses(
    result: xr.Dataset, axes: Any = None, *, sets: str | Sequence[str] | None = None
) -> np.ndarray:
    """Draw the differentiation of moving windows against time, a panel for each area, a colour for each set.

    A point is a window, at its middle. Where sets have several trials, a line is the mean over them at the
    same time after onset, and the band is one standard error of that mean; a set that has none then stands as
    a dashed line, the mean of all its windows. Otherwise lines run through the recording, and break between
    trials. Windows that overlap hold the same data in part: lines are smoother than what they show.

    Parameters
    ----------
    result
        What `measure_states` returned for windows that move through time.
    axes : (n_areas,) of matplotlib.axes.Axes, optional
        To draw into, or an empty figure, which keeps a width that it was given; by default a new one.
    sets
        Names of the sets to draw, by default all; of more than 12 beside the reference, these and 12 that
        are spread over their order.

    Returns
    -------
    (n_areas,) of matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result, or not one of windows over time; there is no such set; or `axes` are too few or too
        many.
    """
    found, layers = time_courses(result), layer_names(result)
    shown = chosen_sets(result, sets, spread_sets(result))
    looks = set_looks(result, shown)
    panels = _panels(axes, layers, _entries(found.of_sets, looks, aligned=found.aligned))
    for at, (ax, name) in enumerate(zip(panels, layers, strict=True)):
        for of_set, look in looks.items():
            _draw(ax, found.of_sets[of_set], at, look, of_set)
        ax.set_title(plain(name), fontsize=LABEL_SIZE, loc="left")
        ax.set_ylim(bottom=0.0)
        if len(panels) <= MOST_LABELLED or ax is panels[len(panels) // 2]:
            ax.set_ylabel(values_label(result), fontsize=LABEL_SIZE)
        ax.tick_params(axis="x", labelsize=NUMBER_SIZE, labelbottom=ax is panels[-1])
        rule(ax)
    what = "Seconds after the onset of a trial" if found.aligned else "Seconds of the recording"
    panels[-1].set_xlabel(what, fontsize=LABEL_SIZE)
    return panels


def _draw(ax: Axes, course: Course, layer: int, look: Look, name: str) -> None:
    """Draw the course of a set in one panel."""
    values, error = course.values[:, layer], course.error[:, layer]
    style: dict[str, Any] = {"color": look.colour.figure, "linewidth": LINE, "label": name}
    if course.constant:
        ax.plot(course.times, values, linestyle=CONSTANT, **style)
        return
    ax.plot(course.times, values, marker=look.symbol.marker, markersize=MARK, **style)
    if np.isfinite(error).any():
        band: dict[str, Any] = {"color": look.colour.figure, "alpha": BAND_STRENGTH, "linewidth": 0}
        ax.fill_between(course.times, values - error, values + error, **band)


def _entries(
    courses: Mapping[str, Course], looks: Mapping[str, Look], *, aligned: bool
) -> list[dict[str, Artist]]:
    """Return what the legend says of sets, and of bands."""
    of_sets = {}
    for name, (colour, symbol) in looks.items():
        line: dict[str, Any] = {"color": colour.figure, "linewidth": LINE}
        if courses[name].constant:
            of_sets[f"{name}, mean"] = key(**line, linestyle=CONSTANT)
        else:
            of_sets[name] = key(**line, linestyle="-", marker=symbol.marker, markersize=MARK)
    seen = any(np.isfinite(courses[name].error).any() for name in looks)
    bands = {"\N{PLUS-MINUS SIGN} 1 SE over trials": band_key()} if aligned and seen else {}
    return [of_sets, bands]


def _panels(given: Any, layers: Sequence[str], entries: list[dict[str, Artist]]) -> np.ndarray:
    """Return a user's axes, one for each area, or those of a figure, made to fit, with the legend."""
    count = len(layers)
    figure: Figure | None = figure_in(given, RESOLUTION)
    if figure is None:
        panels = np.asarray(given, dtype=object).ravel()
        if panels.size != count:
            raise InputError(
                f"axes= holds {panels.size} axes; expected {count}, one for each area: {', '.join(layers)}"
            )
        laid_out(entries, np.inf, size=SMALL_LEGEND_SIZE, narrowest=LEFT).draw_at(panels[0])
        return panels
    width = asked_width(figure) or PAGE_WIDTH
    legend = laid_out(entries, width, size=SMALL_LEGEND_SIZE, narrowest=LEFT + 2.0)
    around = AXIS_LABEL + 0.2 + (legend.height if legend.below else 0.0)
    room = (PAGE_HEIGHT - around) / count - TITLE
    panel = min(HIGHEST_PANEL, max(LOWEST_PANEL, room))
    figure.set_size_inches(
        width, max(count * (panel + TITLE) + around, 0.0 if legend.below else legend.height)
    )
    figure.set_layout_engine("constrained")
    panels = np.atleast_1d(figure.subplots(count, 1, sharex=True))
    legend.draw_beside_panels(figure)
    return panels
