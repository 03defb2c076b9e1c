"""The numbers of the curves: differentiation against depth, as it is and relative."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.draws import convergence_known, draw_mean, draw_spread, not_converged
from differentia.published import published_lines
from differentia.relatives import relative
from differentia.schema import LIMITS, SOURCES
from differentia.tables import value_limits
from differentia.units import unit_kind

if TYPE_CHECKING:
    import xarray as xr

#: The order of every array of the curves.
ORDER = ("set", "layer", "n_units")


def curves(result: xr.Dataset) -> dict[str, Any]:
    """Return what the page's curves are drawn from.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.

    Returns
    -------
    dict
        ``units``, ``counted`` (whether a number of units says anything), ``n_units``, ``draws`` (of each
        number of units); ``units_used`` [layer][n_units]; ``not_converged`` [set][layer][n_units], None where
        it can't be said; ``confidence`` of the limits, None where there are none; ``raw`` and, with a
        reference, ``relative``: each ``mean``, ``spread`` and ``published`` [set][layer][n_units], None for
        NaN, and of ``units`` and ``images`` the ``low`` and ``high`` limits, None where none is known.
    """
    kind = unit_kind(str(result["units"].item()))
    values: dict[str, xr.DataArray | None] = {"raw": result["differentiation"], "relative": None}
    if result.attrs["reference"]:
        values["relative"] = relative(result)
    limits = value_limits(result)
    flags = not_converged(result).transpose(*ORDER).values.astype(object)
    flags[~convergence_known(result).transpose(*ORDER).values] = None
    return {
        "units": str(result["units"].item()),
        "counted": kind.counted,
        "n_units": result["n_units"].values.tolist(),
        "units_used": result["units_used"].transpose(*ORDER[1:]).values.tolist(),
        "draws": draws_made(result),
        "not_converged": flags.tolist(),
        "confidence": confidence(result),
        **{
            name: None if at is None else {**_lines(result, at), **_limits(*limits[called])}
            for (name, at), called in zip(values.items(), ("differentiation", "relative"), strict=True)
        },
    }


def confidence(result: xr.Dataset) -> float | None:
    """Return how sure the limits of a result are, or None where it has none."""
    return float(result[LIMITS[0]].attrs["confidence"]) if LIMITS[0] in result else None


def draws_made(result: xr.Dataset) -> list[int]:
    """Return how many draws there are at each number of units, in the layer that has most."""
    draws = result["differentiation"].notnull().any("set").sum("draw").max("layer")
    return [max(1, int(count)) for count in draws.values]


def _lines(result: xr.Dataset, values: xr.DataArray) -> dict[str, Any]:
    variable = str(values.name)
    published = published_lines(result, variable, reference=values.attrs.get("reference"))
    if published is not None:
        published = published.reindex({name: result[name] for name in ORDER})
    return {
        "mean": without_nan(draw_mean(values, result).transpose(*ORDER).values),
        "spread": without_nan(draw_spread(values, result).transpose(*ORDER).values),
        "published": None if published is None else without_nan(published.transpose(*ORDER).values),
    }


def _limits(low: xr.DataArray, high: xr.DataArray) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for source in SOURCES:
        ends = [limit.sel(source=source).transpose(*ORDER).values for limit in (low, high)]
        known = any(np.isfinite(end).any() for end in ends)
        found[source] = dict(zip(("low", "high"), map(without_nan, ends), strict=True)) if known else None
    return found


def without_nan(values: np.ndarray) -> Any:
    """Return an array as nested lists for JSON, which knows no NaN: there it is None."""
    numbers = values.astype(object)
    numbers[~np.isfinite(values)] = None
    return numbers.tolist()
