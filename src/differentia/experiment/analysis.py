"""The measure of one layer: every set, number of units and draw, the images' sums and their distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.distance import squareform

from differentia.definition.deviations import Deviations, deviations
from differentia.definition.grams import Grams, readings
from differentia.definition.matrix import Part, ResponseMatrix, Rows, at_hand
from differentia.definition.measure import (
    METRICS,
    Differentiation,
    evaluate,
    gives_the_same,
    is_raw_euclidean,
    pair_distances,
)
from differentia.definition.pairs import PRECISION, SquaresAndScales, squared_euclidean, sum_differences
from differentia.experiment.folding import Centred, Folded, folding
from differentia.experiment.options import MeasureOptions
from differentia.networks.layers import Layer
from differentia.recording.responses import Moments, Responses
from differentia.recording.units import unit_kind
from differentia.results.confidence import Confidence, Sample
from differentia.system.tasks import Workers

#: The largest number of responses of a set whose inner products are held as a whole.
MOST_TOGETHER = 2048


class Choice(NamedTuple):
    """The units that one draw looks at."""

    used: int
    draw: int
    columns: Int[np.ndarray, " k"]


class Looked(NamedTuple):
    """What was found of a layer, by (set, units used, draw) and by (set, units used)."""

    found: dict[tuple[str, int, int], Differentiation]
    sums: Float[np.ndarray, " image"]
    square_sums: Float[np.ndarray, " image"]
    distances: Float[np.ndarray, "image image"] | None
    confidences: dict[tuple[str, int], Confidence]
    #: Units that count as constant, since only rounding moves them, where each is divided by its SD.
    rounded: int = 0


#: The mean of each response over its units, and that of its squares.
_Moments = tuple[Float[np.ndarray, " n"], Float[np.ndarray, " n"]]


@dataclass(frozen=True)
class Portion:
    """Some sets of a layer, and what is measured of them: all of it small, where responses are on disk."""

    layer: Layer
    recorded: ResponseMatrix  # the responses to these sets
    sets: Mapping[str, slice]
    pool: int
    unit_kind: str
    seed: int
    counts: Sequence[int]
    options: MeasureOptions
    distances: bool
    budget: int
    moments: Moments | None = None  # of the layer
    scale: Deviations | None = None  # of all units, where it was found elsewhere
    #: Some of the choices of units; None for all.
    some: slice | None = None
    workers: Workers | None = None

    @classmethod
    def of(
        cls,
        responses: Responses,
        layer: Layer,
        counts: Sequence[int],
        options: MeasureOptions,
        *,
        distances: bool,
        budget: int,
    ) -> Portion:
        """Return all sets of a layer."""
        at, moments = responses.layers.index(layer), responses.moments
        if moments is not None:
            moments = Moments(moments.mean[:, [at]], moments.variance[:, [at]])
        return cls(
            layer,
            responses.values[layer.name],
            responses.sets,
            len(responses.units[layer.name]),
            responses.unit_kind,
            responses.seed,
            counts,
            options,
            distances,
            budget,
            moments if unit_kind(responses.unit_kind).sketched else None,
        )

    def look(self) -> Looked:
        """Measure it."""
        if unit_kind(self.unit_kind).sketched:
            sketches = _Sketches(
                self.drawn_from, self.layer, self.recorded, self.sets, self.options.normalize, self.budget
            )
            return sketches.look(self.counts, self.options.draws, self.distances)
        normalize, metric = self.options.normalize, self.options.metric
        work = _Layer(self.recorded, self.sets, self.choices(), normalize, metric, self.budget)
        work.scale, work.workers = self.scale, self.workers
        return work.look(self.distances)

    @property
    def drawn_from(self) -> Responses:
        """Responses to no images: they tell how units are drawn."""
        units = {self.layer.name: np.arange(self.pool)}
        return Responses((self.layer,), (), {}, units, self.unit_kind, self.seed, moments=self.moments)

    def choices(self) -> list[Choice]:
        """Return the units that are looked at: the largest number of them first, of which more is wanted."""
        drawn = self.drawn_from.all_drawn(self.layer, self.counts, self.options.draws).items()
        choices = [Choice(used, draw, units) for used, each in drawn for draw, units in enumerate(each)]
        return choices if self.some is None else choices[self.some]


@dataclass
class _Layer:
    """The measures of a layer as they are found."""

    recorded: ResponseMatrix
    sets: Mapping[str, slice]
    choices: Sequence[Choice]
    normalize: str
    metric: str
    budget: int
    #: Of each unit, over the responses of all sets of the layer; None where it is yet to be found.
    scale: Deviations | None = None
    #: Who does what takes long; then what is read is at hand nowhere.
    workers: Workers | None = None
    #: Of all units, where those at hand stand for them.
    moments: _Moments | None = None
    found: dict[tuple[str, int, int], Differentiation] = field(default_factory=dict)
    confidences: dict[tuple[str, int], Confidence] = field(default_factory=dict)
    sums: Float[np.ndarray, " image"] = field(init=False)
    square_sums: Float[np.ndarray, " image"] = field(init=False)
    _squares: SquaresAndScales | None = None  # of all images

    def __post_init__(self) -> None:
        self.sums, self.square_sums = (np.full(self.recorded.shape[0], np.nan) for _ in range(2))

    def look(self, distances: bool) -> Looked:
        """Return the measure of every set and choice, and the sums and distances over the first choice."""
        together = {name: rows for name, rows in self.sets.items() if rows.stop - rows.start <= MOST_TOGETHER}
        if together:
            self.look_at_all(together, distances and len(together) == len(self.sets))
        self.look_at_the_rest()
        of_images = self.distances() if distances else None
        rounded = 0 if self.scale is None else self.scale.rounded
        return Looked(self.found, self.sums, self.square_sums, of_images, self.confidences, rounded)

    @property
    def _dtype(self) -> str:
        """Of products that lose nothing of the responses."""
        return "float32" if np.can_cast(self.recorded.dtype, np.float32) else "float64"

    def look_at_all(self, sets: Mapping[str, slice], across: bool) -> None:
        """Find what inner products tell: sums, distances, and the Euclidean measure where it is safe."""
        told = is_raw_euclidean(self.normalize, self.metric)
        choices = self.choices if told else self.choices[:1]
        columns = [choice.columns for choice in choices]
        each = readings(self.recorded, sets, columns, dtype=self._dtype, across=across)
        for number, reading in enumerate(each):
            for name, (some, grams) in reading.grams.items():
                if number == 0 and grams.safe()[0]:
                    self.sums[sets[name]], self.square_sums[sets[name]] = reading.sums[name]
                values = grams.differentiation(self.normalize) if told else []
                for at, (choice, value) in enumerate(zip(choices[some], values, strict=told)):
                    if value is not None:
                        self.found[name, choice.used, choice.draw] = Differentiation(value)
                        if choice.draw == 0:
                            self.look_at_errors(name, choice, *_of_grams(grams, at))
            if reading.across is not None:
                self._squares = reading.across

    def look_at_the_rest(self) -> None:
        """Find each value that was not found by evaluating it by itself."""
        if self.scale is None and self.normalize == "unit":
            self.scale = deviations(self.recorded)
        scale = None if self.scale is None else self.scale.sd
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
            near, budget, columns = self.recorded, self.budget, np.arange(self.recorded.shape[1])
            if not isinstance(near, np.ndarray) and self.workers is None:
                columns = np.unique(np.concatenate([choice.columns for _, choice in left]))
                near, budget = at_hand(Part(near, slice(0, near.shape[0]), columns), budget)
            for name, choice in left:
                places = np.searchsorted(columns, choice.columns)
                part = Part(near, self.sets[name], places)
                self.evaluate(name, choice, part, budget, None if scale is None else scale[choice.columns])
        for rows in self.sets.values():
            if not np.isfinite(self.sums[rows]).all():
                first = self._first(rows)
                self.sums[rows] = first.means() * first.n_units
                self.square_sums[rows] = first.square_sums()

    def evaluate(
        self,
        name: str,
        choice: Choice,
        part: Part,
        budget: int,
        scale: Float[np.ndarray, " k"] | None,
    ) -> None:
        """Find the value of one set and choice by itself, and how well it is known."""
        responses = part if self.workers else at_hand(part, budget)[0]
        how: dict[str, Any] = {"normalize": self.normalize, "metric": self.metric, "scale": scale}
        self.found[name, choice.used, choice.draw] = evaluate(responses, **how, workers=self.workers)
        if choice.draw == 0 and responses.shape[0] <= MOST_TOGETHER:
            of_pairs = pair_distances(responses, **how)
            if of_pairs is not None:
                self.look_at_errors(name, choice, squareform(of_pairs), _moments(responses))

    def look_at_errors(
        self, name: str, choice: Choice, distances: Float[np.ndarray, "n n"], moments: _Moments
    ) -> None:
        """Find how well a value is known, from distances and, where an SD divides them, from moments."""
        divided = self.normalize == "layer" and METRICS[self.metric].in_units
        if self.moments is not None:
            moments, divided = (self.moments[0][self.sets[name]], self.moments[1][self.sets[name]]), True
        confidence = Sample(distances, *(moments if divided else ())).confidence()
        if confidence is not None:
            self.confidences[name, choice.used] = confidence

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
        if self._squares is None or not all(np.isfinite(array).all() for array in self._squares):
            return None
        squares, scales = self._squares
        precision = PRECISION[self._dtype]
        doubtful = (squares < precision.doubtful * scales) | (squares < precision.safe[0])
        first, second = np.nonzero(np.triu(doubtful, k=1))
        if len(first) > len(squares):
            return None
        distances = np.triu(np.sqrt(squares).astype(np.float32), k=1)
        distances += distances.T
        if len(first):
            exact = np.sqrt(sum_differences(self._first(slice(0, len(squares))), first, second))
            distances[first, second] = distances[second, first] = exact
        return distances

    def _first(self, rows: slice) -> Rows:
        """Return some responses over the first choice, which draw 0 of most units looks at."""
        part = Part(self.recorded, rows, self.choices[0].columns)
        return Rows(part if self.workers else at_hand(part, self.budget)[0], workers=self.workers)


def _of_grams(grams: Grams, choice: int) -> tuple[Float[np.ndarray, "n n"], _Moments]:
    """Return the distances of a set's responses over one choice of units, and their moments."""
    of_set = np.arange(grams.n_responses)
    squares, _ = grams.squares(of_set[:, np.newaxis], of_set, choices=choice)
    k = grams.n_units[choice]
    return np.sqrt(np.maximum(squares, 0.0)), (grams.sums[choice] / k, grams.square_sums[choice] / k)


