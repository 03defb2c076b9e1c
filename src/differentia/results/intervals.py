"""Between which limits values lie: with other units, with other images, of differences and ratios."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Int
from scipy.special import stdtrit

from differentia.definition.measure import is_raw_euclidean
from differentia.errors import InputError, require_count, require_known
from differentia.results.dataset import set_rows, units_at_hand
from differentia.results.draws import draw_mean, is_whole_layer, pool_correction, spread_in_pool
from differentia.results.resampling import METHODS, Sample, image_counts, interval_of_log
from differentia.results.schema import LIMITS, SOURCES, checked
from differentia.system.machine import usable_cores

if TYPE_CHECKING:
    import xarray as xr

_Case = TypeVar("_Case")
_Found = TypeVar("_Found")

#: Of intervals, unless another is asked for.
CONFIDENCE = 0.95

#: Resamples of the images of a set, unless another number is asked for; more would say no more.
RESAMPLES = 2000
LEAST_RESAMPLES, MOST_RESAMPLES = 100, 100_000

#: The way to an interval that covers best, by docs/coverage.md.
INTERVAL_METHOD = "studentized"


@checked
def with_intervals(
    result: xr.Dataset,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    method: str = INTERVAL_METHOD,
) -> xr.Dataset:
    """Return a result with the limits of its values, by source of uncertainty.

    Those of units are a prediction interval around the mean over draws, with t quantiles. For those of
    images, the images of each set are resampled, and with them the SD that distances are divided by; the
    interval is that of draw 0 at the largest number of units, moved, on a scale of ratios, to the mean over
    draws.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    confidence
        Of the intervals, from 0.5 to below 1.
    resamples
        Of each set's images, 100 to 100,000; the same ones in all layers.
    method
        How the interval follows from the resamples: "studentized", "bca" or "percentile".

    Returns
    -------
    xarray.Dataset
        With ``differentiation_low`` and ``differentiation_high`` (set, layer, n_units, source): "units" says
        where a fresh draw of units from the whole layer would lie; it has no width where the whole layer was
        used, and is NaN where the spread over draws is unknown. "images" says where the value for all images
        of the set's kind lies. It is NaN at all but the largest number of units; for sets of fewer than 10
        images; where the measure is not the Euclidean one with ``normalize`` "layer" or "none", or the result
        has no distances; and where the value is NaN or 0, or not that of the distances (where `n_units` were
        selected).

    Raises
    ------
    InputError
        It is not a result, or an option can't be used.
    """
    require_interval(confidence, resamples, method)
    return add_intervals(result, confidence=confidence, resamples=resamples, method=method)


def add_intervals(
    result: xr.Dataset, *, confidence: float, resamples: int, method: str = INTERVAL_METHOD
) -> xr.Dataset:
    import xarray as xr

    of_units = draw_interval(result["differentiation"], result, confidence=confidence)
    of_images = image_interval(result, confidence=confidence, resamples=resamples, method=method)
    about = {"confidence": float(confidence), "method": method, "resamples": int(resamples)}
    limits = {}
    for name, units, images in zip(LIMITS, of_units, of_images, strict=True):
        both = xr.concat([units, images], dim=xr.Variable("source", list(SOURCES)))
        both = both.transpose("set", "layer", "n_units", "source").reset_coords(drop=True)
        limits[name] = both.assign_attrs(about)
    return result.assign(limits)


def require_interval(confidence: object, resamples: object, method: str = INTERVAL_METHOD) -> None:
    """Raise an error for options of intervals that can't be used."""
    number = isinstance(confidence, int | float | np.number) and not isinstance(confidence, bool)
    if not number or not 0.5 <= float(confidence) < 1:  # type: ignore[arg-type]
        raise InputError(f"confidence is {confidence!r}; expected a number from 0.5 to below 1, such as 0.95")
    if not LEAST_RESAMPLES <= require_count("resamples", resamples) <= MOST_RESAMPLES:
        raise InputError(f"resamples is {resamples:,}; expected {LEAST_RESAMPLES:,} to {MOST_RESAMPLES:,}")
    require_known("method", method, METHODS)


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


def image_interval(
    result: xr.Dataset, *, confidence: float, resamples: int, method: str
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the limits of `with_intervals` that are owed to images, (set, layer, n_units)."""
    means = draw_mean(result["differentiation"], result).transpose("set", "layer", "n_units")
    low, high = (means.copy(data=np.full(means.shape, np.nan)) for _ in LIMITS)
    if not has_samples(result):
        return low, high
    samples = Samples(result)
    counts = {
        name: image_counts(len(rows), resamples, result.attrs["seed"], name)
        for name, rows in samples.rows.items()
    }

    def factors(case: tuple[str, int]) -> tuple[float, float]:
        name, layer = case
        sample = samples.of_set(name, layer)
        if sample is None:
            return np.nan, np.nan
        ends = interval_of_log(sample, counts[name], method, confidence)
        low, high = (float(np.exp(end - sample.log_value)) for end in ends)
        return low, high

    cases = list(product(counts, range(result.sizes["layer"])))
    found = np.reshape(side_by_side(factors, cases), (len(counts), -1, len(LIMITS)))
    largest = int(np.argmax(result["n_units"].values))
    for at, limit in enumerate((low, high)):
        limit[:, :, largest] = means[:, :, largest] * found[..., at]
    return low, high


def side_by_side(find: Callable[[_Case], _Found], cases: Iterable[_Case]) -> list[_Found]:
    """Return what is found of each case, such as a layer, several at once."""
    with ThreadPoolExecutor(usable_cores()) as threads:
        return list(threads.map(find, cases))


def has_samples(result: xr.Dataset) -> bool:
    """Return whether a result holds what the measure of resampled images is made of."""
    return is_raw_euclidean(result.attrs["normalize"], result.attrs["metric"]) and "distance" in result


class Samples:
    """What the measure of images is made of, in each layer of a result that `has_samples`."""

    def __init__(self, result: xr.Dataset) -> None:
        self.rows = {name: set_rows(result, name) for name in result["set"].values.tolist()}
        self._result = result
        # As arrays, once: to look one number up by its labels takes as long as some hundred resamples.
        self._distances = result["distance"].values
        self._sums, self._square_sums = result["image_sum"].values, result["image_sumsq"].values
        self._n_units = units_at_hand(result).values.tolist()
        self._normalized = result.attrs["normalize"] == "layer"

    @cached_property
    def _values(self) -> dict[str, list[float]]:
        """By set, what the result has for each layer."""
        values = self._result["differentiation"].sel(draw=0, n_units=self._result["n_units"].max())
        return dict(zip(self.rows, values.transpose("set", "layer").values.tolist(), strict=True))

    def of_rows(self, rows: Int[np.ndarray, " n"], layer: int) -> Sample:
        """Return those of some images."""
        return Sample(
            self._distances[layer][np.ix_(rows, rows)].astype(np.float64),
            self._sums[rows, layer],
            self._square_sums[rows, layer],
            self._n_units[layer],
            normalized=self._normalized,
        )

    def of_set(self, name: str, layer: int) -> Sample | None:
        """Return those of a set's images; None where they do not give the value that the result has."""
        # So it is where images, or the largest numbers of units, were taken out of a result, and where
        # rounding left nothing of the SD of responses that are far from 0.
        sample, value = self.of_rows(self.rows[name], layer), self._values[name][layer]
        if np.isfinite(value) and value > 0 and not abs(np.expm1(sample.log_value - np.log(value))) < 1e-3:
            return None
        return sample


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
