"""Distances between all pairs of responses, read a block of units at a time.

Every metric here is a sum over units, so a layer of millions of units is never copied to float64 as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Num
from scipy.spatial.distance import pdist

#: Entries (not bytes) of a block of responses, 2 MiB as float64, which stays in a core's cache.
BLOCK_ENTRIES = 2**18

#: Below this fraction of |a|^2 + |b|^2 a squared distance is summed from the differences themselves. The
#: inner products leave a relative error of at most about 100 * 2.2e-16 / 1e-7 = 2e-7 in what is above it.
CANCELLATION = 1e-7


#: A number for all responses, or one for each.
PerRow = float | Float[np.ndarray, " n"]


@dataclass(frozen=True)
class Rows:
    """Responses as they are compared: ``(values * weight - shift) / scale``, in float64.

    Attributes
    ----------
    values : (n_responses, n_units)
        The responses as recorded, of any real type.
    weight : (n_units,) or None
        What each unit is multiplied by; None for 1.
    shift, scale : float or (n_responses,)
        What is subtracted from each response, and what it is then divided by.
    """

    values: Num[np.ndarray, "n k"]
    weight: Float[np.ndarray, " k"] | None = None
    shift: PerRow = 0.0
    scale: PerRow = 1.0

    def blocks(self) -> Iterator[Float[np.ndarray, "n b"]]:
        """Yield consecutive blocks of units, as float64."""
        n, k = self.values.shape
        width = max(1, BLOCK_ENTRIES // n)
        for start in range(0, k, width):
            block = self.values[:, start : start + width].astype(np.float64)
            if self.weight is not None:
                block *= self.weight[start : start + width]
            if np.any(self.shift):
                block -= np.reshape(self.shift, (-1, 1))
            if np.any(self.scale != 1.0):
                block /= np.reshape(self.scale, (-1, 1))
            yield block

    def means(self) -> Float[np.ndarray, " n"]:
        """Return the mean of each response over its units."""
        total = np.zeros(len(self.values))
        for block in self.blocks():
            total += block.sum(axis=1)
        return total / self.values.shape[1]

    def square_sums(self) -> Float[np.ndarray, " n"]:
        """Return the sum of squares of each response over its units."""
        total = np.zeros(len(self.values))
        for block in self.blocks():
            total += np.einsum("nb,nb->n", block, block)
        return total

    def constant(self) -> Bool[np.ndarray, " n"]:
        """Return which responses are the same in every unit."""
        extremes = [(block.min(axis=1), block.max(axis=1)) for block in self.blocks()]
        lowest, highest = zip(*extremes, strict=True)
        return np.min(lowest, axis=0) == np.max(highest, axis=0)

    def minus(self, shift: PerRow) -> Rows:
        """Return the rows with `shift` subtracted from each response."""
        return replace(self, shift=self.shift + shift * self.scale)

    def over(self, scale: PerRow) -> Rows:
        """Return the rows with each response divided by `scale`."""
        return replace(self, scale=self.scale * scale)


def squared_euclidean(rows: Rows) -> Float[np.ndarray, " pairs"]:
    """Return the squared Euclidean distance of every pair of responses.

    The mean response is subtracted before the inner products, which changes no distance and takes away
    the cancellation that a large common part would cause; pairs that are still almost equal are summed
    from their differences.

    Parameters
    ----------
    rows : (n_responses, n_units)

    Returns
    -------
    (n_responses * (n_responses - 1) / 2,)
        In the order (0, 1), (0, 2), ..., as SciPy's ``pdist``.
    """
    n = len(rows.values)
    products = np.zeros((n, n))
    for block in rows.blocks():
        block -= block.mean(axis=0)
        products += block @ block.T
    first, second = np.triu_indices(n, k=1)
    norms = np.diagonal(products)
    sums = norms[first] + norms[second]
    squares = np.maximum(sums - 2 * products[first, second], 0.0)
    (close,) = np.nonzero(squares < CANCELLATION * sums)
    if len(close):
        squares[close] = _summed_differences(rows, first[close], second[close])
    return squares


def _summed_differences(rows: Rows, first: np.ndarray, second: np.ndarray) -> Float[np.ndarray, " pairs"]:
    total = np.zeros(len(first))
    for block in rows.blocks():
        step = max(1, BLOCK_ENTRIES // block.shape[1])
        for start in range(0, len(first), step):
            pairs = slice(start, start + step)
            difference = block[first[pairs]] - block[second[pairs]]
            total[pairs] += np.einsum("pb,pb->p", difference, difference)
    return total


def cityblock(rows: Rows) -> Float[np.ndarray, " pairs"]:
    """Return the summed absolute difference of every pair of responses, in ``pdist``'s order.

    Parameters
    ----------
    rows : (n_responses, n_units)

    Returns
    -------
    (n_responses * (n_responses - 1) / 2,)
    """
    n = len(rows.values)
    total = np.zeros(n * (n - 1) // 2)
    for block in rows.blocks():
        total += pdist(block, "cityblock")
    return total
