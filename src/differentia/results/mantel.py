"""The distances of a set's pairs, compared between layers: Mantel's test, which permutes images."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from differentia.results.across import p_of_permuted
from differentia.results.correlations import COEFFICIENTS, standardised
from differentia.system.random import generator_of

#: Images of a set, at least: of 4 there are 24 orders, most of which give the same few values.
LEAST_IMAGES = 5

#: Permuted distances that are held at once.
_AT_ONCE = 4_000_000

#: Correlations that differ by less are ties, whatever rounding says.
_TIE = 1e-9


class Mantel(NamedTuple):
    """How the distances of pairs in one layer go with those in several: correlations, and their p."""

    value: Float[np.ndarray, " layer"]
    p: Float[np.ndarray, " layer"]
    p_corrected: Float[np.ndarray, " layer"]


def pairs_of(distances: Float[np.ndarray, "layer n n"]) -> Float[np.ndarray, "pair layer"]:
    """Return the distances of the pairs of n images, each pair once."""
    first, second = np.triu_indices(distances.shape[1], k=1)
    return distances[:, first, second].T.astype(np.float64)


def similarities(
    pairs: Float[np.ndarray, "pair layer"], coefficient: str
) -> Float[np.ndarray, "layer layer"]:
    """Return the correlation of the pairs' distances in each layer with those in each other."""
    scores = standardised(COEFFICIENTS[coefficient].scale(pairs))
    found: np.ndarray = np.clip(scores.T @ scores / len(scores), -1.0, 1.0)
    np.fill_diagonal(found, np.where(np.isnan(found.diagonal()), np.nan, 1.0))
    return found


def mantel(
    pairs: Float[np.ndarray, "pair layer"],
    base: Float[np.ndarray, " pair"],
    coefficient: str,
    permutations: int,
    *parts: object,
) -> Mantel:
    """Compare the distances of pairs in one layer with those in others (Mantel 1967).

    p is two-sided: how often a correlation is as strong where the images of one layer have changed places,
    and their distances with them. (To permute pairs would break what distances of one image have in common,
    and find too much.) It is corrected by the strongest correlation of all layers.
    """
    scale = COEFFICIENTS[coefficient].scale
    others, own = standardised(scale(pairs)), standardised(scale(base))
    count = len(own)
    observed = others.T @ own / count
    n = round((1 + np.sqrt(1 + 8 * count)) / 2)
    first, second = np.triu_indices(n, k=1)
    square = np.zeros((n, n))
    square[first, second] = square[second, first] = own
    generator, found = generator_of("mantel", *parts), []
    step = max(1, _AT_ONCE // count)
    for start in range(0, permutations, step):
        orders = [generator.permutation(n) for _ in range(min(step, permutations - start))]
        permuted = np.stack([square[order[first], order[second]] for order in orders])
        found.append(np.abs(permuted @ others / count).T)
    p, corrected = p_of_permuted(np.abs(observed) - _TIE, np.concatenate(found, axis=1))
    return Mantel(np.clip(observed, -1.0, 1.0), p, corrected)
