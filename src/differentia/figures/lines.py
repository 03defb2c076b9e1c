"""Differentiation against depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.draws import draw_mean, not_converged
from differentia.errors import InputError
from differentia.figures.contrasts import (
    DIFFERENT,
    ROW_LABEL_SIZE,
    mark,
    mark_contrasts,
    pair_label,
    require_contrasts,
    rows_height,
)
from differentia.figures.depth import (
    ROOM_FOR_A_NAME,
    axes_width,
    layer_names,
    mark_scale,
    name_layers,
    name_some_layers,
)
from differentia.figures.intervals import (
    BAND_STRENGTH,
    LEGEND_COLOUR,
    Intervals,
    draw_band,
    draw_bars,
    intervals_of,
)
from differentia.figures.labels import plain, set_colours, shortened, text_width, wrapped
from differentia.figures.panels import PAGE_WIDTH, RESOLUTION
from differentia.published import published_lines
from differentia.relatives import relative
from differentia.schema import checked
from differentia.units import unit_kind

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

#: From the largest number of units to the smallest.
LINE_STYLES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)), (0, (1, 3)))
PUBLISHED_STYLE = ":"

#: In layers: sets stand so far beside each other, so that their bars do not hide each other, but together no
#: further apart than that. A single layer has more room.
BESIDE, TOGETHER = 0.1, 0.4
BESIDE_OF_ONE, TOGETHER_OF_ONE = 0.2, 0.8

#: In layers: half the width of a band where a layer stands alone.
BAND_OF_ONE = 0.02

#: In points: bars of the largest number of units, of the next, and of all others.
BAR_WIDTHS = (1.5, 1.1, 0.7)

#: In points: marks of the largest number of units, of others, and open ones; shapes with arms are larger.
MARK_SIZE, SMALL_MARK_SIZE, OPEN_SIZE = 3.5, 2.2, 3.2
WITH_ARMS, LARGER = "PX*", 1.5

#: An interval is cut off at so many times the highest value; the curves would be flat below a higher one.
MOST_ABOVE = 2.0

#: In inches: a panel of `plot_kinds`.
NARROWEST_KIND, KIND_HEIGHT = 2.2, 1.6

#: In points, of legends; those of `plot_kinds` are at paper size.
LEGEND_SIZE, KINDS_LEGEND_SIZE = 8.0, 7.0


@checked
def plot(
    result: xr.Dataset,
    ax: Axes | None = None,
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
    value (`not_converged`).

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    ax
        To draw into; by default a new figure of a fitting size.
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
        contrast is of sets or layers that the result has not, or there are too many.
    """
    require_contrasts(result, contrasts)
    curves = published_lines(result, "differentiation", wanted=published)
    ax = _draw(result, result["differentiation"], ax, published=curves, contrasts=contrasts)
    ax.set_ylabel(_ylabel(result))
    return ax


