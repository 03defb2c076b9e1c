"""What there is to see in a result, computed once for tables, figures and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import require_known
from differentia.results.dataset import require_variables, set_rows, units_at_hand
from differentia.results.schema import map_names

if TYPE_CHECKING:
    import xarray as xr


def distance_units(result: xr.Dataset) -> xr.DataArray:
    """Return what raw distances are divided by, (set, layer): ``sigma sqrt(K)``; NaN where nothing varies."""
    sd = sd_at_hand(result)
    scale = sd if result.attrs["normalize"] != "none" else sd.where(sd.isnull(), 1.0)
    return scale * np.sqrt(units_at_hand(result).values.astype(np.float64))


def sd_at_hand(result: xr.Dataset) -> xr.DataArray:
    """Return the population SD of the N x K responses of the K units at hand to a set's N images.

    It is (set, layer), and NaN where nothing varies.
    """
    import xarray as xr

    used = units_at_hand(result).values.astype(np.float64)
    found = []
    for name in result["set"].values:
        rows = set_rows(result, str(name))
        mean, mean_square = (
            result[sums].values[rows].sum(axis=0) / (len(rows) * used)
            for sums in ("image_sum", "image_sumsq")
        )
        variance = mean_square - mean**2
        # What rounding leaves of the variance of equal responses is no variance.
        found.append(np.sqrt(np.where(variance > 1e-13 * mean_square, variance, np.nan)))
    return xr.DataArray(found, {"set": result["set"], "layer": result["layer"].values}, ("set", "layer"))


def layers_with_channels(result: xr.Dataset) -> list[str]:
    """Return the layers of a result that have means of channels, in their order; others' are not known."""
    known = set(result["filter_layer"].values.tolist()) if "filter_layer" in result else set()
    return [str(name) for name in result["layer"].values if name in known]


def filter_scores(result: xr.Dataset) -> xr.DataArray:
    """Return each channel's mean response to each image, z-scored, (image, filter).

    By the mean and SD of all units of the channel's layer over all images of the image's set; NaN where the
    layer gives the same everywhere.
    """
    require_variables(result, "filter_mean", "layer_mean", "layer_sd")
    means = result["filter_mean"]
    scores = _z_scored(result, means, set=result["image_set"], layer=result["filter_layer"])
    return scores.transpose("image", "filter").rename("filter_score")


def map_scores(result: xr.Dataset, name: str) -> xr.DataArray:
    """Return the maps of a channel, a variable such as ``map_0``, z-scored as `filter_scores`."""
    require_variables(result, "map_0", "layer_mean", "layer_sd")
    require_known("map", name, map_names(result))
    sets = result["image_set"].isel(image=result["map_image"].values).rename({"image": "map_image"})
    return _z_scored(result, result[name], layer=result[name].attrs["layer"], set=sets, drop=True)


def _z_scored(result: xr.Dataset, values: xr.DataArray, **place: Any) -> xr.DataArray:
    moments = result[["layer_mean", "layer_sd"]].sel(**place)
    sd = moments["layer_sd"]
    return (values.astype(np.float64) - moments["layer_mean"]) / sd.where(sd > 0)
