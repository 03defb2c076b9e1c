"""The measure of one layer: every set, number of units and draw, the images' sums and their distances."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from differentia.definition import Differentiation, evaluate
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
from differentia.memory import freed_memory_kept
from differentia.responses import Responses
from differentia.tiles import PRECISION

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
        Of each response and its squares, over the units of draw 0 at the largest number of units.
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
        with (
            freed_memory_kept(),
            ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as threads,
        ):
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
    drawn = responses.all_drawn(layer, counts, draws)
    # The largest choice first: of that, more is wanted.
    choices = [
        _Choice(used, draw, columns)
        for used, of_draws in drawn.items()
        for draw, columns in enumerate(of_draws)
    ]
    work = _Layer(recorded, responses.sets, choices, normalize, metric, budget)
    together = {name: rows for name, rows in work.sets.items() if rows.stop - rows.start <= MOST_TOGETHER}
    across = distances and len(together) == len(work.sets)
    if together:
        work.look_at_all(together, across)
    work.look_at_the_rest()
    values = np.full((len(work.sets), len(counts), draws), np.nan)
    undefined = []
    for at_count, count in enumerate(counts):
        used = responses.units_used(layer, count)
        for draw in range(len(drawn[used])):
            for at_set, (name, rows) in enumerate(work.sets.items()):
                value, reason, response = work.found[name, used, draw]
                values[at_set, at_count, draw] = value
                if reason:
                    image = None if response is None else responses.images[rows.start + response].name
                    culprit = "it" if image is None else f"the response to image {image!r}"
                    undefined.append(Undefined(layer.name, name, count, draw, f"{culprit} {reason}"))
    return LayerMeasures(
        values, work.sums, work.square_sums, work.distances() if distances else None, undefined
    )


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
