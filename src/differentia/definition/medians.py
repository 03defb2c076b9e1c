"""The exact median over all pairs, of many responses in bounded memory.

Of many the pairs of a random sample of the responses tell between which values the median is to be found. One
pass over all pairs counts those below, and how often each value between occurs: float32 has so few numbers
there that they can all be counted. Where the median is not between, or too many numbers are, the pass is
repeated with what it told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from differentia.definition.tiles import SIDE, Tiles, all_bands
from differentia.system.random import fixed_generator

#: Responses whose pairs tell where the median is.
SAMPLE = 1024

#: Standard errors of the sample's median, on each side: it is missed once in 100,000 times.
MARGIN = 4.5

#: Values that are counted one by one, or in equal parts: an octave of float32.
MOST_COUNTED = 2**23


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

    def find(self, rank: int, highest: int) -> tuple[int, int]:
        """Return the lowest and highest bits that the value of a rank, from 0, may have; `highest` of any."""
        if rank < self.below:
            return 0, self.lowest - 1
        at = int(np.searchsorted(self.below + np.cumsum(self._counts), rank, side="right"))
        if at == len(self._counts):
            return self.highest + 1, highest
        start = self.lowest + (at << self._shift)
        return start, min(start + (1 << self._shift) - 1, self.highest)


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
    n = tiles.n_responses
    few = n <= SIDE
    sample = np.arange(n) if few else np.sort(fixed_generator().permutation(n)[:SAMPLE])
    of_sample = tiles if few else tiles.of(sample)
    whole = slice(0, len(sample))
    tile = np.concatenate([band.values for band in of_sample.bands(whole, whole)])
    above = np.isfinite(tile)
    values = np.maximum(tile[above], 0)
    pairs, margin = len(values), 0.0
    if not few:
        # Pairs that share a response go together: the variance of a U-statistic (Hoeffding 1948).
        below = above & (tile < np.median(values))
        shares = (below.sum(axis=0) + below.sum(axis=1)) / (len(sample) - 1)
        margin = MARGIN * math.sqrt(4 * shares.var() / len(sample) + 0.25 / pairs)
    start = max(0, math.floor((0.5 - margin) * (pairs - 1)))
    stop = min(pairs - 1, math.ceil((0.5 + margin) * (pairs - 1)))
    values.partition([start, stop])
    lowest, highest = _bits(values[[start, stop]])
    return int(lowest), int(highest)


def _count_pairs(tiles: Tiles, brackets: list[Bracket]) -> None:
    """Count all pairs; those that may lie within a bracket are looked at one by one."""
    lowest = min(_value(bracket.lowest, tiles.dtype) for bracket in brackets)
    highest = max(_value(bracket.highest, tiles.dtype) for bracket in brackets)
    for tile in all_bands(tiles):
        surely_below = tile.values < lowest - tile.error
        between = tile.values <= highest + tile.error
        between &= ~surely_below
        below = int(np.count_nonzero(surely_below))
        for bracket in brackets:
            bracket.below += below
        places = np.flatnonzero(between)
        first, second = np.divmod(places, tile.values.shape[1])
        values = tile.values.reshape(-1)[places]
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
