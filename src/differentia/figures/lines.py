"""Differentiation against depth."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import InputError
from differentia.figures.labels import LONGEST_LAYER_NAME, plain, set_colours, shortened, wrapped
from differentia.figures.panels import PAGE_WIDTH, RESOLUTION
from differentia.published import published_lines
from differentia.results import relative
from differentia.schema import validate_result
from differentia.uncertainty import draw_mean, draw_spread
from differentia.units import unit_kind

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")

#: From the largest number of units to the smallest.
LINE_STYLES: tuple[Any, ...] = ("-", (0, (6, 2)), (0, (2, 1.5)), (0, (6, 2, 1, 2)), (0, (1, 3)))
PUBLISHED_STYLE = ":"

#: Layers beyond this many share their names out: every second, every third, ...
MOST_LAYER_NAMES = 60

#: In inches: a layer's name on its side, in small and in large letters, and a panel of `plot_kinds`.
ROOM_FOR_A_NAME, ROOM_FOR_A_LARGE_NAME = 0.115, 0.16
NARROWEST_KIND, KIND_HEIGHT = 2.2, 1.6

#: In points, of legends; those of `plot_kinds` are at paper size.
LEGEND_SIZE, KINDS_LEGEND_SIZE = 8.0, 7.0


def plot(result: xr.Dataset, ax: Axes | None = None, *, published: bool | None = None) -> Axes:
    """Draw differentiation against depth, one colour for each set and one line style for each `n_units`.

    Lines are means over draws of units; bands are one SD over draws either side.

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

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result; with ``published=True``, it has nothing in common with the published curves.
    """
    validate_result(result)
    curves = published_lines(result, "differentiation", wanted=published)
    ax = _draw(result, result["differentiation"], ax, curves)
    ax.set_ylabel(_ylabel(result))
    return ax


def plot_relative(
    result: xr.Dataset,
    reference: str | None = None,
    ax: Axes | None = None,
    *,
    published: bool | None = None,
) -> Axes:
    """Draw differentiation relative to a reference set against depth, as `plot`.

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

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is no result, or there is no reference; with ``published=True``, it has nothing in common with
        the published curves.
    """
    values = relative(result, reference)
    curves = published_lines(
        result, "relative_differentiation", wanted=published, reference=values.attrs["reference"]
    )
    ax = _draw(result, values, ax, curves)
    ax.axhline(1.0, color="#B0B0B0", linewidth=0.8, zorder=0)
    ax.set_ylabel(f"Differentiation / {plain(wrapped(values.attrs['reference']))}")
    return ax


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
    for ax, (kind, result) in zip(panels, results.items(), strict=True):
        own = styles if _counted(result) else _styles(result["n_units"].values)
        _draw_curves(ax, result, result["differentiation"], colours, own)
        room = _width(ax) / ROOM_FOR_A_NAME
        _label_layers(ax, _layer_names(result), most=max(2, int(room)), size=6.5, longest=24)
        ax.set_title(plain(kind), fontsize=9, loc="left")
        ax.tick_params(axis="y", labelsize=7)
        top = max(top, ax.get_ylim()[1])
    for ax in panels:
        ax.set_ylim(-0.03 * top, top)
        ax.set_xlabel("")
        if ax is panels[0] or ax.get_subplotspec() is None or ax.get_subplotspec().is_first_col():
            ax.set_ylabel(_ylabel(first), fontsize=8)
        ax.tick_params(labelbottom=not _stands_over_another(ax, panels))
    _add_legend(panels[_columns(results) - 1], colours, styles, size=KINDS_LEGEND_SIZE)
    return panels


def _width(ax: Axes) -> float:
    """Return inches, as the axes stand before a layout is solved."""
    return float(ax.get_position().width * ax.figure.bbox.width / ax.figure.dpi)


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
    names = 0.05 * max(len(shortened(name, 24)) for name in _layer_names(first))
    named_rows = 1 if len(results) % columns == 0 else min(2, rows)
    size = (PAGE_WIDTH, rows * KIND_HEIGHT + named_rows * names)
    figure = make(figsize=size, dpi=RESOLUTION, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax in axes[len(results) :]:
        ax.remove()
    return figure, axes[: len(results)]


def figure_size(result: xr.Dataset) -> tuple[float, float]:
    """Return inches: no wider than a page, high enough for the layers' names."""
    layers = [shortened(name) for name in _layer_names(result)]
    width = min(PAGE_WIDTH, max(4.6, 1.6 + 0.28 * len(layers)) + _legend_width(result))
    return width, 2.9 + 0.055 * max(map(len, layers))


def _legend_width(result: xr.Dataset) -> float:
    """Return inches."""
    longest = max(len(line) for name in result["set"].values for line in wrapped(str(name)).splitlines())
    return 0.7 + 0.075 * max(longest, 13)


def _layer_names(result: xr.Dataset) -> list[str]:
    return [str(name) for name in result["layer"].values]


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
    if not isinstance(results, Mapping) or not results:
        raise InputError(
            "expected results as {kind of units: result}, with at least one: what measure_kinds() returned"
        )
    first = next(iter(results))
    for kind, result in results.items():
        validate_result(result, f"the result of kind {kind!r}")
        for what in ("set", "layer"):
            expected, given = (results[name][what].values.tolist() for name in (first, kind))
            if expected != given:
                raise InputError(
                    f"the kinds {first!r} and {kind!r} differ in their {what}s ({', '.join(expected)}; "
                    f"{', '.join(given)}); measure them together with measure_kinds()"
                )


