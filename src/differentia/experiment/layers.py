"""All layers measured: several at once, on threads here or in tasks elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import product
from threading import Barrier
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float

from differentia.definition.deviations import deviations
from differentia.definition.matrix import Part, at_hand
from differentia.definition.medians import MOST_OF_A_TASK
from differentia.experiment.analysis import MOST_TOGETHER, Looked, Portion
from differentia.experiment.options import MeasureOptions
from differentia.networks.layers import Layer
from differentia.recording.responses import Responses
from differentia.recording.units import unit_kind
from differentia.results.confidence import Confidence
from differentia.system.tasks import Workers
from differentia.system.turns import in_turn

#: Bytes that the measuring of a layer takes, beside what is read of the disk.
OF_A_LAYER = 2**27

#: Bytes that a task elsewhere may take for what is read of the disk.
OF_A_TASK = 2**29

#: Responses to small sets that a task looks at, unless all distances are wanted: there are then few.
RESPONSES_OF_A_TASK = 8192


class Undefined(NamedTuple):
    """A value that the measure does not have, and why."""

    layer: str
    set: str
    n_units: int
    draw: int
    reason: str


class LayerMeasures(NamedTuple):
    """What is measured of one layer."""

    #: NaN where there is no such draw, or no value.
    values: Float[np.ndarray, "set n draw"]
    #: Of each response and of its squares, over the units of draw 0 at the largest number of units; over all
    #: units where a sketch was kept.
    sums: Float[np.ndarray, " image"]
    square_sums: Float[np.ndarray, " image"]
    #: Euclidean, over the same units; None where they were not asked for.
    distances: Float[np.ndarray, "image image"] | None
    #: Values that are NaN, though there is such a draw.
    undefined: list[Undefined]
    #: Of draw 0, by set and number of units; None where they are not known.
    confidences: list[list[Confidence | None]]
    #: Units that count as constant, since only rounding moves them, where each is divided by its SD.
    rounded: int


def measure_layers(
    responses: Responses,
    counts: Sequence[int],
    options: MeasureOptions,
    *,
    distances: bool,
    budget: int,
    workers: Workers | None = None,
) -> Iterator[LayerMeasures]:
    """Measure every layer, several at once, and yield what was measured in the order of the layers.

    Numbers of units (`counts`) are ascending; `distances` says whether those of all images are wanted, and
    `budget` how many bytes may be taken for what is read of responses on disk. What `workers` measure is read
    by them, and is the same to the last bit.
    """
    whole = partial(Portion.of, responses, counts=counts, options=options, distances=distances)
    if workers is not None:
        task = min(budget, OF_A_TASK)
        wholes = [whole(layer=layer, budget=task) for layer in responses.layers]
        for layer, looked in zip(responses.layers, _looked_at_elsewhere(wholes, workers), strict=True):
            yield _arranged(responses, layer, counts, options.draws, looked)
        return
    # A core for each layer: cores that share the small products of one layer wait for each other, and long
    # where another program keeps one of them.
    threads_used = max(1, min(torch.get_num_threads(), len(responses.layers), budget // OF_A_LAYER))

    def measure(layer: Layer) -> LayerMeasures:
        recorded, left = at_hand(responses.values[layer.name], budget // threads_used)
        looked = replace(whole(layer=layer, budget=left), recorded=recorded).look()
        return _arranged(responses, layer, counts, options.draws, looked)

    with threads_of_one_core(threads_used) as threads:
        yield from threads.map(measure, responses.layers)


def _looked_at_elsewhere(wholes: Sequence[Portion], workers: Workers) -> Iterator[Looked]:
    """Measure layers in tasks, and yield what was found in their order."""
    if wholes[0].options.normalize == "unit":
        names = [f"deviations-{whole.layer.name}" for whole in wholes]
        scales = dict(workers.each(deviations, [(whole.recorded,) for whole in wholes], names=names))
        wholes = [replace(whole, scale=scales[at]) for at, whole in enumerate(wholes)]
    of_layers = [[*_shared_out(whole)] for whole in wholes]
    alone = [(at, share) for at, shares in enumerate(of_layers) for share in shares if not share.by_tiles]
    left = [sum(not share.by_tiles for share in shares) for shares in of_layers]
    found: list[list[tuple[_Share, Looked]]] = [[] for _ in wholes]
    done = 0

    def joined() -> Iterator[Looked]:
        nonlocal done
        while done < len(wholes) and not left[done]:
            for share in of_layers[done]:
                if share.by_tiles:
                    found[done].append((share, replace(share.portion, workers=workers).look()))
            yield _joined(wholes[done], found[done])
            found[done].clear()
            done += 1

    yield from joined()
    names = [f"measure_{share.name}" for _, share in alone]
    tasks = [(share.portion,) for _, share in alone]
    for number, looked in workers.each(look_on_one_core, tasks, names=names) if alone else ():
        at, share = alone[number]
        found[at].append((share, looked))
        left[at] -= 1
        yield from joined()


def look_on_one_core(portion: Portion) -> Looked:
    """Measure some sets of a layer as one of several threads does."""
    with threads_of_one_core(1) as threads:
        return threads.submit(portion.look).result()


class _Share(NamedTuple):
    """What is measured of a layer at once."""

    name: str
    start: int  # the first of its responses
    portion: Portion
    by_tiles: bool = False  # of which each is a task


def _shared_out(whole: Portion) -> Iterator[_Share]:
    """Yield parts of what is measured of a layer that one process does in some minutes, or by tiles."""
    name = whole.layer.name
    if whole.distances or unit_kind(whole.unit_kind).sketched:
        yield _Share(name, 0, whole)
        return
    for sets in _sets_of_tasks(whole.sets):
        portion, rows = _of_sets(whole, sets)
        of_sets = f"{name}-{rows.start}:{rows.stop}"
        if len(sets) > 1 or rows.stop - rows.start <= MOST_TOGETHER:
            yield _Share(of_sets, rows.start, portion)
            continue
        pairs = (rows.stop - rows.start) ** 2 // 2
        first, work = 0, 0
        choices = whole.choices()
        for at, choice in enumerate(choices):
            work += pairs * choice.used
            if at + 1 < len(choices) and work + pairs * choices[at + 1].used <= MOST_OF_A_TASK:
                continue
            some = replace(portion, some=slice(first, at + 1))
            yield _Share(f"{of_sets}-{first}:{at + 1}", rows.start, some, work > MOST_OF_A_TASK)
            first, work = at + 1, 0


def _sets_of_tasks(sets: Mapping[str, slice]) -> Iterator[dict[str, slice]]:
    """Yield small sets that follow one another together, and large ones alone."""
    together: dict[str, slice] = {}
    for name, rows in sets.items():
        start = next(iter(together.values())).start if together else rows.start
        large = rows.stop - rows.start > MOST_TOGETHER
        if together and (large or rows.stop - start > RESPONSES_OF_A_TASK):
            yield together
            together = {}
        together[name] = rows
        if large:
            yield together
            together = {}
    if together:
        yield together


def _of_sets(whole: Portion, sets: Mapping[str, slice]) -> tuple[Portion, slice]:
    """Return what is measured of some sets that follow one another, and their rows."""
    all_rows = [*sets.values()]
    rows = slice(all_rows[0].start, all_rows[-1].stop)
    recorded = Part(whole.recorded, rows, np.arange(whole.recorded.shape[1]))
    here = {name: slice(of.start - rows.start, of.stop - rows.start) for name, of in sets.items()}
    return replace(whole, recorded=recorded, sets=here), rows


def _joined(whole: Portion, found: Sequence[tuple[_Share, Looked]]) -> Looked:
    """Return what was found of all sets of a layer."""
    if len(found) == 1 and found[0][0].portion is whole:
        return found[0][1]
    n = whole.recorded.shape[0]
    rounded = 0 if whole.scale is None else whole.scale.rounded
    joined = Looked({}, np.full(n, np.nan), np.full(n, np.nan), None, {}, rounded)
    for share, looked in found:
        joined.found.update(looked.found)
        joined.confidences.update(looked.confidences)
        if share.portion.some is None or share.portion.some.start == 0:
            rows = slice(share.start, share.start + len(looked.sums))
            joined.sums[rows], joined.square_sums[rows] = looked.sums, looked.square_sums
    return joined


@contextmanager
def threads_of_one_core(workers: int) -> Iterator[ThreadPoolExecutor]:
    """Give threads in which PyTorch uses one core each; in all others, also later ones, as many as before."""
    all_begun = Barrier(workers)

    def begin(_: int) -> None:
        torch.get_num_threads()  # which, the first time in a thread, takes over what was set elsewhere
        torch.set_num_threads(1)  # of this thread, and of those that begin later
        all_begun.wait()  # so that each thread begins once

    with ThreadPoolExecutor(workers) as threads:
        with in_turn():
            cores = torch.get_num_threads()
            try:
                list(threads.map(begin, range(workers)))
            except BaseException:
                all_begun.abort()  # else those that have begun wait for one that could not
                raise
            finally:
                torch.set_num_threads(cores)
        yield threads


def _arranged(
    responses: Responses, layer: Layer, counts: Sequence[int], draws: int, looked: Looked
) -> LayerMeasures:
    """Put the values of a layer where they belong, and say which are not defined."""
    values = np.full((len(responses.sets), len(counts), draws), np.nan)
    undefined = []
    for (at_count, count), draw, (at_set, (name, rows)) in product(
        enumerate(counts), range(draws), enumerate(responses.sets.items())
    ):
        measured = looked.found.get((name, responses.units_used(layer, count), draw))
        if measured is None:  # there is no such draw
            continue
        values[at_set, at_count, draw] = measured.value
        if measured.undefined:
            image = None if measured.response is None else responses.images[rows.start + measured.response]
            culprit = "it" if image is None else f"the response to image {image.name!r}"
            undefined.append(Undefined(layer.name, name, count, draw, f"{culprit} {measured.undefined}"))
    confidences = [
        [looked.confidences.get((name, responses.units_used(layer, count))) for count in counts]
        for name in responses.sets
    ]
    return LayerMeasures(
        values, looked.sums, looked.square_sums, looked.distances, undefined, confidences, looked.rounded
    )
