"""Between which limits values lie: with other units, with other images, of differences and ratios."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Int
from scipy.special import stdtrit

from differentia.cores import usable_cores
from differentia.dataset import set_rows
from differentia.draws import draw_mean, is_whole_layer, pool_correction, spread_in_pool
from differentia.errors import InputError, require_count, require_known
from differentia.resampling import METHODS, Sample, image_counts, interval_of_log
from differentia.schema import SOURCES
from differentia.units import UNIT_KINDS

if TYPE_CHECKING:
    import xarray as xr

#: Of intervals, unless another is asked for.
CONFIDENCE = 0.95

#: Resamples of the images of a set, unless another number is asked for; more would say no more.
RESAMPLES = 2000

LEAST_RESAMPLES, MOST_RESAMPLES = 100, 100_000

#: The way to an interval that covers best, by docs/coverage.md.
METHOD = "studentized"


def with_intervals(
    result: xr.Dataset,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    method: str = METHOD,
) -> xr.Dataset:
    """Return a result with the limits of its values, by what their uncertainty is owed to.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    confidence, resamples, method
        As for `image_interval`; the first also for `draw_interval`.

    Returns
    -------
    xarray.Dataset
        With ``differentiation_low`` and ``differentiation_high`` (set, layer, n_units, source): "units" says
        where a fresh draw of units would lie (`draw_interval`), "images" where the value for all images of
        the set's kind lies (`image_interval`).

    Raises
    ------
    InputError
        An option can't be used.
    """
    import xarray as xr

    require_interval(confidence, resamples, method)
    of_units = draw_interval(result["differentiation"], result, confidence=confidence)
    of_images = image_interval(result, confidence=confidence, resamples=resamples, method=method)
    about = {"confidence": float(confidence), "method": method, "resamples": int(resamples)}
    limits = {}
    for name, units, images in zip(("low", "high"), of_units, of_images, strict=True):
        both = xr.concat([units, images], dim=xr.Variable("source", list(SOURCES)))
        both = both.transpose("set", "layer", "n_units", "source").reset_coords(drop=True)
        limits[f"differentiation_{name}"] = both.assign_attrs(about)
    return result.assign(limits)


def require_interval(confidence: object, resamples: object, method: str = METHOD) -> None:
    """Raise an error for options of intervals that can't be used.

    Raises
    ------
    InputError
        Says what was given.
    """
    number = isinstance(confidence, int | float | np.number) and not isinstance(confidence, bool)
    if not number or not 0.5 <= float(confidence) < 1:  # type: ignore[arg-type]
        raise InputError(f"confidence is {confidence!r}; expected a number from 0.5 to below 1, such as 0.95")
    if require_count("resamples", resamples) > MOST_RESAMPLES or int(resamples) < LEAST_RESAMPLES:  # type: ignore[call-overload]
        raise InputError(f"resamples is {resamples:,}; expected {LEAST_RESAMPLES:,} to {MOST_RESAMPLES:,}")
    require_known("method", method, METHODS)


def draw_interval(
    values: xr.DataArray, result: xr.Dataset, *, confidence: float = CONFIDENCE
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return between which limits a fresh draw of units from the whole layer would lie.

    A prediction interval around the mean over R draws: for the variance v over draws from the pool and the
    finite-pool correction c of `draw_spread`, a fresh draw's variance is c v, and the mean's (c - 1) v + v/R;
    the interval reaches t quantiles of R - 1 degrees of freedom times the root of their sum. It has no width
    where the whole layer was used, and is NaN where the spread is unknown.

    Parameters
    ----------
    values : (set, layer, n_units, draw)
        Differentiation, or relative differentiation.
    result
        Where they come from.
    confidence
        The share of fresh draws that lie within.

    Returns
    -------
    low, high : (set, layer, n_units)
        In the unit of `values`, at least 0.
    """
    return _around_mean(values, result, confidence, fresh=1)


