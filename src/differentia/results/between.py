"""How far images of two sets lie from each other, against those within each: values, limits, and tests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import combinations
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import stdtrit

from differentia.errors import InputError, require_known
from differentia.results.across import p_of_permuted
from differentia.results.confidence import LEAST_IMAGES, WINDOWS, freedom_of
from differentia.results.contrasts import MOST_SETS
from differentia.results.dataset import units_at_hand
from differentia.results.doubts import doubts
from differentia.results.intervals import side_by_side
from differentia.results.references import compared_sets
from differentia.results.summaries import rows_by_set
from differentia.system.random import generator_of

if TYPE_CHECKING:
    import xarray as xr

#: How often images are permuted between two sets.
PERMUTATIONS = 999

#: What is known of each pair of sets and each layer; the last four of chosen pairs only.
BETWEEN_VALUES = (
    *("between", "within_first", "within_second", "excess"),
    *("excess_low", "excess_high", "p", "p_corrected"),
)

#: What rounding leaves of the variance of equal responses is no variance.
_ROUNDING = 1e-13


class Compared(NamedTuple):
    """Pairs of sets, and their values (pair, layer)."""

    first: list[str]
    second: list[str]
    values: dict[str, Float[np.ndarray, "pair layer"]]


def default_pairs(result: xr.Dataset) -> list[tuple[str, str]]:
    """Return every two sets beside the references, or one and its reference; none where there are many."""
    chosen = compared_sets(result)
    return list(combinations(chosen, 2)) if len(chosen) <= MOST_SETS else []


def named_pairs(result: xr.Dataset, pairs: Any) -> list[tuple[str, str]]:
    """Return pairs of sets as a user names them, in the order of the sets, or raise an error."""
    if isinstance(pairs, str) or not isinstance(pairs, Sequence):
        raise InputError(f"pairs is {pairs!r}; expected pairs of sets' names, such as [('cats', 'dogs')]")
    names = list(rows_by_set(result))
    found = []
    for pair in pairs:
        if isinstance(pair, str) or not isinstance(pair, Sequence) or len(pair) != 2:
            raise InputError(
                f"pairs holds {pair!r}; expected the names of two sets, such as ('cats', 'dogs')"
            )
        for name in map(str, pair):
            require_known("set", name, names)
        if pair[0] == pair[1]:
            raise InputError(f"both sets are {pair[0]!r}; name two different sets to compare")
        first, second = sorted(map(str, pair), key=names.index)
        found.append((first, second))
    return list(dict.fromkeys(found))


def between_sets(
    result: xr.Dataset, tested: Sequence[tuple[str, str]], confidence: float, *, known: bool
) -> Compared:
    """Return the values of every two sets, and of some pairs the limits and p; NaN where nothing is known."""
    rows = rows_by_set(result)
    pairs = list(combinations(rows, 2))
    shape = len(pairs), result.sizes["layer"]
    values = {name: np.full(shape, np.nan) for name in BETWEEN_VALUES}
    if known and pairs:
        sets = _Sets(result)
        values |= sets.medians()
        places = {pair: place for place, pair in enumerate(pairs)}
        for pair in tested:
            for name, of_pair in sets.tested(*pair, confidence).items():
                values[name][places[pair]] = of_pair
    return Compared([one for one, _ in pairs], [other for _, other in pairs], values)


class _Sets:
    """The distances of a result's images, and what they are divided by for two sets together."""

    def __init__(self, result: xr.Dataset) -> None:
        self._rows = rows_by_set(result)
        self._distances = result["distance"].values
        self._sums, self._square_sums = (
            np.stack([result[name].values[rows].sum(axis=0) for rows in self._rows.values()])
            for name in ("image_sum", "image_sumsq")
        )
        self._image_sums, self._image_square_sums = result["image_sum"].values, result["image_sumsq"].values
        self._n_units = units_at_hand(result).values.astype(np.float64)
        self._divided = result.attrs["normalize"] == "layer"
        found = doubts(result).sel(n_units=result["n_units"].max()).values
        self._doubted, self._dependent = found != "", found == WINDOWS
        self._content = _contents(result)
        self._seed = result.attrs["seed"]

    def units(self, one: Int[np.ndarray, " p"], other: Int[np.ndarray, " p"]) -> Float[np.ndarray, "p layer"]:
        """Return what distances of pairs of sets, by place, are divided by; NaN where nothing varies."""
        counts = np.array([len(rows) for rows in self._rows.values()])
        entries = (counts[one] + counts[other])[:, np.newaxis] * self._n_units
        mean = (self._sums[one] + self._sums[other]) / entries
        mean_square = (self._square_sums[one] + self._square_sums[other]) / entries
        variance = mean_square - mean**2
        varies = variance > _ROUNDING * mean_square
        sigma = np.sqrt(np.where(varies, variance if self._divided else 1.0, np.nan))
        return sigma * np.sqrt(self._n_units)

    def medians(self) -> dict[str, Float[np.ndarray, "pair layer"]]:
        """Return the medians of every two sets, across and within."""
        one, other = np.triu_indices(len(self._rows), k=1)
        both = side_by_side(self._medians_of_layer, range(len(self._distances)))
        within, across = (np.stack(each, axis=-1) for each in zip(*both, strict=True))
        units = self.units(one, other)
        found = {
            "between": across[one, other] / units,
            "within_first": within[one] / units,
            "within_second": within[other] / units,
        }
        return found | {"excess": found["between"] - (found["within_first"] + found["within_second"]) / 2}

    def _medians_of_layer(self, layer: int) -> tuple[Float[np.ndarray, " s"], Float[np.ndarray, "s s"]]:
        """Return the median distance within each set, and between every two, as they are."""
        distances, rows = self._distances[layer], list(self._rows.values())
        within = [np.median(distances[np.ix_(of, of)][np.triu_indices(len(of), k=1)]) for of in rows]
        across = np.full((len(rows), len(rows)), np.nan)
        by_size: dict[int, list[int]] = {}  # sets of one size together: there may be many pairs of small ones
        for place, of_set in enumerate(rows):
            by_size.setdefault(len(of_set), []).append(place)
        for place, of_set in enumerate(rows):
            for size, places in by_size.items():
                later = [other for other in places if other > place]
                if not later:
                    continue
                block = distances[np.ix_(of_set, np.concatenate([rows[other] for other in later]))]
                block = block.reshape(len(of_set), len(later), size).swapaxes(0, 1)
                across[place, later] = np.median(block.reshape(len(later), -1), axis=1)
        for place, other in self._sharing:
            pair = self.pair(place, other)
            across[place, other] = pair.in_layer(distances).median
        return np.array(within, dtype=np.float64), across

    @cached_property
    def _sharing(self) -> list[tuple[int, int]]:
        """The pairs of sets, by their places, that show some of the same images."""
        sets_of: dict[int, set[int]] = {}
        for place, of_set in enumerate(self._rows.values()):
            for content in self._content[of_set].tolist():
                sets_of.setdefault(content, set()).add(place)
        return sorted({pair for places in sets_of.values() for pair in combinations(sorted(places), 2)})

    def pair(self, one: int, other: int) -> _Pair:
        """Return two sets, by their places."""
        rows = list(self._rows.values())
        return _Pair(rows[one], rows[other], self._content)

    def tested(self, first: str, second: str, confidence: float) -> dict[str, Float[np.ndarray, " layer"]]:
        """Return the limits and p of two sets."""
        names = list(self._rows)
        one, other = names.index(first), names.index(second)
        pair = self.pair(one, other)
        # Neither limits nor permutations hold where images are no independent sample.
        dependent = self._dependent[[one, other]].any(axis=0)
        units = np.where(dependent, np.nan, self.units(np.array([one]), np.array([other]))[0])
        layers = range(len(self._distances))
        limits = side_by_side(partial(self._limits, (one, other), pair, units, confidence), layers)
        found = dict(zip(("excess_low", "excess_high"), np.array(limits).T, strict=True))
        labels = pair.permuted(generator_of("between", self._seed, first, second))
        statistics = np.full((len(units), PERMUTATIONS + 1), np.nan)
        if labels is not None:
            of_layers = side_by_side(
                lambda layer: pair.in_layer(self._distances[layer]).statistics(labels), layers
            )
            statistics = np.where(np.isfinite(units)[:, np.newaxis], np.array(of_layers), np.nan)
        alone, corrected = p_of_statistics(statistics)
        return found | {"p": alone, "p_corrected": corrected}

    def _limits(
        self,
        places: tuple[int, int],
        pair: _Pair,
        units: Float[np.ndarray, " layer"],
        confidence: float,
        layer: int,
    ) -> tuple[float, float]:
        """Return the limits of the excess in a layer; NaN where they are not known or can't be trusted."""
        doubted = self._doubted[list(places), layer].any()
        few = min(len(pair.one), len(pair.other)) < LEAST_IMAGES
        if doubted or few or not np.isfinite(units[layer]):
            return np.nan, np.nan
        powers = None
        if self._divided:
            means, squares = (
                sums[pair.rows, layer] / self._n_units[layer]
                for sums in (self._image_sums, self._image_square_sums)
            )
            powers = squares - 2 * means.mean() * means + means.mean() ** 2
        return pair.in_layer(self._distances[layer], float(units[layer])).limits(powers, confidence)


