"""Inner products of the responses to each set, over many choices of units, from one reading.

Everything that is measured by Euclidean distances follows from them: the distances, the standard deviation,
the sum of each response and of its squares. So what is read is read once for all draws, sums and distances.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from differentia.distances import Part, ResponseMatrix
from differentia.tiles import PRECISION

if TYPE_CHECKING:
    import torch

#: Units of the pool that are looked at at once. No other number gives the same sums to the last bit.
SPAN = 2**14

#: Units whose products are summed in the precision of the products; such sums are summed in float64.
BLOCK = 2048

#: Bytes of the products of the choices that are summed side by side, and numbers of the units they are of.
TOGETHER = 2**23

#: Responses and what is added to them are a multiple of so many, as long as a register of most processors.
LANES = 16

#: Variances and squared distances between these are as exact as their type of numbers allows.
SAFE_SQUARES = {"float32": (1e-24, 1e25), "float64": (1e-280, 1e280)}


@dataclass(frozen=True)
class Grams:
    """Inner products of the responses to one set, over several choices of as many units each.

    Attributes
    ----------
    products : (n_choices, width, width)
        Of the responses minus the mean response, then of the mean response minus `centre`, then of ones; the
        rest is padding.
    n_responses, centre
        How many responses there are, and a number near the mean of all.
    n_units : (n_choices,)
        In each choice.
    dtype
        Of the products, before they were summed in float64.
    """

    products: Float[np.ndarray, "choice w w"]
    n_responses: int
    centre: float
    n_units: Int[np.ndarray, " choice"]
    dtype: str

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

    @np.errstate(over="ignore", invalid="ignore")  # `safe` tells
    def safe(self) -> Bool[np.ndarray, " choice"]:
        """Return which choices have no responses so large or small that their products say nothing.

        Neither are those that are constant, as far as the products tell.
        """
        variances, (least, most) = self.variances(), SAFE_SQUARES[self.dtype]
        rounding = (100 * np.finfo(self.dtype).eps * self.centre) ** 2
        return (variances > max(least, rounding)) & (variances < most)

    @np.errstate(over="ignore", invalid="ignore")  # `safe` tells
    def squares(self) -> tuple[Float[np.ndarray, "choice pairs"], Float[np.ndarray, "choice pairs"]]:
        """Return the squared distance of every pair, in ``pdist``'s order, and |a|^2 + |b|^2 of each."""
        first, second = np.triu_indices(self.n_responses, k=1)
        norms = self.norms
        scales = norms[:, first] + norms[:, second]
        return scales - 2 * self.products[:, first, second], scales

    @np.errstate(over="ignore", invalid="ignore")  # `safe` tells
    def squares_of(self, choice: int) -> SquaresAndScales:
        """Return the squared distance of each response to each, and |a|^2 + |b|^2, of one choice."""
        norms, products = self.norms[choice], self.products[choice, : self.n_responses, : self.n_responses]
        scales = norms[:, None] + norms
        return scales - 2 * products, scales

    @np.errstate(over="ignore", invalid="ignore")  # `safe` tells
    def differentiation(self, normalize: str) -> list[float | None]:
        """Return the differentiation of each choice by Euclidean distances; None where these do not tell it.

        Parameters
        ----------
        normalize : {"layer", "none"}
            As for `differentia.differentiation`.
        """
        squares, scales = self.squares()
        precision = PRECISION[self.dtype]
        ranks = [(squares.shape[1] - 1) // 2, squares.shape[1] // 2]
        middle = np.partition(squares, ranks, axis=1)[:, ranks]
        # A pair in doubt matters where it may be above the median.
        high = squares + precision.error * scales >= middle[:, :1]
        doubtful = ((squares < precision.doubtful * scales) & high).any(axis=1)
        safe = self.safe() & (middle[:, 0] > SAFE_SQUARES[self.dtype][0]) & ~doubtful
        middle[~safe] = np.nan
        distances = np.sqrt(middle / self.n_units[:, None]).mean(axis=1)
        if normalize == "layer":
            distances /= np.sqrt(np.where(safe, self.variances(), 1.0))
        return [float(value) if good else None for value, good in zip(distances, safe, strict=True)]


#: The squared distances of pairs, and |a|^2 + |b|^2 of each.
SquaresAndScales = tuple[Float[np.ndarray, "m n"], Float[np.ndarray, "m n"]]


class Pass(NamedTuple):
    """What one reading of the responses gave.

    Attributes
    ----------
    grams
        By set: some of the choices, and their inner products.
    sums
        By set: the sum of each response over the first choice, and of its squares. Only the first reading
        gives them.
    across
        By two sets: the squared distances between their responses over the first choice. Only the first
        reading gives them, if they are wanted.
    """

    grams: dict[str, tuple[slice, Grams]]
    sums: dict[str, tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]]
    across: dict[tuple[str, str], SquaresAndScales]


