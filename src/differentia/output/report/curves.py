"""The numbers of the curves: differentiation against depth, as it is and relative."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.output.doubts import told_doubts
from differentia.output.words import UNIT_WORDS
from differentia.results.convergence import all_units_of, convergence_known, not_converged
from differentia.results.dataset import kind_of
from differentia.results.doubts import doubts
from differentia.results.draws import draw_mean, draw_spread
from differentia.results.published import published_lines
from differentia.results.references import references_in, references_of
from differentia.results.relative import relative
from differentia.results.schema import SOURCES
from differentia.results.subject import subject_of, unit_noun
from differentia.results.summaries import confidence_of, draws_made
from differentia.results.tables import value_limits

if TYPE_CHECKING:
    import xarray as xr

#: Of every array of the curves, in this order.
DIMENSIONS = ("set", "layer", "n_units")


def curves(results: Mapping[str, xr.Dataset], units: str) -> dict[str, Any]:
    """Return what the page's curves of a kind of units are drawn from.

    Arrays have the `DIMENSIONS`, and None is unknown. What all units give, if it was measured together with
    them, tells whether they have converged.
    """
    result, of_all = results[units], all_units_of(results, units)
    limits = value_limits(result)
    lines = {"raw": _lines(result, result["differentiation"], limits["differentiation"]), "relative": None}
    if any(references_of(result).values()):
        lines["relative"] = _lines(result, relative(result), limits["relative"])
    flags = not_converged(result, of_all).transpose(*DIMENSIONS).values.astype(object)
    flags[~convergence_known(result, of_all).transpose(*DIMENSIONS).values] = None
    return {
        "units": units,
        "used_as": UNIT_WORDS[units].used,
        "noun": unit_noun(result).many,
        "counted": kind_of(result).counted,
        "n_units": result["n_units"].values.tolist(),
        "units_used": result["units_used"].transpose("layer", "n_units").values.tolist(),
        "draws": draws_made(result),
        "not_converged": flags.tolist(),
        "doubt": doubts(result).transpose(*DIMENSIONS).values.tolist(),
        "confidence": confidence_of(result),
        **lines,
    }


def _lines(
    result: xr.Dataset, values: xr.DataArray, limits: tuple[xr.DataArray, xr.DataArray]
) -> dict[str, Any]:
    """Return means over draws, their SD, published ones, doubts, and limits by source; None if unknown."""
    items = subject_of(result).item.many
    variable, reference = str(values.name), references_in(values)
    published = published_lines(result, variable, reference=reference)
    if published is not None:
        published = _nested(published.reindex({name: result[name] for name in DIMENSIONS}))
    found = {
        "mean": _nested(draw_mean(values, result)),
        "spread": _nested(draw_spread(values, result)),
        "published": published,
        "doubt": told_doubts(result, items, reference).values.tolist(),
    }
    for source in SOURCES:
        found[source] = None
        if source not in limits[0]["source"].values:  # of an older result
            continue
        low, high = (limit.sel(source=source) for limit in limits)
        known = bool(low.notnull().any() | high.notnull().any())
        found[source] = {"low": _nested(low), "high": _nested(high)} if known else None
    return found


def _nested(values: xr.DataArray) -> Any:
    return without_nan(values.transpose(*DIMENSIONS).values)


def without_nan(values: np.ndarray) -> Any:
    """Return an array as nested lists for JSON, which knows no NaN: there it is None."""
    numbers = values.astype(object)
    numbers[~np.isfinite(values)] = None
    return numbers.tolist()
