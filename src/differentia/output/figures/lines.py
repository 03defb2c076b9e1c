"""Differentiation against depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import InputError
from differentia.output.colours import Look, set_looks
from differentia.output.figures.contrasts import (
    DIFFERENT,
    ROW_LABEL_SIZE,
    diamond,
    mark_contrasts,
    require_room,
    row_label,
    rows_height,
)
from differentia.output.figures.depth import (
    LEGEND_SIZE,
    ROOM_FOR_A_NAME,
    add_legend,
    axes_width,
    key,
    mark_scale,
    name_layers,
    name_some_layers,
    panel_in,
    rule,
)
from differentia.output.figures.intervals import (
    DOUBT,
    LEGEND_COLOUR,
    Intervals,
    band_key,
    doubt_key,
    draw_band,
    draw_bars,
    draw_doubts,
    intervals_of,
)
from differentia.output.figures.labels import plain, shortened, text_width, wrapped
from differentia.output.figures.panels import PAGE_WIDTH, RESOLUTION, sized_figure
from differentia.output.words import unit_of
from differentia.results.convergence import not_converged
from differentia.results.dataset import kind_of
from differentia.results.doubts import doubts
from differentia.results.draws import draw_mean
from differentia.results.published import published_lines
from differentia.results.relative import relative
from differentia.results.schema import checked
from differentia.results.summaries import layer_names

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: From the largest number of units to the smallest.
LINE_STYLES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)), (0, (1, 3)))
PUBLISHED_STYLE = ":"

#: In layers: how far apart sets stand, so that their bars do not hide each other, and all of them at most;
#: then the same of a single layer, which has more room.
STEP, WIDEST = 0.1, 0.4
STEP_OF_ONE, WIDEST_OF_ONE = 0.2, 0.8

#: In layers: half the width of a band where a layer stands alone.
BAND_OF_ONE = 0.02

#: In points: bars of the largest number of units, of the next, and of all others.
BAR_WIDTHS = (1.5, 1.1, 0.7)

#: In points: marks of the largest number of units, of others, and open ones; shapes with arms are larger.
MARK_SIZE, SMALL_MARK_SIZE, OPEN_SIZE, LARGER = 3.5, 2.2, 3.2, 1.5

#: An interval is cut off at so many times the highest value; the curves would be flat below a higher one.
MOST_ABOVE = 2.0

#: Of `plot_kinds`: a panel in inches, and a layer's name in characters.
NARROWEST_KIND, KIND_HEIGHT, LONGEST_LAYER_OF_KIND = 2.2, 1.6, 24

#: In points, at paper size.
KINDS_LEGEND_SIZE = 7.0


@checked
def plot(
    result: xr.Dataset,
    ax: Axes | Figure | None = None,
    *,
    published: bool | None = None,
    contrasts: Sequence[xr.Dataset] = (),
) -> Axes:
    """Draw differentiation against depth, one colour for each set and one line style for each `n_units`.

    Lines are means over draws of units. Intervals say where else a value could lie: with other images, in the
    filled band around the line of the most units; with other units, on the upright bar through a point, which
    is the thinner the fewer units it stands for. Sets stand a little beside each other, and so do their bars.
    What reaches beyond twice the highest value is cut off. In a result without intervals, bars are one SD
    over draws either side, and there are no bands. Open marks have not converged: more units give another
    value, or those at hand have another SD than their whole layer (`not_converged`). Crossed circles are not
    to be trusted for other images: from those at hand no interval can be told.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    ax
        To draw into: axes, or an empty figure, which is made to fit; by default a new one.
    published
        Whether to draw the published curves of VGG16 too, dotted, for the sets that have their names, at
        the largest number of units that both have. By default where the result is certainly of that
        network.
    contrasts
        At most 6 of what `contrast` returned. Each gets a row above the axes: a thin line over the layers
        that were tested, and a mark in the colours of both sets where they differ (corrected p < 0.05).

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result; with ``published=True``, it has nothing in common with the published curves; a
        contrast is not of this result, or there are too many.
    """
    ax = _draw_curves(result, result["differentiation"], ax, published, contrasts)
    ax.set_ylabel(_ylabel(result))
    return ax


@checked
def plot_relative(
    result: xr.Dataset,
    reference: str | None = None,
    ax: Axes | Figure | None = None,
    *,
    published: bool | None = None,
    contrasts: Sequence[xr.Dataset] = (),
) -> Axes:
    """Draw differentiation relative to a reference set against depth, as `plot`.

    Intervals carry the uncertainty of the reference too (`relative_interval`). Contrasts are those of the
    values themselves, which a division by the same reference does not change.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    reference
        The set to divide by; by default the result's own reference.
    ax
        To draw into: axes, or an empty figure, which is made to fit; by default a new one.
    published
        As for `plot`. The published curves are relative to white_noise, and drawn for no other reference.
    contrasts
        As for `plot`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result, or there is no reference; with ``published=True``, it has nothing in common with
        the published curves; a contrast is not of this result, or there are too many.
    """
    values = relative(result, reference)
    ax = _draw_curves(result, values, ax, published, contrasts)
    ax.axhline(1.0, color="#B0B0B0", linewidth=0.8, zorder=0)
    ax.set_ylabel(f"Differentiation / {plain(wrapped(values.attrs['reference']))}")
    return ax


@checked
def plot_kinds(results: Mapping[str, xr.Dataset], axes: Any = None) -> np.ndarray:
    """Draw the differentiation of several kinds of units side by side, each as `plot`.

    Parameters
    ----------
    results
        Kind of units -> result: what `measure_kinds` returned.
    axes : (n_kinds,) of matplotlib.axes.Axes, optional
        To draw into, or an empty figure, which is made to fit; by default a new one.

    Returns
    -------
    (n_kinds,) of matplotlib.axes.Axes
        They share their y axis.

    Raises
    ------
    InputError
        There is no result, they differ in their sets or layers, or `axes` are too few or too many.
    """
    _require_alike(results)
    first = _first(results)
    panels = _kinds_panels(results, axes)
    looks, kinds = set_looks(first), {kind: kind_of(result) for kind, result in results.items()}
    styles = _styles(*(result["n_units"].values for kind, result in results.items() if kinds[kind].counted))
    nouns = " or ".join(dict.fromkeys(kind.noun for kind in kinds.values()))
    top = 0.0
    explained: dict[str, Artist] = {}
    for ax, (kind, result) in zip(panels, results.items(), strict=True):
        own = styles if kinds[kind].counted else _styles(result["n_units"].values)
        intervals = intervals_of(result, result["differentiation"], nouns)
        _draw_lines(ax, result, result["differentiation"], intervals, looks, own)
        explained |= _mark_entries(result, intervals)
        most = max(2, int(axes_width(ax) / ROOM_FOR_A_NAME))
        name_some_layers(ax, layer_names(result), most=most, size=6.5, longest=LONGEST_LAYER_OF_KIND)
        ax.set_title(plain(kind), fontsize=9, loc="left")
        ax.tick_params(axis="y", labelsize=7)
        top = max(top, ax.get_ylim()[1])
    for ax in panels:
        ax.set_ylim(-0.03 * top, top)
        ax.set_xlabel("")
        if ax is panels[0] or ax.get_subplotspec() is None or ax.get_subplotspec().is_first_col():
            ax.set_ylabel(_ylabel(first), fontsize=8)
        ax.tick_params(labelbottom=not _stands_over_another(ax, panels))
    entries = [set_entries(looks), _style_entries(styles, nouns), dict(sorted(explained.items()))]
    add_legend(panels[_side_by_side(results) - 1], entries, size=KINDS_LEGEND_SIZE)
    return panels


def _stands_over_another(ax: Axes, panels: np.ndarray) -> bool:
    """Return whether a panel has another below it in its grid, at which the layers are named."""
    spec = ax.get_subplotspec()
    others = [other.get_subplotspec() for other in panels]
    return spec is not None and any(
        other is not None and other.colspan == spec.colspan and other.rowspan.start > spec.rowspan.start
        for other in others
    )


def _kinds_panels(results: Mapping[str, xr.Dataset], given: Any) -> np.ndarray:
    """Return a user's axes, one for each kind, or those of a figure, made to fit."""
    columns = _side_by_side(results)
    rows = -(-len(results) // columns)
    longest = max(len(shortened(name, LONGEST_LAYER_OF_KIND)) for name in layer_names(_first(results)))
    named_rows = 1 if len(results) % columns == 0 else min(2, rows)
    height = rows * KIND_HEIGHT + named_rows * 0.05 * longest
    if (figure := sized_figure(given, (PAGE_WIDTH, height), RESOLUTION)) is not None:
        figure.set_layout_engine("constrained")
        return np.array([figure.add_subplot(rows, columns, place + 1) for place in range(len(results))])
    panels = np.asarray(given, dtype=object).ravel()
    if panels.size != len(results):
        raise InputError(
            f"axes= holds {panels.size} axes; expected {len(results)}, one for each kind of units: "
            f"{', '.join(results)}"
        )
    return panels


def _first(results: Mapping[str, xr.Dataset]) -> xr.Dataset:
    return next(iter(results.values()))


def _side_by_side(results: Mapping[str, xr.Dataset]) -> int:
    """Return how many kinds stand beside each other: as many as leave room for the layers' names."""
    first = _first(results)
    room = PAGE_WIDTH - _legend_width(first) * KINDS_LEGEND_SIZE / LEGEND_SIZE
    narrowest = max(NARROWEST_KIND, first.sizes["layer"] * ROOM_FOR_A_NAME)
    return max(1, min(len(results), int(room / narrowest)))


def _curves_size(result: xr.Dataset, contrasts: Sequence[xr.Dataset]) -> tuple[float, float]:
    """Return inches: no wider than a page, high enough for the layers' names and the rows of contrasts."""
    layers = [shortened(name) for name in layer_names(result)]
    labels = [text_width(row_label(contrast), ROW_LABEL_SIZE) / 72 for contrast in contrasts]
    width = min(PAGE_WIDTH, max(4.6, 1.6 + 0.28 * len(layers)) + max(_legend_width(result), *labels, 0.0))
    return width, 2.9 + 0.055 * max(map(len, layers)) + rows_height(contrasts)


def _legend_width(result: xr.Dataset) -> float:
    """Return inches."""
    longest = max(len(line) for name in result["set"].values for line in wrapped(str(name)).splitlines())
    doubted = bool((doubts(result) != "").any())
    return 0.7 + 0.075 * max(longest, len(DOUBT) - 5 if doubted else 16)


def _ylabel(result: xr.Dataset) -> str:
    unit = unit_of(result)
    return f"Differentiation ({unit})" if unit else "Differentiation"


def _require_alike(results: Mapping[str, xr.Dataset]) -> None:
    """Raise an error unless there are results, of the same sets and layers."""
    import xarray as xr

    if isinstance(results, xr.Dataset) or not results:
        raise InputError(
            "expected results as {kind of units: result}, with at least one: what measure_kinds() returned"
        )
    first = next(iter(results))
    for kind, what in product(results, ("set", "layer")):
        expected, given = (results[name][what].values.tolist() for name in (first, kind))
        if expected != given:
            raise InputError(
                f"the kinds {first!r} and {kind!r} differ in their {what}s ({', '.join(expected)}; "
                f"{', '.join(given)}); measure them together with measure_kinds()"
            )


def _draw_curves(
    result: xr.Dataset,
    values: xr.DataArray,
    ax: Axes | Figure | None,
    published: bool | None,
    contrasts: Sequence[xr.Dataset],
) -> Axes:
    """Draw all that `plot` and `plot_relative` have in common; relative values say to which reference."""
    require_room(result, contrasts)
    reference = values.attrs.get("reference")
    curves = published_lines(result, str(values.name), wanted=published, reference=reference)
    ax = panel_in(ax, _curves_size(result, contrasts))
    looks, styles, kind = set_looks(result), _styles(result["n_units"].values), kind_of(result)
    intervals = intervals_of(result, values, kind.noun, reference)
    if curves is not None:  # first, since the limits of the y axis are set with the curves
        _draw_published(ax, result, curves, looks)
    _draw_lines(ax, result, values, intervals, looks, styles)
    name_layers(ax, layer_names(result))
    mark_contrasts(ax, result, contrasts)
    named = _style_entries(styles if kind.counted else {}, kind.noun, published=curves is not None)
    marks = _mark_entries(result, intervals)
    if contrasts:
        marks[DIFFERENT] = key(**diamond(LEGEND_COLOUR, "#A0A0A0"))
    add_legend(ax, [set_entries(looks), named, marks])
    return ax


def _styles(*counts: np.ndarray) -> dict[int, Any]:
    """Return the line style of each number of units, the largest first."""
    ordered = sorted({count for some in counts for count in some.tolist()}, reverse=True)
    return {count: LINE_STYLES[place % len(LINE_STYLES)] for place, count in enumerate(ordered)}


def _draw_lines(
    ax: Axes,
    result: xr.Dataset,
    values: xr.DataArray,
    intervals: Intervals,
    looks: Mapping[str, Look],
    styles: Mapping[int, Any],
) -> None:
    """Draw the mean over draws of each set and number of units, with its intervals."""
    means, unsettled = draw_mean(values, result), not_converged(result)
    counts = sorted(int(count) for count in result["n_units"].values)
    scale = mark_scale(ax, result.sizes["layer"])
    for (place, (name, look)), (rank, count) in product(enumerate(looks.items()), enumerate(counts)):
        colour, symbol = look.colour.figure, look.symbol
        at = {"set": name, "n_units": count}
        line, doubted = means.sel(at).values, intervals.doubted.sel(at).values
        opened = unsettled.sel(at).values & ~doubted
        x = positions(len(line), (place, len(looks)), (rank, len(counts)))
        main = count == counts[-1]
        if main:  # those of fewer units would lie upon each other
            draw_band(ax, x, *intervals.limits("images", **at), colour, half_width=BAND_OF_ONE)
        draw_bars(
            ax,
            x,
            *intervals.limits("units", **at),
            colour,
            linewidth=scale * BAR_WIDTHS[min(len(counts) - 1 - rank, 2)],
            linestyle=styles[count] if len(line) == 1 else "-",  # where no line shows it
        )
        ax.plot(
            x,
            line,
            color=colour,
            linestyle=styles[count],
            linewidth=1.7 if main else 1.1,
            marker=symbol.marker,
            markersize=scale * (MARK_SIZE if main else SMALL_MARK_SIZE),
            zorder=3 if main else 2,
        )
        if opened.any():
            ax.scatter(
                x[opened],
                line[opened],
                s=(scale * OPEN_SIZE * (LARGER if symbol.has_arms else 1.0)) ** 2,
                marker=symbol.marker,
                facecolor="white",
                edgecolor=colour,
                linewidth=0.8 * scale,
                zorder=2.5,
            )
        if doubted.any():
            draw_doubts(ax, x[doubted], line[doubted], colour, scale=scale)
    highest = max(np.nanmax(line.get_ydata(), initial=0.0) for line in ax.get_lines())
    top = min(ax.get_ylim()[1], MOST_ABOVE * highest or np.inf)
    ax.set_ylim(-0.03 * top, top)  # zero is in sight, and its markers are whole
    rule(ax)


def positions(n_layers: int, of_set: tuple[int, int], of_count: tuple[int, int]) -> np.ndarray:
    """Return where a curve's points stand, given which set and number of units it is, of how many."""
    (place, sets), (rank, counts) = of_set, of_count
    one = n_layers == 1
    step = min(STEP_OF_ONE, WIDEST_OF_ONE / sets) if one else min(STEP, WIDEST / sets)
    within = (rank - (counts - 1) / 2) * step / (counts + 1) if one else 0.0
    return np.arange(n_layers) + (place - (sets - 1) / 2) * step + within


def _draw_published(ax: Axes, result: xr.Dataset, published: xr.DataArray, looks: Mapping[str, Look]) -> None:
    depth = [layer_names(result).index(layer) for layer in published["layer"].values.tolist()]
    for name in published["set"].values.tolist():
        line = published.sel(set=name, n_units=published["n_units"].max()).values
        colour = looks[name].colour.figure
        ax.plot(depth, line, color=colour, linestyle=PUBLISHED_STYLE, linewidth=1.0, zorder=4)


def set_entries(looks: Mapping[str, Look]) -> dict[str, Artist]:
    """Return what a legend says of the sets."""
    return {
        plain(wrapped(name)): key(color=colour.figure, linestyle="-", marker=symbol.marker, markersize=4)
        for name, (colour, symbol) in looks.items()
    }


def _style_entries(styles: Mapping[int, Any], noun: str, *, published: bool = False) -> dict[str, Artist]:
    entries = {
        f"{count:,} {noun}": key(color=LEGEND_COLOUR, linestyle=style, linewidth=1.5)
        for count, style in styles.items()
    }
    if published:
        entries["published"] = key(color=LEGEND_COLOUR, linestyle=PUBLISHED_STYLE, linewidth=1.0)
    return entries


def _mark_entries(result: xr.Dataset, intervals: Intervals) -> dict[str, Artist]:
    """Return what says which interval is which, and what open and crossed marks are."""
    marks = {"images": band_key(), "units": key(color=LEGEND_COLOUR, marker="|", markersize=9)}
    entries = {words: marks[source] for source, words in intervals.legend().items()}
    if bool((not_converged(result) & ~intervals.doubted).any()):
        entries["not converged"] = key(
            color=LEGEND_COLOUR, marker="o", markersize=OPEN_SIZE, markerfacecolor="white"
        )
    if bool(intervals.doubted.any()):
        entries[DOUBT] = doubt_key()
    return entries
