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
from itertools import chain, product
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.spatial.distance import cdist

from differentia.definition.matrix import Rows, of_spans, spans
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


@runtime_checkable
class Tiles(Protocol):
    """All pairs of responses, a tile at a time."""

    rows: Rows
    dtype: np.dtype[Any]
    #: Pairs that took long, since they were in doubt, and how many there may be.
    doubtful: int = 0
    most_doubtful: float = math.inf

    @property
    def n_responses(self) -> int:
        return self.rows.n_responses

    def bands(self, first: slice, second: slice) -> Iterator[Tile]:
        """Yield the tile of some responses with others, the same or later ones, in bands of `BAND` rows."""

    def sizes(self) -> Float[np.ndarray, " n"] | None:
        """Return a number for each response on which its distances depend much, if one is known."""
        return None

    def in_doubt(self, tile: Tile, lowest: float) -> bool:
        """Return whether `settled` may change any value of a tile that is at least so large."""
        return False

    def settled(self, first: Places, second: Places, values: Values, between: tuple[float, float]) -> Values:
        """Return the values of some pairs, exact where they were in doubt and may be between two values."""
        return values

    def of(self, responses: Int[np.ndarray, " m"]) -> Tiles:
        """Return the tiles of some of the responses, in ascending order."""
        return self.like(self.rows.of(responses))

    def within(self, *spans: slice) -> Tiles:
        """Return the tiles of some responses that follow one another, and then of others."""
        return self.like(self.rows.within(*spans))

    def like(self, rows: Rows) -> Tiles:
        """Return the tiles of other responses, which are compared as these are."""

    def add_doubtful(self, pairs: int) -> None:
        """Count pairs that were in doubt; DoubtError where they are so many that float64 is faster."""
        self.doubtful += pairs
        if self.doubtful > self.most_doubtful:
            raise DoubtError


def all_bands(tiles: Tiles) -> Iterator[Tile]:
    """Yield every pair once."""
    sides = spans(tiles.n_responses, SIDE)
    for at, first in enumerate(sides):
        for second in sides[at:]:
            yield from tiles.bands(first, second)


def bands_between(tiles: Tiles, n_first: int) -> Iterator[Tile]:
    """Yield every pair of one of the first responses with one of the others once."""
    for second in spans(tiles.n_responses - n_first, SIDE, n_first):
        for first in spans(n_first, SIDE):
            yield from tiles.bands(first, second)


class DoubtError(Exception):
    """So many pairs are too close for the precision of the products that a higher one is faster."""


def _pairs_only(values: Float[np.ndarray, "a b"], rows: slice, second: slice) -> None:
    """Put infinity where some rows of a tile hold no pair i < j, in place."""
    if second.start < rows.stop:
        height, width = values.shape
        values[np.tri(height, width, rows.start - second.start, dtype=bool)] = np.inf


