"""Other images: what the measure of one set would be if others of the same kind had been shown.

Images are resampled, never pairs: two pairs that share an image are not independent. An image that is drawn
twice makes no pair with itself. All is said of ``log D``, whose distribution is nearer to a normal one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtr, ndtri, stdtrit

from differentia.system.random import generator_of

#: The smallest number of images of which an interval is told.
LEAST_IMAGES = 10

#: The largest number of images whose resampled medians are found exactly; of more, to first order.
MOST_EXACT = 100

#: Pairs times resamples, and images squared times resamples, that are held at once.
ENTRIES = 2**22

#: Pairs that make a step: first the step of a quantile is found, then the quantile in it.
STEP = 16

#: Near the logarithm of the largest float.
LARGEST_LOG = 700.0

#: What `Sample.tail_factor` is at most: powers in two groups are no long tail.
MOST_TAIL = 2.0

#: The density of distances at their median is that of the pairs within this share of all, on each side.
NEAR = 0.1


#: The limits of an interval, the lower one first.
Limits = Float[np.ndarray, "2"]


class Resampled(NamedTuple):
    """What resamples of the images give: the logarithms of the differentiation, and their standard errors.

    Both are NaN where all images or all responses are the same.
    """

    logs: Float[np.ndarray, " b"]
    errors: Float[np.ndarray, " b"]


@dataclass(frozen=True)
class Sample:
    """The responses to the images of one set in one layer, as far as the measure depends on them."""

    distances: Float[np.ndarray, "n n"]  # Euclidean
    sums: Float[np.ndarray, " n"]  # of each image's responses
    square_sums: Float[np.ndarray, " n"]  # and of their squares
    n_units: int
    normalized: bool = True  # whether the SD of all responses, which is resampled too, divides distances

    @property
    def n_images(self) -> int:
        return len(self.distances)

    @cached_property
    def _pairs(self) -> tuple[Float[np.ndarray, " p"], Int[np.ndarray, " p"], Int[np.ndarray, " p"]]:
        """The distance of every pair, ascending, and its two images."""
        first, second = np.triu_indices(self.n_images, k=1)
        of_pairs = self.distances[first, second].astype(np.float64)
        order = np.argsort(of_pairs, kind="stable")
        return of_pairs[order], first[order], second[order]

    @cached_property
    def _places(self) -> Int[np.ndarray, " n_squared"]:
        """The place of every two images' distance in `_pairs`; behind all others, of an image and itself."""
        distances, first, second = self._pairs
        kind = np.int16 if len(distances) < 2**15 else np.int32
        places = np.full((self.n_images, self.n_images), len(distances), dtype=kind)
        places[first, second] = places[second, first] = np.arange(len(distances))
        return places.reshape(-1)

    @cached_property
    def _moments(self) -> tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]:
        """Each image's mean response, and mean square, both less the mean of all: nothing cancels later."""
        means, squares = self.sums / self.n_units, self.square_sums / self.n_units
        centre = means.mean()
        return means - centre, squares - 2 * centre * means + centre**2

    @cached_property
    def log_value(self) -> float:
        """The logarithm of the differentiation of the images as they are; NaN where it is 0 or unknown."""
        return float(self._once.logs[0])

    @cached_property
    def error(self) -> float:
        """The standard error of `log_value` over images."""
        return float(self._once.errors[0])

    @cached_property
    def _once(self) -> Resampled:
        return self.resampled(np.ones((1, self.n_images), dtype=np.int64))

    @cached_property
    def tail_factor(self) -> float:
        """By what `error` is too small where the most powerful images of their kind are not in the sample."""
        # The SD of all responses depends on the images' mean squares, whose variance a sample underestimates
        # where these have a long tail, as with log-normal contrasts: it is low just where the SD is. Of a
        # log-normal distribution the squared coefficient of variation is exp(s^2) - 1, s being the SD of the
        # logarithms, which is estimated well. The factor is the root of its ratio to the one found, within
        # limits, since powers may have quite another distribution. Images of little power, far below the
        # others, are taken as near as the most powerful.
        if not self.normalized:
            return 1.0
        powers = self._moments[1]
        logs = np.log(np.maximum(powers, np.finfo(np.float64).tiny))
        logs = np.maximum(logs, 2 * np.median(logs) - logs.max())
        found = powers.var(ddof=1) / powers.mean() ** 2
        expected = np.expm1(min(logs.var(ddof=1), 100.0))
        return float(np.sqrt(np.clip(expected / found, 1.0, MOST_TAIL**2))) if found > 0 else 1.0

    def without_each(self) -> Float[np.ndarray, " n"]:
        """Return the logarithm of the differentiation without each of the images."""
        return self.resampled(1 - np.eye(self.n_images, dtype=np.int64)).logs

    def resampled(self, counts: Int[np.ndarray, "b n"], *, exactly: bool | None = None) -> Resampled:
        """Return what resamples give that have each image so often; medians to first order if not exactly."""
        if exactly is None:
            exactly = self.n_images <= MOST_EXACT
        find = self._resampled if exactly else self._resampled_to_first_order
        each = max(1, ENTRIES // (self.n_images**2 if exactly else self.n_images))
        with np.errstate(divide="ignore", invalid="ignore"):  # a resample may have no pair, or no variance
            parts = [find(counts[start : start + each]) for start in range(0, len(counts), each)]
        logs, errors = (np.concatenate(column) for column in zip(*parts, strict=True))
        return Resampled(logs, errors)

    def _resampled(self, counts: Int[np.ndarray, "b n"]) -> Resampled:
        n_images = counts.sum(axis=1, keepdims=True)
        logs, influence = self._log_medians(counts, n_images)
        changes = -influence / (n_images - 1)
        if self.normalized:
            means, squares = self._moments
            mean, square = (counts @ values[:, np.newaxis] / n_images for values in (means, squares))
            variance = square - mean**2
            without = (n_images * square - squares) / (n_images - 1)
            without -= ((n_images * mean - means) / (n_images - 1)) ** 2
            logs = logs - 0.5 * np.log(variance[:, 0])
            changes = changes - 0.5 * np.log(without / variance)
        changes = np.where(counts > 0, changes, 0.0)
        deviations = changes - (counts * changes).sum(axis=1, keepdims=True) / n_images
        # The jackknife (Efron and Tibshirani 1993, eq. 11.5).
        square_errors = (counts * deviations**2).sum(axis=1) * (n_images[:, 0] - 1) / n_images[:, 0]
        return _where_known(logs - 0.5 * np.log(self.n_units), square_errors)

    def _log_medians(
        self, counts: Int[np.ndarray, "b n"], n_images: Int[np.ndarray, "b 1"]
    ) -> tuple[Float[np.ndarray, " b"], Float[np.ndarray, "b n"]]:
        """Return the logarithm of each resample's median distance, and each image's influence on it."""
        distances, first, second = self._pairs
        # n^2 / 2 at most, which is held in 16 bits where n is small: half the memory to go through.
        integer = np.int16 if counts.sum(axis=1).max() < 256 else np.int32
        weights = np.ascontiguousarray(counts.T, dtype=integer)
        n_pairs, resamples = len(distances), np.arange(len(counts))
        # Adding up pair after pair takes most of the time. The sums of steps tell in which one to do so.
        stepped = np.zeros((-(-n_pairs // STEP), STEP, len(counts)), dtype=integer)
        np.multiply(weights[first], weights[second], out=stepped.reshape(-1, len(counts))[:n_pairs])
        of_steps = stepped.sum(axis=1, dtype=integer)
        nearer = np.cumsum(of_steps, axis=0, dtype=integer)
        total = nearer[-1].astype(np.int64)

        def at(rank: Int[np.ndarray, " b"]) -> Float[np.ndarray, " b"]:
            rank = rank.astype(integer)
            step = np.minimum(np.count_nonzero(nearer <= rank, axis=0), len(nearer) - 1)
            left = rank - (nearer[step, resamples] - of_steps[step, resamples])
            in_step = np.cumsum(stepped[step, :, resamples], axis=1, dtype=integer)
            place = step * STEP + np.count_nonzero(in_step <= left[:, np.newaxis], axis=1)
            return distances[np.minimum(place, n_pairs - 1)]

        medians = np.where(total > 0, (at((total - 1) // 2) + at(total // 2)) / 2, np.nan)
        # The influence on a quantile of a distribution F with density f is (p - F) / f (Serfling 1980,
        # 2.5.1); an image's is twice that, F being the share of its pairs that are nearer than the median.
        # 1 / f, on a scale of logarithms, is the slope of the logarithm of the quantiles.
        low, high = (at(((0.5 + side) * total).astype(np.int64)) for side in (-NEAR, NEAR))
        slope = (np.log(high) - np.log(low)) / (2 * NEAR)
        # Their places in the order of distances are compared, which are small integers.
        below = self._places < np.searchsorted(distances, medians)[:, np.newaxis].astype(self._places.dtype)
        below = below.reshape(-1, self.n_images, self.n_images)
        of_images = np.matmul(below.astype(np.float32), counts[:, :, np.newaxis].astype(np.float32))
        shares = of_images[:, :, 0] / (n_images - counts)
        return np.log(medians), 2 * (0.5 - shares) * slope[:, np.newaxis]

    def _resampled_to_first_order(self, counts: Int[np.ndarray, "b n"]) -> Resampled:
        """Return the same for many images by the infinitesimal jackknife, of sums over images alone."""
        # Efron and Tibshirani 1993, eq. 21.28
        log_median, influence = self._first_order
        means, squares = self._moments
        columns = np.stack([influence, squares, means])
        products = columns[[0, 1, 2, 0, 0, 1]] * columns[[0, 1, 2, 1, 2, 2]]
        n_images = counts.sum(axis=1, keepdims=True)
        f, s, m, ff, ss, mm, fs, fm, sm = (counts @ np.concatenate([columns, products]).T / n_images).T
        logs = log_median + f - influence.mean() - 0.5 * np.log(self.n_units)
        variances = ff - f**2
        if self.normalized:
            variance = s - m**2
            logs = logs - 0.5 * np.log(variance)
            of_squares = ss - s**2 - 4 * m * (sm - s * m) + 4 * m**2 * (mm - m**2)
            variances = variances + of_squares / variance**2 / 4
            variances = variances - (fs - f * s - 2 * m * (fm - f * m)) / variance
        return _where_known(logs, np.maximum(variances, 0.0) / (n_images[:, 0] - 1))

    @cached_property
    def _first_order(self) -> tuple[float, Float[np.ndarray, " n"]]:
        """The logarithm of the median distance, and each image's influence on it: see `_log_medians`."""
        of_pairs = self.distances[np.triu_indices(self.n_images, k=1)]
        count = len(of_pairs)
        ranks = [(count - 1) // 2, count // 2, *(int((0.5 + side) * count) for side in (-NEAR, NEAR))]
        of_pairs.partition(ranks)
        lower, upper, low, high = of_pairs[ranks]
        median = (lower + upper) / 2
        shares = ((self.distances < median).sum(axis=1) - (median > 0)) / (self.n_images - 1)
        slope = (np.log(high) - np.log(low)) / (2 * NEAR)
        return float(np.log(median)), 2 * (0.5 - shares) * slope


def _where_known(logs: Float[np.ndarray, " b"], square_errors: Float[np.ndarray, " b"]) -> Resampled:
    """Return logarithms and their errors; both are NaN where one of them is no number."""
    known = np.isfinite(logs) & np.isfinite(square_errors)
    return Resampled(np.where(known, logs, np.nan), np.sqrt(np.where(known, square_errors, np.nan)))


def image_counts(n_images: int, resamples: int, *parts: object) -> Int[np.ndarray, "b n"]:
    """Return how often each resample has each image: the same for the same numbers and `parts`."""
    generator = generator_of("images", *parts)
    return generator.multinomial(n_images, np.full(n_images, 1 / n_images), size=resamples)


def percentile(sample: Sample, resampled: Resampled, level: float) -> Limits:
    """Return the interval between two quantiles of the resamples (Efron and Tibshirani 1993, chapter 13)."""
    tail = (1 - level) / 2
    return np.quantile(resampled.logs, [tail, 1 - tail])


def bca(sample: Sample, resampled: Resampled, level: float) -> Limits:
    """Return the bias-corrected and accelerated interval (Efron and Tibshirani 1993, section 14.3)."""
    count = len(resampled.logs)
    below = np.mean(resampled.logs < sample.log_value) + np.mean(resampled.logs == sample.log_value) / 2
    bias = ndtri(np.clip(below, 1 / (count + 1), count / (count + 1)))
    without = sample.without_each()
    deviations = without[np.isfinite(without)]
    deviations = deviations.mean() - deviations
    scale = (deviations**2).sum()
    acceleration = (deviations**3).sum() / (6 * scale**1.5) if scale > 0 else 0.0
    shifted = bias + ndtri([(1 - level) / 2, (1 + level) / 2])
    # Beyond the least divisor levels would turn round: there they are 0 or 1.
    levels = ndtr(bias + shifted / np.maximum(1 - acceleration * shifted, 1e-3))
    return np.quantile(resampled.logs, levels)


def studentized(sample: Sample, resampled: Resampled, level: float) -> Limits:
    """Return the bootstrap-t interval (Efron and Tibshirani 1993, section 12.5) at the `expanded` level."""
    statistics = (resampled.logs - sample.log_value) / resampled.errors
    tail = (1 - expanded(level, sample.n_images)) / 2
    return sample.log_value - np.quantile(statistics, [1 - tail, tail]) * (sample.error * sample.tail_factor)


def expanded(level: float, n_images: int) -> float:
    """Return at which level the quantiles of few images' resamples reach far enough: docs/coverage.md."""
    # Resamples vary less than samples, by (n - 1) / n, and t quantiles reach farther than normal ones
    # (Hesterberg 2015, section 5.3.3).
    reach = np.sqrt(n_images / (n_images - 1)) * stdtrit(n_images - 1, (1 + level) / 2)
    return float(2 * ndtr(reach) - 1)


#: The ways to an interval of ``log D`` from resampled images.
METHODS: dict[str, Callable[[Sample, Resampled, float], Limits]] = {
    "studentized": studentized,
    "bca": bca,
    "percentile": percentile,
}


def interval_of_log(
    sample: Sample, counts: Int[np.ndarray, "b n"], method: str, level: float
) -> tuple[float, float]:
    """Return the limits of ``log D``, given how often each resample has each image.

    They are NaN where there are too few images, and where the value, or that of most resamples, is 0 or NaN.
    """
    unknown = (np.nan, np.nan)
    if sample.n_images < LEAST_IMAGES or not np.isfinite([sample.log_value, sample.error]).all():
        return unknown
    resampled = sample.resampled(counts)
    # An error that is nothing but rounding would make any difference seem large.
    known = np.isfinite(resampled.logs) & (resampled.errors > 1e-6 * sample.error)
    if known.mean() < 0.5:
        return unknown
    resampled = Resampled(resampled.logs[known], resampled.errors[known])
    low, high = METHODS[method](sample, resampled, level).tolist()
    # The mean square of distances is twice the variance at most, and half of them reach the median.
    most = max(sample.log_value, np.log(2)) if sample.normalized else np.inf
    low, high = min(low, sample.log_value), min(max(high, sample.log_value), most)
    return (low, high) if np.isfinite(low) and high < LARGEST_LOG else unknown
