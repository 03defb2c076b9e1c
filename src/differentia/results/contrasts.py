"""Two sets compared: how their differentiation differs, layer by layer, and whether by more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from differentia.errors import InputError, require_count, require_known
from differentia.results.dataset import REMEDIES, set_rows
from differentia.results.draws import draw_mean
from differentia.results.intervals import (
    Estimate,
    Samples,
    has_samples,
    interval_of_difference,
    interval_of_ratio,
    side_by_side,
    with_intervals,
)
from differentia.results.resampling import LEAST_IMAGES, Sample
from differentia.results.schema import LIMITS, checked
from differentia.results.summaries import layer_names
from differentia.system.random import generator_of

if TYPE_CHECKING:
    import xarray as xr

#: Permutations, unless another number is asked for: the least p is then 0.0005.
PERMUTATIONS = 1999

#: Sets are said to differ in a layer where the p that is corrected over layers lies below it.
SIGNIFICANT = 0.05

#: Sets at most of which every two are compared unasked.
MOST_SETS = 4

#: Pairs times layers beyond which unasked comparisons have fewer permutations, and how many.
MANY_TESTS, FEW_PERMUTATIONS = 200, 499
LEAST_PERMUTATIONS, MOST_PERMUTATIONS = 99, 100_000

#: What a contrast holds of each layer, and of its own making.
CONTRAST_VALUES = (
    *("difference", "difference_low", "difference_high"),
    *("ratio", "ratio_low", "ratio_high", "p", "p_corrected"),
)
CONTRAST_FACTS = ("first", "second", "units", "n_units", "permutations", "confidence")


@checked
def contrast(result: xr.Dataset, first: str, second: str, *, permutations: int = PERMUTATIONS) -> xr.Dataset:
    """Compare two sets at each layer: their difference, their ratio, and how probable that is by chance.

    Both are compared at the largest number of units. The limits combine the images' intervals of both (Zou
    and Donner 2008). The test is a permutation test over images, of the difference of the logarithms divided
    by its standard error (Chung and Romano 2013): each permutation assigns every image of both sets to one
    of them, the same in all layers. Before, both sets' mean responses are moved to one place, since sets that
    are equally differentiated can have different means.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned, with the distances of all images.
    first, second
        Names of two sets.
    permutations
        How many; the least p that they can give is ``1 / (permutations + 1)``.

    Returns
    -------
    xarray.Dataset
        By layer: ``difference`` (first minus second) and ``ratio`` (first over second), each with ``_low``
        and ``_high``; ``statistic``, the difference of the logarithms in standard errors; ``p``; and
        ``p_corrected``, corrected over layers by the largest statistic of each permutation (Westfall and
        Young 1993). NaN where either set has no interval.

    Raises
    ------
    InputError
        There is no such set, the two are one, or the result has no distances of this measure.
    """
    import xarray as xr

    for name in (first, second):
        require_known("set", name, [str(known) for known in result["set"].values])
    if first == second:
        raise InputError(f"both sets are {first!r}; name two different sets to compare")
    if not LEAST_PERMUTATIONS <= require_count("permutations", permutations) <= MOST_PERMUTATIONS:
        raise InputError(
            f"permutations is {permutations:,}; expected {LEAST_PERMUTATIONS:,} to {MOST_PERMUTATIONS:,}"
        )
    if "distance" not in result:
        raise InputError(f"the result has no distances, which a contrast needs; {REMEDIES['distance']}")
    if not has_samples(result):
        raise InputError(
            "a contrast needs Euclidean distances with normalize 'layer' or 'none'; this result has the "
            f"metric {result.attrs['metric']!r} with normalize {result.attrs['normalize']!r}: measure again "
            "with those"
        )
    if LIMITS[0] not in result:
        result = with_intervals(result)
    at = {"n_units": int(result["n_units"].max())}
    means = draw_mean(result["differentiation"], result).sel(at)
    limits = [result[name].sel({**at, "source": "images"}) for name in LIMITS]
    one, other = (Estimate(*(array.sel(set=name) for array in (means, *limits))) for name in (first, second))
    found = {"difference": one.value - other.value}
    found["difference_low"], found["difference_high"] = interval_of_difference(one, other)
    found["ratio"] = one.value / other.value.where(other.value > 0)
    found["ratio_low"], found["ratio_high"] = interval_of_ratio(one, other)
    tested = _permutation_test(result, first, second, permutations)
    found |= {name: xr.DataArray(values, dims="layer") for name, values in tested.items()}
    return xr.Dataset(
        {name: values.drop_vars(set(values.coords) - {"layer"}) for name, values in found.items()},
        coords={"layer": result["layer"].values},
        attrs={
            "first": first,
            "second": second,
            "n_units": at["n_units"],
            "units": str(result["units"].item()),
            "permutations": int(permutations),
            "confidence": float(result[LIMITS[0]].attrs["confidence"]),
        },
    )


@checked
def contrasts_between_sets(result: xr.Dataset, *, permutations: int = PERMUTATIONS) -> list[xr.Dataset]:
    """Compare every two sets beside the reference; where there is one such set only, it and the reference.

    There is nothing for more than `MOST_SETS` such sets, and where no pair can be tested. With many layers
    and pairs there are fewer permutations, whose least p is 0.002.
    """
    names = [str(name) for name in result["set"].values]
    others = [name for name in names if name != result.attrs["reference"]]
    compared = others if len(others) > 1 else names
    if not has_samples(result) or len(compared) > MOST_SETS:
        return []
    if LIMITS[0] not in result:
        result = with_intervals(result)
    counts = {name: len(set_rows(result, name)) for name in compared}
    pairs = [pair for pair in combinations(compared, 2) if min(counts[name] for name in pair) >= LEAST_IMAGES]
    if len(pairs) * result.sizes["layer"] > MANY_TESTS:
        permutations = min(permutations, FEW_PERMUTATIONS)
    found = [contrast(result, first, second, permutations=permutations) for first, second in pairs]
    return [one for one in found if bool(one["p"].notnull().any())]


def require_contrast(given: Any) -> None:
    """Raise an error for what is no contrast."""
    facts = getattr(given, "attrs", {})  # which a Dataset has
    if not ({*CONTRAST_FACTS} <= {*facts} and {*CONTRAST_VALUES} <= {*given}):
        raise InputError(
            f"this {type(given).__name__} is not a contrast; expected what contrast(result, first, second) "
            "returned"
        )


def require_contrasts(results: Mapping[str, xr.Dataset], contrasts: Sequence[xr.Dataset]) -> None:
    """Raise an error unless every contrast is of one of the results, which are given by kind of units."""
    import xarray as xr

    if isinstance(contrasts, xr.Dataset):
        raise InputError("contrasts= is one Dataset; expected a list of them: contrasts=[contrast(...)]")
    for given in contrasts:
        require_contrast(given)
        about = given.attrs
        pair = f"the contrast of {about['first']!r} and {about['second']!r}"
        if about["units"] not in results:
            raise InputError(
                f"{pair} is of {about['units']!r} units; the results are of {', '.join(results)} units: "
                "compare sets of one of these"
            )
        result = results[about["units"]]
        sets = (about["first"], about["second"])
        for what, name in (*(("set", one) for one in sets), *(("layer", one) for one in layer_names(given))):
            if name not in (known := result[what].values.astype(str).tolist()):
                raise InputError(
                    f"{pair} has the {what} {name!r}, which the result does not have "
                    f"({', '.join(known)}); compare the sets of this result: contrast(result, first, second)"
                )
        if about["n_units"] != (largest := int(result["n_units"].max())):
            raise InputError(
                f"{pair} is of {about['n_units']:,} units; the result's largest number of units is "
                f"{largest:,}: compare the sets of this result: contrast(result, first, second)"
            )


def _permutation_test(
    result: xr.Dataset, first: str, second: str, permutations: int
) -> dict[str, Float[np.ndarray, " layer"]]:
    """Return the statistic and its p in each layer; NaN where a set is too small or has no value."""
    samples = Samples(result)
    rows = [samples.rows[name] for name in (first, second)]
    n_first, n_images = len(rows[0]), sum(map(len, rows))
    labels = np.tile(np.arange(n_images) < n_first, (permutations, 1))
    labels = generator_of("permutations", result.attrs["seed"], first, second).permuted(labels, axis=1)
    together = np.concatenate(rows)

    def of_layer(layer: int) -> tuple[float, Float[np.ndarray, " b"]]:
        unknown = np.nan, np.full(permutations, np.nan)
        one, other = (samples.of_set(name, layer) for name in (first, second))
        if one is None or other is None or min(map(len, rows)) < LEAST_IMAGES:
            return unknown
        with np.errstate(divide="ignore", invalid="ignore"):
            observed = (one.log_value - other.log_value) / np.hypot(one.error, other.error)
        if not np.isfinite(observed):
            return unknown
        pooled = aligned(samples.of_rows(together, layer), n_first)
        return float(observed), permuted_statistics(pooled, labels)

    statistic, permuted = map(
        np.array, zip(*side_by_side(of_layer, range(result.sizes["layer"])), strict=True)
    )
    alone, corrected = p_values(np.abs(statistic), np.abs(permuted))
    return {"statistic": statistic, "p": alone, "p_corrected": corrected}


def permuted_statistics(sample: Sample, labels: Bool[np.ndarray, "b n"]) -> Float[np.ndarray, " b"]:
    """Return the studentised difference of two groups of images, for each choice of the first."""
    one, other = (sample.resampled(of_group.view(np.int8)) for of_group in (labels, ~labels))
    with np.errstate(divide="ignore", invalid="ignore"):
        return (one.logs - other.logs) / np.hypot(one.errors, other.errors)


def p_values(
    observed: Float[np.ndarray, " layer"], permuted: Float[np.ndarray, "layer b"]
) -> tuple[Float[np.ndarray, " layer"], Float[np.ndarray, " layer"]]:
    """Return how often permutations reach what was observed: in the same layer, and in any layer."""
    # What was observed counts as one of the permutations (Phipson and Smyth 2010), and a permutation without
    # a value as one that reaches it.
    known = np.isfinite(observed)
    unknown = np.where(known, np.inf, -np.inf)[:, np.newaxis]
    permuted = np.where(np.isnan(permuted), unknown, permuted)
    count = permuted.shape[1] + 1
    alone = (1 + (permuted >= observed[:, np.newaxis]).sum(axis=1)) / count
    corrected = (1 + (permuted.max(axis=0) >= observed[:, np.newaxis]).sum(axis=1)) / count
    return np.where(known, alone, np.nan), np.where(known, corrected, np.nan)


def aligned(sample: Sample, n_first: int) -> Sample:
    """Return images of two sets, the first `n_first` of one, with the mean responses of both at one place."""
    # Within each set no distance changes. The mean response at that place has the mean power of the two.
    one, other = sets = slice(n_first), slice(n_first, None)
    squares = sample.distances**2
    cross = squares[one, other]
    within = [squares[of_set, of_set] for of_set in sets]
    spreads = [of_pairs.mean() / 2 for of_pairs in within]
    from_mean = [of_pairs.mean(axis=1) - spread for of_pairs, spread in zip(within, spreads, strict=True)]
    # The inner products of responses less their set's mean, by double centring.
    products = -0.5 * (cross - cross.mean(axis=0) - cross.mean(axis=1, keepdims=True) + cross.mean())
    moved = np.sqrt(np.maximum(from_mean[0][:, np.newaxis] + from_mean[1] - 2 * products, 0.0))
    distances = sample.distances.copy()
    distances[one, other], distances[other, one] = moved, moved.T
    # Less a number near all responses, so that nothing cancels.
    centre = sample.sums.mean() / sample.n_units
    sums = sample.sums - sample.n_units * centre
    square_sums = sample.square_sums - 2 * centre * sample.sums + sample.n_units * centre**2
    means = [sums[of_set].mean() for of_set in sets]
    powers = [square_sums[of_set].mean() - spread for of_set, spread in zip(sets, spreads, strict=True)]
    for of_set, mean, power in zip(sets, means, powers, strict=True):
        sums[of_set] += np.mean(means) - mean
        square_sums[of_set] += np.mean(powers) - power
    return Sample(distances, sums, square_sums, sample.n_units, sample.normalized)
