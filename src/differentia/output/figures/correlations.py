"""How layers follow the stimulus: their differentiation against its own, and correlation against depth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import InputError, require_known, short_tracebacks
from differentia.output.colours import COLOURS, SYMBOLS
from differentia.output.figures.contrasts import DIFFERENT, NOT_DIFFERENT
from differentia.output.figures.depth import (
    AXIS_LABEL,
    LABEL_SIZE,
    LEFT,
    LOWEST_AXES,
    NARROW,
    NUMBER_SIZE,
    LayerNames,
    axes_width,
    axis_label,
    mark_scale,
    names_with_room,
    rule,
    set_ends,
)
from differentia.output.figures.intervals import LEGEND_COLOUR, band_key, draw_band
from differentia.output.figures.labels import plain, shortened
from differentia.output.figures.legends import SMALL_LEGEND_SIZE, Legend, key, laid_out
from differentia.output.figures.lines import BAND_OF_ONE, MARK_SIZE
from differentia.output.figures.panels import PAGE_WIDTH, RESOLUTION, asked_width, figure_in
from differentia.output.words import unit_of
from differentia.results.contrasts import SIGNIFICANT
from differentia.results.correlations import COEFFICIENTS
from differentia.results.depth import require_depth
from differentia.results.subject import RECORDED, RECORDED_FACT, SETS, subject_of
from differentia.results.summaries import layer_names, percent

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

#: The panel of sets, as a share of the width of that of depth; and between the two, in inches.
SHARE_OF_SETS, BETWEEN = 0.7, 0.75

#: In points: the curve of correlations, a regression line, and the point of a set, of few and of many.
CURVE_WIDTH, LINE_WIDTH, POINT_SIZE, SMALL_POINT_SIZE = 1.5, 1.2, 4.0, 2.5

#: Sets with larger points.
FEW_SETS = 50

#: Of the curve of one result, on which chosen layers have colours.
ALONE = "#404040"

#: What the axis says of a coefficient.
NAMES = {"pearson": "Correlation r", "spearman": "Rank correlation"}

#: In relative depth: where populations stand that have none, the first and from one to the next.
AFTER_DEPTH, BETWEEN_AREAS = 1.15, 0.13

#: In characters: a layer in the legend.
LONGEST_LAYER = 24


@short_tracebacks
def plot_depth(
    found: xr.Dataset | Mapping[str, xr.Dataset],
    axes: Any = None,
    *,
    layers: Sequence[str] | None = None,
    coefficient: str = "pearson",
) -> np.ndarray:
    """Draw how layers follow the stimulus: sets as points, and the correlation over them against depth.

    At the left, the differentiation of some layers against that of the stimulus, a point for each set, with
    the least-squares line of each layer. At the right, the correlation of each layer, with its interval over
    sets as a band; filled marks can be told from chance (corrected p < 0.05). Of several results (networks,
    animals), each is a curve, over the same layers or else over relative depth; populations of a recording,
    which have no order, stand beside it by their names. At the left is the layer of each that follows the
    stimulus most. The stimulus itself is left out.

    Parameters
    ----------
    found
        What `depth` returned; or name -> what it returned, for several results.
    axes : (2,) of matplotlib.axes.Axes, optional
        To draw into, or an empty figure, which keeps a width that it was given; by default a new one.
    layers
        Those at the left, of one result; by default the first, the middle and the last.
    coefficient
        "pearson" or "spearman".

    Returns
    -------
    (2,) of matplotlib.axes.Axes
        Of sets, and of depth.

    Raises
    ------
    InputError
        It is not what `depth` returned, there is no such layer or coefficient, or there are not two axes.
    """
    require_known("coefficient", coefficient, COEFFICIENTS)
    several = _named(found)
    shown = {name: _without_base(one) for name, one in several.items()}
    looks = _looks(shown, layers)
    entries = _entries(shown, looks, coefficient)
    of_depth = _Depth(list(shown.values()))
    panels, names, legend, room = _panels(axes, of_depth, entries)
    _draw_sets(panels[0], shown, looks)
    _draw_depth(panels[1], of_depth, shown, looks, coefficient, room)
    of_depth.name(panels[1], names, room)
    figure = panels[0].figure.figure  # the whole one
    if figure.get_constrained_layout():
        legend.draw_beside_panels(figure)
    else:
        legend.draw_at(panels[1])
    return panels


class _Look:
    """Which layer of a result stands among the points, and how it is marked there and on the curve."""

    def __init__(self, place: int, layer: str) -> None:
        self.layer = layer
        self.colour = COLOURS[place % len(COLOURS)].figure
        self.marker = SYMBOLS[place % len(SYMBOLS)].marker


def _named(found: Any) -> dict[str, xr.Dataset]:
    """Return what `depth` returned by name; of one result the name is empty."""
    import xarray as xr

    if isinstance(found, xr.Dataset) or not isinstance(found, Mapping):
        require_depth(found)
        return {"": found}
    if not found:
        raise InputError("there is nothing to draw; expected what depth(result) returned, or {name: that}")
    for one in found.values():
        require_depth(one)
    return {str(name): one for name, one in found.items()}


def _without_base(found: xr.Dataset) -> xr.Dataset:
    """Return all layers but the stimulus itself, unless there is no other."""
    others = [
        name for name in layer_names(found) if not (found.attrs["has_base"] and name == found.attrs["base"])
    ]
    return found.sel(layer=others) if others else found


def _looks(shown: Mapping[str, xr.Dataset], layers: Sequence[str] | None) -> list[tuple[str, _Look]]:
    """Return which layers stand among the points: of which result, and how each is marked."""
    if len(shown) > 1:
        if layers is not None:
            raise InputError("layers= is of one result; leave it out, or draw each result by itself")
        return [(name, _Look(place, _followed_most(one))) for place, (name, one) in enumerate(shown.items())]
    ((name, one),) = shown.items()
    known = layer_names(one)
    if layers is None:
        chosen = [known[at] for at in sorted({0, len(known) // 2, len(known) - 1})]
    else:
        chosen = [layers] if isinstance(layers, str) else list(layers)
        for layer in chosen:
            require_known("layer", layer, known)
    return [(name, _Look(place, layer)) for place, layer in enumerate(chosen)]


def _followed_most(found: xr.Dataset) -> str:
    """Return the layer of the highest correlation, or the first where there is none."""
    values = found["pearson"].values
    return layer_names(found)[int(np.nanargmax(values)) if np.isfinite(values).any() else 0]


class _Depth:
    """Where the layers of results stand: at places of their names, or by relative depth where they differ.

    Populations have no order, and so no depth: beside networks they stand at the right, by their names.
    """

    def __init__(self, shown: Sequence[xr.Dataset]) -> None:
        self.subject = subject_of(shown[0])
        recorded = [one for one in shown if one.attrs[RECORDED_FACT]]
        names = [layer_names(one) for one in (recorded or shown)]
        #: What is named at the axis: the layers that all have, or populations.
        self.layers = list(dict.fromkeys(chain.from_iterable(names)))
        alike = all(layer_names(one) == self.layers for one in shown)
        self.by_name = alike or len(recorded) == len(shown)
        self.beside = bool(recorded) and not self.by_name

    def positions(self, found: xr.Dataset, place: int, count: int) -> np.ndarray:
        """Return where the layers of a result stand, a little beside those of others."""
        n = found.sizes["layer"]
        recorded = bool(found.attrs[RECORDED_FACT])
        if not self.by_name and not recorded:
            return np.linspace(0.0, 1.0, n) if n > 1 else np.array([0.5])
        at = np.array([self.layers.index(name) for name in layer_names(found)], dtype=float)
        aside = place - (count - 1) / 2
        if self.by_name:
            return at + aside * min(0.1, 0.4 / count)
        return AFTER_DEPTH + (at + aside * min(0.3, 0.8 / count)) * BETWEEN_AREAS

    @property
    def _end(self) -> float:
        """Where an axis of relative depth ends."""
        last = AFTER_DEPTH + (len(self.layers) - 1) * BETWEEN_AREAS
        return last + BETWEEN_AREAS / 2 if self.beside else 1.04

    def names(self, room: float, *, small: bool) -> LayerNames:
        if not self.beside:
            return names_with_room(self.layers if self.by_name else ["0", "1"], room, small=small)
        share = (len(self.layers) * BETWEEN_AREAS) / (self._end + 0.04)
        of_areas = names_with_room(self.layers, room * share, small=small)
        areas = tuple(AFTER_DEPTH + place * BETWEEN_AREAS for place in of_areas.places)
        return replace(of_areas, places=(0.0, 0.5, 1.0, *areas), names=("0", "0.5", "1", *of_areas.names))

    def name(self, ax: Axes, names: LayerNames, room: float) -> None:
        """Name the layers, or relative depth, at an axis of so many inches."""
        if self.by_name:
            names.draw(ax)
            set_ends(ax, len(self.layers), room)
            ax.set_xlabel(axis_label(self.subject, room), fontsize=LABEL_SIZE)
            return
        ax.set_xlim(-0.04, self._end)
        ax.tick_params(axis="x", labelsize=NUMBER_SIZE)
        label = "Relative depth (1: the last layer)"
        if self.beside:
            names.draw(ax)
            ax.axvline((1 + AFTER_DEPTH) / 2, color="#B0B0B0", linewidth=0.8, zorder=0.5)
            label += f"; {RECORDED.place.many}"
        ax.set_xlabel(label, fontsize=LABEL_SIZE)


def _panels(
    given: Any, of_depth: _Depth, entries: Sequence[Mapping[str, Artist]]
) -> tuple[np.ndarray, LayerNames, Legend, float]:
    """Return a user's two axes, or those of a figure, made to fit; and what is around them."""
    size: dict[str, Any] = {"size": SMALL_LEGEND_SIZE, "narrowest": np.inf}  # below the axes
    if (figure := figure_in(given, RESOLUTION)) is None:
        panels = np.asarray(given, dtype=object).ravel()
        if panels.size != 2:
            raise InputError(f"axes= holds {panels.size} axes; expected 2: plt.subplots(1, 2) gives them")
        room = axes_width(panels[1])
        legend = laid_out(entries, np.inf, size=SMALL_LEGEND_SIZE, narrowest=0.0)
        return panels, of_depth.names(room, small=True), legend, room
    width = asked_width(figure) or PAGE_WIDTH
    stacked = width < NARROW
    whole = width - LEFT
    room = whole if stacked else (whole - BETWEEN) / (1 + SHARE_OF_SETS)
    names = of_depth.names(room, small=stacked)
    legend = laid_out(entries, width, **size)
    height = max(LOWEST_AXES, 0.55 * room if not stacked else 0.6 * room)
    around = names.height + AXIS_LABEL + legend.height
    figure.set_size_inches(width, (2 * (height + AXIS_LABEL) if stacked else height) + around)
    figure.set_layout_engine("constrained")
    # Figures within the figure, so that no panel ends where the names below the other begin.
    shape = (2, 1) if stacked else (1, 2)
    ratios: dict[str, Any] = {} if stacked else {"width_ratios": [SHARE_OF_SETS, 1.0]}
    parts = figure.subfigures(*shape, **ratios)
    return np.array([part.add_subplot() for part in parts]), names, legend, room


