"""Two conditions compared within one session: trials change places between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations, product
from math import comb, prod
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import gammaln

from differentia.results.across import p_of_permuted

#: Which statistics speak against the two being alike.
ALTERNATIVES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "two-sided": np.abs,
    "greater": lambda statistic: statistic,
    "less": lambda statistic: -statistic,
}

#: Statistics that differ by less, as a share of them, are ties, whatever rounding says.
_TIE = 1e-9

#: Variances below this share of that of all trials are those of equal values.
_ROUNDING = 1e-12

#: Permuted values that are held at once.
_AT_ONCE = 4_000_000


class Permuted(NamedTuple):
    """The p of one session, and the least that its permutations can give."""

    p: float
    least: float


def permuted(
    values: Float[np.ndarray, " trial"],
    first: Bool[np.ndarray, " trial"],
    blocks: Int[np.ndarray, " trial"],
    *,
    alternative: str,
    permutations: int,
    generator: np.random.Generator,
) -> Permuted:
    """Compare two conditions by permutation of trials within blocks.

    The statistic is Welch's t, not the difference of means: so p is exact where trials can be exchanged, and
    nearly right where only the means are the same, and variances and numbers of trials are not (Janssen
    1997).
    """
    of = ALTERNATIVES[alternative]
    (observed,) = of(welch(values, first[np.newaxis]))
    others = [of(welch(values, some)) for some in _others(first, blocks, permutations, generator)]
    reached = np.concatenate([np.empty(0), *others])[np.newaxis]
    alone, _ = p_of_permuted(np.array([observed - _TIE * abs(observed)]), reached)
    return Permuted(float(alone[0]), 1 / (1 + reached.shape[1]))


def welch(
    values: Float[np.ndarray, " trial"], first: Bool[np.ndarray, "split trial"]
) -> Float[np.ndarray, " split"]:
    """Return Welch's t for each way to split the trials in two; NaN where no value differs."""
    centred = values - values.mean()
    whole = centred.var()
    if whole <= (_ROUNDING * np.abs(values).max(initial=0.0)) ** 2:
        return np.full(len(first), np.nan)
    of_first = first.astype(np.float64)
    n_first, n = of_first.sum(axis=1), len(values)
    sums, squares = of_first @ centred, of_first @ centred**2
    parts = ((n_first, sums, squares), (n - n_first, -sums, (centred**2).sum() - squares))
    means = [total / count for count, total, _ in parts]
    errors = [
        np.maximum(square - count * mean**2, 0.0) / (count - 1) / count
        for (count, _, square), mean in zip(parts, means, strict=True)
    ]
    difference: np.ndarray = means[0] - means[1]
    return difference / np.sqrt(np.maximum(sum(errors), _ROUNDING * whole))


def hedges(values: Float[np.ndarray, " trial"], first: Bool[np.ndarray, " trial"]) -> float:
    """Return the difference of means in pooled SDs, without the bias of small samples (Hedges 1981)."""
    one, other = values[first], values[~first]
    df = len(values) - 2
    sd = np.sqrt((((one - one.mean()) ** 2).sum() + ((other - other.mean()) ** 2).sum()) / df)
    if sd <= _ROUNDING * np.abs(values).max():
        return np.nan
    unbiased = np.exp(gammaln(df / 2) - gammaln((df - 1) / 2)) * np.sqrt(2 / df)
    return float(unbiased * (one.mean() - other.mean()) / sd)


def _others(
    first: Bool[np.ndarray, " trial"],
    blocks: Int[np.ndarray, " trial"],
    permutations: int,
    generator: np.random.Generator,
) -> Iterator[Bool[np.ndarray, "split trial"]]:
    """Yield other splits than the one observed: all, or random ones where there are more than asked for."""
    places = [np.flatnonzero(blocks == block) for block in np.unique(blocks)]
    sizes = [int(first[at].sum()) for at in places]
    count = prod(comb(len(at), size) for at, size in zip(places, sizes, strict=True))
    if count - 1 <= permutations:
        ways = (combinations(at.tolist(), size) for at, size in zip(places, sizes, strict=True))
        splits = np.zeros((count, len(first)), dtype=bool)
        for row, chosen in enumerate(product(*ways)):
            splits[row, [place for of_block in chosen for place in of_block]] = True
        yield splits[(splits != first).any(axis=1)]
        return
    in_order = np.argsort(blocks, kind="stable")
    step = max(1, _AT_ONCE // len(first))
    for start in range(0, permutations, step):
        keys = generator.random((min(step, permutations - start), len(first)))
        splits = np.empty(keys.shape, dtype=bool)
        # Places in a random order within each block, to which the labels of the block go in theirs.
        np.put_along_axis(splits, np.argsort(blocks + keys, axis=1), first[in_order][np.newaxis], axis=1)
        yield splits