def _draw(
    result: xr.Dataset, values: xr.DataArray, ax: Axes | None, published: xr.DataArray | None = None
) -> Axes:
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=figure_size(result), layout="constrained")
    colours, styles = set_colours(result), _styles(result["n_units"].values)
    if published is not None:  # first, since the limits of the y axis are set with the curves
        _draw_published(ax, result, published, colours)
    _draw_curves(ax, result, values, colours, styles)
    room = _width(ax)
    most = max(2, min(MOST_LAYER_NAMES, int(room / ROOM_FOR_A_NAME)))
    large = room / min(most, result.sizes["layer"]) > ROOM_FOR_A_LARGE_NAME
    _label_layers(ax, _layer_names(result), most=most, size=8 if large else 6.5)
    _add_legend(ax, colours, styles if _counted(result) else {}, published=published is not None)
    return ax


def _styles(counts: Iterable[int]) -> dict[int, Any]:
    """Return the line style of each number of units, the largest first."""
    ordered = sorted({int(count) for count in counts}, reverse=True)
    return {count: LINE_STYLES[place % len(LINE_STYLES)] for place, count in enumerate(ordered)}


def _draw_curves(
    ax: Axes,
    result: xr.Dataset,
    values: xr.DataArray,
    colours: Mapping[str, str],
    styles: Mapping[int, Any],
) -> None:
    """Draw the mean over draws of each set and number of units, and a band of one SD either side."""
    spread = draw_spread(values, result)
    means = draw_mean(values, result)
    counts = sorted(int(count) for count in result["n_units"].values)
    depth: Sequence[float] = range(result.sizes["layer"])
    for place, (name, colour) in enumerate(colours.items()):
        for count in counts:
            line = means.sel(set=name, n_units=count).values
            band = spread.sel(set=name, n_units=count).fillna(0.0).values
            main = count == counts[-1]
            ax.fill_between(depth, line - band, line + band, color=colour, alpha=0.16, linewidth=0)
            if len(depth) == 1:  # where a band has no width: bars, side by side
                depth = [(place - (len(colours) - 1) / 2) * 0.12 + 0.02 * counts.index(count)]
                bars = ax.errorbar(depth, line, yerr=band, fmt="none", ecolor=colour, alpha=0.6, capsize=3)
                bars[2][0].set_linestyle(styles[count])
            ax.plot(
                depth,
                line,
                color=colour,
                linestyle=styles[count],
                linewidth=1.7 if main else 1.1,
                marker=MARKERS[place % len(MARKERS)],
                markersize=3.5 if main else 1.8,
                zorder=3 if main else 2,
            )
    ax.set_ylim(bottom=-0.03 * ax.get_ylim()[1])  # zero is in sight, and its markers are whole
    ax.grid(axis="y", color="#E5E5E5", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)


def _draw_published(
    ax: Axes, result: xr.Dataset, published: xr.DataArray, colours: Mapping[str, str]
) -> None:
    depth = [_layer_names(result).index(layer) for layer in published["layer"].values.tolist()]
    for name in published["set"].values.tolist():
        line = published.sel(set=name, n_units=published["n_units"].max()).values
        ax.plot(depth, line, color=colours[name], linestyle=PUBLISHED_STYLE, linewidth=1.0, zorder=4)


def _label_layers(
    ax: Axes, layers: Sequence[str], *, most: int, size: float, longest: int = LONGEST_LAYER_NAME
) -> None:
    step = -(-len(layers) // most)
    shown = sorted({*range(0, len(layers), step), len(layers) - 1})
    if len(shown) > 1 and shown[-1] - shown[-2] < step:
        del shown[-2]
    ax.set_xticks(
        shown,
        [plain(shortened(layers[place], longest)) for place in shown],
        rotation=60,
        ha="right",
        rotation_mode="anchor",
        fontsize=size,
    )
    ax.set_xlim(-0.5, len(layers) - 0.5)
    ax.set_xlabel("Layer, in the order of computation")


def _add_legend(
    ax: Axes,
    colours: Mapping[str, str],
    styles: Mapping[int, Any],
    *,
    published: bool = False,
    size: float = LEGEND_SIZE,
) -> None:
    """Say beside the axes what the colours mean, and below that what the line styles mean."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=colour, marker=MARKERS[place % len(MARKERS)], markersize=4)
        for place, colour in enumerate(colours.values())
    ]
    names = [plain(wrapped(name)) for name in colours]
    all_styles = {f"{count:,} units": style for count, style in styles.items()}
    if published:
        all_styles["published"] = PUBLISHED_STYLE
    if all_styles:
        handles.append(Line2D([], [], linestyle="none"))
        names.append("")
    for name, style in all_styles.items():
        handles.append(
            Line2D([], [], color="#404040", linestyle=style, linewidth=1.0 if name == "published" else 1.5)
        )
        names.append(name)
    ax.legend(
        handles,
        names,
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        frameon=False,
        fontsize=size,
        handlelength=2.6,
    )
