"""Intervals around values: those of images as filled bands, those of units as bars."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from differentia.output.doubts import told_doubts
from differentia.output.figures.legends import key
from differentia.results.convergence import not_converged
from differentia.results.references import References
from differentia.results.subject import subject_of
from differentia.results.summaries import confidence_of, limits_or_spread, percent

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

ByLayer = Float[np.ndarray, " layer"]

BAND_STRENGTH, BAR_STRENGTH = 0.18, 0.75

#: In points: the mark of a value that is not to be trusted, and what the legend says of it.
DOUBT_SIZE = 6.5
DOUBT = "not to be trusted: see report"

#: What the marks of the legend that stand for all sets are drawn in.
LEGEND_COLOUR = "#404040"


@dataclass(frozen=True)
class Intervals:
    """The limits of values (set, layer, n_units, source), and what the legend says of each source."""

    low: xr.DataArray
    high: xr.DataArray
    words: dict[str, str]
    #: Which values are not to be trusted for other images, (set, layer, n_units).
    doubted: xr.DataArray
    #: Which of the others have not converged, (set, layer, n_units).
    unsettled: xr.DataArray

    def of(self, sets: Sequence[str]) -> Intervals:
        """Return those of some sets."""
        arrays = self.low, self.high, self.doubted, self.unsettled
        low, high, doubted, unsettled = (array.sel(set=[*sets]) for array in arrays)
        return Intervals(low, high, self.words, doubted, unsettled)

    def limits(self, source: str, **place: Any) -> tuple[ByLayer, ByLayer]:
        """Return the limits of one set and number of units; NaN where unknown."""
        if source not in self.low["source"].values:
            nothing = np.full(self.low.sizes["layer"], np.nan)
            return nothing, nothing
        low, high = (limit.sel(source=source, **place).values for limit in (self.low, self.high))
        return low, high

    def legend(self) -> dict[str, str]:
        """Return the words for the intervals that can be seen: of images, at the largest number of units."""
        apart = self.high > self.low
        at = {"images": apart["n_units"].max(), "units": apart["n_units"]}
        seen = {name: apart.sel(n_units=at[name]) & (apart["source"] == name) for name in self.words}
        return {name: said for name, said in self.words.items() if bool(seen[name].any())}


def intervals_of(
    result: xr.Dataset, values: xr.DataArray, noun: str, reference: References = None
) -> Intervals:
    """Return the intervals of a result's values, relative where a reference is named; `noun` is of units."""
    confidence = confidence_of(result)
    extent = "\N{PLUS-MINUS SIGN} 1 SD" if confidence is None else percent(confidence)
    items = subject_of(result).item.many
    words = {"images": f"{extent}: other {items}", "units": f"{extent}: other {noun}"}
    doubted = told_doubts(result, items, reference) != ""
    unsettled = not_converged(result) & ~doubted
    return Intervals(*limits_or_spread(result, values, reference), words, doubted, unsettled)


def band_key() -> Artist:
    """Return what stands for bands in a legend."""
    from matplotlib.patches import Patch

    return Patch(facecolor=LEGEND_COLOUR, alpha=BAND_STRENGTH, linewidth=0)


def draw_band(
    ax: Axes,
    x: ByLayer,
    low: ByLayer,
    high: ByLayer,
    colour: str,
    *,
    half_width: float,
    separate: bool = False,
) -> None:
    """Fill what lies between limits; a layer between gaps, or on its own, gets a box."""
    known = np.isfinite(low) & np.isfinite(high)
    if not known.any():
        return
    beside = np.pad(known, 1)
    alone = known if separate else known & ~beside[:-2] & ~beside[2:]
    times = np.where(alone, 3, 1)  # of a box, both sides, and what keeps it apart
    first = (np.cumsum(times) - times)[alone]
    x, low, high = (np.repeat(array, times) for array in (x, low, high))
    x[first], x[first + 1], low[first + 2] = x[first] - half_width, x[first] + half_width, np.nan
    ax.fill_between(x, low, high, color=colour, alpha=BAND_STRENGTH, linewidth=0, zorder=1)


def doubt_key() -> Artist:
    """Return what stands in a legend for values that are not to be trusted."""
    return key(color=LEGEND_COLOUR, marker=_crossed_circle(), markersize=DOUBT_SIZE, markerfacecolor="white")


def draw_doubts(ax: Axes, x: ByLayer, y: ByLayer, colour: str, *, scale: float) -> None:
    """Draw a crossed circle over each point, larger than any other mark."""
    style: dict[str, Any] = {"marker": _crossed_circle(), "facecolor": "white", "edgecolor": colour}
    ax.scatter(x, y, s=(scale * DOUBT_SIZE) ** 2, linewidth=0.9 * scale, zorder=3.5, **style)


def _crossed_circle() -> Any:
    from matplotlib.path import Path

    ends = np.array([[-1.0, -1.0], [1.0, 1.0], [-1.0, 1.0], [1.0, -1.0]]) * 0.5**0.5
    cross = Path(ends, [Path.MOVETO, Path.LINETO] * 2)
    return Path.make_compound_path(Path.unit_circle(), cross)


def draw_bars(
    ax: Axes,
    x: ByLayer,
    low: ByLayer,
    high: ByLayer,
    colour: str,
    *,
    alpha: float = BAR_STRENGTH,
    **style: Any,
) -> None:
    """Draw an upright line between limits, where they are known and apart."""
    seen = (high > low) & np.isfinite(low) & np.isfinite(high)
    if seen.any():
        ax.vlines(x[seen], low[seen], high[seen], colors=colour, alpha=alpha, zorder=1.5, **style)
