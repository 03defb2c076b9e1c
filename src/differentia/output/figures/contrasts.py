"""Two sets compared layer by layer: a panel for each pair, and marks above the curves where they differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import InputError, require_known, short_tracebacks
from differentia.output.figures.depth import (
    LABEL_SIZE,
    LOWEST_AXES,
    Surroundings,
    axes_height,
    mark_scale,
    panel_in,
    rule,
    surroundings_in,
)
from differentia.output.figures.intervals import band_key, draw_band, draw_bars
from differentia.output.figures.labels import plain, text_width, told_apart
from differentia.output.figures.legends import key
from differentia.output.figures.panels import write_beside
from differentia.output.words import corrected_over
from differentia.recording.units import unit_kind
from differentia.results.contrasts import SIGNIFICANT, require_contrast, require_contrasts
from differentia.results.subject import subject_of
from differentia.results.summaries import layer_names, percent

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DIFFERENT = f"corrected p < {SIGNIFICANT:g}"
NOT_DIFFERENT = f"corrected p \N{GREATER-THAN OR EQUAL TO} {SIGNIFICANT:g}"

#: Rows of marks that have room above the curves.
MOST_ROWS = 6

#: In points: rows of marks, the lowest above the axes, what they are made of, and what stands right of them.
ROW_HEIGHT, FIRST_ROW, DIAMOND_SIZE, ROW_LABEL_SIZE, BEFORE_ROW_LABEL = 9.0, 7.0, 4.5, 7.0, 7.2

#: In points: rows whose labels stand over them.
LABELLED_ROW_HEIGHT = 17.0

#: In characters: a set's name beside a row of marks, and above a panel; at its y axis, at most and at least.
LONGEST_IN_ROW, LONGEST_IN_TITLE, LONGEST_AT_AXIS, LEAST_AT_AXIS = 18, 30, 14, 6

#: In inches: a panel above others, and its title.
STACKED_HEIGHT, TITLE = 1.25, 0.25

#: In font sizes.
LENGTH_OF_KEYS = 2.0

COLOUR = "#1A1A1A"

#: In points: the intervals that hold for all layers together.
TOGETHER_WIDTH = 0.7


@dataclass(frozen=True)
class Comparison:
    """One way to compare two sets, and how it is drawn."""

    #: Between their names.
    sign: str
    #: The value where they do not differ.
    equal: float
    #: Half and twice as much are as far from equal.
    logarithmic: bool = False


COMPARISONS = {
    "difference": Comparison("\N{MINUS SIGN}", 0.0),
    "ratio": Comparison("/", 1.0, logarithmic=True),
}


@short_tracebacks
def plot_contrast(contrast: xr.Dataset, ax: Axes | Figure | None = None, *, what: str = "difference") -> Axes:
    """Draw how two sets differ against depth.

    The band is the interval over images of each layer alone; the upright line through a point is the interval
    that holds for all layers together. A filled mark stands where the sets differ (corrected p < 0.05), an
    open one where that can't be said, none where there is no test.

    Parameters
    ----------
    contrast
        What `contrast` returned.
    ax
        To draw into: axes, or an empty figure, which keeps a width that it was given; by default a new one.
    what
        "difference", with a line at 0, or "ratio", with a line at 1 and a logarithmic axis.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no contrast, or `what` is neither.
    """
    require_known("what", what, COMPARISONS)
    require_contrast(contrast)
    about = layer_names(contrast), subject_of(contrast), [_entries(contrast)]
    ax, around = panel_in(ax, *about, above=lambda _: TITLE, length=LENGTH_OF_KEYS)
    _draw_contrast(ax, around, contrast, what)
    around.explain(ax)
    return ax


def _draw_contrast(ax: Axes, around: Surroundings, contrast: xr.Dataset, what: str) -> None:
    comparison, layers = COMPARISONS[what], layer_names(contrast)
    depth = np.arange(len(layers), dtype=np.float64)
    value, low, high = (contrast[f"{what}{limit}"].values for limit in ("", "_low", "_high"))
    ax.axhline(comparison.equal, color="#707070", linewidth=0.8, zorder=1.5)
    separate = subject_of(contrast).recorded
    draw_band(ax, depth, low, high, COLOUR, half_width=0.03, separate=separate)
    low, high = (contrast[f"{what}_{end}_simultaneous"].values for end in ("low", "high"))
    draw_bars(ax, depth, low, high, COLOUR, linewidth=TOGETHER_WIDTH)
    ax.plot(depth, value, color=COLOUR, linewidth=1.2, zorder=2, linestyle="none" if separate else "-")
    corrected, scale = contrast["p_corrected"].values, mark_scale(around.room, len(layers))
    mark: dict[str, Any] = {"s": 18 * scale**2, "edgecolor": COLOUR, "linewidth": 0.9 * scale, "zorder": 3}
    for at, fill in ((corrected < SIGNIFICANT, COLOUR), (corrected >= SIGNIFICANT, "white")):
        ax.scatter(depth[at], value[at], facecolor=fill, **mark)
    rule(ax)
    letters = int(72 * axes_height(ax) / text_width("n", LABEL_SIZE))
    at_axis = min(LONGEST_AT_AXIS, max(LEAST_AT_AXIS, (letters - 3) // 2))
    pair = plain(_pair_label(contrast, comparison.sign, at_axis))
    ax.set_ylabel(f"Differentiation,\n{pair}", fontsize=LABEL_SIZE)
    if comparison.logarithmic:
        scale_by_logarithm(ax)
    ax.set_title(
        plain(_pair_label(contrast, comparison.sign, LONGEST_IN_TITLE)), fontsize=LABEL_SIZE, loc="left"
    )
    around.name(ax)


def scale_by_logarithm(ax: Axes) -> None:
    """Make the y axis logarithmic, with plain numbers at it: fewer of each ten where it spans many."""
    from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

    ax.set_yscale("log")
    low, high = ax.get_ylim()
    if high < 3 * low:
        ax.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    else:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 300 * low else (1,)))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def draw_contrasts(contrasts: Sequence[xr.Dataset], figure: Figure) -> None:
    """Draw a panel for each pair into a figure, one above the other, with the same limits."""
    first, count = contrasts[0], len(contrasts)
    about = layer_names(first), subject_of(first), [_entries(first)]
    around = surroundings_in(figure, *about, length=LENGTH_OF_KEYS)
    least = LOWEST_AXES if count == 1 else STACKED_HEIGHT * count
    figure.set_size_inches(around.width, around.height(TITLE * count, least=least))
    figure.set_layout_engine("constrained")
    panels = figure.subplots(count, squeeze=False)[:, 0]
    for ax, contrast in zip(panels, contrasts, strict=True):
        _draw_contrast(ax, replace(around, layers=layer_names(contrast)), contrast, "difference")
    around.legend.draw_beside_panels(figure)
    limits = np.array([ax.get_ylim() for ax in panels])
    for ax in panels:
        ax.set_ylim(limits.min(), limits.max())
    for ax, one, other in zip(panels, contrasts, contrasts[1:], strict=False):
        if layer_names(one) == layer_names(other):  # named at the next one
            ax.set_xlabel("")
            ax.tick_params(labelbottom=False)


def require_room(result: xr.Dataset, contrasts: Sequence[xr.Dataset]) -> None:
    """Raise an error unless every contrast is of a result, and they have room above its curves."""
    require_contrasts({str(result["units"].item()): result}, contrasts)
    if len(contrasts) > MOST_ROWS:
        raise InputError(
            f"contrasts= has {len(contrasts)} contrasts; at most {MOST_ROWS} have room: choose among them"
        )


def row_label(contrast: xr.Dataset) -> str:
    """Return what stands beside a row of marks."""
    return _pair_label(contrast, "vs", LONGEST_IN_ROW)


def _pair_label(contrast: xr.Dataset, sign: str, longest: int) -> str:
    first, second = told_apart([str(contrast.attrs[which]) for which in ("first", "second")], longest)
    return f"{first} {sign} {second}"


def row_labels_width(contrasts: Sequence[xr.Dataset]) -> float:
    """Return inches that what stands beside the rows of marks takes."""
    labels = (BEFORE_ROW_LABEL + text_width(row_label(contrast), ROW_LABEL_SIZE) for contrast in contrasts)
    return max(labels, default=0.0) / 72


def rows_height(contrasts: Sequence[xr.Dataset], *, stacked: bool) -> float:
    """Return inches that the rows of marks take, with their labels over them where these are stacked."""
    return len(contrasts) * (LABELLED_ROW_HEIGHT if stacked else ROW_HEIGHT) / 72


def mark_contrasts(
    ax: Axes,
    layers: Sequence[str],
    contrasts: Sequence[xr.Dataset],
    colours: Mapping[str, str],
    *,
    stacked: bool = False,
) -> None:
    """Draw a row for each pair above the axes: a line over what was tested, marks where the sets differ."""
    from matplotlib.lines import Line2D
    from matplotlib.transforms import ScaledTranslation

    for row, contrast in enumerate(reversed(contrasts)):
        height = (FIRST_ROW + row * (LABELLED_ROW_HEIGHT if stacked else ROW_HEIGHT)) / 72
        above = ax.get_xaxis_transform() + ScaledTranslation(0, height, ax.figure.dpi_scale_trans)
        corrected = contrast["p_corrected"].reindex(layer=layers).values
        pair = colours[contrast.attrs["first"]], colours[contrast.attrs["second"]]
        tested, different = np.flatnonzero(np.isfinite(corrected)), np.flatnonzero(corrected < SIGNIFICANT)
        stretches = [edge for place in tested for edge in (place - 0.5, place + 0.5, np.nan)]
        for x, style in ((stretches, {"color": "#D0D0D0", "linewidth": 0.8}), (different, diamond(*pair))):
            line = Line2D(x, np.ones(len(x)), transform=above, clip_on=False, **style)
            line.set_in_layout(len(x) > 0)  # an empty one lies at the figure's corner: axes would shrink
            ax.add_artist(line)
        beside: tuple[Any, ...] = ((1, 1), (BEFORE_ROW_LABEL, 72 * height), "center")
        over: tuple[Any, ...] = ((0, 1), (0.0, 72 * height + DIAMOND_SIZE / 2 + 1), "bottom")
        at, offset, side = over if stacked else beside
        write_beside(ax, row_label(contrast), at, offset, ROW_LABEL_SIZE, va=side)


def diamond(first: str, second: str) -> dict[str, Any]:
    """Return the properties of a mark in the colours of both sets."""
    colours = {"markerfacecolor": first, "markerfacecoloralt": second, "markeredgewidth": 0}
    return {"linestyle": "none", "marker": "D", "markersize": DIAMOND_SIZE, "fillstyle": "left", **colours}


def _entries(contrast: xr.Dataset) -> dict[str, Artist]:
    """Return what says what the band, the lines and the marks mean, and for how many tests p allows."""
    about, kind, subject = contrast.attrs, unit_kind(str(contrast.attrs["units"])), subject_of(contrast)
    point: dict[str, Any] = {"marker": "o", "markersize": 4.2, "markeredgecolor": COLOUR}
    level, items = percent(about["confidence"]), subject.item.many
    entries = {f"{level}: other {items}": band_key()}
    if about["n_tests"] > 1:
        together = f"{level}: all {corrected_over(contrast, subject.place.one)} together"
        entries[together] = key(color=COLOUR, marker="|", markersize=9, markeredgewidth=TOGETHER_WIDTH)
    entries |= {
        DIFFERENT: key(markerfacecolor=COLOUR, **point),
        NOT_DIFFERENT: key(markerfacecolor="white", **point),
    }
    if about["paired"]:
        entries[f"{items} are paired"] = key()
    if kind.counted:
        noun = kind.noun if kind.sketched else subject.unit.many
        entries[f"with {about['n_units']:,} {noun}"] = key()
    return entries
