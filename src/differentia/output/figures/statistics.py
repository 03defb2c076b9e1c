"""What distances say beside their median, against depth: dimensions, and how two sets lie apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import InputError, require_known, short_tracebacks
from differentia.output.colours import set_looks
from differentia.output.figures.contrasts import (
    COLOUR,
    DIFFERENT,
    LONGEST_IN_TITLE,
    NOT_DIFFERENT,
    STACKED_HEIGHT,
    TITLE,
    scale_by_logarithm,
)
from differentia.output.figures.depth import (
    LABEL_SIZE,
    LOWEST_AXES,
    Surroundings,
    mark_scale,
    panel_in,
    rule,
    surroundings_in,
)
from differentia.output.figures.intervals import LEGEND_COLOUR, band_key, draw_band
from differentia.output.figures.labels import plain, told_apart
from differentia.output.figures.legends import key
from differentia.output.figures.lines import BAND_OF_ONE, MARK_SIZE, positions, set_entries
from differentia.results.contrasts import SIGNIFICANT
from differentia.results.statistics import require_statistics
from differentia.results.subject import subject_of
from differentia.results.summaries import layer_names, percent

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Without the bias of few images; and the most that images can have.
UNBIASED_STYLE: Any = (0, (4, 1.5))
MOST_STYLE = ":"


@short_tracebacks
def plot_dimensionality(found: xr.Dataset, ax: Axes | Figure | None = None) -> Axes:
    """Draw the dimensionality of responses against depth, one colour for each set.

    Lines with marks are the participation ratio of the images at hand, which can't reach the dotted line at
    N - 1 of N images. Dashed lines are the estimate without the bias of few images. The axis is logarithmic.

    Parameters
    ----------
    found
        What `statistics` returned, or a selection of its sets and layers.
    ax
        To draw into: axes, or an empty figure, which keeps a width that it was given; by default a new one.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is not what `statistics` returned, or no dimensionality is known.
    """
    require_statistics(found)
    if not bool(found["dimensionality"].notnull().any()):
        raise InputError(f"there is no dimensionality to draw. {found.attrs['unknown']}".strip())
    layers, looks, subject = layer_names(found), set_looks(found), subject_of(found)
    separate = subject.recorded or len(layers) == 1
    items = subject.item.many
    mark: dict[str, Any] = {"color": LEGEND_COLOUR, "linestyle": "none" if separate else "-"}
    styles = {
        f"{items} at hand": key(**mark, marker="o", markersize=MARK_SIZE),
        f"all {items} of the kind": key(
            **(mark | ({"marker": "_"} if separate else {"linestyle": UNBIASED_STYLE}))
        ),
        f"most for so many {items}": key(color=LEGEND_COLOUR, linestyle=MOST_STYLE),
    }
    ax, around = panel_in(ax, layers, subject, [set_entries(looks, separate=separate), styles])
    size = MARK_SIZE * mark_scale(around.room, len(layers))
    for place, (name, (colour, symbol)) in enumerate(looks.items()):
        x = positions(len(layers), (place, len(looks)), (0, 1), separate=separate)
        of_set = found.sel(set=name)
        style: dict[str, Any] = {"color": colour.figure, "label": name}
        line = "none" if separate else "-"
        ax.plot(
            x,
            of_set["dimensionality"].values,
            linewidth=1.2,
            linestyle=line,
            marker=symbol.marker,
            markersize=size,
            **style,
        )
        # A mark is seen where the layer stands alone.
        dashed = {"marker": "_", "linestyle": "none"} if separate else {"linestyle": UNBIASED_STYLE}
        ax.plot(x, of_set["dimensionality_unbiased"].values, linewidth=0.9, **dashed, **style)
    for most in sorted({int(n) - 1 for n in found["n_images"].values if n > 2}):
        ax.axhline(most, color=LEGEND_COLOUR, linestyle=MOST_STYLE, linewidth=0.8, zorder=1.5)
    rule(ax)
    scale_by_logarithm(ax)
    ax.set_ylabel("Dimensionality\n(participation ratio)", fontsize=LABEL_SIZE)
    around.name(ax)
    around.explain(ax)
    return ax


@short_tracebacks
def plot_between(found: xr.Dataset, first: str, second: str, ax: Axes | Figure | None = None) -> Axes:
    """Draw the median distance between two sets against depth, and those within each.

    All are divided by one SD, of both sets. The band around the line between is the interval of how far it
    lies above the mean of the two within. A filled mark stands where the sets are not of one kind (corrected
    p < 0.05), an open one where that can't be said, none where there is no test.

    Parameters
    ----------
    found
        What `statistics` returned.
    first, second
        Names of two sets.
    ax
        To draw into: axes, or an empty figure, which keeps a width that it was given; by default a new one.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    InputError
        It is not what `statistics` returned, there are no such two sets, or their distances are not known.
    """
    require_statistics(found)
    pair = _pair(found, first, second)
    if not bool(pair["between"].notnull().any()):
        raise InputError(f"no distances between these sets are known. {found.attrs['unknown']}".strip())
    about = layer_names(found), subject_of(found), [_entries(found, [pair])]
    ax, around = panel_in(ax, *about, above=lambda _: TITLE)
    _draw_between(ax, around, found, pair)
    around.explain(ax)
    return ax


def drawn_pairs(found: xr.Dataset) -> list[tuple[str, str]]:
    """Return the two sets of each pair whose excess has an interval somewhere."""
    tested = found["excess_low"].notnull().any("layer").values
    first, second = (found[which].values[tested].astype(str).tolist() for which in ("first", "second"))
    return list(zip(first, second, strict=True))


def draw_pairs(found: xr.Dataset, figure: Figure) -> None:
    """Draw a panel for each of `drawn_pairs` into a figure, one above the other."""
    pairs = [_pair(found, *names) for names in drawn_pairs(found)]
    count = len(pairs)
    around = surroundings_in(figure, layer_names(found), subject_of(found), [_entries(found, pairs)])
    least = LOWEST_AXES if count == 1 else STACKED_HEIGHT * count
    figure.set_size_inches(around.width, around.height(TITLE * count, least=least))
    figure.set_layout_engine("constrained")
    panels = figure.subplots(count, squeeze=False)[:, 0]
    for ax, pair in zip(panels, pairs, strict=True):
        _draw_between(ax, around, found, pair)
    around.legend.draw_beside_panels(figure)
    top = max(ax.get_ylim()[1] for ax in panels)
    for ax in panels:
        ax.set_ylim(0, top)
    for ax in panels[:-1]:  # whose layers are named at the last one
        ax.set_xlabel("")
        ax.tick_params(labelbottom=False)


def _pair(found: xr.Dataset, first: str, second: str) -> xr.Dataset:
    """Return the values of two sets, whichever is named first."""
    names = [str(name) for name in found["set"].values]
    for name in (first, second):
        require_known("set", name, names)
    if first == second:
        raise InputError(f"both sets are {first!r}; name two different sets to compare")
    here = [
        {first, second} == {*pair} for pair in zip(found["first"].values, found["second"].values, strict=True)
    ]
    return found.isel(pair=int(np.flatnonzero(here)[0]))


def _draw_between(ax: Axes, around: Surroundings, found: xr.Dataset, pair: xr.Dataset) -> None:
    layers, looks = layer_names(found), set_looks(found)
    separate = subject_of(found).recorded or len(layers) == 1
    x = np.arange(len(layers), dtype=np.float64)
    names = [str(pair[which].item()) for which in ("first", "second")]
    scale = mark_scale(around.room, len(layers))
    line = "none" if separate else "-"
    for name, which in zip(names, ("within_first", "within_second"), strict=True):
        colour, symbol = looks[name]
        style: dict[str, Any] = {"color": colour.figure, "marker": symbol.marker, "label": name}
        ax.plot(x, pair[which].values, linestyle=line, linewidth=1.0, markersize=MARK_SIZE * scale, **style)
    between = pair["between"].values
    low, high = (between - pair["excess"].values + pair[f"excess_{end}"].values for end in ("low", "high"))
    draw_band(ax, x, low, high, COLOUR, half_width=BAND_OF_ONE, separate=separate)
    ax.plot(x, between, color=COLOUR, linewidth=1.4, linestyle=line, zorder=2.5, label="between")
    corrected = pair["p_corrected"].values
    mark: dict[str, Any] = {"s": 18 * scale**2, "edgecolor": COLOUR, "linewidth": 0.9 * scale, "zorder": 3}
    for at, fill in ((corrected < SIGNIFICANT, COLOUR), (corrected >= SIGNIFICANT, "white")):
        ax.scatter(x[at], between[at], facecolor=fill, **mark)
    rule(ax)
    ax.set_ylim(0, 1.05 * max(ax.get_ylim()[1], float(np.nanmax(between))))
    ax.set_ylabel("Median distance", fontsize=LABEL_SIZE)
    shown = told_apart(names, LONGEST_IN_TITLE)
    ax.set_title(plain(f"{shown[0]} and {shown[1]}"), fontsize=LABEL_SIZE, loc="left")
    around.name(ax)


def _entries(found: xr.Dataset, pairs: list[xr.Dataset]) -> dict[str, Artist]:
    """Return what says which line is which, and what the band and the marks mean."""
    separate = subject_of(found).recorded or found.sizes["layer"] == 1
    line = "none" if separate else "-"
    looks = set_looks(found)
    names = {str(pair[which].item()) for pair in pairs for which in ("first", "second")}
    entries = {
        f"within {name}": key(color=colour.figure, linestyle=line, marker=symbol.marker, markersize=4)
        for name, (colour, symbol) in looks.items()
        if name in names
    }
    point: dict[str, Any] = {"marker": "o", "markersize": 4.2, "markeredgecolor": COLOUR}
    entries["between the two"] = key(color=COLOUR, linestyle=line, linewidth=1.4, **point)
    if any(bool(pair["excess_low"].notnull().any()) for pair in pairs):
        entries[f"{percent(found.attrs['confidence'])}: other {subject_of(found).item.many}"] = band_key()
    if any(bool(pair["p_corrected"].notnull().any()) for pair in pairs):
        entries |= {
            DIFFERENT: key(markerfacecolor=COLOUR, **point),
            NOT_DIFFERENT: key(markerfacecolor="white", **point),
        }
    return entries
