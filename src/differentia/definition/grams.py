"""Inner products of the responses to each set, over many choices of units, from one reading.

Everything that is measured by Euclidean distances follows from them: the distances, the standard deviation,
the sum of each response and of its squares. So what is read is read once for all draws, sums and distances.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, combinations_with_replacement, groupby
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from differentia.definition.matrix import Part, ResponseMatrix
from differentia.definition.medians import middle_of_few
from differentia.definition.pairs import PRECISION, SquaresAndScales, squares_and_scales

#: Units of the pool that are looked at at once. No other number gives the same sums to the last bit.
SPAN_UNITS = 2**14

#: Units whose products are summed in the precision of the products; such sums are summed in float64.
BLOCK_UNITS = 2048

#: Bytes of the products of the choices that are summed side by side, and numbers of the units they are of.
PRODUCT_BYTES = 2**23

#: Of the variance, at most: a step of the products' type, times the square of the mean less the centre. The
#: error of that square, some ten steps, is then below 4e-6 of the variance, and 2e-6 of the SD.
MOST_OFFSET = 4e-7

#: Responses and what is added to them are a multiple of so many, as long as a register of most processors.
LANES = 16

#: Responses to small sets that follow one another whose products with others are found at once, since a
#: product of few takes as long as one of many; a set that has more is large, and looked at by itself.
RESPONSES_TOGETHER = 256


@dataclass(frozen=True)
class Grams:
    """Inner products of the responses to one set, over several choices of as many units each."""

    #: Of the responses minus the mean response, then of the mean response minus `centre`, then of ones; the
    #: rest is padding.
    products: Float[np.ndarray, "choice w w"]
    n_responses: int
    centre: float  # a number near the mean of all
    n_units: Int[np.ndarray, " choice"]
    dtype: str  # of the products, before they were summed in float64

    @property
    def norms(self) -> Float[np.ndarray, "choice n"]:
        """The sum of squares of each response, the mean response subtracted."""
        return np.diagonal(self.products, axis1=1, axis2=2)[:, : self.n_responses]

    @property
    def sums(self) -> Float[np.ndarray, "choice n"]:
        """The sum of each response minus `centre`."""
        ones = self.products[:, self.n_responses + 1]
        return ones[:, : self.n_responses] + ones[:, self.n_responses, None]

    @property
    def square_sums(self) -> Float[np.ndarray, "choice n"]:
        """The sum of squares of each response minus `centre`."""
        mean = self.products[:, self.n_responses]
        return self.norms + 2 * mean[:, : self.n_responses] + mean[:, self.n_responses, None]

    @np.errstate(over="ignore", invalid="ignore")  # `safe` tells
    def variances(self) -> Float[np.ndarray, " choice"]:
        """Return the population variance of all entries of each choice."""
        entries = self.n_responses * self.n_units
        return (self.square_sums.sum(axis=1) - self.sums.sum(axis=1) ** 2 / entries) / entries

    @np.errstate(over="ignore", invalid="ignore")  # which is what this tells
    def safe(self) -> Bool[np.ndarray, " choice"]:
        """Return which choices have no responses so large or small that their products say nothing.

        Neither are those that are constant, as far as the products tell, nor those whose mean is so far from
        the centre, for few units of many, that their variance is the difference of far larger numbers.
        """
        variances, (least, most) = self.variances(), PRECISION[self.dtype].safe
        step = np.finfo(self.dtype).eps
        rounding = (100 * step * self.centre) ** 2
        offsets = (self.sums.sum(axis=1) / (self.n_responses * self.n_units)) ** 2
        near = step * offsets < MOST_OFFSET * variances
        return (variances > max(least, rounding)) & (variances < most) & near

    def squares(
        self, first: Int[np.ndarray, ...], second: Int[np.ndarray, ...], choices: Any = slice(None)
    ) -> SquaresAndScales:
        """Return the squared distances of some pairs, and |a|^2 + |b|^2 of each."""
        n = self.n_responses
        return squares_and_scales(self.products[choices, :n, :n], first, second)

    @np.errstate(over="ignore", invalid="ignore")  # `safe` tells
    def differentiation(self, normalize: str) -> list[float | None]:
        """Return the Euclidean differentiation of each choice; None where products do not tell it."""
        squares, scales = self.squares(*np.triu_indices(self.n_responses, k=1))
        precision, middle = PRECISION[self.dtype], middle_of_few(squares)
        # A pair in doubt matters where it may be above the median.
        high = squares + precision.error * scales >= middle[:, :1]
        doubtful = ((squares < precision.doubtful * scales) & high).any(axis=1)
        safe = self.safe() & (middle[:, 0] > precision.safe[0]) & ~doubtful
        middle[~safe] = np.nan
        distances = np.sqrt(middle / self.n_units[:, None]).mean(axis=1)
        if normalize == "layer":
            distances /= np.sqrt(np.where(safe, self.variances(), 1.0))
        return [float(value) if good else None for value, good in zip(distances, safe, strict=True)]


class Reading(NamedTuple):
    """What one reading of the responses gave; only the first gives sums and distances between sets."""

    #: By set: some of the choices, and their inner products.
    grams: dict[str, tuple[slice, Grams]]
    #: By set: the sum of each response over the first choice, and of its squares.
    sums: dict[str, tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]]
    #: Squared distances over the first choice between all responses, in the order of the sets, if wanted.
    across: SquaresAndScales | None


def readings(
    values: ResponseMatrix,
    sets: Mapping[str, slice],
    choices: Sequence[Int[np.ndarray, " _"]],
    *,
    dtype: str,
    across: bool = False,
) -> Iterator[Reading]:
    """Yield the inner products of all sets over all choices: over as many at a time as may be held.

    Choices are of columns in ascending order, the first of the first columns. Those of the same size that
    follow one another share the work. What is given of a set does not depend on the other sets.
    """
    at_once = {name: _choices_at_once(_width(rows.stop - rows.start)) for name, rows in sets.items()}
    for number in range(-(-len(choices) // min(at_once.values()))):
        work: dict[str, _Work] = {}
        looked_at: dict[str, slice] = {}
        plans: dict[int, list[_Span]] = {}
        for name, count in at_once.items():
            some = slice(number * count, min((number + 1) * count, len(choices)))
            if some.start < some.stop:
                if count not in plans:
                    plans[count] = _plan(choices[some], values.shape[1])
                looked_at[name] = some
                work[name] = _Work(values, sets[name], choices[some], plans[count], dtype)
        between = _Between([*work.values()]) if across and number == 0 else None
        for span in range(-(-values.shape[1] // SPAN_UNITS)):
            for of_set in work.values():
                of_set.look_at(span)
            if between is not None:
                between.look_at(span)
        grams = {name: (looked_at[name], of_set.grams()) for name, of_set in work.items()}
        sums = {name: (of_set.sums, of_set.square_sums) for name, of_set in work.items() if number == 0}
        yield Reading(grams, sums, None if between is None else between.squares())


def _width(n_responses: int) -> int:
    return -(-(n_responses + 3) // LANES) * LANES  # the mean, ones, and at least one that is free


def _choices_at_once(width: int) -> int:
    return max(1, min(PRODUCT_BYTES // (8 * width**2), PRODUCT_BYTES // (BLOCK_UNITS * width)))


class _Span(NamedTuple):
    """What is looked at of some columns of a pool."""

    columns: Int[np.ndarray, " k"]
    #: Some of the choices, and where they stand in what is read, counted from 1: place 0 is empty, for
    #: choices side by side that have fewer columns here than others.
    work: list[tuple[slice, slice | Int[np.ndarray, "choice k"]]]
    first: slice  # where the first choice stands


def _plan(choices: Sequence[Int[np.ndarray, " _"]], pool_size: int) -> list[_Span]:
    """Return what is looked at, span by span."""
    whole = [choice[-1] - choice[0] == len(choice) - 1 for choice in choices]
    alike = groupby(range(len(choices)), key=lambda at: at if whole[at] else -len(choices[at]))
    together = [slice(places[0], places[-1] + 1) for places in (list(group) for _, group in alike)]
    spans = []
    for start in range(0, pool_size, SPAN_UNITS):
        stop = min(start + SPAN_UNITS, pool_size)
        parts = [choice[slice(*np.searchsorted(choice, [start, stop]))] - start for choice in choices]
        looked_at = np.zeros(stop - start, dtype=bool)
        looked_at[np.concatenate(parts)] = True
        places = np.cumsum(looked_at)
        work: list[tuple[slice, slice | Int[np.ndarray, "choice k"]]] = []
        for some in together:
            longest = max(len(part) for part in parts[some])
            if not longest:
                continue
            if whole[some.start]:
                first = int(places[parts[some.start][0]])
                work.append((some, slice(first, first + longest)))
                continue
            at_places = np.zeros((some.stop - some.start, longest), dtype=np.int64)
            for row, part in zip(at_places, parts[some], strict=True):
                row[: len(part)] = places[part]
            work.append((some, at_places))
        spans.append(_Span(start + np.flatnonzero(looked_at), work, slice(1, len(parts[0]) + 1)))
    return spans


@dataclass
class _Work:
    """The inner products of one set over some choices, as they grow span by span."""

    values: ResponseMatrix
    rows: slice
    choices: Sequence[Int[np.ndarray, " _"]]
    plan: Sequence[_Span]
    dtype: str

    def __post_init__(self) -> None:
        self.n = self.rows.stop - self.rows.start
        width = _width(self.n)
        self.products = np.zeros((len(self.choices), width, width))
        self.sums, self.square_sums = np.zeros(self.n), np.zeros(self.n)
        self.centre: float | None = None
        self._memory: torch.Tensor | None = None

    @np.errstate(over="ignore", invalid="ignore")  # `safe` tells
    def look_at(self, number: int) -> None:
        """Add the products of a span, and keep what they are of."""
        span = self.plan[number]
        if not span.work:
            return
        self.units, self.means = self._units(span)
        for some, places in span.work:
            products = self.products[some]
            if isinstance(places, slice):
                _add_products(products[0], self.units[places])
            else:
                _add_chosen_products(products, self.units, places)

    def _units(self, span: _Span) -> tuple[torch.Tensor, torch.Tensor]:
        """Return an empty row, then the responses of each unit in a row, its mean and a one after them."""
        count = len(span.columns)
        read = Part(self.values, self.rows, span.columns)[slice(0, self.n), slice(0, count)]
        # PyTorch takes no memory that can't be written to. Each response is in one piece: sums in another
        # order would differ in the last bit.
        in_pieces = read.strides[1] != read.itemsize or read.strides[0] < 0
        if read.dtype != self.dtype or in_pieces or not read.flags.writeable:
            read = np.array(read, dtype=self.dtype, order="C")
        responses = torch.from_numpy(read)
        of_first = responses[:, : span.first.stop - span.first.start]
        # Not from the products, of differences from a mean that may be far larger than a response.
        exact = of_first.double()
        self.sums += exact.sum(dim=1).numpy()
        self.square_sums += exact.square().sum(dim=1).numpy()
        means = responses.mean(dim=0)
        if self.centre is None:
            self.centre = float(means.mean())
        if self._memory is None or len(self._memory) < count + 1:
            self._memory = torch.zeros((count + 1, self.products.shape[1]), dtype=responses.dtype)
            self._memory[1:, self.n + 1] = 1.0
        units = self._memory[: count + 1]
        torch.sub(responses.T, means[:, None], out=units[1:, : self.n])
        torch.sub(means, self.centre, out=units[1:, self.n])
        return units, means

    def grams(self) -> Grams:
        """Return what was added up."""
        n_units = np.array([len(choice) for choice in self.choices])
        return Grams(self.products, self.n, self.centre or 0.0, n_units, self.dtype)

    def squares(self) -> SquaresAndScales:
        """Return the squared distances of the set over the first choice."""
        of_set = np.arange(self.n)
        return self.grams().squares(of_set[:, None], of_set, choices=0)


@dataclass
class _Between:
    """Squared distances between the responses to all sets over the first choice, as they grow.

    Those within a set are known from its own products. For others, ``a - b = (a - m) - (b - n) + (m - n)``
    with the means m and n of both sets: no product is of numbers that are far larger than a distance, and
    those with means, which may be, are float64. So are those of small sets: in float32 they would depend, in
    the last bit, on which others are looked at with them.
    """

    sets: Sequence[_Work]

    def __post_init__(self) -> None:
        ends = list(accumulate((of_set.n for of_set in self.sets), initial=0))
        self.products = np.zeros((ends[-1], ends[-1]))
        #: Of the responses, each less its set's mean, with the sets' means less the mean of these.
        self.with_means = np.zeros((ends[-1], len(self.sets)))
        self.of_means = np.zeros((len(self.sets), len(self.sets)))
        #: Sets whose responses are looked at together, and where these are.
        self.groups: list[tuple[slice, slice]] = []
        first = 0
        for last in range(1, len(self.sets) + 1):
            if last == len(self.sets) or ends[last + 1] - ends[first] > RESPONSES_TOGETHER:
                self.groups.append((slice(first, last), slice(ends[first], ends[last])))
                first = last
        #: All but those of one set with itself; and whether both sets are large.
        self.blocks = [
            (rows, columns, min(rows.stop - rows.start, columns.stop - columns.start) > RESPONSES_TOGETHER)
            for (sets, rows), (_, columns) in combinations_with_replacement(self.groups, 2)
            if rows != columns or sets.stop - sets.start > 1
        ]

    @np.errstate(over="ignore", invalid="ignore")  # `safe` tells
    def look_at(self, number: int) -> None:
        """Add the products of a span that all sets have looked at; the first choice stands first in each."""
        place = self.sets[0].plan[number].first
        for start in range(place.start, place.stop, BLOCK_UNITS) if self.blocks else ():
            some = slice(start, min(start + BLOCK_UNITS, place.stop))
            means = torch.stack([of_set.means[some.start - 1 : some.stop - 1] for of_set in self.sets], dim=1)
            means = means.double() - means.double().mean(dim=1, keepdim=True)
            self.of_means += (means.T @ means).numpy()
            units, exact = {}, {}
            for sets, rows in self.groups:
                parts = [of_set.units[some, : of_set.n] for of_set in self.sets[sets]]
                units[rows.start] = torch.cat(parts, dim=1)
                exact[rows.start] = units[rows.start].double()
                self.with_means[rows] += (exact[rows.start].T @ means).numpy()
            for rows, columns, large in self.blocks:
                of = units if large else exact
                self.products[rows, columns] += (of[rows.start].T @ of[columns.start]).numpy()

    @np.errstate(over="ignore", invalid="ignore")  # `safe` tells
    def squares(self) -> SquaresAndScales:
        """Return the squared distances and their scales."""
        norms = np.concatenate([of_set.grams().norms[0] for of_set in self.sets])
        set_of = np.repeat(np.arange(len(self.sets)), [of_set.n for of_set in self.sets])
        far = np.diagonal(self.of_means)
        far = far[:, None] + far
        apart = far - 2 * self.of_means
        # Products with means are of numbers so large.
        least = far * PRECISION["float64"].doubtful / PRECISION[self.sets[0].dtype].doubtful
        # Of a response less its set's mean with that mean less another set's.
        shifts = self.with_means[np.arange(len(set_of)), set_of, None] - self.with_means
        squares, scales = np.empty((2, *self.products.shape))
        for rows, columns, _ in self.blocks:
            ones, others = set_of[rows], set_of[columns]
            sets = np.ix_(ones, others)
            scale = norms[rows, None] + norms[columns] + apart[sets]
            square = shifts[rows][:, others] + shifts[columns][:, ones].T - self.products[rows, columns]
            square = scale + 2 * square
            np.maximum(scale, least[sets], out=scale)
            squares[rows, columns], squares[columns, rows] = square, square.T
            scales[rows, columns], scales[columns, rows] = scale, scale.T
        start = 0
        for of_set in self.sets:
            rows = slice(start, start := start + of_set.n)
            squares[rows, rows], scales[rows, rows] = of_set.squares()
        return squares, scales


def _add_products(products: Float[np.ndarray, "w w"], units: torch.Tensor) -> None:
    """Add the products of units that follow one another."""
    blocks = len(units) // BLOCK_UNITS
    at_once = max(1, PRODUCT_BYTES // (8 * products.size))
    for start in range(0, blocks, at_once):
        some = slice(start * BLOCK_UNITS, min(start + at_once, blocks) * BLOCK_UNITS)
        of_blocks = _symmetric_products(units[some].view(-1, BLOCK_UNITS, units.shape[1]))
        products += of_blocks.sum(dim=0, dtype=torch.float64).numpy()
    if len(units) > blocks * BLOCK_UNITS:
        rest = units[blocks * BLOCK_UNITS :]
        products += (rest.T @ rest).numpy()


def _add_chosen_products(
    products: Float[np.ndarray, "choice w w"], units: torch.Tensor, places: Int[np.ndarray, "choice k"]
) -> None:
    """Add the products of several choices of units at once."""
    for start in range(0, places.shape[1], BLOCK_UNITS):
        some = torch.from_numpy(places[:, start : start + BLOCK_UNITS])
        chosen = units.index_select(0, some.reshape(-1)).view(len(places), -1, units.shape[1])
        products += _symmetric_products(chosen).numpy()


def _symmetric_products(units: torch.Tensor) -> torch.Tensor:
    """Return the products (b, w, w) of units (b, k, w) with themselves; a part of them is known from others.

    In float64 all are computed: there the last bit depends on how many are computed at once.
    """
    width = units.shape[2]
    known = width // (3 * LANES) * LANES  # a small part: narrow products take longer, each
    if not known or units.dtype == torch.float64:
        return torch.bmm(units.transpose(1, 2), units)
    products = units.new_empty((len(units), width, width))
    products[:, :, known:] = torch.bmm(units.transpose(1, 2), units[:, :, known:])
    products[:, known:, :known] = products[:, :known, known:].transpose(1, 2)
    products[:, :known, :known] = _symmetric_products(units[:, :, :known])
    return products
