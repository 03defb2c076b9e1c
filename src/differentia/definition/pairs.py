"""Distances of all pairs of a few responses, and what squared distances from inner products are good for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import pdist

from differentia.definition.matrix import CACHED_ENTRIES, Rows


class Precision(NamedTuple):
    """What inner products of a type of numbers are good for, as squared distances."""

    error: float  # at most, as a share of |a|^2 + |b|^2: some times what is measured
    doubtful: float  # below this share of |a|^2 + |b|^2 a squared distance is summed from the differences
    safe: tuple[float, float]  # between these, squares are as exact as the type allows


#: A squared distance that is not doubtful has a relative error of about 3e-7 / 0.0625 = 5e-6 in float32, and
#: of 100 * 2.2e-16 / 1e-7 = 2e-7 in float64; half of it in the distance, and far less where it is no small
#: share of |a|^2 + |b|^2.
PRECISION = {
    "float32": Precision(1e-5, 1 / 16, (1e-24, 1e25)),
    "float64": Precision(1e-13, 1e-7, (1e-280, 1e280)),
}

#: A block is at least a 40th as wide as there are responses: of many responses and few units at a time, the
#: products would be written more often than they are worth.
WIDENING = 40

#: The squared distances of pairs, and |a|^2 + |b|^2 of each.
SquaresAndScales = tuple[Float[np.ndarray, "*pairs"], Float[np.ndarray, "*pairs"]]


@np.errstate(over="ignore", invalid="ignore")  # who asks looks at whether products are safe
def squares_and_scales(
    products: Float[np.ndarray, "*choices n n"], first: Int[np.ndarray, ...], second: Int[np.ndarray, ...]
) -> SquaresAndScales:
    """Return the squared distances of some pairs from inner products, and |a|^2 + |b|^2 of each."""
    norms = np.diagonal(products, axis1=-2, axis2=-1)
    scales = norms[..., first] + norms[..., second]
    return scales - 2 * products[..., first, second], scales


def squared_euclidean(rows: Rows) -> Float[np.ndarray, " pairs"]:
    """Return the squared Euclidean distance of every pair of responses, in ``pdist``'s order.

    The mean response is subtracted before the inner products: no distance changes, and a large part that all
    have in common cancels no digits.
    """
    n = rows.n_responses
    products = np.zeros((n, n))
    for block in rows.blocks(max(1, n // WIDENING)):
        block -= block.mean(axis=0)
        products += block @ block.T
    first, second = np.triu_indices(n, k=1)
    squares, scales = squares_and_scales(products, first, second)
    np.maximum(squares, 0.0, out=squares)
    doubtful = np.flatnonzero(squares < PRECISION["float64"].doubtful * scales)
    if len(doubtful):
        squares[doubtful] = sum_differences(rows, first[doubtful], second[doubtful])
    return squares


def sum_differences(
    rows: Rows, first: Int[np.ndarray, " p"], second: Int[np.ndarray, " p"], least_width: int = 1
) -> Float[np.ndarray, " p"]:
    """Return the squared distances of some pairs, summed from their differences in blocks of units."""
    squares = np.zeros(len(first))
    for block in rows.blocks(least_width):
        step = max(1, CACHED_ENTRIES // block.shape[1])
        for start in range(0, len(first), step):
            some = slice(start, start + step)
            difference = block[first[some]] - block[second[some]]
            squares[some] += np.einsum("pb,pb->p", difference, difference)
    return squares


def by_blocks(rows: Rows, metric: str, join: np.ufunc) -> Float[np.ndarray, " pairs"]:
    """Return every pair's distance by one of SciPy's metrics, in ``pdist``'s order.

    What blocks of units give is joined by `np.add` for a sum over units, by `np.maximum` for the largest.
    """
    n = rows.n_responses
    total = np.zeros(n * (n - 1) // 2)
    of_block = np.empty_like(total)
    for block in rows.blocks():
        join(total, pdist(block, metric, out=of_block), out=total)
    return total
