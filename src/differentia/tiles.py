"""Distances of the pairs of many responses, a tile of pairs at a time.

A tile holds the pairs of some responses with some others, so that neither all pairs nor a second copy of the
responses are ever held. Squared distances are estimated from inner products; their error is known, and those
for which it is too large are summed from the differences.
"""

from __future__ import annotations

import hashlib
import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Int, Shaped
from scipy.spatial.distance import cdist

from differentia.distances import BLOCK_ENTRIES, CANCELLATION, Rows
from differentia.machine import usable_cores

#: Responses on each side of a tile: large, so that the products take most of the time.
SIDE = 2048

#: Responses whose pairs with the others of a tile stay in a core's cache while they are looked at.
BAND = 128

#: Bytes of a block of responses whose products are summed at once; two are held.
BLOCK_BYTES = 2**27

#: Entries of the differences that are held at once.
DIFFERENCES = 2**22


class Precision(NamedTuple):
    """What the products of a type of numbers are good for.

    Attributes
    ----------
    error
        Of a squared distance, at most, as a share of |a|^2 + |b|^2: some times what is measured.
    doubtful
        Below this share of |a|^2 + |b|^2 a squared distance is summed from the differences.
    """

    error: float
    doubtful: float


#: For float32 the products leave a relative error of about 3e-7 / 0.0625 = 5e-6 in a squared distance that is
#: not doubtful, half of it in the distance; and far less where it is no small share.
PRECISION = {"float32": Precision(1e-5, 1 / 16), "float64": Precision(1e-13, CANCELLATION)}


class Tile(NamedTuple):
    """The pairs of some responses with some others.

    Attributes
    ----------
    first, second
        The responses.
    values : (n_first, n_second)
        A number for each pair that grows with its distance, and infinity for what is no pair i < j.
    error
        How far the values may be from the truth.
    """

    first: slice
    second: slice
    values: Float[np.ndarray, "a b"]
    error: float


class Tiles(Protocol):
    """All pairs of responses, a tile at a time."""

    n_responses: int
    dtype: np.dtype[Any]

    def bands(self, first: slice, second: slice) -> Iterator[Tile]:
        """Yield the tile of some responses with others, the same or later ones, in bands of `BAND` rows."""

    def settled(
        self,
        first: Int[np.ndarray, " p"],
        second: Int[np.ndarray, " p"],
        values: Float[np.ndarray, " p"],
        between: tuple[float, float],
    ) -> Float[np.ndarray, " p"]:
        """Return the values of some pairs, exact where they were in doubt and may be between two values."""

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


