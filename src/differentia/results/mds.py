"""Where images lie to each other: inner products that follow from distances, and maps of few dimensions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Map(NamedTuple):
    """Places of images, and the share of their variance that each dimension shows."""

    places: Float[np.ndarray, "n dimension"]
    shares: Float[np.ndarray, " dimension"]


def inner_products(squares: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """Return the inner products of responses less their mean, of their squared Euclidean distances.

    By double centring (Torgerson 1952; Gower 1966).
    """
    of_rows = squares.mean(axis=1)
    return (of_rows[:, np.newaxis] + of_rows - squares - of_rows.mean()) / 2


def scaled(distances: Float[np.ndarray, "n n"], n_dimensions: int = 2) -> Map:
    """Return the map by classical scaling of Euclidean distances, which is that of principal components.

    The first dimension shows most of the variance. Of the two ways round that each dimension has, the image
    that lies farthest out lies on the positive side.
    """
    from scipy.linalg import eigh

    products = inner_products(distances.astype(np.float64) ** 2)
    n, total = len(products), float(np.trace(products))
    places, shares = np.zeros((n, n_dimensions)), np.zeros(n_dimensions)
    known = min(n_dimensions, n)
    if not total > 0:
        return Map(places, shares)
    values, vectors = eigh(products, subset_by_index=(n - known, n - 1))
    values, vectors = np.maximum(values[::-1], 0.0), vectors[:, ::-1]
    farthest = np.abs(vectors).argmax(axis=0)
    signs = np.where(vectors[farthest, np.arange(known)] < 0, -1.0, 1.0)
    places[:, :known] = vectors * np.sqrt(values) * signs
    shares[:known] = values / total
    return Map(places, shares)
