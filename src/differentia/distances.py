"""Distances between all pairs of responses, read a block of units at a time.

Every metric here is a sum over units, so a layer of millions of units is never copied to float64 as a whole,
and need not be in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Num
from scipy.spatial.distance import pdist

#: Entries (not bytes) of a block of responses, 2 MiB as float64, which stays in a core's cache.
BLOCK_ENTRIES = 2**18

#: Bytes that are read at once of what is not in memory, or would not fit into a budget. The next are read
#: while these are still held.
READ_BYTES = 2**26

#: Below this fraction of |a|^2 + |b|^2 a squared distance is summed from the differences themselves. The
#: inner products leave a relative error of at most about 100 * 2.2e-16 / 1e-7 = 2e-7 in what is above it.
CANCELLATION = 1e-7

#: Entries of the products of some responses with all others, 32 MiB as float64.
STRIP_ENTRIES = 2**22

#: A block is at least a 40th as wide as there are responses: of many responses and few units at a time, the
#: products would be written more often than they are worth.
WIDENING = 40


#: A number for all responses, or one for each.
PerRow = float | Float[np.ndarray, " n"]


@runtime_checkable
class ResponseMatrix(Protocol):
    """Responses (n_responses, n_units) that are read a part at a time: an array, or what lies on disk."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Numbers of responses and units."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a response: any real type."""

    def __getitem__(self, at: tuple[slice, Any], /) -> Any:
        """Return rows, a slice, and columns, a slice or ascending indices, as an array."""


@dataclass(frozen=True)
class Part:
    """Chosen rows and columns of responses, which are read when they are asked for.

    Attributes
    ----------
    whole : (n_responses, n_units)
        What they are of.
    rows
        With a start and a stop.
    columns : (k,)
        Ascending, none of them twice.
    """

    whole: ResponseMatrix
    rows: slice
    columns: Int[np.ndarray, " k"]

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of responses and units."""
        return self.rows.stop - self.rows.start, len(self.columns)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a response."""
        return self.whole.dtype

    def __getitem__(self, at: tuple[slice, Any], /) -> Num[np.ndarray, "n b"]:
        """Return rows and columns of the part: of an array without a copy, where they follow one another."""
        start, stop, _ = at[0].indices(self.shape[0])
        rows = slice(self.rows.start + start, self.rows.start + stop)
        columns = self.columns[at[1]]
        if columns[-1] - columns[0] == len(columns) - 1:
            columns = slice(int(columns[0]), int(columns[-1]) + 1)
        elif isinstance(self.whole, np.ndarray):
            return self.whole[rows].take(columns, axis=1)  # which leaves each row in one piece of memory
        return _read(self.whole, rows, columns)


@dataclass(frozen=True)
class Picked:
    """Chosen responses, which are read when they are asked for.

    Attributes
    ----------
    whole : (n_responses, n_units)
        What they are of.
    responses : (m,)
        Ascending, none of them twice.
    """

    whole: ResponseMatrix
    responses: Int[np.ndarray, " m"]

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of responses and units."""
        return len(self.responses), self.whole.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a response."""
        return self.whole.dtype

    def __getitem__(self, at: tuple[slice, slice], /) -> Num[np.ndarray, "n b"]:
        """Return some of the responses and units."""
        responses = self.responses[at[0]]
        if isinstance(self.whole, np.ndarray):
            return self.whole[responses, at[1]]
        return np.concatenate([_read(self.whole, slice(row, row + 1), at[1]) for row in responses.tolist()])


def _read(values: ResponseMatrix, rows: slice, columns: Any) -> Num[np.ndarray, "n b"]:
    read = values[rows, columns]
    in_memory = isinstance(values, np.ndarray | Part | Picked)  # of which this may be a view
    return read if in_memory else np.ascontiguousarray(read)


def at_hand(values: ResponseMatrix, budget: int) -> tuple[ResponseMatrix, int]:
    """Return responses as an array where it fits into a budget, else as they are; and what is left of it.

    Parameters
    ----------
    values : (n_responses, n_units)
    budget
        In bytes.
    """
    n, k = values.shape
    needed = n * k * values.dtype.itemsize
    if isinstance(values, np.ndarray) or needed > budget:
        return values, budget
    return _read(values, slice(0, n), slice(0, k)), budget - needed


def extremes(values: ResponseMatrix) -> tuple[Any, Any]:
    """Return the least and the largest response.

    Parameters
    ----------
    values : (n_responses, n_units)
    """
    each = [(read.min(), read.max()) for read in _reads(values)]
    lowest, highest = zip(*each, strict=True)
    return min(lowest), max(highest)


def _reads(values: ResponseMatrix, width: int = 1) -> Iterator[Num[np.ndarray, "n b"]]:
    """Yield consecutive units: an array as a whole, else `READ_BYTES` at a time, in multiples of a width.

    Blocks are then the same for an array and for what is on disk, and so are sums to the last bit.
    """
    if isinstance(values, np.ndarray):
        yield values
        return
    n, k = values.shape
    width *= max(1, READ_BYTES // (n * values.dtype.itemsize * width))
    for start in range(0, k, width):
        yield _read(values, slice(0, n), slice(start, min(start + width, k)))


@dataclass(frozen=True)
class Rows:
    """Responses as they are compared: ``(values / power * weight - shift) / scale``, in float64.

    Attributes
    ----------
    values : (n_responses, n_units)
        The responses as recorded, of any real type.
    power
        What all are divided by first: a power of two, which divides exactly.
    weight : (n_units,) or None
        What each unit is multiplied by; None for 1.
    shift, scale : float or (n_responses,)
        What is subtracted from each response, and what it is then divided by.
    """

    values: ResponseMatrix
    power: float = 1.0
    weight: Float[np.ndarray, " k"] | None = None
    shift: PerRow = 0.0
    scale: PerRow = 1.0

    @property
    def n_responses(self) -> int:
        """How many responses there are."""
        return self.values.shape[0]

    @property
    def n_units(self) -> int:
        """How many units each has."""
        return self.values.shape[1]

    def blocks(self, least_width: int = 0) -> Iterator[Float[np.ndarray, "n b"]]:
        """Yield consecutive blocks of units, as float64.

        Parameters
        ----------
        least_width
            Units in a block, where `BLOCK_ENTRIES` does not allow more.
        """
        width = max(1, least_width, BLOCK_ENTRIES // self.n_responses)
        start = 0
        for read in _reads(self.values, width):
            for column in range(0, read.shape[1], width):
                block = read[:, column : column + width]
                yield self._compared(block, slice(0, self.n_responses), slice(start, start + width))
                start += width

    def part(self, rows: slice, columns: slice) -> Float[np.ndarray, "n b"]:
        """Return some units of some responses, as float64; both slices with a start and a stop."""
        return self._compared(_read(self.values, rows, columns), rows, columns)

    def _compared(
        self, read: Num[np.ndarray, "n b"], rows: slice, columns: slice
    ) -> Float[np.ndarray, "n b"]:
        block = read.astype(np.float64)
        if self.power != 1.0:
            block /= self.power
        if self.weight is not None:
            block *= self.weight[columns]
        if np.any(self.shift):
            block -= _of_rows(self.shift, rows)
        if np.any(self.scale != 1.0):
            block /= _of_rows(self.scale, rows)
        return block

    def means(self) -> Float[np.ndarray, " n"]:
        """Return the mean of each response over its units."""
        total = np.zeros(self.n_responses)
        for block in self.blocks():
            total += block.sum(axis=1)
        return total / self.n_units

    def square_sums(self) -> Float[np.ndarray, " n"]:
        """Return the sum of squares of each response over its units."""
        total = np.zeros(self.n_responses)
        for block in self.blocks():
            total += np.einsum("nb,nb->n", block, block)
        return total

    def constant(self) -> Bool[np.ndarray, " n"]:
        """Return which responses are the same in every unit."""
        lowest, highest = np.full(self.n_responses, np.inf), np.full(self.n_responses, -np.inf)
        for block in self.blocks():
            np.minimum(lowest, block.min(axis=1), out=lowest)
            np.maximum(highest, block.max(axis=1), out=highest)
        return lowest == highest

    def of(self, responses: Int[np.ndarray, " m"]) -> Rows:
        """Return the rows of some responses, in ascending order."""
        shift, scale = (
            number[responses] if isinstance(number, np.ndarray) else number
            for number in (self.shift, self.scale)
        )
        return replace(self, values=Picked(self.values, responses), shift=shift, scale=scale)

    def minus(self, shift: PerRow) -> Rows:
        """Return the rows with `shift` subtracted from each response."""
        return replace(self, shift=self.shift + shift * self.scale)

    def over(self, scale: PerRow) -> Rows:
        """Return the rows with each response divided by `scale`."""
        return replace(self, scale=self.scale * scale)


def _of_rows(number: PerRow, rows: slice) -> float | Float[np.ndarray, "some 1"]:
    return number[rows, None] if isinstance(number, np.ndarray) else number


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
    n = rows.n_responses
    strips = list(_strips(n))
    # In the products of a strip's rows i, i + 1, ... with i, i + 1, ..., n, pairs are right of the diagonal.
    above = np.arange(n) > np.arange(strips[0].height)[:, None]
    squares, norms = np.zeros(n * (n - 1) // 2), np.zeros(n)
    for block in rows.blocks(n // WIDENING):
        block -= block.mean(axis=0)
        for strip in strips:
            products = block[strip.rows] @ block[strip.columns].T
            norms[strip.rows] += np.diagonal(products)
            squares[strip.pairs] += products[above[: strip.height, : strip.width]]
    close = []
    for strip in strips:
        sums = (norms[strip.rows, None] + norms[strip.columns])[above[: strip.height, : strip.width]]
        of_strip = squares[strip.pairs]  # a view
        of_strip *= -2
        of_strip += sums
        np.maximum(of_strip, 0.0, out=of_strip)
        close.append(strip.pairs.start + np.flatnonzero(of_strip < CANCELLATION * sums))
    at = np.concatenate(close)
    begins = _first_pair(np.arange(n), n)
    first = np.searchsorted(begins, at, side="right") - 1
    if len(at):
        squares[at] = sum_differences(rows, first, at - begins[first] + first + 1)
    return squares


class _Strip(NamedTuple):
    """Some rows of the upper triangle of all pairs, and where these pairs stand in their order."""

    rows: slice
    columns: slice
    pairs: slice

    @property
    def height(self) -> int:
        return self.rows.stop - self.rows.start

    @property
    def width(self) -> int:
        return self.columns.stop - self.columns.start


def _strips(n: int) -> Iterator[_Strip]:
    """Yield strips of bounded size, so that the products of all pairs are never held beside the pairs."""
    height = max(1, STRIP_ENTRIES // n)
    for start in range(0, n, height):
        stop = min(start + height, n)
        yield _Strip(slice(start, stop), slice(start, n), slice(_first_pair(start, n), _first_pair(stop, n)))


def _first_pair(row: Any, n: int) -> Any:
    """Return where the pairs (row, row + 1), (row, row + 2), ... begin."""
    return row * n - row * (row + 1) // 2


def sum_differences(
    rows: Rows, first: Int[np.ndarray, " p"], second: Int[np.ndarray, " p"]
) -> Float[np.ndarray, " p"]:
    """Return the squared distances of some pairs, summed from their differences.

    Parameters
    ----------
    rows : (n_responses, n_units)
    first, second
        The two responses of each pair.

    Returns
    -------
    (n_pairs,)
        In the squared unit of the responses.
    """
    squares = np.zeros(len(first))
    for block in rows.blocks():
        step = max(1, BLOCK_ENTRIES // block.shape[1])
        for start in range(0, len(first), step):
            some = slice(start, start + step)
            difference = block[first[some]] - block[second[some]]
            squares[some] += np.einsum("pb,pb->p", difference, difference)
    return squares


def cityblock(rows: Rows) -> Float[np.ndarray, " pairs"]:
    """Return the summed absolute difference of every pair of responses, in ``pdist``'s order.

    Parameters
    ----------
    rows : (n_responses, n_units)

    Returns
    -------
    (n_responses * (n_responses - 1) / 2,)
    """
    n = rows.n_responses
    total = np.zeros(n * (n - 1) // 2)
    of_block = np.empty_like(total)
    for block in rows.blocks():
        total += pdist(block, "cityblock", out=of_block)
    return total
