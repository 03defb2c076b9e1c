"""What there is to see in a result, computed once for tables, figures and reports."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from differentia.dataset import require_variables, set_rows
from differentia.errors import require_known
from differentia.schema import map_names
from differentia.units import unit_kind

if TYPE_CHECKING:
    import xarray as xr


def distance_units(result: xr.Dataset) -> xr.DataArray:
    """Return what the raw distances of a set's images are divided by in each layer: ``sigma sqrt(K)``.

    Sigma is the population SD of the N x K responses of the K units of draw 0, at the largest `n_units`, to
    the set; 1 for a result with ``normalize="none"``. For a sketch, K stands for all units of the layer.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.

    Returns
    -------
    (set, layer)
        NaN where all responses are the same.
    """
    import xarray as xr

    stand_for_all = unit_kind(str(result["units"].item())).sketched
    most = result["units_used"].sel(n_units=result["n_units"].max())
    used = (result["layer_size"] if stand_for_all else most).values.astype(np.float64)
    names = [str(name) for name in result["set"].values]
    units = np.tile(np.sqrt(used), (len(names), 1))
    for row, name in zip(units, names, strict=True):
        rows = set_rows(result, name)
        mean, mean_square = (
            result[sums].values[rows].sum(axis=0) / (len(rows) * used)
            for sums in ("image_sum", "image_sumsq")
        )
        variance = mean_square - mean**2
        # What rounding leaves of the variance of equal responses is no variance.
        sd = np.sqrt(np.where(variance > 1e-13 * mean_square, variance, np.nan))
        row *= sd if result.attrs["normalize"] != "none" else np.where(np.isnan(sd), np.nan, 1.0)
    return xr.DataArray(units, {"set": result["set"], "layer": result["layer"].values}, ("set", "layer"))


def filter_scores(result: xr.Dataset) -> xr.DataArray:
    """Return each filter's mean response to each image, z-scored.

    By the mean and SD of all units of the filter's layer over all images of the image's set.

    Parameters
    ----------
    result
        What `measure` returned, with its views.

    Returns
    -------
    (image, filter)
        NaN where the layer gives the same everywhere.

    Raises
    ------
    InputError
        It is no result, or has no means of filters.
    """
    require_variables(result, "filter_mean", "layer_mean", "layer_sd")
    moments = result[["layer_mean", "layer_sd"]].sel(set=result["image_set"], layer=result["filter_layer"])
    sd = moments["layer_sd"]
    scores = (result["filter_mean"].astype(np.float64) - moments["layer_mean"]) / sd.where(sd > 0)
    return scores.transpose("image", "filter").rename("filter_score")


def map_scores(result: xr.Dataset, name: str) -> xr.DataArray:
    """Return the maps of a filter, z-scored as `filter_scores`.

    Parameters
    ----------
    result
        What `measure` returned, given ``maps=``.
    name
        Of the variable, such as ``map_0``.

    Returns
    -------
    (map_image, y, x)
        NaN where the layer gives the same everywhere.

    Raises
    ------
    InputError
        It is no result, or no such map was kept.
    """
    require_variables(result, "map_0", "layer_mean", "layer_sd")
    require_known("map", name, map_names(result))
    shown = result[name]
    sets = result["image_set"].isel(image=result["map_image"].values).rename({"image": "map_image"})
    moments = result[["layer_mean", "layer_sd"]].sel(layer=shown.attrs["layer"], set=sets, drop=True)
    sd = moments["layer_sd"]
    return (shown.astype(np.float64) - moments["layer_mean"]) / sd.where(sd > 0)


def set_distances(result: xr.Dataset, layer: str, name: str) -> xr.DataArray:
    """Return the distances of all pairs of a set's images, normalised by layer.

    They are Euclidean, over the K units of draw 0 at the largest `n_units`, and divided by ``sqrt(K)`` and
    by the population SD of the N x K responses; not by the latter for a result with ``normalize="none"``.
    The median over pairs is that draw's differentiation for the metric "euclidean" with the normalisation
    "layer" or "none".

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    layer, name
        Of the layer and the set.

    Returns
    -------
    (image, image_other)
        NaN where all responses are the same.

    Raises
    ------
    InputError
        It is no result, has no distances, or there is no such layer or set.
    """
    require_variables(result, "distance")
    require_known("layer", layer, [str(known) for known in result["layer"].values])
    rows = set_rows(result, name)
    distances = result["distance"].isel(image=rows, image_other=rows).sel(layer=layer).astype(np.float64)
    distances = distances / distance_units(result).sel(set=name, layer=layer)
    labels = {"set", "image_set", "image_name"}
    return distances.drop_vars(set(distances.coords) - labels).rename("set_distance")
