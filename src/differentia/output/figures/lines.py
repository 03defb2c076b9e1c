"""Differentiation against depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import InputError
from differentia.output.chosen import are_many, chosen_sets
from differentia.output.colours import Look, set_looks
from differentia.output.figures.contrasts import (
    DIFFERENT,
    diamond,
    mark_contrasts,
    require_room,
    row_labels_width,
    rows_height,
)
from differentia.output.figures.depth import (
    AXIS_LABEL,
    LABEL_SIZE,
    LEFT,
    TIMES_THE_REST,
    LayerNames,
    axes_width,
    axis_label,
    mark_scale,
    names_with_room,
    panel_in,
    rule,
    set_ends,
)
from differentia.output.figures.intervals import (
    BAR_STRENGTH,
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
from differentia.output.figures.labels import plain, shortened
from differentia.output.figures.legends import SMALL_LEGEND_SIZE, Legend, key, laid_out
from differentia.output.figures.panels import PAGE_HEIGHT, PAGE_WIDTH, RESOLUTION, asked_width, figure_in
from differentia.output.words import tokens_label, unit_of
from differentia.results.dataset import kind_of
from differentia.results.draws import draw_mean
from differentia.results.published import published_lines
from differentia.results.references import references_in, references_of, short_name
from differentia.results.relative import relative
from differentia.results.schema import checked
from differentia.results.subject import SETS, Noun, subject_of, unit_noun
from differentia.results.summaries import layer_names

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from differentia.output.figures.legends import Groups

#: From the largest number of units to the smallest.
LINE_STYLES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)), (0, (1, 3)))
PUBLISHED_STYLE = ":"

#: In layers: how far apart sets stand, so that their bars do not hide each other, and all of them at most;
#: then the same of layers that no line joins, which have more room.
STEP, WIDEST = 0.1, 0.4
STEP_OF_ONE, WIDEST_OF_ONE = 0.2, 0.8

#: Of sets that are not drawn in colours: their lines (points), and the quantiles that are drawn of them.
CROWD_COLOUR, CROWD_WIDTH, QUANTILES = "#DADADA", 0.4, (0.1, 0.5, 0.9)

#: In points: the lines of these quantiles.
CROWD_LINES = (0.6, 1.7, 0.6)

#: In layers: half the width of a band of a layer that no line joins with others.
BAND_OF_ONE = 0.02

#: In points: bars of the largest number of units, of the next, and of all others.
BAR_WIDTHS = (1.5, 1.1, 0.7)

#: In points: marks of the largest number of units, of others, and open ones; shapes with arms are larger.
MARK_SIZE, SMALL_MARK_SIZE, OPEN_SIZE, LARGER = 3.5, 2.2, 3.8, 1.5

#: In points: the thinnest line that print keeps.
HAIRLINE = 0.3

#: An interval is cut off at so many times the highest value; the curves would be flat below a higher one.
MOST_ABOVE = 2.0

#: Of `plot_kinds`, in inches: a panel, also by its layers, its title, and the numbers left of it.
NARROWEST_KIND, OF_A_LAYER, KIND_HEIGHT, TITLE_OF_KIND, LEFT_OF_KIND = 1.6, 0.11, 1.5, 0.25, 0.35

#: In characters: what the y axis says of a reference in one line, and at most.
SHORT_REFERENCE, LONGEST_REFERENCE = 14, 30


@checked
def plot(
    result: xr.Dataset,
    ax: Axes | Figure | None = None,
    *,
    published: bool | None = None,
    contrasts: Sequence[xr.Dataset] = (),
    sets: str | Sequence[str] | None = None,
) -> Axes:
    """Draw differentiation against depth, one colour for each set and one line style for each `n_units`.

    Lines are means over draws of units. Intervals say where else a value could lie: with other images, in the
    filled band around the line of the most units; with other units, on the upright bar through a point, which
    is the thinner the fewer units it stands for. Sets stand a little beside each other, and so do their bars.
    What reaches beyond twice the highest value is cut off. In a result without intervals, bars are one SD
    over draws either side, and there are no bands. Open marks have not converged: more units give another
    value, or those at hand have another SD than their whole layer (`not_converged`). Crossed circles are not
    to be trusted for other images: from those at hand no interval can be told. Populations of a recording
    have no order: no lines join them, and a point stands for each set and number of units, side by side.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    ax
        To draw into: axes, or an empty figure, which keeps a width that it was given; by default a new one.
    published
        Whether to draw the published curves of VGG16 too, dotted, for the sets that have their names, at
        the largest number of units that both have. By default where the result is certainly of that
        network.
    contrasts
        At most 6 of what `contrast` returned. Each gets a row above the axes: a thin line over the layers
        that were tested, and a mark in the colours of both sets where they differ (corrected p < 0.05).
    sets
        Names of the sets to draw in colours; all others are grey. By default all, or of more than 12 the
        reference.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result; with ``published=True``, it has nothing in common with the published curves; a
        contrast is not of this result, or there are too many; there is no such set.
    """
    ax = _draw_curves(result, result["differentiation"], ax, published, contrasts, sets)
    ax.set_ylabel(values_label(result), fontsize=LABEL_SIZE)
    return ax


@checked
def plot_relative(
    result: xr.Dataset,
    reference: str | Mapping[str, str] | None = None,
    ax: Axes | Figure | None = None,
    *,
    published: bool | None = None,
    contrasts: Sequence[xr.Dataset] = (),
    sets: str | Sequence[str] | None = None,
) -> Axes:
    """Draw differentiation relative to a reference set against depth, as `plot`.

    Intervals carry the uncertainty of the reference too (`relative_interval`). Contrasts are those of the
    values themselves, which a division by the same reference does not change; where two sets have different
    references, it is left out.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    reference
        The set to divide by, or of each set, as for `relative`; by default the result's own reference.
    ax
        To draw into: axes, or an empty figure, which keeps a width that it was given; by default a new one.
    published
        As for `plot`. The published curves are relative to white_noise, and drawn for no other reference.
    contrasts, sets
        As for `plot`.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result, or there is no reference; with ``published=True``, it has nothing in common with
        the published curves; a contrast is not of this result, or there are too many; there is no such set.
    """
    values, of = relative(result, reference), references_of(result, reference)
    require_room(result, contrasts)
    contrasts = [one for one in contrasts if of[one.attrs["first"]] == of[one.attrs["second"]]]
    ax = _draw_curves(result, values, ax, published, contrasts, sets)
    ax.axhline(1.0, color="#B0B0B0", linewidth=0.8, zorder=0)
    ax.set_ylabel(values_label(result, short_name(references_in(values))), fontsize=LABEL_SIZE)
    return ax


@checked
def plot_kinds(
    results: Mapping[str, xr.Dataset], axes: Any = None, *, sets: str | Sequence[str] | None = None
) -> np.ndarray:
    """Draw the differentiation of several kinds of units side by side, each as `plot`.

    Parameters
    ----------
    results
        Kind of units -> result: what `measure_kinds` returned.
    axes : (n_kinds,) of matplotlib.axes.Axes, optional
        To draw into, or an empty figure, which keeps a width that it was given; by default a new one.
    sets
        As for `plot`.

    Returns
    -------
    (n_kinds,) of matplotlib.axes.Axes
        They share their y axis.

    Raises
    ------
    InputError
        There is no result, they differ in their sets or layers, there is no such set, or `axes` are too few
        or too many.
    """
    _require_alike(results)
    first = _first(results)
    looks, crowd = _looks_of(first, sets)
    kinds = {kind: kind_of(result) for kind, result in results.items()}
    styles = _styles(*(result["n_units"].values for kind, result in results.items() if kinds[kind].counted))
    units = [*dict.fromkeys(map(unit_noun, results.values()))]
    noun = Noun(*(" or ".join(form) for form in zip(*((unit.one, unit.many) for unit in units), strict=True)))
    intervals = {
        kind: intervals_of(result, result["differentiation"], noun.many).of([*looks])
        for kind, result in results.items()
    }
    explained: dict[str, Artist] = {}
    for of_kind in intervals.values():
        explained |= _mark_entries(of_kind)
    separate = _are_separate(first)
    entries = [
        set_entries(looks, separate=separate),
        crowd_entries(first) if crowd else {},
        _style_entries(styles, noun, separate=separate),
        dict(sorted(explained.items())),
    ]
    # Results of several choices of tokens may be side by side, under their own names.
    told = {tokens_label(result) for result in results.values()}
    tokens = told.pop() if len(told) == 1 else ""
    panels, room, names, legend = _kinds_panels(results, axes, entries)
    top = 0.0
    for ax, (kind, result) in zip(panels, results.items(), strict=True):
        own = styles if kinds[kind].counted else _styles(result["n_units"].values)
        if crowd:
            _draw_crowd(ax, result, result["differentiation"])
        _draw_lines(ax, room, result, result["differentiation"], intervals[kind], looks, own)
        names.draw(ax)
        set_ends(ax, first.sizes["layer"], room)
        ax.set_title(plain(kind), fontsize=LABEL_SIZE, loc="left")
        top = max(top, ax.get_ylim()[1])
    for ax in panels:
        ax.set_ylim(-0.03 * top, top)
        if ax is panels[0] or ax.get_subplotspec() is None or ax.get_subplotspec().is_first_col():
            ax.set_ylabel(values_label(first), fontsize=LABEL_SIZE)
        above = _stands_over_another(ax, panels)
        ax.set_xlabel("" if above else axis_label(subject_of(first), room, tokens), fontsize=LABEL_SIZE)
        ax.tick_params(labelbottom=not above)
    figure = panels[0].figure
    if figure.get_constrained_layout():
        legend.draw_beside_panels(figure)
    else:
        legend.draw_at(panels[-1])
    return panels


def _stands_over_another(ax: Axes, panels: np.ndarray) -> bool:
    """Return whether a panel has another below it in its grid, at which the layers are named."""
    spec = ax.get_subplotspec()
    others = [other.get_subplotspec() for other in panels]
    return spec is not None and any(
        other is not None and other.colspan == spec.colspan and other.rowspan.start > spec.rowspan.start
        for other in others
    )


def _kinds_panels(
    results: Mapping[str, xr.Dataset], given: Any, entries: Groups
) -> tuple[np.ndarray, float, LayerNames, Legend]:
    """Return a user's axes, one for each kind, or those of a figure, made to fit; and what is around them.

    That is how wide they will be (inches), their names of layers, and their legend.
    """
    layers = layer_names(_first(results))
    count = len(results)
    size: dict[str, Any] = {"size": SMALL_LEGEND_SIZE, "narrowest": LEFT + NARROWEST_KIND}
    if (figure := figure_in(given, RESOLUTION)) is None:
        panels = np.asarray(given, dtype=object).ravel()
        if panels.size != count:
            raise InputError(
                f"axes= holds {panels.size} axes; expected {count}, one for each kind of units: "
                f"{', '.join(results)}"
            )
        room = axes_width(panels[0])
        legend = laid_out(entries, np.inf, **size)
        return panels, room, names_with_room(layers, room, small=True), legend
    width = asked_width(figure) or PAGE_WIDTH
    legend = laid_out(entries, width, **size)
    whole = width - LEFT - (0.0 if legend.below else legend.width)
    columns = max(1, min(count, int(whole / max(NARROWEST_KIND, len(layers) * OF_A_LAYER))))
    rows = -(-count // columns)
    room = whole / columns - LEFT_OF_KIND
    names = names_with_room(layers, room, small=True)
    named_rows = 1 if count % columns == 0 else min(2, rows)
    around = named_rows * (names.height + AXIS_LABEL) + rows * TITLE_OF_KIND
    height = max(rows * KIND_HEIGHT, TIMES_THE_REST * around) + around
    height = height + legend.height if legend.below else max(height, legend.height)
    figure.set_size_inches(width, min(height, PAGE_HEIGHT))
    figure.set_layout_engine("constrained")
    panels = np.array([figure.add_subplot(rows, columns, place + 1) for place in range(count)])
    return panels, room, names, legend


def _first(results: Mapping[str, xr.Dataset]) -> xr.Dataset:
    return next(iter(results.values()))


def values_label(dataset: xr.Dataset, reference: str | None = None) -> str:
    """Return what the y axis says: of which values, relative to which set."""
    if reference is not None:
        between = " " if len(reference) <= SHORT_REFERENCE else "\n"
        return f"Differentiation /{between}{plain(shortened(reference, LONGEST_REFERENCE))}"
    unit = unit_of(dataset)
    return f"Differentiation\n({unit})" if unit else "Differentiation"


def _are_separate(result: xr.Dataset) -> bool:
    """Return whether no line joins the layers: there is one, or they are populations, without an order."""
    return result.sizes["layer"] == 1 or subject_of(result).recorded


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
    sets: str | Sequence[str] | None,
) -> Axes:
    """Draw all that `plot` and `plot_relative` have in common; relative values say to which reference."""
    require_room(result, contrasts)
    reference = references_in(values)
    curves = published_lines(result, str(values.name), wanted=published, reference=reference)
    compared = [str(contrast.attrs[which]) for contrast in contrasts for which in ("first", "second")]
    looks, crowd = _looks_of(result, sets, compared)
    noun, subject = unit_noun(result), subject_of(result)
    styles, separate = _styles(result["n_units"].values), _are_separate(result)
    intervals = intervals_of(result, values, noun.many, reference).of([*looks])
    named = _style_entries(styles if kind_of(result).counted else {}, noun, separate=separate)
    if curves is not None:
        named["published"] = key(color=LEGEND_COLOUR, linestyle=PUBLISHED_STYLE, linewidth=1.0)
    marks = _mark_entries(intervals)
    if contrasts:
        marks[DIFFERENT] = key(**diamond(LEGEND_COLOUR, "#A0A0A0"))
    ax, around = panel_in(
        ax,
        layer_names(result),
        subject,
        [
            set_entries(looks, separate=separate),
            crowd_entries(result) if crowd else {},
            named if looks else {},
            marks,
        ],
        above=lambda legend: rows_height(contrasts, stacked=legend.below),
        right=row_labels_width(contrasts),
    )
    around = replace(around, tokens=tokens_label(result))
    if curves is not None:  # first, since the limits of the y axis are set with the curves
        _draw_published(ax, result, curves, looks)
    if crowd:
        _draw_crowd(ax, result, values)
    _draw_lines(ax, around.room, result, values, intervals, looks, styles)
    colours = {name: look.colour.figure for name, look in looks.items()}
    mark_contrasts(ax, layer_names(result), contrasts, colours, stacked=around.legend.below)
    around.name(ax)
    around.explain(ax)
    return ax


def _looks_of(
    result: xr.Dataset, sets: str | Sequence[str] | None, compared: Sequence[str] = ()
) -> tuple[dict[str, Look], bool]:
    """Return how the sets that are drawn in colours look, and whether there are others behind them."""
    names = [str(name) for name in result["set"].values]
    few = [name for name in names if name == result.attrs["reference"]] if are_many(result) else names
    shown = {*chosen_sets(result, sets, few), *compared}
    looks = set_looks(result, [name for name in names if name in shown])
    return looks, len(looks) < len(names)


def _draw_crowd(ax: Axes, result: xr.Dataset, values: xr.DataArray) -> None:
    """Draw each set as a thin grey line, and over them their median and where the middle of them lies."""
    count, separate = result["n_units"].values.max(), _are_separate(result)
    means = draw_mean(values, result).sel(n_units=count).transpose("set", "layer").values
    for place, line in enumerate(means):
        x = positions(len(line), (place, len(means)) if separate else (0, 1), (0, 1), separate=separate)
        style: dict[str, Any] = {"linestyle": "none", "marker": "."} if separate else {"linestyle": "-"}
        ax.plot(x, line, color=CROWD_COLOUR, linewidth=CROWD_WIDTH, markersize=1.5, zorder=0.5, **style)
    known = np.isfinite(means).any(axis=0)
    ends = np.full((3, means.shape[1]), np.nan)
    ends[:, known] = np.nanquantile(means[:, known], QUANTILES, axis=0)
    x, half = np.arange(means.shape[1]), WIDEST_OF_ONE / 2
    for line, width in zip(ends, CROWD_LINES, strict=True):
        if separate:
            ax.hlines(line, x - half, x + half, colors=LEGEND_COLOUR, linewidth=width, zorder=1.2)
        else:
            ax.plot(x, line, color=LEGEND_COLOUR, linewidth=width, zorder=1.2)


def crowd_entries(result: xr.Dataset) -> dict[str, Artist]:
    """Return what a legend says of sets that are not drawn in colours."""
    thin, thick, _ = (key(color=LEGEND_COLOUR, linestyle="-", linewidth=width) for width in CROWD_LINES)
    return {
        f"each of {SETS.count(result.sizes['set'])}": key(color=CROWD_COLOUR, linestyle="-", linewidth=1.0),
        "their median": thick,
        "between these: 80 % of them": thin,
    }


def _styles(*counts: np.ndarray) -> dict[int, Any]:
    """Return the line style of each number of units, the largest first."""
    ordered = sorted({count for some in counts for count in some.tolist()}, reverse=True)
    return {count: LINE_STYLES[place % len(LINE_STYLES)] for place, count in enumerate(ordered)}


def _draw_lines(
    ax: Axes,
    room: float,
    result: xr.Dataset,
    values: xr.DataArray,
    intervals: Intervals,
    looks: Mapping[str, Look],
    styles: Mapping[int, Any],
) -> None:
    """Draw the mean over draws of each set and number of units, with its intervals."""
    means = draw_mean(values, result)
    counts = sorted(int(count) for count in result["n_units"].values)
    separate = _are_separate(result)
    beside = max(1.0, len(looks) * len(counts) / 4) if separate else 1.0
    scale = mark_scale(room, result.sizes["layer"] * beside)
    for (place, (name, look)), (rank, count) in product(enumerate(looks.items()), enumerate(counts)):
        colour, symbol = look.colour.figure, look.symbol
        at = {"set": name, "n_units": count}
        line, doubted = means.sel(at).values, intervals.doubted.sel(at).values
        opened = intervals.unsettled.sel(at).values
        x = positions(len(line), (place, len(looks)), (rank, len(counts)), separate=separate)
        main = count == counts[-1]
        if main:  # those of fewer units would lie upon each other
            limits = intervals.limits("images", **at)
            draw_band(ax, x, *limits, colour, half_width=BAND_OF_ONE, separate=separate)
        draw_bars(
            ax,
            x,
            *intervals.limits("units", **at),
            colour,
            linewidth=max(HAIRLINE, scale * BAR_WIDTHS[min(len(counts) - 1 - rank, 2)]),
            linestyle=styles[count] if separate else "-",  # where no line shows it
            alpha=BAR_STRENGTH * scale,
        )
        ax.plot(
            x,
            line,
            color=colour,
            linestyle="none" if separate else styles[count],
            linewidth=1.7 if main else 1.1,
            label=name,
            marker=symbol.marker,
            markersize=scale * (MARK_SIZE if main else SMALL_MARK_SIZE),
            markevery=~opened,
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
                zorder=3.2,  # over every line
            )
        if doubted.any():
            draw_doubts(ax, x[doubted], line[doubted], colour, scale=scale)
    highest = max(np.nanmax(line.get_ydata(), initial=0.0) for line in ax.get_lines())
    top = min(ax.get_ylim()[1], MOST_ABOVE * highest or np.inf)
    ax.set_ylim(-0.03 * top, top)  # zero is in sight, and its markers are whole
    rule(ax)


def positions(
    n_layers: int, of_set: tuple[int, int], of_count: tuple[int, int], *, separate: bool
) -> np.ndarray:
    """Return where a curve's points stand, given which set and number of units it is, of how many."""
    (place, sets), (rank, counts) = of_set, of_count
    step = min(STEP_OF_ONE, WIDEST_OF_ONE / sets) if separate else min(STEP, WIDEST / sets)
    within = (rank - (counts - 1) / 2) * step / (counts + 1) if separate else 0.0
    return np.arange(n_layers) + (place - (sets - 1) / 2) * step + within


