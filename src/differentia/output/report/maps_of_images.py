"""Where the images of a layer lie to each other: maps of those whose distances are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int
from scipy.spatial.distance import squareform

from differentia.output.report.packing import pack
from differentia.results.mds import scaled
from differentia.results.summaries import distances_of_all

if TYPE_CHECKING:
    import xarray as xr


def image_maps(result: xr.Dataset, rows: Int[np.ndarray, " n"]) -> list[dict[str, Any] | None]:
    """Return for each layer the places of images (``places``), and the share of variance of each dimension.

    None where all responses are the same. They are in the unit of the matrix of distances.
    """
    found: list[dict[str, Any] | None] = []
    for distances in distances_of_all(result, rows):
        if not np.isfinite(distances).all() or not distances.any():
            found.append(None)
            continue
        of_layer = scaled(squareform(distances))
        found.append({"places": pack(of_layer.places), "shares": of_layer.shares.round(4).tolist()})
    return found
