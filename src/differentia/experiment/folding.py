"""Draws of few sums from the many that a sketch kept of a layer, without another look at the network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from scipy.sparse import csr_array

from differentia.definition.matrix import ResponseMatrix, Rows
from differentia.system.random import random_keys, random_signs

#: Bytes of the responses that are summed up at once, in float64.
BYTES_AT_ONCE = 2**26


def folding(layer: str, width: int, count: int, draw: int, *, seed: int) -> csr_array:
    """Return the matrix that makes one draw of `count` numbers of the `width` that were kept of a layer.

    Every column holds one entry, 1 or -1, and every row as many as another, or one more.
    """
    order = np.argsort(random_keys(width, "fold", seed, layer, count, draw), kind="stable")
    signs = random_signs(width, "fold", seed, layer, count, draw).astype(np.float64)
    return csr_array((signs[order], (np.arange(width) % count, order)), shape=(count, width))


@dataclass(frozen=True)
class Centred:
    """Responses minus their mean, in float64, so that nothing is lost where they are summed up."""

    whole: ResponseMatrix
    mean: Float64[np.ndarray, " width"]
    dtype = np.dtype(np.float64)

    @classmethod
    def of(cls, whole: ResponseMatrix) -> Centred:
        return cls(whole, np.concatenate([block.mean(axis=0) for block in Rows(whole).blocks()]))

    @property
    def shape(self) -> tuple[int, ...]:
        return self.whole.shape

    def __getitem__(self, at: tuple[slice, Any], /) -> Float64[np.ndarray, "n b"]:
        # Each column is in one piece of memory, as sums of columns want it.
        read = np.asarray(self.whole[at])
        return np.subtract(read.T, self.mean[at[1], np.newaxis], dtype=np.float64, order="C").T


@dataclass(frozen=True)
class Folded:
    """One draw of few numbers of what was kept, summed up when they are asked for."""

    whole: ResponseMatrix  # centred
    fold: csr_array
    dtype = np.dtype(np.float64)

    @property
    def shape(self) -> tuple[int, int]:
        return self.whole.shape[0], self.fold.shape[0]

    def __getitem__(self, at: tuple[slice, Any], /) -> Float64[np.ndarray, "n b"]:
        start, stop, _ = at[0].indices(self.shape[0])
        fold = self.fold[at[1]]
        width = self.whole.shape[1]
        at_once = max(1, BYTES_AT_ONCE // (8 * width))
        parts = []
        for first in range(start, stop, at_once):
            rows = slice(first, min(first + at_once, stop))
            parts.append((fold @ np.ascontiguousarray(self.whole[rows, slice(0, width)].T)).T)
        return np.concatenate(parts)
