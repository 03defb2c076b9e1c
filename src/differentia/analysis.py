"""The measure of one layer: every set, number of units and draw, the images' sums and their distances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from differentia.definition import Differentiation, evaluate, gives_the_same
from differentia.distances import (
    Part,
    ResponseMatrix,
    Rows,
    at_hand,
    squared_euclidean,
    sum_differences,
)
from differentia.grams import SAFE_SQUARES, SquaresAndScales, passes
from differentia.layers import Layer
from differentia.responses import Responses
from differentia.sketches import Centred, Folded, folding
from differentia.tiles import PRECISION
from differentia.units import unit_kind

#: Responses of a set at most whose inner products are held as a whole.
MOST_TOGETHER = 2048

#: Bytes that the measuring of a layer takes, beside what is read of the disk.
OF_A_LAYER = 2**27


class Undefined(NamedTuple):
    """A value that the measure does not have, and why."""

    layer: str
    set: str
    n_units: int
    draw: int
    reason: str


class LayerMeasures(NamedTuple):
    """What is measured of one layer.

    Attributes
    ----------
    values : (n_sets, n_counts, n_draws)
        The differentiation; NaN where there is no such draw, or no value.
    sums, square_sums : (n_images,)
        Of each response and its squares, over the units of draw 0 at the largest number of units; of sketches
        over all units.
    distances : (n_images, n_images) or None
        Euclidean, over the same units; None where they were not asked for.
    undefined
        Values that are NaN, though there is such a draw.
    """

    values: Float[np.ndarray, "set n draw"]
    sums: Float[np.ndarray, " image"]
    square_sums: Float[np.ndarray, " image"]
    distances: Float[np.ndarray, "image image"] | None
    undefined: list[Undefined]


class _Choice(NamedTuple):
    """The units that one draw looks at."""

    used: int
    draw: int
    columns: Int[np.ndarray, " k"]


def measure_layers(
    responses: Responses,
    counts: Sequence[int],
    draws: int,
    *,
    normalize: str,
    metric: str,
    distances: bool,
    budget: int,
) -> Iterator[LayerMeasures]:
    """Measure every layer, and yield what was measured in the order of the layers.

    Each core has a layer of its own: cores that share the small products of one layer wait for each other,
    and long where another program keeps one of them.

    Parameters
    ----------
    responses
        What was recorded.
    counts
        Numbers of units, ascending.
    draws
        Draws of units at each number.
    normalize, metric
        As for `differentia.differentiation`.
    distances
        Whether those of all images are wanted.
    budget
        Bytes that may be taken for what is read of responses on disk.
    """
    import torch  # here, because it takes a second to import

    cores = torch.get_num_threads()
    workers = max(1, min(cores, len(responses.layers), budget // OF_A_LAYER))
    measure = partial(
        _measure_layer,
        responses,
        counts=counts,
        draws=draws,
        normalize=normalize,
        metric=metric,
        distances=distances,
        budget=budget // workers,
    )
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as threads:
            yield from threads.map(measure, responses.layers)
    finally:
        torch.set_num_threads(cores)  # also of threads to come


def _measure_layer(
    responses: Responses,
    layer: Layer,
    *,
    counts: Sequence[int],
    draws: int,
    normalize: str,
    metric: str,
    distances: bool,
    budget: int,
) -> LayerMeasures:
    recorded, budget = at_hand(responses.values[layer.name], budget)
    if unit_kind(responses.unit_kind).sketched:
        used = {responses.units_used(layer, count) for count in counts}
        sketches = _Sketches(responses, layer, recorded, normalize, budget)
        found, sums, square_sums, apart = sketches.look(sorted(used, reverse=True), draws, distances)
    else:
        drawn = responses.all_drawn(layer, counts, draws)
        # The largest choice first: of that, more is wanted.
        choices = [
            _Choice(used, draw, columns)
            for used, of_draws in drawn.items()
            for draw, columns in enumerate(of_draws)
        ]
        work = _Layer(recorded, responses.sets, choices, normalize, metric, budget)
        found, sums, square_sums, apart = work.look(distances)
    values = np.full((len(responses.sets), len(counts), draws), np.nan)
    undefined = []
    for at_count, count in enumerate(counts):
        for draw in range(draws):
            for at_set, (name, rows) in enumerate(responses.sets.items()):
                measured = found.get((name, responses.units_used(layer, count), draw))
                if measured is None:  # there is no such draw
                    continue
                value, reason, response = measured
                values[at_set, at_count, draw] = value
                if reason:
                    image = None if response is None else responses.images[rows.start + response].name
                    culprit = "it" if image is None else f"the response to image {image!r}"
                    undefined.append(Undefined(layer.name, name, count, draw, f"{culprit} {reason}"))
    return LayerMeasures(values, sums, square_sums, apart, undefined)


class _Looked(NamedTuple):
    """What was found of a layer: values by (set, units used, draw), and what `LayerMeasures` says."""

    found: dict[tuple[str, int, int], Differentiation]
    sums: Float[np.ndarray, " image"]
    square_sums: Float[np.ndarray, " image"]
    distances: Float[np.ndarray, "image image"] | None


@dataclass
class _Layer:
    """The measures of a layer as they are found."""

    recorded: ResponseMatrix
    sets: Mapping[str, slice]
    choices: Sequence[_Choice]
    normalize: str
    metric: str
    budget: int
    found: dict[tuple[str, int, int], Differentiation] = field(default_factory=dict)
    sums: Float[np.ndarray, " image"] = field(init=False)
    square_sums: Float[np.ndarray, " image"] = field(init=False)
    _squares: dict[tuple[str, str], SquaresAndScales] | None = None

    def __post_init__(self) -> None:
        self.sums, self.square_sums = (np.full(self.recorded.shape[0], np.nan) for _ in range(2))

    def look(self, distances: bool) -> _Looked:
        """Return the measure of every set and choice, and the sums and distances over the first choice."""
        together = {name: rows for name, rows in self.sets.items() if rows.stop - rows.start <= MOST_TOGETHER}
        if together:
            self.look_at_all(together, distances and len(together) == len(self.sets))
        self.look_at_the_rest()
        return _Looked(self.found, self.sums, self.square_sums, self.distances() if distances else None)

    @property
    def _dtype(self) -> str:
        """Of products that lose nothing of the responses."""
        return "float32" if np.can_cast(self.recorded.dtype, np.float32) else "float64"

    def look_at_all(self, sets: Mapping[str, slice], across: bool) -> None:
        """Find what inner products tell: sums, distances, and the Euclidean measure where it is safe."""
        euclidean = self.metric == "euclidean" and self.normalize in ("layer", "none")
        choices = self.choices if euclidean else self.choices[:1]
        columns = [choice.columns for choice in choices]
        reading = passes(self.recorded, sets, columns, dtype=self._dtype, across=across)
        for number, of_pass in enumerate(reading):
            for name, (some, grams) in of_pass.grams.items():
                if number == 0 and grams.safe()[0]:
                    self.sums[sets[name]], self.square_sums[sets[name]] = of_pass.sums[name]
                if euclidean:
                    values = grams.differentiation(self.normalize)
                    for choice, value in zip(choices[some], values, strict=True):
                        if value is not None:
                            self.found[name, choice.used, choice.draw] = Differentiation(value)
            if number == 0 and across:
                of_sets = {(name, name): grams.squares_of(0) for name, (_, grams) in of_pass.grams.items()}
                self._squares = of_sets | of_pass.across

    def look_at_the_rest(self) -> None:
        """Find each value that was not found by evaluating it by itself."""
        scale = _pooled_sd(self.recorded) if self.normalize == "unit" else None
        for used in dict.fromkeys(choice.used for choice in self.choices):
            left = [
                (name, choice)
                for choice in self.choices
                for name in self.sets
                if choice.used == used and (name, used, choice.draw) not in self.found
            ]
            if not left:
                continue
            # One reading for all draws, or else one for each.
            columns = _all_columns([choice for _, choice in left], self.recorded.shape[1])
            near, budget = self.recorded, self.budget
            if isinstance(near, np.ndarray):
                columns = np.arange(near.shape[1])
            else:
                near, budget = at_hand(Part(near, slice(0, near.shape[0]), columns), budget)
            for name, choice in left:
                places = np.searchsorted(columns, choice.columns)
                self.found[name, used, choice.draw] = evaluate(
                    at_hand(Part(near, self.sets[name], places), budget)[0],
                    normalize=self.normalize,
                    metric=self.metric,
                    scale=None if scale is None else scale[choice.columns],
                )
        for rows in self.sets.values():
            if not np.isfinite(self.sums[rows]).all():
                first = self._first(rows)
                self.sums[rows] = first.means() * first.n_units
                self.square_sums[rows] = first.square_sums()

    def distances(self) -> Float[np.ndarray, "image image"]:
        """Return the Euclidean distances of all images over the first choice."""
        distances = self._distances_from_products()
        if distances is None:
            n = self.recorded.shape[0]
            distances = np.zeros((n, n), dtype=np.float32)
            pairs = np.triu_indices(n, k=1)
            distances[pairs] = np.sqrt(squared_euclidean(self._first(slice(0, n))))
            distances += distances.T
        return distances

    @np.errstate(invalid="ignore")  # what is negative is in doubt
    def _distances_from_products(self) -> Float[np.ndarray, "image image"] | None:
        """Return the distances, those in doubt from differences; None where nearly all would be."""
        if self._squares is None:
            return None
        n = self.recorded.shape[0]
        least, share = SAFE_SQUARES[self._dtype][0], PRECISION[self._dtype].doubtful
        distances = np.empty((n, n), dtype=np.float32)
        in_doubt = []
        for (one, other), (squares, scales) in self._squares.items():
            if not (np.isfinite(squares).all() and np.isfinite(scales).all()):
                return None
            rows, columns = self.sets[one], self.sets[other]
            doubtful = (squares < share * scales) | (squares < least)
            of_sets = np.sqrt(squares).astype(np.float32)
            if one == other:
                doubtful, of_sets = np.triu(doubtful, k=1), np.triu(of_sets, k=1)
                of_sets = of_sets + of_sets.T
            in_doubt.append(np.add(np.argwhere(doubtful), (rows.start, columns.start)))
            distances[rows, columns] = of_sets
            if one != other:
                distances[columns, rows] = of_sets.T
        first, second = np.concatenate(in_doubt).T
        if len(first) > n:
            return None
        if len(first):
            exact = np.sqrt(sum_differences(self._first(slice(0, n)), first, second))
            distances[first, second] = distances[second, first] = exact
        return distances

    def _first(self, rows: slice) -> Rows:
        """Return some responses over the first choice, which draw 0 of most units looks at."""
        return Rows(at_hand(Part(self.recorded, rows, self.choices[0].columns), self.budget)[0])


@dataclass
class _Sketches:
    """The measures of a layer by draws of its sketch; by all units where as many numbers are asked for."""

    responses: Responses
    layer: Layer
    recorded: ResponseMatrix
    normalize: str
    budget: int

    def look(self, counts: Sequence[int], draws: int, distances: bool) -> _Looked:
        """Return the measure of every set, number and draw, and what `_Layer` gives of the first number."""
        looked: list[_Looked] = []
        for count in counts:
            if count == self.layer.size:
                whole = _Choice(count, 0, np.arange(count))
                looked.append(self._layer(self.recorded, whole, self.normalize, self.budget).look(distances))
                continue
            centred, budget = self._centred
            for draw in range(draws if count < self.recorded.shape[1] else 1):
                fold = folding(self.layer.name, centred.shape[1], count, draw, seed=self.responses.seed)
                folded, left = at_hand(Folded(centred, fold), budget)
                work = self._layer(folded, _Choice(count, draw, np.arange(count)), "none", left)
                looked.append(self._scaled(work.look(distances and not looked), folded))
        mean, variance = self._moments
        return looked[0]._replace(
            found={key: value for each in looked for key, value in each.found.items()},
            sums=mean * self.layer.size,
            square_sums=(variance + mean**2) * self.layer.size,
        )

    def _layer(self, values: ResponseMatrix, choice: _Choice, normalize: str, budget: int) -> _Layer:
        return _Layer(values, self.responses.sets, [choice], normalize, "euclidean", budget)

    @cached_property
    def _centred(self) -> tuple[ResponseMatrix, int]:
        """What was kept minus its mean, in memory where that fits, and what is left of the budget."""
        centred = Centred.of(self.recorded)
        n, width = centred.shape
        needed = n * width * centred.dtype.itemsize
        return (centred, self.budget) if needed > self.budget else (centred[:, :], self.budget - needed)

    @cached_property
    def _moments(self) -> tuple[Float[np.ndarray, " image"], Float[np.ndarray, " image"]]:
        """The mean and variance over all units of the layer, of each image."""
        assert self.responses.moments is not None, "which are kept with every sketch"
        at = self.responses.layers.index(self.layer)
        return self.responses.moments.mean[:, at], self.responses.moments.variance[:, at]

    @cached_property
    def _spreads(self) -> dict[str, float]:
        """The sum of squared distances from each set's mean, by all that was kept."""
        return _spreads(self._centred[0], self.responses.sets)

    def _scaled(self, looked: _Looked, folded: ResponseMatrix) -> _Looked:
        """Return what was found by few numbers, ``|z_i - z_j| / sqrt(count)``, as what it stands for.

        In each set distances are scaled so that their mean square is that by all that was kept. A draw makes
        most of its error in all pairs alike, and so it is nearly halved.
        """
        mean, variance = self._moments
        scales = {
            name: np.sqrt(self._spreads[name] / spread) if spread else 0.0
            for name, spread in _spreads(folded, self.responses.sets).items()
        }
        found = {}
        for (name, count, draw), (value, constant, _) in looked.found.items():
            rows = self.responses.sets[name]
            if not variance[rows].any() and (mean[rows] == mean[rows.start]).all():
                found[name, count, draw] = Differentiation(np.nan, gives_the_same(mean[rows.start]))
                continue
            if constant:  # of what was centred: all responses are the same
                value = 0.0
            value *= scales[name] * np.sqrt(count / self.layer.size)
            if self.normalize == "layer":
                value /= np.sqrt(variance[rows].mean() + mean[rows].var())
            found[name, count, draw] = Differentiation(float(value))
        distances = looked.distances
        if distances is not None:
            of_images = np.zeros(len(distances), dtype=np.float32)
            for name, rows in self.responses.sets.items():
                of_images[rows] = np.sqrt(scales[name])
            distances = distances * of_images * of_images[:, np.newaxis]
        return looked._replace(found=found, distances=distances)


def _spreads(values: ResponseMatrix, sets: Mapping[str, slice]) -> dict[str, float]:
    """Return the sum of squared distances of the responses to each set from their mean."""
    sums = dict.fromkeys(sets, 0.0)
    for block in Rows(values).blocks():
        for name, rows in sets.items():
            sums[name] += float(np.square(block[rows] - block[rows].mean(axis=0)).sum())
    return sums


def _all_columns(choices: Sequence[_Choice], pool_size: int) -> Int[np.ndarray, " columns"]:
    looked_at = np.zeros(pool_size, dtype=bool)
    for choice in choices:
        looked_at[choice.columns] = True
    return np.flatnonzero(looked_at)


def _pooled_sd(values: ResponseMatrix) -> Float[np.ndarray, " k"]:
    """Return each unit's population SD over the responses of all sets; exactly 0 where it is constant."""
    of_blocks = []
    for block in Rows(values).blocks():
        sd = block.std(axis=0)
        sd[block.max(axis=0) == block.min(axis=0)] = 0.0
        of_blocks.append(sd)
    return np.concatenate(of_blocks)
