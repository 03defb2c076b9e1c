"""Responses that are read a block of units at a time: large layers need not be in memory, nor copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from differentia.definition.rounding import only_rounding
from differentia.system.tasks import Workers

#: Entries (not bytes) of a block of responses, 2 MiB as float64, which stays in a core's cache.
CACHED_ENTRIES = 2**18

#: Bytes that are read at once of what is not in memory, or would not fit into a budget. The next are read
#: while these are still held.
READ_BYTES = 2**26

#: Bytes that are read in about the time that it takes to begin to read.
READING_BYTES = 2**20

#: Bytes of the responses that a task looks at, one after another.
TASK_BYTES = 2**28

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
        """Any real type."""

    def __getitem__(self, at: tuple[slice, Any], /) -> Any:
        """Return rows, a slice, and columns, a slice or ascending indices, as an array."""


@dataclass(frozen=True)
class Part:
    """Some rows and columns of responses, which are read when they are asked for."""

    whole: ResponseMatrix
    rows: slice  # with a start and a stop
    columns: Int[np.ndarray, " k"]  # ascending, none of them twice

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows.stop - self.rows.start, len(self.columns)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.whole.dtype

    def __getitem__(self, at: tuple[slice, Any], /) -> Num[np.ndarray, "n b"]:
        start, stop, _ = at[0].indices(self.shape[0])
        rows = slice(self.rows.start + start, self.rows.start + stop)
        columns = self.columns[at[1]]
        if columns[-1] - columns[0] == len(columns) - 1:  # no copy is needed of an array
            columns = slice(int(columns[0]), int(columns[-1]) + 1)
        elif isinstance(self.whole, np.ndarray):
            return self.whole[rows].take(columns, axis=1)  # which leaves each row in one piece of memory
        return _read(self.whole, rows, columns)

    def __reduce__(self) -> tuple[Any, ...]:
        """Return what is sent to other processes: no list of columns that follow one another."""
        if len(self.columns) and self.columns[-1] - self.columns[0] == len(self.columns) - 1:
            ends = int(self.columns[0]), int(self.columns[-1]) + 1
            return _part_of_range, (self.whole, self.rows, *ends)
        return Part, (self.whole, self.rows, self.columns)


def _part_of_range(whole: ResponseMatrix, rows: slice, start: int, stop: int) -> Part:
    return Part(whole, rows, np.arange(start, stop))


@dataclass(frozen=True)
class Stacked:
    """Rows of the same responses, some after others, each of them read when it is asked for."""

    parts: tuple[ResponseMatrix, ...]

    @classmethod
    def of(cls, whole: ResponseMatrix, spans: tuple[slice, ...]) -> Stacked:
        """Return some rows, each a slice with a start and a stop."""
        if isinstance(whole, np.ndarray):
            return cls(tuple(whole[span] for span in spans))
        columns = np.arange(whole.shape[1])
        return cls(tuple(Part(whole, span, columns) for span in spans))

    @property
    def shape(self) -> tuple[int, int]:
        return sum(part.shape[0] for part in self.parts), self.parts[0].shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.parts[0].dtype

    def __getitem__(self, at: tuple[slice, Any], /) -> Num[np.ndarray, "n b"]:
        start, stop, _ = at[0].indices(self.shape[0])
        found, reached = [], 0
        for part in self.parts:
            rows = slice(max(start - reached, 0), min(stop - reached, part.shape[0]))
            if rows.start < rows.stop:
                found.append(part[rows, at[1]])
            reached += part.shape[0]
        return found[0] if len(found) == 1 else np.concatenate(found)


@dataclass(frozen=True)
class Picked:
    """Some responses, in any rows, which are read when they are asked for."""

    whole: ResponseMatrix
    responses: Int[np.ndarray, " m"]  # ascending, none of them twice

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.responses), self.whole.shape[1]

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.whole.dtype

    def __getitem__(self, at: tuple[slice, slice], /) -> Num[np.ndarray, "n b"]:
        responses = self.responses[at[0]]
        if isinstance(self.whole, np.ndarray):
            return self.whole[responses, at[1]]
        found, first = [], 0
        height = self._read_at_once(responses, at[1])
        while first < len(responses):
            start = int(responses[first])
            last = int(np.searchsorted(responses, start + height))
            read = _read(self.whole, slice(start, int(responses[last - 1]) + 1), at[1])
            found.append(read[responses[first:last] - start])
            first = last
        return np.concatenate(found)

    def _read_at_once(self, responses: Int[np.ndarray, " m"], columns: slice) -> int:
        """Return how many rows are read at once, those between others too where that is not much more."""
        size = self.dtype.itemsize * max(1, len(range(*columns.indices(self.shape[1]))))
        together = size * (responses[-1] - responses[0]) <= READING_BYTES * len(responses)
        return max(1, READ_BYTES // size) if together else 1


def _read(values: ResponseMatrix, rows: slice, columns: Any) -> Num[np.ndarray, "n b"]:
    read = values[rows, columns]
    in_memory = isinstance(values, np.ndarray | Part | Picked | Stacked)  # of which this may be a view
    return read if in_memory else np.ascontiguousarray(read)


def at_hand(values: ResponseMatrix, budget: int) -> tuple[ResponseMatrix, int]:
    """Return responses as an array if it fits into a budget of bytes, else as they are; and what is left."""
    n, k = values.shape
    needed = n * k * values.dtype.itemsize
    if isinstance(values, np.ndarray) or needed > budget:
        return values, budget
    return _read(values, slice(0, n), slice(0, k)), budget - needed


def extremes(values: ResponseMatrix, workers: Workers | None = None) -> tuple[Any, Any]:
    """Return the smallest and the largest response."""
    each = of_spans(_extremes, Rows(values, workers=workers))
    lowest, highest = zip(*each, strict=True)
    return min(lowest), max(highest)


def _extremes(rows: Rows) -> tuple[Any, Any]:
    if isinstance(rows.values, np.ndarray):
        return rows.values.min(), rows.values.max()
    n, k = rows.values.shape
    width = max(1, min(k, READ_BYTES // rows.values.dtype.itemsize))
    height = max(1, READ_BYTES // (width * rows.values.dtype.itemsize))
    reads = (_read(rows.values, *at) for at in product(spans(n, height), spans(k, width)))
    lowest, highest = zip(*((read.min(), read.max()) for read in reads), strict=True)
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
    """Responses as they are compared: ``(values / power * weight - shift) / scale``, in float64."""

    values: ResponseMatrix
    power: float = 1.0  # a power of two, which divides exactly
    weight: Float[np.ndarray, " k"] | None = None
    shift: PerRow = 0.0
    scale: PerRow = 1.0
    #: Of how many these are some: sums over blocks of units are then the same to the last bit.
    some_of: int | None = None
    #: Who does what takes long; no part of the responses is sent to them.
    workers: Workers | None = None

    @property
    def n_responses(self) -> int:
        return self.values.shape[0]

    @property
    def n_units(self) -> int:
        return self.values.shape[1]

    def blocks(self, least_width: int = 1) -> Iterator[Float[np.ndarray, "n b"]]:
        """Yield consecutive blocks of `CACHED_ENTRIES`, or of at least so many units."""
        width = max(least_width, CACHED_ENTRIES // (self.some_of or self.n_responses))
        start = 0
        for read in _reads(self.values, width):
            for column in range(0, read.shape[1], width):
                block = read[:, column : column + width]
                yield self._compared(block, slice(0, self.n_responses), slice(start, start + width))
                start += width

    def part(self, rows: slice, columns: slice) -> Float[np.ndarray, "n b"]:
        """Return some units of some responses; both slices with a start and a stop."""
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
        return np.concatenate(of_spans(_means, self))

    def square_sums(self) -> Float[np.ndarray, " n"]:
        """Return the sum of squares of each response over its units."""
        return np.concatenate(of_spans(_square_sums, self))

    def constant(self) -> Bool[np.ndarray, " n"]:
        """Return which responses are the same in every unit, but for rounding."""
        return np.concatenate(of_spans(_constant, self))

    def of(self, responses: Int[np.ndarray, " m"]) -> Rows:
        """Return the rows of some responses, in ascending order."""
        return self._some(Picked(self.values, responses), responses, None)

    def within(self, *spans: slice) -> Rows:
        """Return the rows of some responses that follow one another, and then those of others."""
        picked = np.concatenate([np.arange(span.start, span.stop) for span in spans])
        return self._some(Stacked.of(self.values, spans), picked, self.some_of or self.n_responses)

    def _some(self, values: ResponseMatrix, picked: Int[np.ndarray, " m"], some_of: int | None) -> Rows:
        shift, scale = (
            number[picked] if isinstance(number, np.ndarray) else number
            for number in (self.shift, self.scale)
        )
        return replace(self, values=values, shift=shift, scale=scale, some_of=some_of, workers=None)

    def minus(self, shift: PerRow) -> Rows:
        """Return the rows with `shift` subtracted from each response."""
        return replace(self, shift=self.shift + shift * self.scale)

    def over(self, scale: PerRow) -> Rows:
        """Return the rows with each response divided by `scale`."""
        return replace(self, scale=self.scale * scale)


def of_spans(function: Callable[..., Any], rows: Rows, *more: Any, multiple: int = 1) -> list[Any]:
    """Return what a function of a module makes of responses, and more: of all, or in tasks of some each.

    The responses of each task but the last are a multiple of so many.
    """
    if rows.workers is None:
        return [function(rows, *more)]
    step = multiple * max(1, TASK_BYTES // (multiple * rows.n_units * rows.values.dtype.itemsize))
    some = spans(rows.n_responses, step)
    found: list[Any] = [None] * len(some)
    names = [f"{function.__name__.strip('_')}-{span.start}:{span.stop}" for span in some]
    tasks = [(rows.within(span), *more) for span in some]
    for at, of_span in rows.workers.each(function, tasks, names=names):
        found[at] = of_span
    return found


def spans(count: int, width: int, start: int = 0) -> list[slice]:
    """Return ranges of a width, the last of what is left, that follow one another."""
    return [slice(at, min(at + width, start + count)) for at in range(start, start + count, width)]


def _means(rows: Rows) -> Float[np.ndarray, " n"]:
    total = np.zeros(rows.n_responses)
    for block in rows.blocks():
        total += block.sum(axis=1)
    return total / rows.n_units


def _square_sums(rows: Rows) -> Float[np.ndarray, " n"]:
    total = np.zeros(rows.n_responses)
    for block in rows.blocks():
        total += np.einsum("nb,nb->n", block, block)
    return total


def _constant(rows: Rows) -> Bool[np.ndarray, " n"]:
    lowest, highest = np.full(rows.n_responses, np.inf), np.full(rows.n_responses, -np.inf)
    for block in rows.blocks():
        np.minimum(lowest, block.min(axis=1), out=lowest)
        np.maximum(highest, block.max(axis=1), out=highest)
    constant: Bool[np.ndarray, " n"] = only_rounding(lowest, highest, rows.values.dtype)
    return constant


def _of_rows(number: PerRow, rows: slice) -> float | Float[np.ndarray, "some 1"]:
    return number[rows, None] if isinstance(number, np.ndarray) else number