def p_of_statistics(
    statistics: Float[np.ndarray, "layer b"],
) -> tuple[Float[np.ndarray, " layer"], Float[np.ndarray, " layer"]]:
    """Return p of the first statistic of each layer, whose others are permuted; and that over all layers."""
    spread = statistics.std(axis=1, keepdims=True)
    scores = (statistics - statistics.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, np.nan)
    return p_of_permuted(scores[:, 0], scores[:, 1:])


def _contents(result: xr.Dataset) -> Int[np.ndarray, " image"]:
    """Return a number for each image, the same where the content is known to be the same."""
    first: dict[str, int] = {}
    hashes = result["image_hash"].values.astype(str).tolist()
    return np.array(
        [first.setdefault(of, row) if of else row for row, of in enumerate(hashes)], dtype=np.int64
    )


@dataclass(frozen=True)
class _Pair:
    """Two sets: the rows of their images, and the content of every image."""

    one: Int[np.ndarray, " n"]
    other: Int[np.ndarray, " m"]
    content: Int[np.ndarray, " image"]

    @cached_property
    def rows(self) -> Int[np.ndarray, " n_m"]:
        """Those of both sets."""
        return np.concatenate([self.one, self.other])

    @cached_property
    def images(self) -> Int[np.ndarray, " n_m"]:
        """A number for each image, the same where the content is."""
        return np.unique(self.content[self.rows], return_inverse=True)[1]

    @cached_property
    def counts(self) -> Bool[np.ndarray, "n_m n_m"]:
        """Which two images are compared: not one with itself, nor with its copy in the other set."""
        n = len(self.one)
        counts = ~np.eye(len(self.rows), dtype=bool)
        counts[:n, n:] = self.images[:n, np.newaxis] != self.images[n:]
        counts[n:, :n] = counts[:n, n:].T
        return counts

    def permuted(self, generator: np.random.Generator) -> Float[np.ndarray, "b n_m"] | None:
        """Return which images are of the first set: first as it is, then permuted; None where none can be.

        Images that both sets show stay in both.
        """
        n, images = len(self.one), self.images
        labels = (np.arange(len(images)) < n).astype(np.float64)
        alone = ~np.isin(images, np.intersect1d(images[:n], images[n:]))
        if not (alone[:n].any() and alone[n:].any()):
            return None
        found = np.tile(labels, (PERMUTATIONS + 1, 1))
        found[1:, alone] = generator.permuted(found[1:, alone], axis=1)
        return found

    def in_layer(self, distances: Float[np.ndarray, "image image"], unit: float = 1.0) -> _PairInLayer:
        """Return their distances, of those of all images, divided by a unit."""
        return _PairInLayer(
            distances[np.ix_(self.rows, self.rows)] / unit, self.counts, self.images, len(self.one)
        )


