"""Between which limits values lie: with other units, with other images, of differences and ratios."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from scipy.special import stdtrit

from differentia.definition.measure import is_raw_euclidean
from differentia.errors import InputError
from differentia.results.confidence import (
    LEAST_IMAGES,
    LEAST_TRIALS,
    Confidence,
    Sample,
    TrialSample,
    limits,
)
from differentia.results.dataset import confidence_arrays, set_rows, units_at_hand
from differentia.results.descriptions import described
from differentia.results.draws import draw_mean, is_whole_layer, pool_correction, spread_in_pool
from differentia.results.schema import (
    LIMITS,
    NUMBERS,
    POINT,
    SOURCES,
    SPECS,
    TRIAL_STATES,
    TRIAL_VALUES,
    checked,
)
from differentia.system.machine import usable_cores

if TYPE_CHECKING:
    import xarray as xr

_Case = TypeVar("_Case")
_Found = TypeVar("_Found")

#: Of intervals, unless another is asked for.
CONFIDENCE = 0.95

#: The way to the limits over images: see `confidence`. Older results name another.
METHOD = "jackknifed test"

#: The same of trials, each of which has a value of its own.
METHOD_OF_TRIALS = "Student's t of the mean over trials, on a scale of ratios"

#: The largest number of images of a set of which limits are told.
MOST_IMAGES = 2048


@checked
def with_intervals(result: xr.Dataset, *, confidence: float = CONFIDENCE) -> xr.Dataset:
    """Return a result with the limits of its values, by source of uncertainty.

    Those of units are a prediction interval around the mean over draws, with t quantiles. Those of images
    are the values that a jackknifed test of the median does not reject (Arvesen 1969; Woodruff 1952), with
    the SD that distances are divided by left out with each image; they are those of draw 0, moved, on a scale
    of ratios, to the mean over draws. Those of both join the two (Zou and Donner 2008).

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    confidence
        Of the intervals, from 0.5 to below 1.

    Returns
    -------
    xarray.Dataset
        With ``differentiation_low`` and ``differentiation_high`` (set, layer, n_units, source): "units" says
        where a fresh draw of units from the whole layer would lie; it has no width where the whole layer was
        used, and is NaN where the spread over draws is unknown. "images" says where the value for all images
        of the set's kind lies. It is NaN for sets of fewer than 10 and of more than 2,048 images, where the
        value is NaN or 0, and where it could not be trusted (`doubts`). "both" says where the value for all
        images and the mean over all draws lies; NaN where one of the two is not known.

    Raises
    ------
    InputError
        It is not a result, or the confidence can't be used.

    Notes
    -----
    A result that was measured by an older version has the limits of images at its largest number of units
    only, and only where it holds the distances of its measure: Euclidean ones with ``normalize`` "layer" or
    "none".
    """
    require_confidence(confidence)
    return add_intervals(with_confidences(result), confidence=float(confidence))


def require_confidence(confidence: object) -> None:
    """Raise an error for what is no confidence of intervals."""
    number = isinstance(confidence, int | float | np.number) and not isinstance(confidence, bool)
    if not number or not 0.5 <= float(confidence) < 1:  # type: ignore[arg-type]
        raise InputError(f"confidence is {confidence!r}; expected a number from 0.5 to below 1, such as 0.95")


def add_intervals(result: xr.Dataset, *, confidence: float) -> xr.Dataset:
    """Return a result that has confidence distributions with their limits."""
    import xarray as xr

    means = draw_mean(result["differentiation"], result).transpose(*POINT)
    of_units = draw_interval(result["differentiation"], result, confidence=confidence)
    of_mean = draw_interval(result["differentiation"], result, confidence=confidence, fresh=False)
    of_images = image_interval(result, confidence=confidence)
    down, up = (
        np.hypot(units - means, images - means) for units, images in zip(of_mean, of_images, strict=True)
    )
    of_both = (means - down).clip(min=0.0), means + up
    found, method = {}, METHOD_OF_TRIALS if TRIAL_VALUES in result else METHOD
    for name, *each in zip(LIMITS, of_units, of_images, of_both, strict=True):
        together = xr.concat(
            each, dim=xr.Variable("source", list(SOURCES)), coords="minimal", compat="override"
        )
        together = together.transpose(*POINT, "source").reset_coords(drop=True)
        found[name] = together.assign_attrs(confidence=confidence, method=method)
    without = result.drop_dims("source") if "source" in result.dims else result
    return described(without.assign(found))


def draw_interval(
    values: xr.DataArray, result: xr.Dataset, *, confidence: float, fresh: bool = True
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return limits, at least 0, of a fresh draw of units from the whole layer, or of the mean over draws."""
    # For the variance v over R draws from the pool, and its correction c to draws from the whole layer, the
    # variance of a fresh draw is c v, and that of the mean over the draws at hand (c - 1) v + v / R.
    draws = values.notnull().sum("draw")
    correction = pool_correction(result)
    total = fresh * correction + correction - 1 + 1 / draws.where(draws > 1)
    quantile = stdtrit((draws - 1).where(draws > 1), (1 + confidence) / 2)
    reach = spread_in_pool(values, result) * np.sqrt(total) * quantile
    reach = reach.where(~is_whole_layer(values, result), 0.0)
    means = draw_mean(values, result)
    low, high = ((means + sign * reach).transpose(..., "layer", "n_units") for sign in (-1, 1))
    return low.clip(min=0.0), high