def _unit_blocks(n_units: int, dtype: np.dtype[Any]) -> list[slice]:
    """Return as few blocks of units as may be held, of about the same width."""
    blocks = -(-n_units * SIDE * dtype.itemsize // BLOCK_BYTES)
    return spans(n_units, -(-n_units // blocks))


class SquaredEuclidean(Tiles):
    """Squared Euclidean distances from inner products in float32 (of rows as they are) or float64.

    The centre, by default the mean response, is subtracted first, as in `squared_euclidean`. A response of
    float32 minus a mean that was rounded to float32 has an error of 2**-24 of the difference, however large
    both are.
    """

    def __init__(self, rows: Rows, dtype: str, centre: Float[np.ndarray, " k"] | None = None) -> None:
        self.rows = rows
        self.n_units = rows.n_units
        self.dtype = np.dtype(dtype)
        self.precision = PRECISION[dtype]
        self._blocks = _unit_blocks(self.n_units, self.dtype)
        self._centre = self.means.astype(self.dtype) if centre is None else centre
        if dtype == "float32":
            pairs = self.n_responses * (self.n_responses - 1) // 2
            self.most_doubtful = self.n_responses + pairs // 10_000
        # A task has one core.
        self._map = ThreadPoolExecutor(usable_cores()).map if rows.some_of is None else map
        self._made: dict[str, tuple[slice, slice]] = {}
        self._last: tuple[tuple[slice, slice], list[Tile]] | None = None
        self._buffers: dict[str, Float[np.ndarray, " entries"]] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what is sent to other processes: no distances, and no responses where these are on disk."""
        state = {"most_doubtful": self.most_doubtful}
        return SquaredEuclidean, (self.rows, self.dtype.name, self._centre), state

    def like(self, rows: Rows) -> SquaredEuclidean:
        other = SquaredEuclidean(rows, self.dtype.name, self._centre)
        other.most_doubtful = self.most_doubtful
        return other

    @cached_property
    def means(self) -> Float[np.ndarray, " k"]:
        """The mean of each unit, in float64."""
        total = np.zeros(self.n_units)
        for of_side in chain.from_iterable(of_spans(_unit_sums, self.rows, self.dtype.name, multiple=SIDE)):
            total += of_side
        return total / self.n_responses

    @cached_property
    def norms(self) -> Float[np.ndarray, " n"]:
        """The sum of squares of each response, the centre subtracted."""
        if self.rows.workers is not None:
            return np.concatenate(of_spans(_norms, self.rows, self.dtype.name, self._centre, multiple=SIDE))
        norms = np.zeros(self.n_responses)
        for first, units in product(spans(self.n_responses, SIDE), self._blocks):
            block = self._centred("left", first, units)
            # Blocks of 1024, because a sum of squares in float32 loses a digit with each thousand.
            for some in spans(block.shape[1], 1024):
                norms[first] += np.einsum("nb,nb->n", block[:, some], block[:, some])
        return norms

    def sizes(self) -> Float[np.ndarray, " n"]:
        return self.norms

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
        left, right = (self.norms[some].astype(self.dtype) for some in (first, second))
        products = self._products(first, second)
        done = []
        for rows in spans(first.stop - first.start, BAND, first.start):
            here = slice(rows.start - first.start, rows.stop - first.start)
            values = products[here]
            values *= -2
            values += left[here, None]
            values += right
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

    def in_doubt(self, tile: Tile, lowest: float) -> bool:
        norms = tile.error / self.precision.error  # the largest of two
        return 0.99 * (lowest - tile.error) < self.precision.doubtful * norms

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
        self.add_doubtful(int(apart.sum()))
        values[doubtful[apart]] = self._differences(first[apart], second[apart])
        return values

    @cached_property
    def _fingerprints(self) -> Shaped[np.ndarray, " n"]:
        """Numbers that are the same for equal responses only."""
        hashes = [hashlib.blake2b(digest_size=16) for _ in range(self.n_responses)]
        for first, units in product(spans(self.n_responses, SIDE), self._blocks):
            block = _plain(self.rows, self.dtype, first, units) + 0.0  # of which -0.0 and 0.0 become the same
            for response, row in zip(hashes[first], block, strict=True):
                response.update(row)
        return np.array([response.hexdigest().encode() for response in hashes])

    def _differences(self, first: Places, second: Places) -> Values:
        squares = np.zeros(len(first))
        for few in spans(len(first), SIDE):
            used, at = np.unique(np.concatenate([first[few], second[few]]), return_inverse=True)
            left, right = np.split(at, 2)
            width = max(1, DIFFERENCES // len(used))
            squares[few] = sum_differences(self.rows.of(used), left, right, width)
        return squares

    def _centred(self, side: str, responses: slice, units: slice) -> Float[np.ndarray, "n b"]:
        """Return responses minus the centre; those on one side of tiles side by side are made once."""
        block = self._buffer(side, responses.stop - responses.start, units.stop - units.start)
        if self._made.get(side) == (responses, units):
            return block
        read, centre = _plain(self.rows, self.dtype, responses, units), self._centre[units]

        def subtract(rows: slice) -> None:
            np.subtract(read[rows], centre, out=block[rows])

        # Memory is what this waits for, and one core does not use all of it.
        list(self._map(subtract, spans(len(read), BAND)))
        self._made[side] = responses, units
        return block

    def _buffer(self, name: str, height: int, width: int) -> Float[np.ndarray, "{height} {width}"]:
        """Return memory that is taken once: fresh memory is slow to write to."""
        if name not in self._buffers or self._buffers[name].size < height * width:
            self._made.pop(name, None)
            self._buffers[name] = np.empty(height * width, dtype=self.dtype)
        return self._buffers[name][: height * width].reshape(height, width)


def _plain(rows: Rows, dtype: np.dtype[Any], responses: slice, units: slice) -> Float[np.ndarray, "n b"]:
    if dtype == np.float32:
        return np.asarray(rows.values[responses, units])
    return rows.part(responses, units)


def _unit_sums(rows: Rows, dtype: str) -> Float[np.ndarray, "side k"]:
    """Return the sum of each unit, in float64, over the responses on each side of the tiles."""
    sides, kind = spans(rows.n_responses, SIDE), np.dtype(dtype)
    sums = np.empty((len(sides), rows.n_units))
    for (at, responses), units in product(enumerate(sides), _unit_blocks(rows.n_units, kind)):
        sums[at, units] = _plain(rows, kind, responses, units).sum(axis=0, dtype=np.float64)
    return sums


def _norms(rows: Rows, dtype: str, centre: Float[np.ndarray, " k"]) -> Float[np.ndarray, " n"]:
    return SquaredEuclidean(rows, dtype, centre).norms


class ByBlocks(Tiles):
    """Distances by one of SciPy's metrics, in float64, blocks of units being joined as in `by_blocks`."""

    dtype = np.dtype(np.float64)

    def __init__(self, rows: Rows, metric: str, join: np.ufunc) -> None:
        self.rows, self.metric, self.join = rows, metric, join

    def bands(self, first: slice, second: slice) -> Iterator[Tile]:
        for rows in spans(first.stop - first.start, BAND, first.start):
            values = np.zeros((rows.stop - rows.start, second.stop - second.start))
            for units in _unit_blocks(self.rows.n_units, self.dtype):
                of_block = cdist(self.rows.part(rows, units), self.rows.part(second, units), self.metric)
                self.join(values, of_block, out=values)
            _pairs_only(values, rows, second)
            yield Tile(rows, second, values, 0.0)

    def like(self, rows: Rows) -> ByBlocks:
        return ByBlocks(rows, self.metric, self.join)
