"""Correlations of one series with several: their limits by a jackknife, and p by permutation.

Where `x` has two dimensions, it is one series for each of `y`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtri, stdtrit

#: So near to 1 a correlation may come where it is transformed.
_MOST = 1 - 1e-12

#: A correlation that comes so near to 1 is one, whatever rounding says.
_WHOLE = 1e-9

#: Values that differ by less, as a share of them, are the same but for rounding.
_ROUNDING = 1e-12


class Coefficient(NamedTuple):
    """A coefficient of correlation: of what, and the quantile that its limits have."""

    #: Along the first axis.
    scale: Callable[[np.ndarray], np.ndarray]
    #: Given the share beyond it, and the number of observations.
    quantile: Callable[[float, int], float]
    of_ranks: bool


def _as_they_are(values: np.ndarray) -> np.ndarray:
    return values


def ranks(values: Float[np.ndarray, "n ..."]) -> Float[np.ndarray, "n ..."]:
    """Return ranks along the first axis; equal values share the mean of theirs."""
    from scipy.stats import rankdata

    found: np.ndarray = rankdata(values, axis=0)
    return found


#: Each quantile is the one with which limits cover best: see docs/depth.md.
COEFFICIENTS = {
    "pearson": Coefficient(_as_they_are, lambda tail, n: -float(stdtrit(n - 2, tail)), of_ranks=False),
    "spearman": Coefficient(ranks, lambda tail, n: -float(ndtri(tail)), of_ranks=True),
}


def standardised(values: Float[np.ndarray, "n ..."]) -> Float[np.ndarray, "n ..."]:
    """Return values with mean 0 and mean square 1 along the first axis; NaN where they do not vary."""
    centred = values - values.mean(axis=0)
    sd = np.sqrt((centred**2).mean(axis=0))
    varies = sd > _ROUNDING * np.abs(values).max(axis=0)
    return centred / np.where(varies, sd, np.nan)


def correlations(
    x: Float[np.ndarray, "n ..."], y: Float[np.ndarray, "n series"], coefficient: str
) -> Float[np.ndarray, " series"]:
    """Return the correlation of x with each series."""
    scale = COEFFICIENTS[coefficient].scale
    found: np.ndarray = (standardised(scale(_column(x))) * standardised(scale(y))).mean(axis=0)
    return np.clip(found, -1.0, 1.0)


def _column(x: Float[np.ndarray, "n ..."]) -> Float[np.ndarray, "n _"]:
    return x.reshape(len(x), -1)


def jackknifed(
    x: Float[np.ndarray, "n ..."], y: Float[np.ndarray, "n series"], coefficient: str, confidence: float
) -> tuple[Float[np.ndarray, " series"], Float[np.ndarray, " series"]]:
    """Return the limits of correlations: Fisher's z, with the error that leaving out each observation tells.

    Fisher's own error holds for the normal distribution alone; the jackknife's (Efron and Tibshirani 1993,
    chapter 11) for others too. Where all ranks agree, as those of few may by chance, leaving one out changes
    nothing, as if there were no error: then limits are NaN.
    """
    n = len(x)
    without = [
        correlations(np.delete(x, one, axis=0), np.delete(y, one, axis=0), coefficient) for one in range(n)
    ]
    z = np.arctanh(np.clip(without, -_MOST, _MOST))
    error = np.sqrt((n - 1) / n * ((z - z.mean(axis=0)) ** 2).sum(axis=0))
    whole = correlations(x, y, coefficient)
    if COEFFICIENTS[coefficient].of_ranks:
        error[np.abs(whole) > 1 - _WHOLE] = np.nan
    centre = np.arctanh(np.clip(whole, -_MOST, _MOST))
    reach = COEFFICIENTS[coefficient].quantile((1 - confidence) / 2, n) * error
    return np.tanh(centre - reach), np.tanh(centre + reach)


def permuted_correlations(
    x: Float[np.ndarray, " n"],
    y: Float[np.ndarray, "n series"],
    coefficient: str,
    orders: Int[np.ndarray, "b n"],
) -> Float[np.ndarray, "series b"]:
    """Return the correlations with x in other orders."""
    scale = COEFFICIENTS[coefficient].scale
    found: np.ndarray = standardised(scale(x))[orders] @ standardised(scale(y)) / len(x)
    return found.T


class Line(NamedTuple):
    """A line through points, by least squares, with the limits of its slope."""

    intercept: Float[np.ndarray, " series"]
    slope: Float[np.ndarray, " series"]
    low: Float[np.ndarray, " series"]
    high: Float[np.ndarray, " series"]


def line_through(x: Float[np.ndarray, "n ..."], y: Float[np.ndarray, "n series"], confidence: float) -> Line:
    """Return the line of each series on x; the limits of slopes are of HC4 errors and t.

    Cribari-Neto (2004): they hold where the spread around the line changes, and where single observations
    lie far out.
    """
    n = len(x)
    x = _column(x)
    centred = np.where(np.isnan(standardised(x)), np.nan, x - x.mean(axis=0))
    square = (centred**2).sum(axis=0)
    slope = (centred * (y - y.mean(axis=0))).sum(axis=0) / square
    intercept = y.mean(axis=0) - slope * x.mean(axis=0)
    residuals = y - intercept - slope * x
    leverage = 1 / n + centred**2 / square
    share_left = np.where(leverage < 1 - _ROUNDING, 1 - leverage, np.nan)  # one observation decides the slope
    weights = share_left ** -np.minimum(4, n * leverage / 2)
    error = np.sqrt((centred**2 * residuals**2 * weights).sum(axis=0)) / square
    reach = -float(stdtrit(n - 2, (1 - confidence) / 2)) * error
    return Line(intercept, slope, slope - reach, slope + reach)


def squared_limits(
    low: Float[np.ndarray, " series"], high: Float[np.ndarray, " series"]
) -> tuple[Float[np.ndarray, " series"], Float[np.ndarray, " series"]]:
    """Return the limits of the squares of what lies between limits."""
    squares = np.sort([low**2, high**2], axis=0)
    return np.where((low < 0) & (high > 0), 0.0, squares[0]), squares[1]
