"""Results that were cut down with xarray: what is left of them, so that everything in them goes together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.errors import InputError
from differentia.results import map_names

if TYPE_CHECKING:
    import xarray as xr


def what_is_left(result: xr.Dataset) -> xr.Dataset:
    """Return a result without the images, filters and maps whose set or layer was taken out of it.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned, perhaps with a selection of its sets and layers
        (``result.sel(set=[...], layer=[...])``).

    Raises
    ------
    InputError
        No set or layer is left, or single images were taken out: its values are of all images.
    """
    if not result.sizes["set"] or not result.sizes["layer"]:
        raise InputError("the result has no set or no layer left; select at least one of each")
    if "image_other" in result.sizes and result.sizes["image"] != result.sizes["image_other"]:
        raise InputError(
            f"the result holds distances of {result.sizes['image_other']} images but only "
            f"{result.sizes['image']} images; its values are of all images: select sets or layers instead"
        )
    if "filter" in result.sizes:
        result = result.isel(filter=np.isin(result["filter_layer"].values, result["layer"].values))
    kept = np.isin(result["image_set"].values, result["set"].values)
    maps = {name: result[name] for name in map_names(result)}
    lost = {name for name, shown in maps.items() if shown.attrs["layer"] not in result["layer"].values}
    if kept.all() and not lost:
        return result
    bare = result.drop_vars([*maps, "map_image"], errors="ignore")
    images: dict[str, Any] = {name: kept for name in ("image", "image_other") if name in bare.sizes}
    left = bare.isel(images)
    if not maps:
        return left
    rows = result["map_image"].values
    shown = kept[rows]
    left = left.assign_coords(map_image=("map_image", (np.cumsum(kept) - 1)[rows[shown]]))
    of_layers = [values.values[shown] for name, values in maps.items() if name not in lost]
    about = [values.attrs for name, values in maps.items() if name not in lost]
    for number, (values, attributes) in enumerate(zip(of_layers, about, strict=True)):
        dimensions = ("map_image", f"map_{number}_y", f"map_{number}_x")
        left[f"map_{number}"] = (dimensions, values, attributes)
    return left
