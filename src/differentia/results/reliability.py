"""How far repeats agree: the distances of pairs in one half of them, correlated with those in the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import comb

import numpy as np
from jaxtyping import Float, Int
from scipy.special import stdtrit

from differentia.definition.repeats import squares_of
from differentia.results.correlations import COEFFICIENTS, standardised
from differentia.system.random import generator_of

#: Two halves of the repeats, by their places; of an odd number one is left out.
Split = tuple[Int[np.ndarray, " h"], Int[np.ndarray, " h"]]

#: Distances that are equal to so many decimals of the largest are ties. Those of spike counts often are.
_DECIMALS = 12

#: So near to 1 a correlation may come where it is transformed.
_MOST = 1 - 1e-12


def splits_of(repeats: int, most: int, *parts: object) -> list[Split]:
    """Return every way to halve the repeats, or as many random ones as are wanted at most."""
    half = repeats // 2
    if comb(repeats, half) * comb(repeats - half, half) // 2 <= most:
        return list(_every_split(repeats))
    generator = generator_of("halves", repeats, *parts)
    orders = (generator.permutation(repeats) for _ in range(most))
    return [(np.sort(order[:half]), np.sort(order[half : 2 * half])) for order in orders]


def _every_split(repeats: int) -> Iterator[Split]:
    half, places = repeats // 2, range(repeats)
    for one in combinations(places, half):
        others = [place for place in places if place not in one]
        for other in combinations(others, half):
            if one < other:  # each split once
                yield np.array(one), np.array(other)


def split_half(
    repeats: Float[np.ndarray, "repeat n k"], splits: Sequence[Split], confidence: float
) -> dict[str, tuple[float, float, float]]:
    """Return the mean correlation over splits by coefficient, and its limits for other stimuli.

    The error is that of Fisher's z where each stimulus is left out with all of its pairs (Efron and
    Tibshirani 1993, chapter 11); ranks are those of all pairs.
    """
    n = repeats.shape[1]
    first, second = np.triu_indices(n, k=1)
    without = {name: np.zeros(n) for name in COEFFICIENTS}
    whole = dict.fromkeys(COEFFICIENTS, 0.0)
    for split in splits:
        halves = [squares_of(repeats[half].mean(axis=0)).distances[first, second] for half in split]
        pairs = np.sqrt(np.stack(halves, axis=1))
        pairs = np.round(pairs / (pairs.max() or 1.0), _DECIMALS)
        for name, coefficient in COEFFICIENTS.items():
            scores = standardised(coefficient.scale(pairs))
            whole[name] += float((scores[:, 0] * scores[:, 1]).mean()) / len(splits)
            without[name] += _without_each(scores, first, second, n) / len(splits)
    return {name: (whole[name], *_limits(whole[name], without[name], confidence)) for name in COEFFICIENTS}


def _without_each(
    scores: Float[np.ndarray, "pair 2"],
    first: Int[np.ndarray, " pair"],
    second: Int[np.ndarray, " pair"],
    n: int,
) -> Float[np.ndarray, " n"]:
    """Return the correlation of the two columns without the pairs of each stimulus."""
    x, y = scores.T
    left = len(x) - (n - 1)

    def mean_without(values: Float[np.ndarray, " pair"]) -> Float[np.ndarray, " n"]:
        of_stimulus = np.bincount(first, values, n) + np.bincount(second, values, n)
        return (values.sum() - of_stimulus) / left if left else np.full(n, np.nan)

    mean_x, mean_y = mean_without(x), mean_without(y)
    covariance = mean_without(x * y) - mean_x * mean_y
    variances = (mean_without(x**2) - mean_x**2) * (mean_without(y**2) - mean_y**2)
    return covariance / np.sqrt(np.where(variances > 0, variances, np.nan))


def _limits(whole: float, without: Float[np.ndarray, " n"], confidence: float) -> tuple[float, float]:
    z = np.arctanh(np.clip(without, -_MOST, _MOST))
    n = len(z)
    error = np.sqrt((n - 1) / n * ((z - z.mean()) ** 2).sum())
    reach = -float(stdtrit(n - 1, (1 - confidence) / 2)) * error
    centre = np.arctanh(np.clip(whole, -_MOST, _MOST))
    return float(np.tanh(centre - reach)), float(np.tanh(centre + reach))


def spearman_brown(correlation: float) -> float:
    """Return what twice as many repeats in each half would give, ``2 r / (1 + r)``; NaN where r is negative.

    Spearman (1910) and Brown (1910), of scores that are sums; distances are so only roughly.
    """
    return 2 * correlation / (1 + correlation) if correlation >= 0 else np.nan
