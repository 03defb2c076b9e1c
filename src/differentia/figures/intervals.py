"""Intervals around values: those of images as filled bands, those of units as bars."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float

from differentia.draws import draw_mean, draw_spread
from differentia.relatives import relative_interval
from differentia.schema import LIMITS

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes

BAND_STRENGTH, BAR_STRENGTH = 0.18, 0.75

#: What the marks of the legend that stand for all sets are drawn in.
LEGEND_COLOUR = "#404040"


@dataclass(frozen=True)
class Intervals:
    """Between which limits the values of a result lie.

    Attributes
    ----------
    low, high : (set, layer, n_units, source)
        By what their uncertainty is owed to, "units" and, where it is known, "images"; NaN where unknown.
    extent
        How far they reach, as the legend says it.
    """

    low: xr.DataArray
    high: xr.DataArray
    extent: str

    def limits(self, source: str, **place: Any) -> tuple[np.ndarray, np.ndarray]:
        """Return the limits, (layer,), of one set and number of units."""
        if source not in self.low["source"].values:
            nothing = np.full(self.low.sizes["layer"], np.nan)
            return nothing, nothing
        low, high = (limit.sel(source=source, **place).values for limit in (self.low, self.high))
        return low, high

    def legend(self) -> dict[str, str]:
        """Return what the legend says, of the intervals that can be seen."""
        seen = (self.high > self.low).any(["set", "layer", "n_units"])
        sources = [str(name) for name in seen["source"].values[seen.values]]
        return {source: f"{self.extent}: other {source}" for source in sorted(sources)}


def intervals_of(result: xr.Dataset, values: xr.DataArray, reference: str | None = None) -> Intervals:
    """Return the intervals of a result's values, or of its relative values where a reference is named.

    A result of before there were intervals gets the spread over draws of units, one SD either side.
    """
    import xarray as xr

    if set(LIMITS) <= set(result):
        given = [result[name] for name in LIMITS]
        low, high = given if reference is None else relative_interval(result, reference)
        return Intervals(low, high, percent(given[0].attrs["confidence"]))
    means, spread = draw_mean(values, result), draw_spread(values, result)
    units = xr.Variable("source", ["units"])
    low, high = (xr.concat([means + sign * spread], dim=units) for sign in (-1, 1))
    return Intervals(low, high, "\N{PLUS-MINUS SIGN} 1 SD")


def percent(confidence: float) -> str:
    """Return a level of confidence as a legend says it."""
    return f"{100 * confidence:g} %"


def draw_band(
    ax: Axes,
    x: Float[np.ndarray, " layer"],
    low: Float[np.ndarray, " layer"],
    high: Float[np.ndarray, " layer"],
    colour: str,
    *,
    half_width: float,
) -> None:
    """Fill what lies between limits; a layer that stands alone, whose band would have no width, gets a box.

    Parameters
    ----------
    ax
        The panel.
    x, low, high : (layer,)
        There is a gap where limits are NaN.
    colour
        Of the set.
    half_width
        Of a box, in layers.
    """
    known = np.isfinite(low) & np.isfinite(high)
    if not known.any():
        return
    beside = np.pad(known, 1)
    alone = known & ~beside[:-2] & ~beside[2:]
    times = np.where(alone, 2, 1)
    first = (np.cumsum(times) - times)[alone]
    x, low, high = (np.repeat(array, times) for array in (x, low, high))
    x[first], x[first + 1] = x[first] - half_width, x[first] + half_width
    ax.fill_between(x, low, high, color=colour, alpha=BAND_STRENGTH, linewidth=0, zorder=1)


def draw_bars(
    ax: Axes,
    x: Float[np.ndarray, " layer"],
    low: Float[np.ndarray, " layer"],
    high: Float[np.ndarray, " layer"],
    colour: str,
    **style: Any,
) -> None:
    """Draw an upright line between limits, where they are known and apart."""
    seen = high > low
    if seen.any():
        ax.vlines(x[seen], low[seen], high[seen], colors=colour, alpha=BAR_STRENGTH, zorder=1.5, **style)