@dataclass(frozen=True)
class _PairInLayer:
    """The distances of the images of two sets in a layer, the first set's before the second's."""

    distances: Float[np.ndarray, "n_m n_m"]
    counts: Bool[np.ndarray, "n_m n_m"]
    #: The same number for images of the same content.
    images: Int[np.ndarray, " n_m"]
    n: int

    @property
    def median(self) -> float:
        """The median distance across the two sets; NaN where all their images are the same."""
        across = self.distances[: self.n, self.n :][self.counts[: self.n, self.n :]]
        return float(np.median(across)) if across.size else np.nan

    def statistics(self, labels: Float[np.ndarray, "b n_m"]) -> Float[np.ndarray, " b"]:
        """Return the mean distance across, less that within, in the mean of all; 0 where there is none.

        For each choice of the first set's images; within, it is the mean of both sets' means: half the energy
        distance (Szekely and Rizzo 2004), which finds sets that lie apart, and sets that vary differently.
        """
        distances = np.where(self.counts, self.distances, 0.0)
        mean = distances.sum() / self.counts.sum()
        if mean == 0:
            return np.zeros(len(labels))
        # How many pairs there are is always the same.
        of_pairs, counts = _sums(distances, labels), _sums(self.counts.astype(np.float64), labels[:1])
        with np.errstate(divide="ignore", invalid="ignore"):
            one, other, across = (part / counts[at] for at, part in enumerate(of_pairs))
        return np.round((across - (one + other) / 2) / mean, 12)  # so that ties are ties

    def limits(self, powers: Float[np.ndarray, " n_m"] | None, confidence: float) -> tuple[float, float]:
        """Return the limits of the excess, whose distances are divided by an SD of these mean squares."""
        first, second = slice(0, self.n), slice(self.n, None)
        one, other = self._median_of(first, first), self._median_of(second, second)
        across = self._median_of(first, second)
        excess = across.value - (one.value + other.value) / 2
        sizes = np.where(np.arange(len(self.distances)) < self.n, self.n, len(self.distances) - self.n)
        of_sigma = np.zeros(len(sizes))
        if powers is not None:
            of_sigma = excess * sizes / len(sizes) * (powers / powers.mean() - 1) / 2
        ends = []
        for side in (-1, 1):
            # The excess is larger where the median across is larger, and those within are smaller.
            within = (one.influence(-side) + other.influence(-side)) / 2
            reach = self._reach(across.influence(side) - within - of_sigma, sizes, confidence)
            ends.append(excess + side * reach)
        return float(ends[0]), float(ends[1])

    def _median_of(self, first: slice, second: slice) -> _Median:
        """Return the median of the pairs of two sets, or of one, and what it depends on."""
        distances, counts = self.distances[first, second], self.counts[first, second]
        pairs = np.sort(distances[np.triu(counts) if first == second else counts])
        near = counts & (distances <= _quantile(pairs, 0.5))
        shares = np.zeros(len(self.distances))
        with np.errstate(divide="ignore", invalid="ignore"):
            for rows, axis in ((first, 1), (second, 0)):  # a pair within a set is one of either image
                of_rows = near.sum(axis=axis) / counts.sum(axis=axis)
                shares[rows] += of_rows - of_rows.mean()
        if first == second:
            shares *= (len(counts) - 1) / (len(counts) - 2)
        of_sets = {(rows.start, rows.stop): shares[rows] for rows in (first, second)}.values()
        error = float(np.sqrt(sum(one.var(ddof=1) / len(one) for one in of_sets)))
        return _Median(pairs, shares, error)

    def _reach(
        self, influence: Float[np.ndarray, " n_m"], sizes: Int[np.ndarray, " n_m"], confidence: float
    ) -> float:
        """Return the standard error times the quantile of t, with Welch's degrees of freedom."""
        sets = influence[: self.n], influence[self.n :]
        freedom = [freedom_of(one) for one in sets]
        shares = np.concatenate([one - one.mean() for one in sets]) / np.sqrt(sizes * (sizes - 1.0))
        error = float(np.sqrt((np.bincount(self.images, shares) ** 2).sum()))
        parts = [float((part**2).sum()) for part in (shares[: self.n], shares[self.n :])]
        below = sum(part**2 / of for part, of in zip(parts, freedom, strict=True))
        welch = sum(parts) ** 2 / below if below > 0 else min(freedom)
        return error * float(stdtrit(welch, (1 + confidence) / 2))