class SquaredEuclidean:
    """Squared Euclidean distances from inner products, in float32 or float64.

    The mean response is subtracted first: see `squared_euclidean`. A response of float32 minus a mean that
    was rounded to float32 has an error of 2**-24 of the difference, however large both are.

    Parameters
    ----------
    rows : (n_responses, n_units)
        For float32: compared as they are.
    dtype
        Of the products: ``"float32"`` or ``"float64"``.
    centre : (n_units,), optional
        What is subtracted from every response; by default their mean.
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

    @cached_property
    def means(self) -> Float[np.ndarray, " k"]:
        """The mean of each unit, in float64."""
        total = np.zeros(self.n_units)
        for first in _spans(self.n_responses, SIDE):
            for units in self._blocks:
                total[units] += self._plain(first, units).sum(axis=0, dtype=np.float64)
        return total / self.n_responses

    @cached_property
    def norms(self) -> Float[np.ndarray, " n"]:
        """The sum of squares of each response, the centre subtracted."""
        norms = np.zeros(self.n_responses)
        for first in _spans(self.n_responses, SIDE):
            for units in self._blocks:
                block = self._centred("left", first, units)
                # Blocks of 1024, because a sum of squares in float32 loses a digit with each thousand.
                for start in range(0, block.shape[1], 1024):
                    few = block[:, start : start + 1024]
                    norms[first] += np.einsum("nb,nb->n", few, few)
        self._left = None
        return norms

    def sd(self) -> float:
        """Return the population standard deviation of all entries."""
        means, n = self.means, self.n_responses
        within = self.norms.sum() - n * np.square(means - self._centre).sum()
        between = n * np.square(means - means.mean()).sum()
        return math.sqrt(max(0.0, within + between) / (n * self.n_units))

    def bands(self, first: slice, second: slice) -> Iterator[Tile]:
        """Yield squared distances; those of the last tile are at hand."""
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

    def settled(
        self,
        first: Int[np.ndarray, " p"],
        second: Int[np.ndarray, " p"],
        values: Float[np.ndarray, " p"],
        between: tuple[float, float],
    ) -> Float[np.ndarray, " p"]:
        """Return squared distances; what is in doubt, and may be between two values, from differences.

        Raises
        ------
        DoubtError
            In float32 they are so many that float64 is faster.
        """
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
        """Return the tiles of some of the responses, in ascending order."""
        return SquaredEuclidean(self.rows.of(responses), self.dtype.name, self._centre)

    @cached_property
    def _fingerprints(self) -> Shaped[np.ndarray, " n"]:
        """Numbers that are the same for equal responses only."""
        prints = np.empty(self.n_responses, dtype="S32")
        for first in _spans(self.n_responses, SIDE):
            hashes = [hashlib.blake2b(digest_size=16) for _ in range(first.stop - first.start)]
            for units in self._blocks:
                block = self._plain(first, units) + 0.0  # of which -0.0 and 0.0 become the same
                for response, row in zip(hashes, block, strict=True):
                    response.update(row)
            prints[first] = [response.hexdigest().encode() for response in hashes]
        return prints

    def _differences(
        self, first: Int[np.ndarray, " p"], second: Int[np.ndarray, " p"]
    ) -> Float[np.ndarray, " p"]:
        squares = np.zeros(len(first))
        for start in range(0, len(first), SIDE):
            few = slice(start, start + SIDE)
            used, at = np.unique(np.concatenate([first[few], second[few]]), return_inverse=True)
            left, right = np.split(at, 2)
            rows, width = self.rows.of(used), max(1, DIFFERENCES // len(used))
            for column in range(0, self.n_units, width):
                block = rows.part(slice(0, len(used)), slice(column, min(column + width, self.n_units)))
                step = max(1, BLOCK_ENTRIES // block.shape[1])
                for pair in range(0, len(left), step):
                    some = slice(pair, pair + step)
                    difference = block[left[some]] - block[right[some]]
                    squares[few][some] += np.einsum("pb,pb->p", difference, difference)
        return squares

    def _plain(self, responses: slice, units: slice) -> Float[np.ndarray, "n b"]:
        if self.dtype == np.float32:
            return np.asarray(self.rows.values[responses, units])
        return self.rows.part(responses, units)

    def _centred(self, side: str, responses: slice, units: slice) -> Float[np.ndarray, "n b"]:
        """Return responses minus the centre; those on the left of tiles side by side are made once."""
        if side == "left" and self._left == (responses, units):
            return self._buffer(side, responses.stop - responses.start, units.stop - units.start)
        block = self._buffer(side, responses.stop - responses.start, units.stop - units.start)
        read = self._plain(responses, units)
        centre = self._centre[units]
        # Memory is what this waits for, and one core does not use all of it.
        deque(
            self._threads.map(
                lambda rows: np.subtract(read[rows], centre, out=block[rows]), _spans(len(read), BAND)
            ),
            maxlen=0,
        )
        if side == "left":
            self._left = (responses, units)
        return block

    def _buffer(self, name: str, height: int, width: int) -> Float[np.ndarray, "{height} {width}"]:
        """Return memory that is taken once: fresh memory is slow to write to."""
        if name not in self._buffers or self._buffers[name].size < height * width:
            self._buffers[name] = np.empty(height * width, dtype=self.dtype)
        return self._buffers[name][: height * width].reshape(height, width)


class Cityblock:
    """Summed absolute differences, in float64.

    Parameters
    ----------
    rows : (n_responses, n_units)
    """

    dtype = np.dtype(np.float64)

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.n_responses = rows.n_responses

    def bands(self, first: slice, second: slice) -> Iterator[Tile]:
        """Yield the sums."""
        for rows in _spans(first.stop - first.start, BAND, first.start):
            values = np.zeros((rows.stop - rows.start, second.stop - second.start))
            for units in _unit_blocks(self.rows.n_units, self.dtype):
                values += cdist(self.rows.part(rows, units), self.rows.part(second, units), "cityblock")
            _pairs_only(values, rows, second)
            yield Tile(rows, second, values, 0.0)

    def settled(
        self,
        first: Int[np.ndarray, " p"],
        second: Int[np.ndarray, " p"],
        values: Float[np.ndarray, " p"],
        between: tuple[float, float],
    ) -> Float[np.ndarray, " p"]:
        """Return the values, of which none is in doubt."""
        return values

    def of(self, responses: Int[np.ndarray, " m"]) -> Cityblock:
        """Return the tiles of some of the responses, in ascending order."""
        return Cityblock(self.rows.of(responses))