def _draw_published(ax: Axes, result: xr.Dataset, published: xr.DataArray, looks: Mapping[str, Look]) -> None:
    depth = [layer_names(result).index(layer) for layer in published["layer"].values.tolist()]
    for name in (name for name in published["set"].values.tolist() if name in looks):
        line = published.sel(set=name, n_units=published["n_units"].max()).values
        colour = looks[name].colour.figure
        ax.plot(depth, line, color=colour, linestyle=PUBLISHED_STYLE, linewidth=1.0, zorder=4)


def set_entries(looks: Mapping[str, Look], *, separate: bool = False) -> dict[str, Artist]:
    """Return what a legend says of the sets; where no lines join the layers, it shows none."""
    line = "none" if separate else "-"
    return {
        name: key(color=colour.figure, linestyle=line, marker=symbol.marker, markersize=4)
        for name, (colour, symbol) in looks.items()
    }


def _style_entries(styles: Mapping[int, Any], noun: Noun, *, separate: bool) -> dict[str, Artist]:
    """Return what says how many units a line is of, or a mark where no lines join the layers."""
    largest = max(styles, default=0)
    return {
        noun.count(count): (
            key(
                color=LEGEND_COLOUR, marker="o", markersize=MARK_SIZE if count == largest else SMALL_MARK_SIZE
            )
            if separate
            else key(color=LEGEND_COLOUR, linestyle=style, linewidth=1.5)
        )
        for count, style in styles.items()
    }


def _mark_entries(intervals: Intervals) -> dict[str, Artist]:
    """Return what says which interval is which, and what open and crossed marks are."""
    marks = {"images": band_key(), "units": key(color=LEGEND_COLOUR, marker="|", markersize=9)}
    entries = {words: marks[source] for source, words in intervals.legend().items()}
    if bool(intervals.unsettled.any()):
        entries["not converged"] = key(
            color=LEGEND_COLOUR, marker="o", markersize=OPEN_SIZE, markerfacecolor="white"
        )
    if bool(intervals.doubted.any()):
        entries[DOUBT] = doubt_key()
    return entries