def _draw_sets(ax: Axes, shown: Mapping[str, xr.Dataset], looks: Sequence[tuple[str, _Look]]) -> None:
    """Draw some layers against the stimulus, a point for each set, with their lines."""
    for name, look in looks:
        found = shown[name]
        x, y = found["stimulus"].values, found["value"].sel(layer=look.layer).values
        size = POINT_SIZE if found.sizes["set"] <= FEW_SETS else SMALL_POINT_SIZE
        ax.plot(
            x,
            y,
            look.marker,
            color=look.colour,
            markersize=size,
            alpha=0.75,
            markeredgewidth=0,
            label=look.layer,
        )
        slope, intercept = (found[what].sel(layer=look.layer).item() for what in ("slope", "intercept"))
        known = x[np.isfinite(x) & np.isfinite(y)]
        if np.isfinite(slope) and len(known):
            ends = np.array([known.min(), known.max()])
            ax.plot(ends, intercept + slope * ends, color=look.colour, linewidth=LINE_WIDTH, zorder=1.5)
    rule(ax)
    ax.tick_params(axis="x", labelsize=NUMBER_SIZE)
    first = next(iter(shown.values()))
    unit = f"\n({unit_of(first)})" if unit_of(first) else ""
    base = (
        "the stimulus"
        if first.attrs["base"] == "input"
        else plain(shortened(first.attrs["base"], LONGEST_LAYER))
    )
    ax.set_xlabel(f"Differentiation of {base}", fontsize=LABEL_SIZE)
    ax.set_ylabel(f"Differentiation{unit}", fontsize=LABEL_SIZE)