def image_interval(result: xr.Dataset, *, confidence: float) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the limits of `with_intervals` that are owed to images, (set, layer, n_units)."""
    means = draw_mean(result["differentiation"], result).transpose(*POINT)
    log_limit, freedom = result["log_limit"].values, result["freedom"].values
    trusted = result["doubt"].values == ""
    found = np.full((*means.shape, 2), np.nan)
    for at in np.argwhere(np.isfinite(freedom) & trusted):
        here = tuple(at)
        found[here] = limits(log_limit[here], float(freedom[here]), confidence)
    low, high = (means * np.exp(found[..., at]) for at in range(2))
    most = np.maximum(largest_values(result), means)
    return low, high.clip(max=most)


def largest_values(result: xr.Dataset) -> xr.DataArray:
    """Return the largest value that the definition allows."""
    import xarray as xr

    # The mean square of distances is 2 N / (N - 1) at most, and half of them reach the median.
    bounded = result.attrs["metric"] == "euclidean" and result.attrs["normalize"] in ("layer", "response")
    rows = [set_rows(result, str(name)) for name in result["set"].values]
    if TRIAL_VALUES in result:  # of a trial with few states it is the largest
        known = result[TRIAL_STATES].values if TRIAL_STATES in result else np.zeros(0)
        told = known.dtype.kind in NUMBERS and len(known) == result.sizes["image"]
        counts = [known[at].min(initial=np.inf) if told else np.inf for at in rows]
    else:
        counts = [len(at) for at in rows]
    n_images = np.array(counts if bounded else [np.inf] * len(rows), dtype=np.float64)
    most = 2 * np.sqrt(n_images / (n_images - 1)) if bounded else n_images
    return xr.DataArray(most, dims="set", coords={"set": result["set"]})


def counts_told(result: xr.Dataset) -> tuple[int, float]:
    """Return the smallest and the largest number of images, or of trials, of which limits are told."""
    return (LEAST_TRIALS, np.inf) if TRIAL_VALUES in result else (LEAST_IMAGES, MOST_IMAGES)


def counts_in_words(result: xr.Dataset) -> str:
    """Return the same as "10 to 2,048"."""
    least, most = counts_told(result)
    return f"{least} to {most:,}" if np.isfinite(most) else f"{least} or more"


def with_confidences(result: xr.Dataset) -> xr.Dataset:
    """Return a result with the confidence distributions of its values, of distances if it has none."""
    import xarray as xr

    if "log_limit" in result:
        return result
    rows = {str(name): set_rows(result, str(name)) for name in result["set"].values}
    largest, n_counts = int(np.argmax(result["n_units"].values)), result.sizes["n_units"]
    nothing: list[Confidence | None] = [None] * n_counts
    found = [[list(nothing) for _ in rows] for _ in range(result.sizes["layer"])]
    if has_samples(result):
        samples = Samples(result)

        def find(case: tuple[int, tuple[int, str]]) -> Confidence | None:
            sample = samples.of_set(case[1][1], case[0])
            return None if sample is None else sample.confidence()

        cases = list(product(range(result.sizes["layer"]), enumerate(rows)))
        for (layer, (at, _)), confidence in zip(cases, side_by_side(find, cases), strict=True):
            found[layer][at][largest] = confidence
    arrays = confidence_arrays(found, list(rows.values()), result.sizes["image"])
    variables = {name: xr.Variable(SPECS[name].dimensions, values) for name, values in arrays.items()}
    return result.assign(variables).set_coords("score")


def has_samples(result: xr.Dataset) -> bool:
    """Return whether a result holds the distances that its values of draw 0 are the medians of."""
    told = is_raw_euclidean(result.attrs["normalize"], result.attrs["metric"]) and "distance" in result
    return told and 0 in result["draw"].values


class Samples:
    """What the values of a result that `has_samples` are made of, at its largest number of units."""

    def __init__(self, result: xr.Dataset) -> None:
        # As arrays, once: to look one number up by its labels takes long.
        self._distances = result["distance"].values
        self._sums, self._square_sums = result["image_sum"].values, result["image_sumsq"].values
        self._n_units = units_at_hand(result).values.tolist()
        self._normalized = result.attrs["normalize"] == "layer"
        values = result["differentiation"].sel(draw=0, n_units=result["n_units"].max())
        names = [str(name) for name in result["set"].values]
        self._rows = {name: set_rows(result, name) for name in names}
        self._values = dict(zip(names, values.transpose("set", "layer").values.tolist(), strict=True))

    def of_set(self, name: str, layer: int) -> Sample | None:
        """Return those of a set in a layer; None where they do not give the value that the result has."""
        # So it is where images, or the largest numbers of units, were taken out of a result, and where
        # rounding left nothing of the SD of responses that are far from 0.
        rows = self._rows[name]
        distances = self._distances[layer][np.ix_(rows, rows)].astype(np.float64)
        means, squares = (of[rows, layer] / self._n_units[layer] for of in (self._sums, self._square_sums))
        sigma = np.sqrt(max(squares.mean() - means.mean() ** 2, 0.0)) if self._normalized else 1.0
        if len(rows) > MOST_IMAGES or not sigma > 0:
            return None
        median = np.median(distances[np.triu_indices(len(rows), k=1)])
        value = self._values[name][layer]
        if not abs(median / np.sqrt(self._n_units[layer]) / sigma - value) < 1e-3 * value:
            return None
        return Sample(distances, *((means, squares) if self._normalized else (None, None)))


class TrialSamples:
    """The values of trials of a result that has them, at its largest number of units."""

    def __init__(self, result: xr.Dataset) -> None:
        at = result["n_units"].max()
        self._trials = result[TRIAL_VALUES].sel(n_units=at).transpose("image", "layer", "draw").values
        means = draw_mean(result["differentiation"], result).sel(n_units=at)
        names = [str(name) for name in result["set"].values]
        self._rows = {name: set_rows(result, name) for name in names}
        self._values = dict(zip(names, means.transpose("set", "layer").values.tolist(), strict=True))

    def of_set(self, name: str, layer: int) -> TrialSample | None:
        """Return those of a set in a layer, as means over draws; None where their mean is not the value."""
        values = self._trials[self._rows[name], layer]
        values = values[:, ~np.isnan(values).all(axis=0)].mean(axis=1)
        same = len(values) and np.isclose(values.mean(), self._values[name][layer], rtol=1e-6)
        return TrialSample(values) if same else None


def samples_of(result: xr.Dataset) -> Samples | TrialSamples | None:
    """Return what the values of a result are made of; None where it does not hold that."""
    if TRIAL_VALUES in result:
        return TrialSamples(result)
    return Samples(result) if has_samples(result) else None


def side_by_side(find: Callable[[_Case], _Found], cases: Iterable[_Case]) -> list[_Found]:
    """Return what is found of each case, such as a layer, several at once."""
    with ThreadPoolExecutor(usable_cores()) as threads:
        return list(threads.map(find, cases))


class Estimate(NamedTuple):
    """Values, and the limits between which they lie."""

    value: xr.DataArray
    low: xr.DataArray
    high: xr.DataArray


def interval_of_difference(one: Estimate, other: Estimate) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the limits of `one` less `other`, independent of each other."""
    # A limit of the difference lies as far from it as the root of the sum of squares of how far the limits of
    # the two lie from them, each on the side that moves the difference that way (Zou and Donner 2008).
    difference = one.value - other.value
    down = (one.value - one.low) ** 2 + (other.high - other.value) ** 2
    up = (one.high - one.value) ** 2 + (other.value - other.low) ** 2
    return difference - down**0.5, difference + up**0.5


def interval_of_ratio(one: Estimate, other: Estimate) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the limits of `one` over `other`, independent of each other; NaN where one is 0 or less."""
    low, high = interval_of_difference(_logarithms(one), _logarithms(other))
    low, high = (limit.copy(data=np.exp(limit.values)) for limit in (low, high))
    return low, high.where(np.isfinite(high))


def _logarithms(estimate: Estimate) -> Estimate:
    """Return the logarithms of values that are above 0, and of their limits, which may be 0."""
    above = [array.where(estimate.value > 0).transpose(*array.dims).values for array in estimate]
    with np.errstate(divide="ignore"):
        return Estimate(*(array.copy(data=np.log(x)) for array, x in zip(estimate, above, strict=True)))