def passes(
    values: ResponseMatrix,
    sets: Mapping[str, slice],
    choices: Sequence[Int[np.ndarray, " _"]],
    *,
    dtype: str,
    across: bool = False,
) -> Iterator[Pass]:
    """Yield the inner products of all sets over all choices: over as many at a time as may be held.

    What is given of a set does not depend on the other sets.

    Parameters
    ----------
    values : (n_responses, pool_size)
    sets
        The responses of each.
    choices
        Columns in ascending order, none twice; the first choice are the first columns. Choices of the same
        size that follow one another share the work.
    dtype
        Of the products: "float32" or "float64".
    across
        Whether the distances between sets are wanted.
    """
    at_once = {name: _choices_at_once(_width(rows.stop - rows.start)) for name, rows in sets.items()}
    for number in range(-(-len(choices) // min(at_once.values()))):
        work: dict[str, _Work] = {}
        plans: dict[int, list[_Span]] = {}
        for name, count in at_once.items():
            some = slice(number * count, min((number + 1) * count, len(choices)))
            if some.start < some.stop:
                if count not in plans:
                    plans[count] = _plan(choices[some], values.shape[1])
                work[name] = _Work(values, sets[name], choices[some], plans[count], dtype)
        between = _Between(work) if across and number == 0 else None
        for span in range(-(-values.shape[1] // SPAN)):
            for of_set in work.values():
                of_set.look_at(span)
            if between is not None:
                between.look_at(span)
        grams = {}
        for name, of_set in work.items():
            first = number * at_once[name]
            grams[name] = slice(first, first + len(of_set.choices)), of_set.grams()
        sums = {name: (of_set.sums, of_set.square_sums) for name, of_set in work.items() if number == 0}
        yield Pass(grams, sums, {} if between is None else between.squares())


def _width(n_responses: int) -> int:
    return -(-(n_responses + 3) // LANES) * LANES  # the mean, ones, and at least one that is free


def _choices_at_once(width: int) -> int:
    return max(1, min(TOGETHER // (8 * width**2), TOGETHER // (BLOCK * width)))


class _Span(NamedTuple):
    """What is looked at of some columns of a pool.

    Attributes
    ----------
    columns
        Those that are read.
    work
        Some of the choices, and where they stand in what is read, counted from 1: place 0 is empty, for
        choices side by side that have fewer columns here than others.
    first
        Where the first choice stands.
    """

    columns: slice | Int[np.ndarray, " k"]
    work: list[tuple[slice, slice | Int[np.ndarray, "choice k"]]]
    first: slice


def _plan(choices: Sequence[Int[np.ndarray, " _"]], pool_size: int) -> list[_Span]:
    """Return what is looked at, span by span."""
    whole = [choice[-1] - choice[0] == len(choice) - 1 for choice in choices]
    together: list[slice] = []
    for at, choice in enumerate(choices):
        last = together[-1].start if together else 0
        if at and not whole[at] and not whole[last] and len(choice) == len(choices[last]):
            together[-1] = slice(last, at + 1)
        else:
            together.append(slice(at, at + 1))
    spans = []
    for start in range(0, pool_size, SPAN):
        stop = min(start + SPAN, pool_size)
        parts = []
        for choice in choices:
            begin, end = np.searchsorted(choice, [start, stop])
            parts.append(choice[begin:end] - start)
        looked_at = np.zeros(stop - start, dtype=bool)
        for part in parts:
            looked_at[part] = True
        places = np.cumsum(looked_at)
        count = int(np.count_nonzero(looked_at))
        columns = slice(start, stop) if count == stop - start else start + np.flatnonzero(looked_at)
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
        spans.append(_Span(columns, work, slice(1, len(parts[0]) + 1)))
    return spans


class _Work:
    """The inner products of one set over some choices, as they grow span by span."""

    def __init__(
        self,
        values: ResponseMatrix,
        rows: slice,
        choices: Sequence[Int[np.ndarray, " _"]],
        plan: Sequence[_Span],
        dtype: str,
    ) -> None:
        self.values, self.rows, self.choices, self.plan, self.dtype = values, rows, choices, plan, dtype
        self.n = rows.stop - rows.start
        width = _width(self.n)
        self.products = np.zeros((len(choices), width, width))
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
                _add_products(products[0], self.units[places], self.units[places])
            else:
                _add_chosen_products(products, self.units, places)

    def _units(self, span: _Span) -> tuple[torch.Tensor, torch.Tensor]:
        """Return an empty row, then the responses of each unit in a row, its mean and a one after them."""
        import torch  # here, because it takes a second to import

        read = _writable(_columns(self.values, self.rows, span.columns), self.dtype)
        responses = torch.from_numpy(read)
        of_first = responses[:, : span.first.stop - span.first.start]
        # Not from the products, of differences from a mean that may be far larger than a response.
        exact = of_first.double()
        self.sums += exact.sum(dim=1).numpy()
        self.square_sums += exact.square().sum(dim=1).numpy()
        means = responses.mean(dim=0)
        if self.centre is None:
            self.centre = float(means.mean())
        count = read.shape[1]
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


class _Between:
    """The squared distances between the responses to different sets over the first choice."""

    def __init__(self, work: Mapping[str, _Work]) -> None:
        self._work = work
        self._products = {
            (one, other): np.zeros((_width(work[one].n), _width(work[other].n)))
            for one, other in combinations(work, 2)
        }

    @np.errstate(over="ignore", invalid="ignore")  # `safe` tells
    def look_at(self, number: int) -> None:
        """Add the products of the span that both have looked at."""
        for (one, other), products in self._products.items():
            first, second = self._work[one], self._work[other]
            place = first.plan[number].first
            if place.start == place.stop:
                continue
            # Of the same units, which stand first in both. The mean's place takes the difference of both
            # means: the means themselves may be far larger than any distance.
            left, right = first.units[place], second.units[place]
            count = len(left)
            left[:, first.n] = right[:, second.n] = first.means[:count] - second.means[:count]
            _add_products(products, left, right)

    @np.errstate(over="ignore", invalid="ignore")  # `safe` tells
    def squares(self) -> dict[tuple[str, str], SquaresAndScales]:
        """Return squared distances and their scales, by two sets."""
        found = {}
        for (one, other), products in self._products.items():
            n, m = self._work[one].n, self._work[other].n
            norms = self._work[one].grams().norms[0], self._work[other].grams().norms[0]
            scales = norms[0][:, None] + norms[1] + products[n, m]
            squares = scales + 2 * (products[:n, m, None] - products[n, :m] - products[:n, :m])
            found[one, other] = squares, scales
        return found


def _columns(
    values: ResponseMatrix, rows: slice, columns: slice | Int[np.ndarray, " k"]
) -> Num[np.ndarray, "n b"]:
    if isinstance(columns, slice):
        return np.asarray(values[rows, columns])
    return np.asarray(Part(values, rows, columns)[slice(0, rows.stop - rows.start), slice(0, len(columns))])


def _writable(read: Num[np.ndarray, "n b"], dtype: str) -> Float[np.ndarray, "n b"]:
    """Return responses as PyTorch takes them, which shares no memory that can't be written to.

    Each is in one piece: sums in another order would differ in the last bit.
    """
    in_pieces = read.strides[1] != read.itemsize or read.strides[0] < 0
    copied = read.dtype != dtype or in_pieces or not read.flags.writeable
    return np.array(read, dtype=dtype, order="C") if copied else read


def _add_products(products: Float[np.ndarray, "w v"], left: torch.Tensor, right: torch.Tensor) -> None:
    """Add the products of units that follow one another."""
    import torch

    blocks = len(left) // BLOCK
    at_once = max(1, TOGETHER // (8 * products.size))
    for start in range(0, blocks, at_once):
        some = slice(start * BLOCK, min(start + at_once, blocks) * BLOCK)
        stacks = (side[some].view(-1, BLOCK, side.shape[1]) for side in (left, right))
        first, second = stacks
        products += torch.bmm(first.transpose(1, 2), second).sum(dim=0, dtype=torch.float64).numpy()
    if len(left) > blocks * BLOCK:
        products += (left[blocks * BLOCK :].T @ right[blocks * BLOCK :]).numpy()


def _add_chosen_products(
    products: Float[np.ndarray, "choice w w"], units: torch.Tensor, places: Int[np.ndarray, "choice k"]
) -> None:
    """Add the products of several choices of units at once."""
    import torch

    for start in range(0, places.shape[1], BLOCK):
        some = torch.from_numpy(places[:, start : start + BLOCK])
        chosen = units.index_select(0, some.reshape(-1)).view(len(places), -1, units.shape[1])
        products += torch.bmm(chosen.transpose(1, 2), chosen).numpy()
