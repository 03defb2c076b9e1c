"""Repeated presentations: the measure of what repeats have in common, without the noise of single trials.

For responses ``a`` (repeat, stimulus, unit) whose noise is independent from repeat to repeat, products of
different repeats hold no noise on average (Walther et al. 2016, without whitening)::

    d2_ij   = mean over r != s of (a_i^r - a_j^r) . (a_i^s - a_j^s) / n_units
    sigma^2 = mean over r != s, stimuli and units of (a^r - m^r) (a^s - m^s),   m^r: the mean of all of a^r
    D       = sqrt(median of d2_ij over all pairs / sigma^2)

For R repeats, the sum of ``x^r x^s`` over r != s is ``R^2 X^2`` less the sum of ``(x^r)^2``, X being the mean
of x over repeats. So all of this follows from squares: those of the mean response, and those of each repeat.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import sqrt
from operator import add

import numpy as np
from jaxtyping import Float

from differentia.definition.measure import Differentiation

#: A squared distance that is a smaller share of what it is the difference of is 0 but for rounding.
_ROUNDING = 1e-14


@dataclass(frozen=True)
class Squares:
    """Squared distances between responses, and what their variance is made of; all are means over units."""

    distances: Float[np.ndarray, "n n"]
    #: Of each response, less the mean of all entries: its mean, and its mean square.
    means: Float[np.ndarray, " n"]
    powers: Float[np.ndarray, " n"]

    def __add__(self, other: Squares) -> Squares:
        return Squares(self.distances + other.distances, self.means + other.means, self.powers + other.powers)

    @property
    def median(self) -> float:
        """Of the squared distances of all pairs."""
        return float(np.median(self.distances[np.triu_indices(len(self.distances), k=1)]))

    def differentiation(self, *, divided: bool) -> Differentiation:
        """Return the root of the median, divided by the SD or not; NaN where one of them is not positive."""
        median, variance = self.median, float(self.powers.mean()) if divided else 1.0
        for name, square in (("median squared distance", median), ("variance", variance)):
            if not square > 0:
                return Differentiation(np.nan, f"the {name} is {square:.3g}, not positive")
        return Differentiation(sqrt(median / variance))


def squares_of(responses: Float[np.ndarray, "n k"]) -> Squares:
    """Return the squares of one response to each stimulus, with what noise they have."""
    n_units = responses.shape[1]
    centred = responses - responses.mean(axis=0)
    products = centred @ centred.T / n_units
    norms = np.diagonal(products)
    sums = norms[:, np.newaxis] + norms
    distances = sums - 2 * products
    distances[distances < _ROUNDING * sums] = 0.0
    entries = responses - responses.mean()
    return Squares(distances, entries.mean(axis=1), (entries**2).mean(axis=1))


def noise_free(repeats: Float[np.ndarray, "repeat n k"]) -> Squares:
    """Return the squares without noise of responses to repeated stimuli; some may be negative."""
    return without_noise(
        squares_of(repeats.mean(axis=0)), reduce(add, map(squares_of, repeats)), len(repeats)
    )


def without_noise(of_mean: Squares, total: Squares, repeats: int) -> Squares:
    """Return the same of the squares of the mean response, and the sum of those of each repeat."""
    pairs = repeats * (repeats - 1)
    return Squares(
        (repeats**2 * of_mean.distances - total.distances) / pairs,
        of_mean.means,
        (repeats**2 * of_mean.powers - total.powers) / pairs,
    )
