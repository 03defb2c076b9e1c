"""Differentiation relative to a reference set, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from differentia.errors import InputError
from differentia.results.dataset import require_variables
from differentia.results.draws import draw_mean
from differentia.results.intervals import Estimate, draw_interval, interval_of_ratio
from differentia.results.references import (
    References,
    in_words,
    labelled,
    references_of,
    the_reference,
)
from differentia.results.schema import LEFT_OUT, LIMITS, checked

if TYPE_CHECKING:
    import xarray as xr


@checked
def relative(
    result: xr.Dataset, reference: str | Mapping[str, str] | None = None, *, matched: bool = False
) -> xr.DataArray:
    """Return differentiation divided by that of a reference set (noise; spontaneous activity).

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    reference
        The set to divide by, or set -> the set to divide its values by (``"*"`` for all sets that are not
        named); by default, also of sets that are not named, the result's own reference.
    matched
        Divide by the reference's value at the same number of units and the same draw, instead of its
        mean over draws at the largest number of units that the result, or the selection of it, has.

    Returns
    -------
    (set, layer, n_units, draw)
        Dimensionless. NaN where the reference is zero or NaN (in any draw, for the mean), or a set has none.
        Where sets have different references, the coordinate ``set_reference`` (set) names them.

    Raises
    ------
    InputError
        No reference was named and the result has none, or there is no such set.
    """
    references = _references(result, reference)
    values = result["differentiation"]
    divisor = values
    if not matched:
        divisor = draw_mean(divisor, result)
        divisor = divisor.sel(n_units=divisor["n_units"].max(), drop=True)
    divisor = _of_references(divisor, references)
    found = (values / divisor.where(divisor != 0)).transpose(*values.dims).drop_attrs(deep=False)
    return _described(found, references).rename("relative_differentiation")


def _references(result: xr.Dataset, given: References) -> dict[str, str]:
    """Return the reference of each set, of which at least one has any."""
    references = references_of(result, given)
    if any(references.values()):
        return references
    if LEFT_OUT in result.attrs:
        raise InputError(
            f"the result's reference, the set {result.attrs[LEFT_OUT]!r}, was left out of it: select it too, "
            "or name another set with reference= (--reference)"
        )
    raise InputError(
        "the result has no reference set (one is chosen automatically only where exactly one set is "
        "generated noise); name one with reference= (--reference)"
    )


def _of_references(values: xr.DataArray, references: Mapping[str, str]) -> xr.DataArray:
    """Return for each set the values of its reference; NaN where it has none."""
    names = [str(name) for name in values["set"].values]
    of_references = values.sel(set=[references[name] or name for name in names])
    found = of_references.assign_coords(set=values["set"])
    none = [name for name in names if not references[name]]
    return found.where(~found["set"].isin(none)) if none else found


def _described(values: xr.DataArray, references: Mapping[str, str], end: str = "") -> xr.DataArray:
    one = the_reference(references)
    of = f"the set {one}" if one else f"a reference of each set: {in_words(references)}"
    about = {
        "long_name": f"relative differentiation{end}",
        "units": "1",
        "description": f"Differentiation divided by that of {of}.",
    }
    return labelled(values.assign_attrs(about), references)


@checked
def relative_interval(
    result: xr.Dataset, reference: str | Mapping[str, str] | None = None
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the limits of relative differentiation, which carry the uncertainty of the reference too.

    They are the limits of a ratio of two values that do not depend on each other (Zou and Donner 2008): the
    mean over draws, divided by that of the reference at the largest number of units.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    reference
        The set to divide by, or of each set, as for `relative`.

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
    references = _references(result, reference)
    require_variables(result, *LIMITS)
    means = draw_mean(result["differentiation"], result)
    limits = [result[limit] for limit in LIMITS]
    confidence = limits[0].attrs["confidence"]
    of_mean = draw_interval(result["differentiation"], result, confidence=confidence, fresh=False)
    divisor, *divisor_limits = (_of_largest(array, references) for array in (means, *limits))
    known = [
        limit.where(limit["source"] != "units", _of_largest(units, references).fillna(divisor))
        for limit, units in zip(divisor_limits, of_mean, strict=True)
    ]
    known = [
        limit.where(limit["source"] != "both", limit.fillna(limit.sel(source="images"))) for limit in known
    ]
    both = interval_of_ratio(Estimate(means, *limits), Estimate(divisor, *known))
    own = [name for name, reference in references.items() if name == reference]
    itself = means["set"].isin(own) & (limits[0]["source"] == "images")
    low, high = (
        _described(
            limit.where(~itself, (means / divisor).where(limits[0].notnull()))
            .transpose("set", "layer", "n_units", "source")
            .drop_attrs(deep=False)
            .assign_attrs(limits[0].attrs),
            references,
            end,
        )
        for limit, end in zip(both, (", lower limit", ", upper limit"), strict=True)
    )
    return low.rename("relative_differentiation_low"), high.rename("relative_differentiation_high")


def _of_largest(values: xr.DataArray, references: Mapping[str, str]) -> xr.DataArray:
    """Return for each set the values of its reference at the largest number of units."""
    return _of_references(values.sel(n_units=values["n_units"].max(), drop=True), references)
