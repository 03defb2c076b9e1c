"""What is behind every point: the distances of all pairs of a set's images, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from differentia.definition.measure import is_raw_euclidean
from differentia.output.report.packing import pack, spread_out
from differentia.results.summaries import distances_of_all, pairs_of_sets, rows_by_set

if TYPE_CHECKING:
    import xarray as xr

#: The entries that the distance matrices of all layers may have together, 2.7 MB on the page.
MATRIX_ENTRIES = 1_000_000


def pairs(result: xr.Dataset, entries: int = MATRIX_ENTRIES) -> dict[str, Any] | None:
    """Return the distances of pairs of images, or None where there are none."""
    if "distance" not in result:
        return None
    side = int((1 + np.sqrt(1 + 8 * entries / result.sizes["layer"])) / 2)
    # A matrix is its pairs (0, 1), (0, 2), ... of the images that are shown.
    shown = spread_out(list(rows_by_set(result).values()), side)
    return {
        "measured": is_raw_euclidean(result.attrs["normalize"], result.attrs["metric"]),
        "images": shown.tolist(),
        "layers": [
            {"matrix": pack(distances), "edges": edges, "sets": of_sets}
            for distances, (edges, of_sets) in zip(
                distances_of_all(result, shown), pairs_of_sets(result), strict=True
            )
        ],
    }
