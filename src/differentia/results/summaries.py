"""Numbers that figures and reports show of a result beyond those that it holds: scores, pairs, extremes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from differentia.results.dataset import set_rows
from differentia.results.draws import draw_mean, draw_spread
from differentia.results.references import References
from differentia.results.relative import relative_interval
from differentia.results.schema import LIMITS
from differentia.results.views import distance_units

if TYPE_CHECKING:
    import xarray as xr

#: Colours end at these percentiles of what is shown, so that single peaks do not darken the rest.
ENDS_OF_COLOURS = (1.0, 99.0)

#: Bars of the distribution of distances.
HISTOGRAM_BARS = 40


def layer_names(dataset: xr.Dataset) -> list[str]:
    """Return the layers of a result or a contrast as text."""
    return [str(name) for name in dataset["layer"].values]


def rows_by_set(result: xr.Dataset) -> dict[str, Int[np.ndarray, " n"]]:
    """Return the rows of each set's images."""
    return {str(name): set_rows(result, str(name)) for name in result["set"].values}


def confidence_of(result: xr.Dataset) -> float | None:
    """Return the confidence of a result's intervals, or None where it has none."""
    return float(result[LIMITS[0]].attrs["confidence"]) if LIMITS[0] in result else None


def percent(confidence: float) -> str:
    """Return a level of confidence as texts say it."""
    return f"{100 * confidence:g} %"


def draws_made(result: xr.Dataset) -> list[int]:
    """Return how many draws there are at each number of units, in the layer that has most."""
    draws = result["differentiation"].notnull().any("set").sum("draw").max("layer")
    return [max(1, int(count)) for count in draws.values]


def limits_or_spread(
    result: xr.Dataset, values: xr.DataArray, reference: References = None
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the limits (set, layer, n_units, source) of values, or of those relative to a reference.

    Without intervals: one SD over draws of units on either side of the mean, of the source "units" alone.
    """
    import xarray as xr

    if set(LIMITS) <= set(result):
        low, high = (result[name] for name in LIMITS)
        return (low, high) if reference is None else relative_interval(result, reference)
    means, spread = draw_mean(values, result), draw_spread(values, result)
    units = xr.Variable("source", ["units"])
    low, high = (xr.concat([means + sign * spread], dim=units) for sign in (-1, 1))
    return low, high


class Extremes(NamedTuple):
    """Layers of a set and their differentiation (mean over draws); None where there is no value."""

    first: tuple[str, float] | None
    highest: tuple[str, float] | None
    lowest: tuple[str, float] | None
    last: tuple[str, float] | None


def extreme_layers(result: xr.Dataset) -> dict[str, Extremes]:
    """Return each set at a glance, at the largest number of units."""
    means = draw_mean(result["differentiation"], result).sel(n_units=result["n_units"].max())
    layers = layer_names(result)
    found = {}
    for name in rows_by_set(result):
        values = means.sel(set=name).values
        known = np.isfinite(values).any()
        places = 0, np.nanargmax(values) if known else 0, np.nanargmin(values) if known else 0, -1
        points = ((layers[place], float(values[place])) for place in places)
        found[name] = Extremes(*(point if np.isfinite(point[1]) else None for point in points))
    return found


def class_scores(result: xr.Dataset) -> Float[np.ndarray, "image class"]:
    """Return the probabilities of each set divided by their SD over images and classes; NaN where it is 0."""
    # To divide by the mean first, as the published figure did, would change nothing.
    scores = result["prediction"].values.astype(np.float64)
    for rows in rows_by_set(result).values():
        sd = scores[rows].std()
        scores[rows] /= sd if sd > 0 else np.nan
    return scores


def colour_limits(scores: Float[np.ndarray, ...]) -> tuple[float, float]:
    """Return the z-scores at which colours end: no narrower than an SD, so that a silent channel looks it."""
    known = scores[np.isfinite(scores)]
    low, high = np.percentile(known, ENDS_OF_COLOURS).tolist() if len(known) else (0.0, 1.0)
    return low, max(high, low + 1.0)


def distances_of_sets(
    result: xr.Dataset, layers: Sequence[str]
) -> Iterator[dict[str, Float[np.ndarray, "n n"]]]:
    """Yield, for each layer, the distances of all pairs of each set's images, divided by `distance_units`."""
    units = distance_units(result)
    sets = rows_by_set(result)
    known = layer_names(result)
    for layer in layers:
        of_layer = result["distance"].values[known.index(layer)]
        yield {
            name: of_layer[np.ix_(rows, rows)].astype(np.float64) / units.sel(set=name, layer=layer).item()
            for name, rows in sets.items()
        }


def distances_of_all(
    result: xr.Dataset, rows: Int[np.ndarray, " n"]
) -> Iterator[Float[np.ndarray, " pairs"]]:
    """Yield, for each layer, the distances of pairs of images of any sets, divided by one SD for all sets."""
    merged = result.assign_coords(image_set=("image", ["all"] * result.sizes["image"]))
    units = distance_units(merged.isel(set=[0]).assign_coords(set=["all"])).values[0]
    first, second = np.triu_indices(len(rows), k=1)
    for of_layer, unit in zip(result["distance"].values, units, strict=True):
        yield of_layer[rows[first], rows[second]].astype(np.float64) / unit


def pairs_of_sets(result: xr.Dataset) -> Iterator[tuple[list[float], list[dict[str, Any] | None]]]:
    """Yield, for each layer, the edges of a histogram of distances, and what is said of each set's pairs.

    That is the ``counts`` between edges, ``median``, ``quartiles``, ``nearest`` and ``farthest`` (row, row,
    distance); None where all responses are the same.
    """
    sets = rows_by_set(result)
    for matrices in distances_of_sets(result, layer_names(result)):
        known = {name: matrix for name, matrix in matrices.items() if np.isfinite(matrix).all()}
        highest = max((float(matrix.max()) for matrix in known.values()), default=0.0)
        edges = np.linspace(0.0, highest or 1.0, HISTOGRAM_BARS + 1)
        pairs = [
            _pairs_of_set(known[name], rows, edges) if name in known else None for name, rows in sets.items()
        ]
        yield edges.tolist(), pairs


def _pairs_of_set(
    matrix: Float[np.ndarray, "n n"], rows: Int[np.ndarray, " n"], edges: Float[np.ndarray, " _"]
) -> dict[str, Any]:
    first, second = np.triu_indices(len(rows), k=1)
    values = matrix[first, second]
    lower, median, upper = np.percentile(values, (25, 50, 75)).tolist()
    ends = {
        name: [int(rows[first[pair]]), int(rows[second[pair]]), float(values[pair])]
        for name, pair in (("nearest", int(values.argmin())), ("farthest", int(values.argmax())))
    }
    counts = np.histogram(values, edges)[0].tolist()
    return {"counts": counts, "median": median, "quartiles": [lower, upper], **ends}
