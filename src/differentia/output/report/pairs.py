"""What is behind every point: the distances of all pairs of a set's images, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from differentia.definition.measure import is_raw_euclidean
from differentia.output.chosen import spread_sets
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
    shown = _shown(result, side)
    return {
        "measured": is_raw_euclidean(result.attrs["normalize"], result.attrs["metric"]),
        "images": shown.tolist(),
        "layers": [
            {"matrix": pack(distances), "edges": edges, "sets": [*map(_rounded, of_sets)]}
            for distances, (edges, of_sets) in zip(
                distances_of_all(result, shown), pairs_of_sets(result), strict=True
            )
        ],
    }


def _shown(result: xr.Dataset, most: int) -> Int[np.ndarray, " n"]:
    """Return the images of a matrix: of many sets, first those of the sets that are shown at first."""
    rows = rows_by_set(result)
    few = spread_sets(result)
    first = spread_out([rows[name] for name in few], most)
    others = [of_set for name, of_set in rows.items() if name not in few]
    room = most - len(first)
    return np.sort(np.concatenate([first, spread_out(others, room)])) if others and room > 1 else first


def _rounded(of_set: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return what is said of a set's pairs with the digits that float32 needs, which distances are."""
    if of_set is None:
        return None
    ends = {name: [*of_set[name][:2], _float32(of_set[name][2])] for name in ("nearest", "farthest")}
    quartiles = [*map(_float32, of_set["quartiles"])]
    return {**of_set, **ends, "median": _float32(of_set["median"]), "quartiles": quartiles}


def _float32(number: float) -> float:
    return float(f"{number:.9g}")
