"""Where sets differ: the numbers of contrasts, as the page draws and lists them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.contrasts import contrasts_between_sets
from differentia.errors import InputError
from differentia.report.curves import without_nan
from differentia.schema import LIMITS

if TYPE_CHECKING:
    import xarray as xr

#: What a contrast holds of each layer that the page shows.
_SHOWN = (
    *("difference", "difference_low", "difference_high"),
    *("ratio", "ratio_low", "ratio_high", "p", "p_corrected"),
)
_ABOUT = ("first", "second", "units", "n_units", "permutations", "confidence")


def contrasts_of(results: Mapping[str, xr.Dataset]) -> list[xr.Dataset]:
    """Return the contrasts of the first of several results, where it has intervals.

    Parameters
    ----------
    results
        By kind of units.
    """
    first = next(iter(results.values()))
    return contrasts_between_sets(first) if LIMITS[0] in first else []


def contrasts(results: Mapping[str, xr.Dataset], given: Sequence[xr.Dataset]) -> list[dict[str, Any]]:
    """Return contrasts as the page's scripts draw them; those that could not be tested are left out.

    Parameters
    ----------
    results
        By kind of units.
    given
        What `differentia.contrasts.contrast` returned for them.

    Returns
    -------
    list of dict
        ``first`` and ``second`` (places of the sets), ``units``, ``n_units``, ``permutations``,
        ``confidence``; by layer ``difference`` and ``ratio``, each with ``_low`` and ``_high``, ``p`` and
        ``p_corrected``, None for NaN.

    Raises
    ------
    InputError
        One is no contrast, or not of these results.
    """
    found = []
    for one in given:
        _require_contrast(results, one)
        sets = [str(name) for name in results[one.attrs["units"]]["set"].values]
        if not np.isfinite(one["p_corrected"].values).any():
            continue
        found.append(
            {
                "first": sets.index(one.attrs["first"]),
                "second": sets.index(one.attrs["second"]),
                "units": str(one.attrs["units"]),
                "n_units": int(one.attrs["n_units"]),
                "permutations": int(one.attrs["permutations"]),
                "confidence": float(one.attrs["confidence"]),
                **{name: without_nan(one[name].values) for name in _SHOWN},
            }
        )
    return found


def _require_contrast(results: Mapping[str, xr.Dataset], given: Any) -> None:
    """Raise an error for what is no contrast of any of the results."""
    import xarray as xr

    if not isinstance(given, xr.Dataset) or not (
        set(_ABOUT) <= set(given.attrs) and set(_SHOWN) <= set(given)
    ):
        what = "a Dataset of another kind" if isinstance(given, xr.Dataset) else type(given).__name__
        raise InputError(f"contrasts holds {what}; expected what contrast(result, first, second) returns")
    about = given.attrs
    named = f"the contrast of {about['first']!r} and {about['second']!r}"
    result = results.get(about["units"])
    if result is None:
        raise InputError(f"{named} is of {about['units']!r} units; the results are of {', '.join(results)}")
    unknown = {about["first"], about["second"]} - set(map(str, result["set"].values))
    if unknown:
        raise InputError(f"{named} is of another result, which has the set {min(unknown)!r}")
    if not np.array_equal(given["layer"].values, result["layer"].values):
        raise InputError(f"{named} is of other layers than the result; make it from this result")
    if about["n_units"] != (largest := int(result["n_units"].max())):
        raise InputError(
            f"{named} is of {about['n_units']:,} units; the largest number of the result is {largest:,}: "
            "make it from this result"
        )