def _moments(responses: ResponseMatrix) -> _Moments:
    """Return the moments of responses less the mean of all, so that nothing cancels."""
    rows = Rows(responses)
    rows = rows.minus(float(rows.means().mean()))
    return rows.means(), rows.square_sums() / rows.n_units


@dataclass
class _Sketches:
    """The measures of a layer by draws of its sketch; by all units where as many numbers are asked for."""

    responses: Responses
    layer: Layer
    recorded: ResponseMatrix
    sets: Mapping[str, slice]
    normalize: str
    budget: int

    def look(self, counts: Sequence[int], draws: int, distances: bool) -> Looked:
        """Return the measure of every set, number and draw, and what `_Layer` gives of the first number."""
        looked: list[Looked] = []
        for count in sorted({self.responses.units_used(self.layer, count) for count in counts}, reverse=True):
            if count == self.layer.size:
                whole = Choice(count, 0, np.arange(count))
                looked.append(self._layer(self.recorded, whole, self.normalize, self.budget).look(distances))
                continue
            centred, budget = self._centred
            for draw in range(draws if count < self.recorded.shape[1] else 1):
                fold = folding(self.layer.name, centred.shape[1], count, draw, seed=self.responses.seed)
                folded, left = at_hand(Folded(centred, fold), budget)
                work = self._layer(folded, Choice(count, draw, np.arange(count)), "none", left)
                if self.normalize == "layer":
                    mean, variance = self._moments
                    work.moments = mean, variance + mean**2
                looked.append(self._scaled(work.look(distances and not looked), folded))
        mean, variance = self._moments
        return looked[0]._replace(
            found={key: value for each in looked for key, value in each.found.items()},
            confidences={key: value for each in looked for key, value in each.confidences.items()},
            sums=mean * self.layer.size,
            square_sums=(variance + mean**2) * self.layer.size,
        )

    def _layer(self, values: ResponseMatrix, choice: Choice, normalize: str, budget: int) -> _Layer:
        return _Layer(values, self.sets, [choice], normalize, "euclidean", budget)

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
        return _spreads(self._centred[0], self.sets)

    def _scaled(self, looked: Looked, folded: ResponseMatrix) -> Looked:
        """Return what was found by few numbers, ``|z_i - z_j| / sqrt(count)``, as what it stands for.

        In each set distances are scaled so that their mean square is that by all that was kept. A draw makes
        most of its error in all pairs alike, and so it is nearly halved.
        """
        mean, variance = self._moments
        scales = {
            name: np.sqrt(self._spreads[name] / spread) if spread else 0.0
            for name, spread in _spreads(folded, self.sets).items()
        }
        found = {}
        for (name, count, draw), (value, constant, _) in looked.found.items():
            rows = self.sets[name]
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
            for name, rows in self.sets.items():
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
