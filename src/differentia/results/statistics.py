"""What distances say beside their median: mean, quantiles, dimensionality, and how two sets lie apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Float

from differentia.definition.measure import is_raw_euclidean
from differentia.errors import InputError, warn
from differentia.results.between import BETWEEN_VALUES, between_sets, default_pairs, named_pairs
from differentia.results.dataset import remedies, units_at_hand
from differentia.results.intervals import CONFIDENCE, require_confidence
from differentia.results.mds import inner_products
from differentia.results.schema import checked
from differentia.results.subject import RECORDED_FACT, subject_of
from differentia.results.summaries import confidence_of, rows_by_set
from differentia.results.views import distance_units

if TYPE_CHECKING:
    import xarray as xr

#: Of the distances of pairs, unless others are asked for.
QUANTILES = (0.05, 0.25, 0.75, 0.95)

#: What a dataset that `statistics` returned says it is, and what it holds of each set and layer.
KIND = "statistics"
OF_SETS = ("median", "mean", "dimensionality", "dimensionality_unbiased")

#: The fewest images of which the dimensionality of all images of the kind can be estimated.
LEAST_FOR_DIMENSIONALITY = 4

#: What rounding of distances, which are float32, leaves where all are the same.
_ROUNDING = 1e-12


class Dimensionality(NamedTuple):
    """The participation ratio of the responses at hand, and an estimate of that of all of their kind."""

    of_images: float
    unbiased: float


@checked
def statistics(
    result: xr.Dataset,
    *,
    quantiles: Sequence[float] = QUANTILES,
    pairs: Sequence[tuple[str, str]] | None = None,
    confidence: float | None = None,
) -> xr.Dataset:
    """Return what the distances of a result say beside their median.

    All is of draw 0 at the largest number of units, whose distances a result keeps (of a sketch, of its
    sums). Every two sets are compared; the interval and p are found for chosen pairs.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned, for at most 2,000 images.
    quantiles
        Of the distances of a set's pairs, from 0 to 1.
    pairs
        Pairs of sets' names, of which an interval and p are wanted. By default every two sets beside the
        references, if these are at most four; of a single one, it and its reference.
    confidence
        Of the intervals, from 0.5 to below 1; by default that of the result's intervals.

    Returns
    -------
    xarray.Dataset
        By (set, layer): ``median``, ``mean`` and ``quantile`` (with ``quantile_of``) of the distances of all
        pairs of a set's images, in the unit of the measure; and ``dimensionality``, the participation ratio
        of the covariance of the N responses, which is N - 1 at most and too small where N is small, and
        ``dimensionality_unbiased``, an estimate of what all images of the kind would give, with bias of the
        order 1 / N^2; it needs 4 images, whose distances differ. ``n_images`` (set), ``n_units`` (layer):
        of how many.

        By (pair, layer), of the sets ``first`` and ``second``, with distances divided by one SD, of the
        entries of both sets: ``between``, the median distance of an image of one from an image of the other;
        ``within_first`` and ``within_second``, the medians within each; ``excess``, between less the mean of
        the two within, with its limits ``excess_low`` and ``excess_high``; ``p``, of the hypothesis that both
        sets are images of one kind, and ``p_corrected``, over layers. An image that both sets show is never
        compared with itself.

        NaN is what does not follow from Euclidean distances: with other metrics all but dimensionality, with
        the normalisations "response" and "unit" everything. The attribute ``unknown`` says so. Limits are
        NaN too where a set has fewer than 10 images, and where the result's own can't be trusted (`doubts`).

    Raises
    ------
    InputError
        It is not a result, there is no such set, a quantile or the confidence can't be used.

    Warns
    -----
    DifferentiaWarning
        Some or all of it is unknown.

    Notes
    -----
    With G, the inner products of responses less the set's mean response, the participation ratio is
    ``tr(G)^2 / sum(G_ij^2)``. ``dimensionality_unbiased`` is the ratio of unbiased estimates of tr(S)^2 and
    tr(S^2), for the covariance S, over all four distinct images (Chen, Zhang and Zhong 2010; Himeno and
    Yamada 2014). Both are of the units at hand. p is that of permuting images between the sets; the statistic
    is the mean distance across less the mean of those within, half the energy distance (Szekely and Rizzo
    2004). Images that both sets show stay in both. It is corrected over layers by the largest standardised
    statistic of each permutation (Westfall and Young 1993).
    """
    found = look(result, quantiles=quantiles, pairs=pairs, confidence=confidence)
    if found.attrs["unknown"]:
        warn("undefined", found.attrs["unknown"])
    return found


def look(
    result: xr.Dataset,
    *,
    quantiles: Sequence[float] = QUANTILES,
    pairs: Sequence[tuple[str, str]] | None = None,
    confidence: float | None = None,
    every: bool = True,
) -> xr.Dataset:
    """Return what `statistics` does, without a warning; unless `every` pair, of the sets of `pairs` only."""
    import xarray as xr

    wanted = _valid_quantiles(quantiles)
    level = (confidence_of(result) or CONFIDENCE) if confidence is None else confidence
    require_confidence(level)
    tested = default_pairs(result) if pairs is None else named_pairs(result, pairs)
    rows = rows_by_set(result)
    values = _of_sets(result, wanted)
    in_pairs = {name for pair in tested for name in pair}
    compared = between_sets(
        result if every else result.sel(set=[name for name in rows if name in in_pairs]),
        tested,
        level,
        known=measured(result),
    )
    return xr.Dataset(
        {
            **{name: (("set", "layer"), values[name]) for name in OF_SETS},
            "quantile": (("set", "layer", "quantile_of"), values["quantile"]),
            **{name: (("pair", "layer"), compared.values[name]) for name in BETWEEN_VALUES},
            "n_images": ("set", [len(of_set) for of_set in rows.values()]),
            "n_units": ("layer", units_at_hand(result).values),
        },
        coords={
            "set": list(rows),
            "layer": result["layer"].values,
            "quantile_of": list(wanted),
            "first": ("pair", np.array(compared.first, dtype=str)),
            "second": ("pair", np.array(compared.second, dtype=str)),
        },
        attrs={
            "differentia": KIND,
            "units": str(result["units"].item()),
            "confidence": float(level),
            "unknown": _said_unknown(result),
            **{name: result.attrs[name] for name in ("normalize", "metric", "reference")},
            RECORDED_FACT: int(subject_of(result).recorded),
        },
    )


def _of_sets(result: xr.Dataset, wanted: Sequence[float]) -> dict[str, Float[np.ndarray, "set layer ..."]]:
    """Return what is known of each set in each layer; NaN where nothing is."""
    rows = list(rows_by_set(result).values())
    shape = len(rows), result.sizes["layer"]
    values = {name: np.full(shape, np.nan) for name in OF_SETS}
    values["quantile"] = np.full((*shape, len(wanted)), np.nan)
    if not gram_known(result):
        return values
    units = distance_units(result).values if measured(result) else np.full(shape, np.nan)
    distances = result["distance"].values
    for place, layer in np.ndindex(shape):
        here, of_set = (place, layer), rows[place]
        matrix = distances[layer][np.ix_(of_set, of_set)].astype(np.float64)
        found = dimensionality(matrix**2)
        values["dimensionality"][here], values["dimensionality_unbiased"][here] = found
        of_pairs = matrix[np.triu_indices(len(matrix), k=1)] / units[here]
        values["median"][here], values["mean"][here] = np.median(of_pairs), of_pairs.mean()
        values["quantile"][here] = np.quantile(of_pairs, wanted)
    return values


def measured(result: xr.Dataset) -> bool:
    """Return whether the distances that a result holds are those of its measure, but for a factor."""
    return "distance" in result and is_raw_euclidean(result.attrs["normalize"], result.attrs["metric"])


def gram_known(result: xr.Dataset) -> bool:
    """Return whether the inner products of its normalised responses follow from what a result holds."""
    return "distance" in result and is_raw_euclidean(result.attrs["normalize"], "euclidean")


def dimensionality(squares: Float[np.ndarray, "n n"]) -> Dimensionality:
    """Return the dimensionality of responses, of their squared Euclidean distances; NaN where all are one."""
    products = inner_products(squares)
    total, of_squares = float(np.trace(products)), float((products**2).sum())
    if not of_squares > 0:
        return Dimensionality(np.nan, np.nan)
    return Dimensionality(total**2 / of_squares, _unbiased(squares))


def _unbiased(squares: Float[np.ndarray, "n n"]) -> float:
    """Return the ratio of unbiased estimates of tr(S)^2 and tr(S^2), means over all four distinct images.

    The mean of ``d_ij^2 d_kl^2 / 4`` is the first. Of the second, the mean of ``((x_i - x_j) . (x_k - x_l))^2
    / 4`` is a sum of squares of U-centred squared distances (Szekely and Rizzo 2014).
    """
    n = len(squares)
    if n < LEAST_FOR_DIMENSIONALITY:
        return np.nan
    of_rows = squares.sum(axis=1)
    total = of_rows.sum()
    four = n * (n - 1.0) * (n - 2.0) * (n - 3.0)
    square_of_trace = (total**2 - 4 * (of_rows**2).sum() + 2 * (squares**2).sum()) / four / 4
    sums = of_rows / (n - 2)
    centred = squares - sums[:, np.newaxis] - sums + total / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    trace_of_square = (centred**2).sum() / (n * (n - 3.0)) / 4
    told = trace_of_square > _ROUNDING * square_of_trace
    return float(square_of_trace / trace_of_square) if told else np.nan


def _valid_quantiles(given: Any) -> tuple[float, ...]:
    """Return quantiles in ascending order, each once."""
    try:
        wanted = sorted({float(one) for one in given})
    except (TypeError, ValueError):
        wanted = [np.nan]
    if not all(0 <= one <= 1 for one in wanted):
        raise InputError(f"quantiles is {given!r}; expected numbers from 0 to 1, such as {QUANTILES}")
    return tuple(wanted)


def _said_unknown(result: xr.Dataset) -> str:
    """Return in words what of the statistics does not follow from what a result holds, and why; else ""."""
    return " ".join(_unknown(result))


def _unknown(result: xr.Dataset) -> Iterator[str]:
    normalize, metric = result.attrs["normalize"], result.attrs["metric"]
    if "distance" not in result:
        yield f"The statistics are not computed: the result has no distances; {remedies(result)['distance']}."
    elif not gram_known(result):
        yield (
            "The statistics are not computed: the result's distances are not those of responses normalised "
            f"by {normalize!r}; measure with the normalisation 'layer' or 'none'."
        )
    elif not measured(result):
        yield (
            "Of the statistics only dimensionality is computed: the result's distances are Euclidean, not by "
            f"the metric {metric!r}."
        )


def require_statistics(given: Any) -> None:
    """Raise an error for what `statistics` has not returned."""
    if getattr(given, "attrs", {}).get("differentia") != KIND:
        raise InputError(
            f"this {type(given).__name__} is not what statistics(result) returned; expected that"
        )
