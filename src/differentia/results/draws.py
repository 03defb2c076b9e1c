"""What draws of units say: their mean and their spread."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from differentia.errors import InputError, short_tracebacks
from differentia.recording.units import UNIT_KINDS

if TYPE_CHECKING:
    import xarray as xr


@short_tracebacks
def draw_mean(values: xr.DataArray | xr.Dataset, result: xr.Dataset | None = None) -> xr.DataArray:
    """Return the mean over draws of units.

    Parameters
    ----------
    values : (set, layer, n_units, draw)
        Differentiation, or relative differentiation; or a result, for its differentiation.
    result
        Where values come from.

    Returns
    -------
    (set, layer, n_units)
        In the unit of `values`. NaN where the measure has no value for some of the draws, since the others
        do not stand for all.

    Raises
    ------
    InputError
        The values have no draws, or it was not said where they come from.
    """
    values, result = _with_result(values, result)
    means = values.mean("draw").where(_complete(values, result))
    return _as_described(means, values, "{}, mean over draws")


@short_tracebacks
def draw_spread(values: xr.DataArray | xr.Dataset, result: xr.Dataset | None = None) -> xr.DataArray:
    """Return the SD over draws of units that fresh draws from the whole layer would show.

    The draws that were made share one pool of M of a layer's L units; their SD is multiplied by
    ``sqrt((1 - K/L) / (1 - K/M))`` for K units. It is NaN where only one draw exists (of a whole pool, and
    of units that are not chosen at random), unless that draw is the whole layer: then it is 0. It is NaN
    too where the measure has no value for some of the draws, since the others do not stand for all.

    Parameters
    ----------
    values : (set, layer, n_units, draw)
        Differentiation, or relative differentiation; or a result, for its differentiation.
    result
        Where values come from.

    Returns
    -------
    (set, layer, n_units)
        In the unit of `values`.

    Raises
    ------
    InputError
        The values have no draws, or it was not said where they come from.
    """
    values, result = _with_result(values, result)
    spread = spread_in_pool(values, result) * np.sqrt(pool_correction(result))
    spread = spread.where(~is_whole_layer(values, result), 0.0)
    return _as_described(spread, values, "{}, SD over draws")


def _as_described(found: xr.DataArray, values: xr.DataArray, name: str) -> xr.DataArray:
    """Return what was found of values in the order of its dimensions, with a name and their unit."""
    about = {"long_name": name.format(values.attrs.get("long_name", "values"))}
    about |= {key: values.attrs[key] for key in ("units", "reference") if key in values.attrs}
    ordered = found.transpose(..., "layer", "n_units", missing_dims="ignore")
    return ordered.drop_attrs(deep=False).assign_attrs(about)


def _with_result(
    values: xr.DataArray | xr.Dataset, result: xr.Dataset | None
) -> tuple[xr.DataArray, xr.Dataset]:
    """Return values, and the result that they come from at the layer or number of units that they are of."""
    import xarray as xr

    if result is None:
        result = values if isinstance(values, xr.Dataset) else None
    if result is None or "differentiation" not in result:
        raise InputError(
            "expected a result, draw_mean(result), or values and the result that they come from, "
            "draw_mean(values, result)"
        )
    if isinstance(values, xr.Dataset):
        values = values["differentiation"]
    if "draw" not in values.dims:
        raise InputError(
            f"the values have the dimensions {values.dims}, and no draws; expected those of "
            "result['differentiation'], or of a selection of it with lists, .sel(draw=[0])"
        )
    one = {name: values[name] for name in ("layer", "n_units") if name in {*values.coords} - {*values.dims}}
    return values, result.sel({name: label for name, label in one.items() if name in result.dims})


def _complete(values: xr.DataArray, result: xr.Dataset) -> xr.DataArray:
    """Return where every draw that exists has a value."""
    # Of a whole pool there is only draw 0, and so it is with units that are not chosen at random.
    at_random = result["units"].isin([name for name, kind in UNIT_KINDS.items() if kind.random])
    exists = ((result["units_used"] < result["pool_size"]) & at_random) | (values["draw"] == 0)
    return (values.notnull() | ~exists).all("draw")


def pool_correction(result: xr.Dataset) -> xr.DataArray:
    """Return the variance over draws from the layer, divided by that over draws from the pool."""
    used = result["units_used"].astype(np.float64)
    of_pool = 1 - used / result["pool_size"]
    return (1 - used / result["layer_size"]) / of_pool.where(of_pool > 0)


def spread_in_pool(values: xr.DataArray, result: xr.Dataset) -> xr.DataArray:
    several = values.notnull().sum("draw") > 1
    return values.std("draw", ddof=1).where(_complete(values, result) & several)


def is_whole_layer(values: xr.DataArray, result: xr.Dataset) -> xr.DataArray:
    """Return where the one draw that there is is the whole layer."""
    return (result["units_used"] == result["layer_size"]) & (values.notnull().sum("draw") == 1)
