"""The exact median over all pairs, of many responses in bounded memory.

Of many the pairs of a random sample of the responses tell between which values the median is to be found. One
pass over all pairs counts those below, and how often each value between occurs: float32 has so few numbers
there that they can all be counted. Where the median is not between, or too many numbers are, the pass is
repeated with what it told. Counts of some pairs are added to those of others: so a pass may be made by many
processes, each of which reads what it counts.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from differentia.definition.matrix import Stacked, at_hand, spans
from differentia.definition.tiles import SIDE, DoubtError, Tile, Tiles, all_bands, bands_between
from differentia.system.random import fixed_generator
from differentia.system.tasks import Workers

#: Responses whose pairs tell where the median is.
SAMPLE = 1024

#: Standard errors of the sample's median, on each side: it is missed once in 100,000 times.
MARGIN = 4.5

#: Values that are counted one by one, or in equal parts: an octave of float32.
MOST_COUNTED = 2**23

#: Pairs times units that a task looks at: what a core does in about a minute.
MOST_OF_A_TASK = 2**41

#: The same where there are fewer tasks than `TASKS_EACH` for each worker: they end at about the same time.
LEAST_OF_A_TASK, TASKS_EACH = 2**36, 16

#: Bytes of the responses that a task keeps at hand; what does not fit is read as it is compared.
AT_HAND = 2**29


@dataclass
class Bracket:
    """How many pairs lie below two values, and how many at each value between.

    Values are told apart by their bits, which are in the order of the numbers that are not negative.
    """

    lowest: int
    highest: int
    below: int = 0  # pairs below the lowest
    _counts: Int[np.ndarray, " bins"] = field(init=False)
    _shift: int = field(init=False)

    def __post_init__(self) -> None:
        self._shift = max(0, (self.highest - self.lowest).bit_length() - MOST_COUNTED.bit_length() + 1)
        self._counts = np.zeros(((self.highest - self.lowest) >> self._shift) + 1, dtype=np.int64)

    def add(self, bits: Int[np.ndarray, " p"]) -> None:
        """Count pairs by the bits of their values."""
        self.below += int(np.count_nonzero(bits < self.lowest))
        bits = bits[(bits >= self.lowest) & (bits <= self.highest)] - self.lowest
        np.add.at(self._counts, bits >> self._shift, 1)

    def packed(self) -> PackedCounts:
        """Return the counts as few bytes: most are small, and many are none."""
        (found,) = np.nonzero(self._counts)
        some = slice(int(found[0]), int(found[-1]) + 1) if len(found) else slice(0, 0)
        counts = self._counts[some]
        small = counts.astype(np.min_scalar_type(int(counts.max(initial=0))))
        return PackedCounts(self.below, some.start, small.dtype.str, zlib.compress(small.tobytes(), 1))

    def merge(self, other: PackedCounts) -> None:
        """Add the counts of other pairs, by an equal bracket."""
        self.below += other.below
        counts = np.frombuffer(zlib.decompress(other.counts), dtype=other.dtype)
        self._counts[other.start : other.start + len(counts)] += counts

    def find(self, rank: int, highest: int) -> tuple[int, int]:
        """Return the lowest and highest bits that the value of a rank, from 0, may have; `highest` of any."""
        if rank < self.below:
            return 0, self.lowest - 1
        at = int(np.searchsorted(self.below + np.cumsum(self._counts), rank, side="right"))
        if at == len(self._counts):
            return self.highest + 1, highest
        start = self.lowest + (at << self._shift)
        return start, min(start + (1 << self._shift) - 1, self.highest)


class PackedCounts(NamedTuple):
    """What a bracket has counted, to be sent to another process."""

    below: int
    start: int  # of the counts that are told, among all
    dtype: str
    counts: bytes


def middle_of_few(values: Float[np.ndarray, "*choices pairs"]) -> Float[np.ndarray, "*choices 2"]:
    """Return the middle two values of pairs: the same value twice where their number is odd."""
    ranks = [(values.shape[-1] - 1) // 2, values.shape[-1] // 2]
    return np.partition(values, ranks, axis=-1)[..., ranks]


def middle(tiles: Tiles) -> tuple[float, float]:
    """Return the middle two values of the pairs of many responses."""
    n = tiles.n_responses
    pairs = n * (n - 1) // 2
    ranks = ((pairs - 1) // 2, pairs // 2)
    highest = _bits(np.array([np.finfo(tiles.dtype).max], dtype=tiles.dtype))[0]
    spans = dict.fromkeys(ranks, _first_bracket(tiles))
    while True:
        brackets = {span: Bracket(*span) for span in spans.values()}
        _count_pairs(tiles, list(brackets.values()))
        spans = {rank: brackets[span].find(rank, int(highest)) for rank, span in spans.items()}
        if all(start == stop for start, stop in spans.values()):
            low, high = (_value(spans[rank][0], tiles.dtype) for rank in ranks)
            return low, high


def _first_bracket(tiles: Tiles) -> tuple[int, int]:
    """Return the bits of two values between which the median of all pairs is likely to be."""
    few = tiles.n_responses <= SIDE
    sample = np.arange(tiles.n_responses) if few else _sample(tiles)
    of_sample = tiles if few else _of_few(tiles, np.sort(sample))
    whole = slice(0, len(sample))
    tile = np.concatenate([band.values for band in of_sample.bands(whole, whole)])
    above = np.isfinite(tile)
    values = np.maximum(tile[above], 0)
    pairs, margin = len(values), 0.0
    if not few:
        # Pairs that share a response go together: the variance of a U-statistic (Hoeffding 1948), in strata
        # of which two that follow one another are much the same (Wolter 2007, Introduction to Variance
        # Estimation, chapter 8).
        below = above & (tile < np.median(values))
        shares = (below.sum(axis=0) + below.sum(axis=1)) / (len(sample) - 1)
        variance = np.square(np.diff(shares[np.argsort(np.argsort(sample))])).mean() / 2
        margin = MARGIN * math.sqrt(4 * variance / len(sample) + 0.25 / pairs)
    start = max(0, math.floor((0.5 - margin) * (pairs - 1)))
    stop = min(pairs - 1, math.ceil((0.5 + margin) * (pairs - 1)))
    values.partition([start, stop])
    lowest, highest = _bits(values[[start, stop]])
    return int(lowest), int(highest)


def _sample(tiles: Tiles) -> Int[np.ndarray, " m"]:
    """Return responses at random, one of each stratum of those of about the same size."""
    generator, n = fixed_generator(), tiles.n_responses
    sizes = tiles.sizes()
    order = generator.permutation(n) if sizes is None else np.argsort(sizes, kind="stable")
    ends = np.linspace(0, n, SAMPLE + 1).astype(int)
    return order[generator.integers(ends[:-1], ends[1:])]


def _of_few(tiles: Tiles, responses: Int[np.ndarray, " m"]) -> Tiles:
    """Return the tiles of a few responses, which are read once."""
    rows = tiles.rows.of(responses)
    return tiles.like(replace(rows, values=at_hand(rows.values, AT_HAND)[0]))


def _count_pairs(tiles: Tiles, brackets: list[Bracket]) -> None:
    """Count all pairs, here or by workers."""
    if tiles.rows.workers is None or tiles.n_responses <= SIDE:
        _count(tiles, all_bands(tiles), brackets)
    else:
        _merge_counts(tiles, brackets, tiles.rows.workers)


def _merge_counts(tiles: Tiles, brackets: list[Bracket], workers: Workers) -> None:
    """Count all pairs in tasks, and add up what these tell."""
    some = spans(tiles.n_responses, _responses_of_a_task(tiles, workers.count))
    # Those of responses with themselves, which are half as many, come last.
    pairs = [(one, other) for at, one in enumerate(some) for other in some[at + 1 :]]
    sides = [*pairs, *((one,) for one in some)]
    between = [(bracket.lowest, bracket.highest) for bracket in brackets]
    tasks = [(tiles.within(*each), each[0].stop - each[0].start, between) for each in sides]
    names = ["pairs-" + "x".join(f"{one.start}:{one.stop}" for one in each) for each in sides]
    left = {*range(len(tasks))}
    for at, counted in workers.each(count_some, tasks, names=names):
        left.remove(at)
        if counted is None:
            raise DoubtError
        packed, doubtful = counted
        tiles.add_doubtful(doubtful)
        for bracket, counts in zip(brackets, packed, strict=True):
            bracket.merge(counts)
    assert not left, "the pairs of every task count, and once"


def _responses_of_a_task(tiles: Tiles, workers: int) -> int:
    """Return how many responses a task compares with as many others: a multiple of the side of a tile."""
    n, k = tiles.n_responses, tiles.rows.n_units
    share = n * n // 2 * k // (TASKS_EACH * max(1, workers))
    work = min(MOST_OF_A_TASK, max(LEAST_OF_A_TASK, share))
    most = AT_HAND // (k * tiles.rows.values.dtype.itemsize)
    return SIDE * max(1, min(math.isqrt(work // k), most) // SIDE)


def count_some(
    tiles: Tiles, n_first: int, between: Sequence[tuple[int, int]]
) -> tuple[list[PackedCounts], int] | None:
    """Count the pairs of the first responses with the others, or among them where there are no others.

    With the counts comes the number of pairs that were in doubt; None where these are too many.
    """
    stacked = tiles.rows.values
    if isinstance(stacked, Stacked):
        near, budget = [], AT_HAND
        for part in stacked.parts:
            values, budget = at_hand(part, budget)
            near.append(values)
        tiles = tiles.like(replace(tiles.rows, values=Stacked(tuple(near))))
    brackets = [Bracket(*ends) for ends in between]
    bands = all_bands(tiles) if n_first == tiles.n_responses else bands_between(tiles, n_first)
    try:
        _count(tiles, bands, brackets)
    except DoubtError:
        return None
    return [bracket.packed() for bracket in brackets], tiles.doubtful


def _count(tiles: Tiles, bands: Iterable[Tile], brackets: Sequence[Bracket]) -> None:
    """Count pairs; those that may lie within a bracket are looked at one by one."""
    lowest = min(_value(bracket.lowest, tiles.dtype) for bracket in brackets)
    highest = max(_value(bracket.highest, tiles.dtype) for bracket in brackets)
    for tile in bands:
        surely_below = tile.values < lowest - tile.error
        between = tile.values <= highest + tile.error
        between ^= surely_below  # all of which were so
        below = int(np.count_nonzero(surely_below))
        for bracket in brackets:
            bracket.below += below
        values = tile.values[between]
        if tiles.in_doubt(tile, lowest):
            first, second = np.divmod(np.flatnonzero(between), tile.values.shape[1])
            first += tile.first.start
            second += tile.second.start
            values = tiles.settled(first, second, values, (lowest, highest))
        bits = _bits(np.maximum(values, 0))
        for bracket in brackets:
            bracket.add(bits)


def _bits(values: Float[np.ndarray, " p"]) -> Int[np.ndarray, " p"]:
    """Return numbers that are not negative as integers of the same order."""
    return (values + 0.0).view(f"i{values.dtype.itemsize}").astype(np.int64)


def _value(bits: int, dtype: np.dtype[Any]) -> float:
    return float(np.array([bits], dtype=f"i{dtype.itemsize}").view(dtype)[0])
