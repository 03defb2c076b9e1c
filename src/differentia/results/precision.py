"""How many images and units are enough: what intervals would shrink to with more of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from differentia.errors import InputError
from differentia.results.dataset import kind_of, require_variables, set_rows
from differentia.results.schema import LIMITS, checked
from differentia.results.summaries import percent

if TYPE_CHECKING:
    import xarray as xr


@checked
def precision(result: xr.Dataset) -> xr.Dataset:
    """Return how closely values are known, and how many images and units would halve that.

    Half an interval of images is ``q(N) e sqrt(N0 / N)`` for N images. Here e is the standard error with the
    N0 images at hand, and q(N) the number of standard errors that the interval reaches. With more images it
    approaches z, that of the normal distribution: ``q(N) = z + (q(N0) - z) N0 / N``. Half an interval of
    units is proportional to ``sqrt(1/K - 1/L)`` for K of the L units of a layer.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned, with intervals.

    Returns
    -------
    xarray.Dataset
        ``images`` (set): how many there are. ``half_width`` (set, layer, n_units, source): of the intervals,
        in the unit of the values. ``images_to_halve`` (set, layer), at the largest number of units, and
        ``units_to_halve`` (set, layer, n_units): how many would halve it, at most all that a layer has; NaN
        where that is unknown.

    Raises
    ------
    InputError
        It is not a result, or has no intervals.
    """
    import xarray as xr

    require_variables(result, *LIMITS)
    half = (result["differentiation_high"] - result["differentiation_low"]) / 2
    largest = result["n_units"].max()
    of_images = half.sel(n_units=largest, source="images", drop=True)
    used, size = result["units_used"], result["layer_size"]
    more = 1 / ((1 / used - 1 / size) / 4 + 1 / size)
    of_units = half.sel(source="units", drop=True)
    counts = xr.DataArray([len(set_rows(result, name)) for name in result["set"].values], dims="set")
    found = {
        "images": counts,
        "half_width": half,
        "images_to_halve": of_images * np.nan,
        "units_to_halve": np.ceil(more.where(of_units > 0)),
    }
    return xr.Dataset(found, coords=half.coords).drop_attrs()


@checked
def say_precision(result: xr.Dataset) -> list[str]:
    """Return in words how closely each set is known in its least certain layer, and what would halve that.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.

    Returns
    -------
    list of str
        A sentence or two for each set; none where a result has no intervals.
    """
    try:
        found = precision(result)
    except InputError:
        return []
    level = percent(result[LIMITS[0]].attrs["confidence"])
    least = ", the least certain layer," if result.sizes["layer"] > 1 else ""
    noun = kind_of(result).noun
    sentences = []
    for name in result["set"].values.tolist():
        of_set = found.sel(set=name)
        of_images = of_set["half_width"].sel(n_units=result["n_units"].max(), source="images")
        if of_images.notnull().any():
            point = of_images.isel(layer=int(np.nanargmax(of_images.values)))
            layer, count = point["layer"].item(), of_set["images"].item()
            more = of_set["images_to_halve"].sel(layer=layer).item()
            sentences.append(
                f"With {count:,} images, {name} in {layer}{least} is known to "
                f"\u00b1{point.item():.2g} ({level}); {more:,.0f} images would halve that."
            )
        of_units = of_set["half_width"].sel(source="units")
        if (of_units > 0).any():
            at, at_count = np.unravel_index(int(np.nanargmax(of_units.values)), of_units.shape)
            here = {"layer": at, "n_units": at_count}
            used, more = (each.isel(here).item() for each in (result["units_used"], of_set["units_to_halve"]))
            point = of_units.isel(here)
            sentences.append(
                f"With {used:,} {noun}, a draw of {name} in {point['layer'].item()}{least} lies within "
                f"\u00b1{point.item():.2g} ({level}); {more:,.0f} {noun} would halve that."
            )
    return sentences