def _draw_depth(
    ax: Axes,
    of_depth: _Depth,
    shown: Mapping[str, xr.Dataset],
    looks: Sequence[tuple[str, _Look]],
    coefficient: str,
    room: float,
) -> None:
    """Draw the correlation of each layer with its interval, a curve for each result."""
    ax.axhline(0.0, color="#808080", linewidth=0.8, zorder=0.5)
    most = max(one.sizes["layer"] for one in shown.values())
    size = (MARK_SIZE + 0.5) * mark_scale(room, most)
    for place, (name, found) in enumerate(shown.items()):
        alone = len(shown) == 1
        colour = ALONE if alone else looks[place][1].colour
        x = of_depth.positions(found, place, len(shown))
        value = found[coefficient].values
        low, high = (found[f"{coefficient}{end}"].values for end in ("_low", "_high"))
        separate = bool(found.attrs[RECORDED_FACT]) or found.sizes["layer"] == 1
        draw_band(ax, x, low, high, colour, half_width=BAND_OF_ONE, separate=separate)
        line: dict[str, Any] = {"linestyle": "none" if separate else "-", "linewidth": CURVE_WIDTH}
        ax.plot(x, value, color=colour, label=name, zorder=2, **line)
        told = found[f"{coefficient}_p_corrected"].values < SIGNIFICANT
        marks = {layer: look for of, look in looks if of == name for layer in [look.layer]} if alone else {}
        for at, layer in enumerate(layer_names(found)):
            look = marks.get(layer, None if alone else looks[place][1])
            edge = look.colour if look else colour
            ax.plot(
                x[at],
                value[at],
                look.marker if look else "o",
                color=edge,
                markerfacecolor=edge if told[at] else "white",
                markersize=size * (1.5 if layer in marks else 1.0),
                markeredgewidth=0.8,
                zorder=3,
            )
    ax.set_ylim(-1.05, 1.05)
    rule(ax)
    ax.set_ylabel(NAMES[coefficient], fontsize=LABEL_SIZE)