def mean_interval(
    values: xr.DataArray, result: xr.Dataset, *, confidence: float = CONFIDENCE
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return between which limits the mean over all draws from the whole layer lies.

    As `draw_interval`, for the variance ``(c - 1) v + v/R`` of the mean over the draws at hand.

    Parameters
    ----------
    values, result, confidence
        As for `draw_interval`.

    Returns
    -------
    low, high : (set, layer, n_units)
        In the unit of `values`, at least 0.
    """
    return _around_mean(values, result, confidence, fresh=0)


def _around_mean(
    values: xr.DataArray, result: xr.Dataset, confidence: float, *, fresh: int
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return limits around the mean over draws, which differs from the mean of `fresh` other draws."""
    draws = values.notnull().sum("draw")
    correction = pool_correction(result)
    total = fresh * correction + correction - 1 + 1 / draws.where(draws > 1)
    quantile = stdtrit((draws - 1).where(draws > 1), (1 + confidence) / 2)
    reach = (spread_in_pool(values, result) * np.sqrt(total) * quantile).where(
        ~is_whole_layer(values, result), 0.0
    )
    means = draw_mean(values, result)
    low, high = ((means + sign * reach).transpose(..., "layer", "n_units") for sign in (-1, 1))
    return low.clip(min=0.0), high


def image_interval(
    result: xr.Dataset,
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    method: str = METHOD,
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return between which limits the value for all images of a set's kind lies.

    The images of each set are resampled, and with them the SD that distances are divided by; see
    `differentia.resampling`. The distances are those of draw 0 at the largest number of units: the interval
    is moved, on a scale of ratios, to the mean over draws.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.
    confidence
        Of the interval.
    resamples
        Of each set's images; the same ones in all layers.
    method
        Of `differentia.resampling.METHODS`.

    Returns
    -------
    low, high : (set, layer, n_units)
        NaN at all but the largest number of units; for sets of fewer than 10 images; where the measure is not
        the Euclidean one with ``normalize`` "layer" or "none", or the result has no distances; and where the
        value is NaN or 0, or not that of the distances (of a selection of `n_units`).
    """
    means = draw_mean(result["differentiation"], result).transpose("set", "layer", "n_units")
    low, high = means.copy(data=np.full(means.shape, np.nan)), means.copy(data=np.full(means.shape, np.nan))
    if not has_samples(result):
        return low, high
    largest = int(np.argmax(result["n_units"].values))
    layers = range(result.sizes["layer"])
    with ThreadPoolExecutor(usable_cores()) as threads:
        for at, name in enumerate(result["set"].values.tolist()):
            rows = set_rows(result, name)
            counts = image_counts(len(rows), resamples, result.attrs["seed"], name)
            find = partial(_relative_interval, result, name, counts, confidence, method)
            found = np.array(list(threads.map(find, layers)))
            for limit, factors in zip((low, high), found.T, strict=True):
                limit[at, :, largest] = means[at, :, largest] * factors
    return low, high


def _relative_interval(
    result: xr.Dataset,
    name: str,
    counts: Int[np.ndarray, "b n"],
    confidence: float,
    method: str,
    layer: int,
) -> tuple[float, float]:
    """Return a layer's interval, divided by the value itself."""
    sample = sample_of_set(result, layer, name)
    if sample is None:
        return np.nan, np.nan
    low, high = interval_of_log(sample, counts, method, confidence)
    return float(np.exp(low - sample.log_value)), float(np.exp(high - sample.log_value))


def has_samples(result: xr.Dataset) -> bool:
    """Return whether a result holds what the measure of resampled images is made of."""
    of_raw = result.attrs["metric"] == "euclidean" and result.attrs["normalize"] in ("layer", "none")
    return of_raw and "distance" in result


def sample_of(result: xr.Dataset, layer: int, rows: Int[np.ndarray, " n"]) -> Sample:
    """Return what the measure of some images in one layer is made of, at the largest number of units.

    Parameters
    ----------
    result
        One that `has_samples`.
    layer
        Its place in the result.
    rows
        Of the images.
    """
    at = result.isel(layer=layer)
    sketched = UNIT_KINDS[str(result["units"].item())].sketched  # whose distances and sums are of all units
    used = at["layer_size"] if sketched else at["units_used"].sel(n_units=result["n_units"].max())
    return Sample(
        at["distance"].values[np.ix_(rows, rows)].astype(np.float64),
        at["image_sum"].values[rows],
        at["image_sumsq"].values[rows],
        int(used),
        normalized=result.attrs["normalize"] == "layer",
    )


def sample_of_set(result: xr.Dataset, layer: int, name: str) -> Sample | None:
    """Return `sample_of` a set's images; None where it does not give the value that the result has.

    So it is where images, or the largest numbers of units, were taken out of a result, and where rounding
    left nothing of the SD of responses that are far from 0.
    """
    sample = sample_of(result, layer, set_rows(result, name))
    at = {"set": name, "draw": 0, "n_units": result["n_units"].max()}
    value = float(result["differentiation"].isel(layer=layer).sel(at))
    if np.isfinite(value) and value > 0 and not abs(np.expm1(sample.log_value - np.log(value))) < 1e-3:
        return None
    return sample


class Estimate(NamedTuple):
    """Values, and the limits between which they lie."""

    value: xr.DataArray
    low: xr.DataArray
    high: xr.DataArray


def interval_of_difference(one: Estimate, other: Estimate) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the limits of the difference of two values that do not depend on each other.

    The limit of a difference lies as far from it as the root of the sum of squares of how far the limits of
    the two lie from them, each on the side that moves the difference that way (Zou and Donner 2008).

    Parameters
    ----------
    one, other
        The second is subtracted from the first.

    Returns
    -------
    low, high
    """
    difference = one.value - other.value
    down = (one.value - one.low) ** 2 + (other.high - other.value) ** 2
    up = (one.high - one.value) ** 2 + (other.value - other.low) ** 2
    return difference - down**0.5, difference + up**0.5


def interval_of_ratio(one: Estimate, other: Estimate) -> tuple[xr.DataArray, xr.DataArray]:
    """Return the limits of the ratio of two values that do not depend on each other.

    It is `interval_of_difference` of their logarithms.

    Parameters
    ----------
    one, other
        The first is divided by the second; a value of 0 or less has no logarithm and gives NaN.

    Returns
    -------
    low, high
    """
    low, high = interval_of_difference(_logarithms(one), _logarithms(other))
    low, high = (limit.copy(data=np.exp(limit.values)) for limit in (low, high))
    return low, high.where(np.isfinite(high))


def _logarithms(estimate: Estimate) -> Estimate:
    """Return the logarithms of values that are above 0, and of their limits, which may be 0."""
    with np.errstate(divide="ignore"):
        return Estimate(
            *(
                array.copy(data=np.log(array.where(estimate.value > 0).transpose(*array.dims).values))
                for array in estimate
            )
        )