@checked
def plot_relative(
    result: xr.Dataset,
    reference: str | None = None,
    ax: Axes | None = None,
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
        To draw into; by default a new figure of a fitting size.
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
        the published curves; a contrast is of sets or layers that the result has not, or there are too many.
    """
    values = relative(result, reference)
    require_contrasts(result, contrasts)
    name = values.attrs["reference"]
    curves = published_lines(result, "relative_differentiation", wanted=published, reference=name)
    ax = _draw(result, values, ax, reference=name, published=curves, contrasts=contrasts)
    ax.axhline(1.0, color="#B0B0B0", linewidth=0.8, zorder=0)
    ax.set_ylabel(f"Differentiation / {plain(wrapped(name))}")
    return ax


@checked
def plot_kinds(results: Mapping[str, xr.Dataset], axes: Any = None) -> np.ndarray:
    """Draw the differentiation of several kinds of units side by side, each as `plot`.

    Parameters
    ----------
    results
        Kind of units -> result: what `differentia.experiment.measure_kinds` returned.
    axes : (n_kinds,) of matplotlib.axes.Axes, optional
        To draw into; by default those of a new figure.

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
    if axes is None:
        import matplotlib.pyplot as plt

        _, panels = kinds_figure(results, plt.figure)
    else:
        panels = np.asarray(axes, dtype=object).ravel()
    if panels.size != len(results):
        raise InputError(
            f"axes= holds {panels.size} axes; expected {len(results)}, one for each kind of units: "
            f"{', '.join(results)}"
        )
    first, *_ = results.values()
    colours = set_colours(first)
    styles = _styles(
        count for result in results.values() if _counted(result) for count in result["n_units"].values
    )
    top = 0.0
    explained: dict[str, Artist] = {}
    for ax, (kind, result) in zip(panels, results.items(), strict=True):
        own = styles if _counted(result) else _styles(result["n_units"].values)
        intervals = intervals_of(result, result["differentiation"])
        _draw_curves(ax, result, result["differentiation"], intervals, colours, own)
        explained |= _mark_entries(result, intervals)
        room = axes_width(ax) / ROOM_FOR_A_NAME
        name_some_layers(ax, layer_names(result), most=max(2, int(room)), size=6.5, longest=24)
        ax.set_title(plain(kind), fontsize=9, loc="left")
        ax.tick_params(axis="y", labelsize=7)
        top = max(top, ax.get_ylim()[1])
    for ax in panels:
        ax.set_ylim(-0.03 * top, top)
        ax.set_xlabel("")
        if ax is panels[0] or ax.get_subplotspec() is None or ax.get_subplotspec().is_first_col():
            ax.set_ylabel(_ylabel(first), fontsize=8)
        ax.tick_params(labelbottom=not _stands_over_another(ax, panels))
    entries = [_set_entries(colours), _style_entries(styles), dict(sorted(explained.items()))]
    _add_legend(panels[_columns(results) - 1], entries, size=KINDS_LEGEND_SIZE)
    return panels


def _stands_over_another(ax: Axes, panels: np.ndarray) -> bool:
    """Return whether a panel has another below it in its grid, at which the layers are named."""
    spec = ax.get_subplotspec()
    others = [other.get_subplotspec() for other in panels]
    return spec is not None and any(
        other is not None and other.colspan == spec.colspan and other.rowspan.start > spec.rowspan.start
        for other in others
    )


def kinds_figure(results: Mapping[str, xr.Dataset], make: Callable[..., Figure]) -> tuple[Figure, np.ndarray]:
    """Return a figure for `plot_kinds`, made by `matplotlib.pyplot.figure` or `Figure`, and its axes."""
    _require_alike(results)
    first, *_ = results.values()
    columns = _columns(results)
    rows = -(-len(results) // columns)
    names = 0.05 * max(len(shortened(name, 24)) for name in layer_names(first))
    named_rows = 1 if len(results) % columns == 0 else min(2, rows)
    size = (PAGE_WIDTH, rows * KIND_HEIGHT + named_rows * names)
    figure = make(figsize=size, dpi=RESOLUTION, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes[len(results) :]:
        ax.remove()
    return figure, axes[: len(results)]


def figure_size(result: xr.Dataset, contrasts: Sequence[xr.Dataset] = ()) -> tuple[float, float]:
    """Return inches: no wider than a page, high enough for the layers' names and the rows of contrasts."""
    layers = [shortened(name) for name in layer_names(result)]
    beside = [
        _legend_width(result),
        *(text_width(pair_label(each), ROW_LABEL_SIZE) / 72 for each in contrasts),
    ]
    width = min(PAGE_WIDTH, max(4.6, 1.6 + 0.28 * len(layers)) + max(beside))
    return width, 2.9 + 0.055 * max(map(len, layers)) + rows_height(contrasts)


def _legend_width(result: xr.Dataset) -> float:
    """Return inches."""
    longest = max(len(line) for name in result["set"].values for line in wrapped(str(name)).splitlines())
    return 0.7 + 0.075 * max(longest, 16)


def _counted(result: xr.Dataset) -> bool:
    """Return whether a result's kind of units takes a number of units, and the legend says which."""
    return unit_kind(str(result["units"].item())).counted


def _ylabel(result: xr.Dataset) -> str:
    unit = " (units of the responses)" if result.attrs["normalize"] == "none" else ""
    return f"Differentiation{unit}"


def _columns(results: Mapping[str, xr.Dataset]) -> int:
    """Return how many kinds stand beside each other: as many as leave room for the layers' names."""
    first, *_ = results.values()
    room = PAGE_WIDTH - _legend_width(first) * KINDS_LEGEND_SIZE / LEGEND_SIZE
    narrowest = max(NARROWEST_KIND, first.sizes["layer"] * ROOM_FOR_A_NAME)
    return max(1, min(len(results), int(room / narrowest)))


def _require_alike(results: Mapping[str, xr.Dataset]) -> None:
    """Raise an error unless there are results, of the same sets and layers."""
    import xarray as xr

    if isinstance(results, xr.Dataset) or not results:
        raise InputError(
            "expected results as {kind of units: result}, with at least one: what measure_kinds() returned"
        )
    first = next(iter(results))
    for kind in results:
        for what in ("set", "layer"):
            expected, given = (results[name][what].values.tolist() for name in (first, kind))
            if expected != given:
                raise InputError(
                    f"the kinds {first!r} and {kind!r} differ in their {what}s ({', '.join(expected)}; "
                    f"{', '.join(given)}); measure them together with measure_kinds()"
                )


def _draw(
    result: xr.Dataset,
    values: xr.DataArray,
    ax: Axes | None,
    *,
    reference: str | None = None,
    published: xr.DataArray | None,
    contrasts: Sequence[xr.Dataset],
) -> Axes:
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=figure_size(result, contrasts), layout="constrained")
    colours, styles = set_colours(result), _styles(result["n_units"].values)
    intervals = intervals_of(result, values, reference)
    if published is not None:  # first, since the limits of the y axis are set with the curves
        _draw_published(ax, result, published, colours)
    _draw_curves(ax, result, values, intervals, colours, styles)
    name_layers(ax, layer_names(result))
    mark_contrasts(ax, result, contrasts)
    kind = unit_kind(str(result["units"].item()))
    named = _style_entries(styles if kind.counted else {}, noun=kind.noun, published=published is not None)
    _add_legend(ax, [_set_entries(colours), named, _mark_entries(result, intervals, contrasts)])
    return ax


def _styles(counts: Iterable[int]) -> dict[int, Any]:
    """Return the line style of each number of units, the largest first."""
    ordered = sorted({int(count) for count in counts}, reverse=True)
    return {count: LINE_STYLES[place % len(LINE_STYLES)] for place, count in enumerate(ordered)}


def _draw_curves(
    ax: Axes,
    result: xr.Dataset,
    values: xr.DataArray,
    intervals: Intervals,
    colours: Mapping[str, str],
    styles: Mapping[int, Any],
) -> None:
    """Draw the mean over draws of each set and number of units, with its intervals."""
    means, unsettled = draw_mean(values, result), not_converged(result)
    counts = sorted(int(count) for count in result["n_units"].values)
    scale = mark_scale(ax, result.sizes["layer"])
    for (place, (name, colour)), (rank, count) in product(enumerate(colours.items()), enumerate(counts)):
        at = {"set": name, "n_units": count}
        line, opened = means.sel(at).values, unsettled.sel(at).values
        x = _positions(len(line), (place, len(colours)), (rank, len(counts)))
        main = count == counts[-1]
        marker = MARKERS[place % len(MARKERS)]
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
            marker=marker,
            markersize=scale * (MARK_SIZE if main else SMALL_MARK_SIZE),
            zorder=3 if main else 2,
        )
        if opened.any():
            ax.scatter(
                x[opened],
                line[opened],
                s=(scale * OPEN_SIZE * (LARGER if marker in WITH_ARMS else 1.0)) ** 2,
                marker=marker,
                facecolor="white",
                edgecolor=colour,
                linewidth=0.8 * scale,
                zorder=2.5,
            )
    highest = max(np.nanmax(line.get_ydata(), initial=0.0) for line in ax.get_lines())
    top = min(ax.get_ylim()[1], MOST_ABOVE * highest or np.inf)
    ax.set_ylim(-0.03 * top, top)  # zero is in sight, and its markers are whole
    ax.grid(axis="y", color="#E5E5E5", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def _positions(n_layers: int, of_set: tuple[int, int], of_count: tuple[int, int]) -> np.ndarray:
    """Return where a curve's points stand, given which set and number of units it is, of how many."""
    (place, sets), (rank, counts) = of_set, of_count
    one = n_layers == 1
    step = min(BESIDE_OF_ONE, TOGETHER_OF_ONE / sets) if one else min(BESIDE, TOGETHER / sets)
    within = (rank - (counts - 1) / 2) * step / (counts + 1) if one else 0.0
    return np.arange(n_layers) + (place - (sets - 1) / 2) * step + within


def _draw_published(
    ax: Axes, result: xr.Dataset, published: xr.DataArray, colours: Mapping[str, str]
) -> None:
    depth = [layer_names(result).index(layer) for layer in published["layer"].values.tolist()]
    for name in published["set"].values.tolist():
        line = published.sel(set=name, n_units=published["n_units"].max()).values
        ax.plot(depth, line, color=colours[name], linestyle=PUBLISHED_STYLE, linewidth=1.0, zorder=4)


def _set_entries(colours: Mapping[str, str]) -> dict[str, Artist]:
    from matplotlib.lines import Line2D

    return {
        plain(wrapped(name)): Line2D([], [], color=colour, marker=MARKERS[place % len(MARKERS)], markersize=4)
        for place, (name, colour) in enumerate(colours.items())
    }


def _style_entries(
    styles: Mapping[int, Any], *, noun: str = "units", published: bool = False
) -> dict[str, Artist]:
    from matplotlib.lines import Line2D

    entries: dict[str, Artist] = {
        f"{count:,} {noun}": Line2D([], [], color=LEGEND_COLOUR, linestyle=style, linewidth=1.5)
        for count, style in styles.items()
    }
    if published:
        entries["published"] = Line2D([], [], color=LEGEND_COLOUR, linestyle=":", linewidth=1.0)
    return entries


def _mark_entries(
    result: xr.Dataset, intervals: Intervals, contrasts: Sequence[xr.Dataset] = ()
) -> dict[str, Artist]:
    """Return what says which interval is which, and what open marks and those above the axes are."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks: dict[str, Artist] = {
        "images": Patch(facecolor=LEGEND_COLOUR, alpha=BAND_STRENGTH, linewidth=0),
        "units": Line2D([], [], color=LEGEND_COLOUR, linestyle="none", marker="|", markersize=9),
    }
    entries = {words: marks[source] for source, words in intervals.legend().items()}
    open_mark: dict[str, Any] = {"marker": "o", "markersize": OPEN_SIZE, "markerfacecolor": "white"}
    if bool(not_converged(result).any()):
        entries["not converged"] = Line2D([], [], color=LEGEND_COLOUR, linestyle="none", **open_mark)
    if contrasts:
        entries[DIFFERENT] = Line2D([], [], **mark(LEGEND_COLOUR, "#A0A0A0"))
    return entries


def _add_legend(ax: Axes, groups: Sequence[Mapping[str, Artist]], *, size: float = LEGEND_SIZE) -> None:
    """Say beside the axes what is what, a group below the other."""
    from matplotlib.lines import Line2D

    entries: list[tuple[str, Artist]] = []
    for group in groups:
        if entries and group:
            entries.append(("", Line2D([], [], linestyle="none")))
        entries += group.items()
    names, handles = zip(*entries, strict=True)
    ax.legend(
        handles,
        names,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
        fontsize=size,
        handlelength=2.6,
    )