def _entries(
    shown: Mapping[str, xr.Dataset], looks: Sequence[tuple[str, _Look]], coefficient: str
) -> list[dict[str, Artist]]:
    """Return what the legend says: of layers or results, and of bands and marks."""
    first = next(iter(shown.values()))
    alone = len(shown) == 1
    marks: dict[str, Any] = {}
    for name, look in looks:
        counted = SETS.count(int(shown[name]["n_sets"].max()))
        words = look.layer if alone else f"{name}: {counted}, left {shortened(look.layer, LONGEST_LAYER)}"
        marks[words] = key(color=look.colour, marker=look.marker, markersize=4, linestyle="-", linewidth=1.2)
    more: dict[str, Any] = {}
    if alone:
        counted = SETS.count(int(first["n_sets"].max()))
        more[f"correlation over {counted}"] = key(color=ALONE, linestyle="-", linewidth=CURVE_WIDTH)
    if any(np.isfinite(one[f"{coefficient}_low"].values).any() for one in shown.values()):
        more[f"{percent(first.attrs['confidence'])}: other sets"] = band_key()
    p = np.concatenate([one[f"{coefficient}_p_corrected"].values for one in shown.values()])
    if (p < SIGNIFICANT).any():
        more[DIFFERENT] = key(color=LEGEND_COLOUR, marker="o", markersize=4)
    if (p >= SIGNIFICANT).any():
        more[NOT_DIFFERENT] = key(color=LEGEND_COLOUR, marker="o", markersize=4, markerfacecolor="white")
    return [marks, more]
