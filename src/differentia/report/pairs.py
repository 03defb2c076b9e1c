"""What is behind every point: the distances of all pairs of a set's images, layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from differentia.dataset import set_rows
from differentia.report.packing import pack, spread_out
from differentia.views import distance_units

if TYPE_CHECKING:
    import xarray as xr

#: Bars of the distribution of distances.
BINS = 40

#: The entries that the distance matrices of all layers may have together, 2.7 MB on the page.
MATRIX_ENTRIES = 1_000_000

#: The distances whose median is the differentiation of draw 0.
MEASURED = {("layer", "euclidean"), ("none", "euclidean")}


def pairs(result: xr.Dataset, entries: int = MATRIX_ENTRIES) -> dict[str, Any] | None:
    """Return the distances of pairs of images, or None where the result has none.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    entries
        Of all matrices together; of more there are fewer images.

    Returns
    -------
    dict
        ``measured``: whether the median of a set's distances is the differentiation of draw 0 at the
        largest number of units. ``images``: the rows that the matrices show. ``layers``: for each
        ``matrix`` (packed: the pairs (0, 1), (0, 2), ... of these images, each distance divided by
        ``sqrt(K)`` and the SD of the responses to all images), ``edges`` and ``sets``: of all pairs of a
        set's images, divided by ``sqrt(K)`` and the SD of this set's responses, the ``counts`` between the
        edges, ``median``, ``quartiles``, ``nearest`` and ``farthest`` (row, row, distance); None where all
        responses are the same.
    """
    if "distance" not in result:
        return None
    distance = result["distance"].values
    sets = [set_rows(result, str(name)) for name in result["set"].values]
    units = distance_units(result).transpose("layer", "set").values
    together = _units_of_all(result)
    side = int((1 + np.sqrt(1 + 8 * entries / len(distance))) / 2)
    shown = spread_out(sets, side)
    first, second = np.triu_indices(len(shown), k=1)
    layers = []
    for matrix, of_sets, of_all in zip(distance, units, together, strict=True):
        found = [_of_set(matrix, rows, unit) for rows, unit in zip(sets, of_sets, strict=True)]
        highest = max((float(values.max()) for values, _ in found if values is not None), default=0.0)
        edges = np.linspace(0.0, highest or 1.0, BINS + 1)
        layers.append(
            {
                "matrix": pack(matrix[shown[first], shown[second]].astype(np.float64) / of_all),
                "edges": edges.tolist(),
                "sets": [
                    None if values is None else {"counts": np.histogram(values, edges)[0].tolist(), **about}
                    for values, about in found
                ],
            }
        )
    measured = (result.attrs["normalize"], result.attrs["metric"]) in MEASURED
    return {"measured": measured, "images": shown.tolist(), "layers": layers}


def _of_set(
    matrix: Float[np.ndarray, "n n"], rows: Int[np.ndarray, " m"], unit: float
) -> tuple[Float[np.ndarray, " pairs"] | None, dict[str, Any]]:
    """Return the distances of all pairs of a set, and what is said of them."""
    if not np.isfinite(unit):
        return None, {}
    first, second = np.triu_indices(len(rows), k=1)
    values = matrix[rows[first], rows[second]].astype(np.float64) / unit
    lower, median, upper = np.percentile(values, (25, 50, 75)).tolist()
    extremes = {
        name: [int(rows[first[pair]]), int(rows[second[pair]]), float(values[pair])]
        for name, pair in (("nearest", int(values.argmin())), ("farthest", int(values.argmax())))
    }
    return values, {"median": median, "quartiles": [lower, upper], **extremes}


def _units_of_all(result: xr.Dataset) -> Float[np.ndarray, " layer"]:
    """Return what a layer's raw distances are divided by so that those between sets compare too."""
    merged = result.assign_coords(image_set=("image", ["all"] * result.sizes["image"]))
    return distance_units(merged.isel(set=[0]).assign_coords(set=["all"])).values[0]
