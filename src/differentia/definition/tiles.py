"""Distances of the pairs of many responses, a tile of pairs at a time.

A tile holds the pairs of some responses with some others, so that neither all pairs nor a second copy of the
responses are ever held. Squared distances are estimated from inner products; their error is known, and those
for which it is too large are summed from the differences.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.spatial.distance import cdist

from differentia.definition.matrix import Rows
from differentia.definition.pairs import PRECISION, sum_differences
from differentia.system.machine import usable_cores

#: Responses on each side of a tile: large, so that the products take most of the time.
SIDE = 2048

#: Responses whose pairs with the others of a tile stay in a core's cache while they are looked at.
BAND = 128

#: Bytes of a block of responses whose products are summed at once; two are held.
BLOCK_BYTES = 2**27

#: Entries of the differences that are held at once.
DIFFERENCES = 2**22

#: The first or second responses of some pairs, and the values of those pairs.
Places = Int[np.ndarray, " p"]
Values = Float[np.ndarray, " p"]


class Tile(NamedTuple):
    """The pairs of some responses with some others."""

    first: slice
    second: slice
    values: Float[np.ndarray, "a b"]  # grow with the distance; infinity for what is no pair i < j
    error: float  # how far the values may be from the truth


class Tiles(Protocol):
    """All pairs of responses, a tile at a time."""

    n_responses: int
    dtype: np.dtype[Any]

    def bands(self, first: slice, second: slice) -> Iterator[Tile]:
        """Yield the tile of some responses with others, the same or later ones, in bands of `BAND` rows."""

    def settled(self, first: Places, second: Places, values: Values, between: tuple[float, float]) -> Values:
        """Return the values of some pairs, exact where they were in doubt and may be between two values."""
        return values

    def of(self, responses: Int[np.ndarray, " m"]) -> Tiles:
        """Return the tiles of some of the responses, in ascending order."""


def all_bands(tiles: Tiles) -> Iterator[Tile]:
    """Yield every pair once."""
    sides = _spans(tiles.n_responses, SIDE)
    for at, first in enumerate(sides):
        for second in sides[at:]:
            yield from tiles.bands(first, second)


class DoubtError(Exception):
    """So many pairs are too close for the precision of the products that a higher one is faster."""


def _pairs_only(values: Float[np.ndarray, "a b"], rows: slice, second: slice) -> None:
    """Put infinity where some rows of a tile hold no pair i < j, in place."""
    if second.start < rows.stop:
        height, width = values.shape
        values[np.tri(height, width, rows.start - second.start, dtype=bool)] = np.inf


def _spans(count: int, width: int, start: int = 0) -> list[slice]:
    return [slice(at, min(at + width, start + count)) for at in range(start, start + count, width)]


def _unit_blocks(n_units: int, dtype: np.dtype[Any]) -> list[slice]:
    """Return as few blocks of units as may be held, of about the same width."""
    blocks = -(-n_units * SIDE * dtype.itemsize // BLOCK_BYTES)
    return _spans(n_units, -(-n_units // blocks))


class SquaredEuclidean(Tiles):
    """Squared Euclidean distances from inner products in float32 (of rows as they are) or float64.

    The centre, by default the mean response, is subtracted first, as in `squared_euclidean`. A response of
    float32 minus a mean that was rounded to float32 has an error of 2**-24 of the difference, however large
    both are.
    """

    def __init__(self, rows: Rows, dtype: str, centre: Float[np.ndarray, " k"] | None = None) -> None:
        self.rows = rows
        self.n_responses, self.n_units = rows.n_responses, rows.n_units
        self.dtype = np.dtype(dtype)
        self.precision = PRECISION[dtype]
        self._threads = ThreadPoolExecutor(usable_cores())
        self._blocks = _unit_blocks(self.n_units, self.dtype)
        self._centre = self.means.astype(self.dtype) if centre is None else centre
        self._left: tuple[slice, slice] | None = None
        self._last: tuple[tuple[slice, slice], list[Tile]] | None = None
        self._doubtful = 0
        self._buffers: dict[str, Float[np.ndarray, " entries"]] = {}

    def _parts(self) -> Iterator[tuple[slice, slice]]:
        return product(_spans(self.n_responses, SIDE), self._blocks)

    @cached_property
    def means(self) -> Float[np.ndarray, " k"]:
        """The mean of each unit, in float64."""
        total = np.zeros(self.n_units)
        for first, units in self._parts():
            total[units] += self._plain(first, units).sum(axis=0, dtype=np.float64)
        return total / self.n_responses

    @cached_property
    def norms(self) -> Float[np.ndarray, " n"]:
        """The sum of squares of each response, the centre subtracted."""
        norms = np.zeros(self.n_responses)
        for first, units in self._parts():
            block = self._centred("left", first, units)
            # Blocks of 1024, because a sum of squares in float32 loses a digit with each thousand.
            for some in _spans(block.shape[1], 1024):
                norms[first] += np.einsum("nb,nb->n", block[:, some], block[:, some])
        self._left = None
        return norms

    def sd(self) -> float:
        """Return the population standard deviation of all entries."""
        means, n = self.means, self.n_responses
        within = self.norms.sum() - n * np.square(means - self._centre).sum()
        between = n * np.square(means - means.mean()).sum()
        return math.sqrt(max(0.0, within + between) / (n * self.n_units))

    def bands(self, first: slice, second: slice) -> Iterator[Tile]:
        if self._last is not None and self._last[0] == (first, second):
            yield from self._last[1]
            return
        norms = self.norms.astype(self.dtype)
        products = self._products(first, second)
        done = []
        for rows in _spans(first.stop - first.start, BAND, first.start):
            values = products[rows.start - first.start : rows.stop - first.start]
            values *= -2
            values += norms[rows, None]
            values += norms[second]
            _pairs_only(values, rows, second)
            error = self.precision.error * (self.norms[rows].max() + self.norms[second].max())
            done.append(Tile(rows, second, values, float(error)))
            yield done[-1]
        self._last = (first, second), done

    def _products(self, first: slice, second: slice) -> Float[np.ndarray, "a b"]:
        self._last = None  # it shares the memory
        shape = (first.stop - first.start, second.stop - second.start)
        products = self._buffer("products", *shape)
        for number, units in enumerate(self._blocks):
            left = self._centred("left", first, units)
            right = left if second == first else self._centred("right", second, units)
            if number == 0:
                np.matmul(left, right.T, out=products)
            else:
                products += np.matmul(left, right.T, out=self._buffer("more", *shape))
        return products

    def settled(self, first: Places, second: Places, values: Values, between: tuple[float, float]) -> Values:
        """Sum what is in doubt from differences; DoubtError where it is so much that float64 is faster."""
        norms = self.norms[first] + self.norms[second]
        error = self.precision.error * norms
        doubtful = np.flatnonzero(
            (values < self.precision.doubtful * norms)
            & (values + error >= between[0])
            & (values - error <= between[1])
        )
        if not len(doubtful):
            return values
        values = values.copy()
        first, second = first[doubtful], second[doubtful]
        same = self._fingerprints[first] == self._fingerprints[second]
        values[doubtful[same]] = 0.0
        apart = ~same
        self._doubtful += int(apart.sum())
        pairs = self.n_responses * (self.n_responses - 1) // 2
        if self.dtype == np.float32 and self._doubtful > self.n_responses + pairs // 10_000:
            raise DoubtError
        values[doubtful[apart]] = self._differences(first[apart], second[apart])
        return values

    def of(self, responses: Int[np.ndarray, " m"]) -> SquaredEuclidean:
        return SquaredEuclidean(self.rows.of(responses), self.dtype.name, self._centre)

    @cached_property
    def _fingerprints(self) -> Shaped[np.ndarray, " n"]:
        """Numbers that are the same for equal responses only."""
        hashes = [hashlib.blake2b(digest_size=16) for _ in range(self.n_responses)]
        for first, units in self._parts():
            block = self._plain(first, units) + 0.0  # of which -0.0 and 0.0 become the same
            for response, row in zip(hashes[first], block, strict=True):
                response.update(row)
        return np.array([response.hexdigest().encode() for response in hashes])

    def _differences(self, first: Places, second: Places) -> Values:
        squares = np.zeros(len(first))
        for few in _spans(len(first), SIDE):
            used, at = np.unique(np.concatenate([first[few], second[few]]), return_inverse=True)
            left, right = np.split(at, 2)
            width = max(1, DIFFERENCES // len(used))
            squares[few] = sum_differences(self.rows.of(used), left, right, width)
        return squares

    def _plain(self, responses: slice, units: slice) -> Float[np.ndarray, "n b"]:
        if self.dtype == np.float32:
            return np.asarray(self.rows.values[responses, units])
        return self.rows.part(responses, units)

    def _centred(self, side: str, responses: slice, units: slice) -> Float[np.ndarray, "n b"]:
        """Return responses minus the centre; those on the left of tiles side by side are made once."""
        block = self._buffer(side, responses.stop - responses.start, units.stop - units.start)
        if side == "left" and self._left == (responses, units):
            return block
        read, centre = self._plain(responses, units), self._centre[units]

        def subtract(rows: slice) -> None:
            np.subtract(read[rows], centre, out=block[rows])

        # Memory is what this waits for, and one core does not use all of it.
        list(self._threads.map(subtract, _spans(len(read), BAND)))
        if side == "left":
            self._left = responses, units
        return block

    def _buffer(self, name: str, height: int, width: int) -> Float[np.ndarray, "{height} {width}"]:
        """Return memory that is taken once: fresh memory is slow to write to."""
        if name not in self._buffers or self._buffers[name].size < height * width:
            self._buffers[name] = np.empty(height * width, dtype=self.dtype)
        return self._buffers[name][: height * width].reshape(height, width)


class ByBlocks(Tiles):
    """Distances by one of SciPy's metrics, in float64, blocks of units being joined as in `by_blocks`."""

    dtype = np.dtype(np.float64)

    def __init__(self, rows: Rows, metric: str, join: np.ufunc) -> None:
        self.rows, self.metric, self.join = rows, metric, join
        self.n_responses = rows.n_responses

    def bands(self, first: slice, second: slice) -> Iterator[Tile]:
        for rows in _spans(first.stop - first.start, BAND, first.start):
            values = np.zeros((rows.stop - rows.start, second.stop - second.start))
            for units in _unit_blocks(self.rows.n_units, self.dtype):
                of_block = cdist(self.rows.part(rows, units), self.rows.part(second, units), self.metric)
                self.join(values, of_block, out=values)
            _pairs_only(values, rows, second)
            yield Tile(rows, second, values, 0.0)

    def of(self, responses: Int[np.ndarray, " m"]) -> ByBlocks:
        return ByBlocks(self.rows.of(responses), self.metric, self.join)