class _Median(NamedTuple):
    """The median of some pairs of images, and what it depends on."""

    #: Their distances, ascending.
    pairs: Float[np.ndarray, " p"]
    #: Of each image, on the share of pairs that are at most as far as the median; and its standard error.
    shares: Float[np.ndarray, " n_m"]
    error: float

    @property
    def value(self) -> float:
        return _quantile(self.pairs, 0.5)

    def influence(self, side: int) -> Float[np.ndarray, " n_m"]:
        """Return the influence of each image on the median, where that moves to one side (-1, 1)."""
        # As steeply as distances rise over one standard error of the share (Woodruff 1952).
        error = max(self.error, 1 / len(self.pairs)) if self.error >= 0 else np.nan
        end = float(np.clip(0.5 + side * error, 0.0, 1.0))
        if np.isnan(end):
            return np.full(len(self.shares), np.nan)
        slope = abs(_quantile(self.pairs, end) - self.value) / abs(end - 0.5)
        return -self.shares * slope


def _quantile(ascending: Float[np.ndarray, " p"], share: float) -> float:
    """Return a quantile of values that ascend, between the two that lie beside it."""
    place = share * (len(ascending) - 1)
    below = int(place)
    beside = ascending[[below, min(below + 1, len(ascending) - 1)]].astype(np.float64)
    return float(beside[0] + (place - below) * (beside[1] - beside[0]))


def _sums(
    pairs: Float[np.ndarray, "n n"], labels: Float[np.ndarray, "b n"]
) -> tuple[Float[np.ndarray, " b"], Float[np.ndarray, " b"], Float[np.ndarray, " b"]]:
    """Return the sums over pairs within the images that are labelled, within the others, and across."""
    products = labels @ pairs
    within = (products * labels).sum(axis=1)
    across = products.sum(axis=1) - within
    return within / 2, (float(pairs.sum()) - within) / 2 - across, across
