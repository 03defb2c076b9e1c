"""Differentiation relative to a reference set, and its limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from differentia.errors import InputError, require_known
from differentia.results.dataset import require_variables
from differentia.results.draws import draw_mean
from differentia.results.intervals import Estimate, draw_interval, interval_of_ratio
from differentia.results.schema import LEFT_OUT, LIMITS, checked

if TYPE_CHECKING:
    import xarray as xr


@checked
def relative(result: xr.Dataset, reference: str | None = None, *, matched: bool = False) -> xr.DataArray:
    """Return differentiation divided by that of a reference set (noise; spontaneous activity).

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    reference
        The set to divide by; by default the result's own reference.
    matched
        Divide by the reference's value at the same number of units and the same draw, instead of its
        mean over draws at the largest number of units that the result, or the selection of it, has.

    Returns
    -------
    (set, layer, n_units, draw)
        Dimensionless. NaN where the reference is zero or NaN (in any draw, for the mean).

    Raises
    ------
    InputError
        No reference was named and the result has none, or there is no such set.
    """
    name = reference or result.attrs["reference"]
    if not name and LEFT_OUT in result.attrs:
        raise InputError(
            f"the result's reference, the set {result.attrs[LEFT_OUT]!r}, was left out of it: select it too, "
            "or name another set with reference= (--reference)"
        )
    if not name:
        raise InputError(
            "the result has no reference set (one is chosen automatically only where exactly one set is "
            "generated noise); name one with reference= (--reference)"
        )
    require_known("set", name, [str(known) for known in result["set"].values])
    values = result["differentiation"]
    divisor = values.sel(set=name, drop=True)
    if not matched:
        divisor = draw_mean(divisor, result)
        divisor = divisor.sel(n_units=divisor["n_units"].max(), drop=True)
    relative_values = values / divisor.where(divisor != 0)
    return (
        relative_values.drop_attrs(deep=False).assign_attrs(_about(name)).rename("relative_differentiation")
    )


def _about(reference: str) -> dict[str, str]:
    return {
        "long_name": "relative differentiation",
        "units": "1",
        "description": f"Differentiation divided by that of the set {reference}.",
        "reference": reference,
    }


@checked
def relative_interval(result: xr.Dataset, reference: str | None = None) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the limits of relative differentiation, which carry the uncertainty of the reference too.

    They are the limits of a ratio of two values that do not depend on each other (Zou and Donner 2008): the
    mean over draws, divided by that of the reference at the largest number of units.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    reference
        The set to divide by; by default the result's own reference.

    Returns
    -------
    low, high : (set, layer, n_units, source)
        Dimensionless. The limits of "units" include the uncertainty of the reference's mean where it is
        known; it is not where only one draw exists, that of a whole pool; then those of "both" include that
        of its images alone. In those of "images", the reference divided by itself is 1.

    Raises
    ------
    InputError
        No reference was named and the result has none, there is no such set, or the result has no intervals.
    """
    values = relative(result, reference)
    require_variables(result, *LIMITS)
    name = values.attrs["reference"]
    means = draw_mean(result["differentiation"], result)
    limits = [result[limit] for limit in LIMITS]
    of_largest = {"set": name, "n_units": result["n_units"].max()}
    divisor, *divisor_limits = (array.sel(of_largest, drop=True) for array in (means, *limits))
    confidence = limits[0].attrs["confidence"]
    of_mean = draw_interval(result["differentiation"], result, confidence=confidence, fresh=False)
    known = [
        limit.where(limit["source"] != "units", units.sel(of_largest, drop=True).fillna(divisor))
        for limit, units in zip(divisor_limits, of_mean, strict=True)
    ]
    known = [
        limit.where(limit["source"] != "both", limit.fillna(limit.sel(source="images"))) for limit in known
    ]
    both = interval_of_ratio(Estimate(means, *limits), Estimate(divisor, *known))
    itself = (means["set"] == name) & (limits[0]["source"] == "images")
    low, high = (
        limit.where(~itself, (means / divisor).where(limits[0].notnull()))
        .transpose("set", "layer", "n_units", "source")
        .drop_attrs(deep=False)
        .assign_attrs({**limits[0].attrs, **_about(name), "long_name": f"relative differentiation, {end}"})
        for limit, end in zip(both, ("lower limit", "upper limit"), strict=True)
    )
    return low.rename("relative_differentiation_low"), high.rename("relative_differentiation_high")
