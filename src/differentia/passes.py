"""Passes: the images of which a store lacks something are shown to a network, a batch at a time."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Num

from differentia.classes import class_names, class_probabilities
from differentia.cost import Forecast, require_memory
from differentia.distances import ResponseMatrix
from differentia.errors import DifferentiaWarning, RecordingError
from differentia.memory import freed_memory_kept
from differentia.networks import Network, Runner
from differentia.planning import (
    ALL,
    FILTER_MEAN,
    MOMENTS,
    THUMBNAIL,
    Plan,
    Pools,
    Probes,
    Want,
    number_size,
)
from differentia.presentation import Batch, ImageLabel, SkippedImage, Turns, present, require_a_pair
from differentia.probes import Summary
from differentia.ranking import Ranking
from differentia.recording_options import Progress
from differentia.responses import FilterMap, Moments, Predictions, Views, require_finite
from differentia.schedule import Span, content_of, schedule
from differentia.stimuli import Fit, Stimuli, thumbnail_shape, thumbnails
from differentia.store import KeptBatch, MemoryStore, Place, Quantity, Store

logger = logging.getLogger(__name__)

#: All units of a layer, while they are kept to be ranked.
WHOLE = "whole"


@dataclass(frozen=True)
class Show:
    """The images that are shown to a network, and how.

    Attributes
    ----------
    network
        Which sees them.
    stimuli
        The sets, by name.
    fit
        How images become its input.
    skip_unreadable
        Whether images that can't be decoded are left out.
    progress
        Called after every batch.
    compile
        Whether the pass is compiled; one of `differentia.networks.COMPILE`.
    """

    network: Network
    stimuli: Mapping[str, Stimuli]
    fit: Fit
    skip_unreadable: bool
    progress: Progress | None
    compile: str

    @property
    def images(self) -> int:
        """How many images there are."""
        return sum(len(given) for given in self.stimuli.values())


class _Task(NamedTuple):
    """Images that are to be shown, and what is missing of them."""

    position: int
    span: Span
    missing: list[Quantity]

    @property
    def size(self) -> int:
        """How many bytes will be kept."""
        sizes = (number_size(what) * (stop - start) for _, what, start, stop in self.missing)
        return len(self.span.indices) * sum(sizes)


class _Shown(NamedTuple):
    """One image of a set: where it is kept."""

    set: int
    number: int
    place: Place


class Recording:
    """Shows the images of which a store lacks something, and gives what it then holds of all of them.

    Parameters
    ----------
    show
        The images.
    plan
        What is to be kept of them.
    store
        Where it is kept, and may be already.
    budget
        Bytes of memory.
    """

    def __init__(self, show: Show, plan: Plan, store: Store, budget: int) -> None:
        self._show = show
        self._plan = plan
        self._store = store
        self._budget = budget
        self._runner = Runner(
            show.network, compile=show.compile, batch_size=store.batch_size, compiled=store.compiled
        )
        self._turns = Turns()
        self._needed = 0
        self._spans: list[Span] = []
        self._whole: dict[int, dict[str, np.ndarray]] = {}
        self._looked_at: set[tuple[int, Want]] = set()
        self._unreadable: list[tuple[int, SkippedImage]] = []
        self._shown: list[_Shown] = []

    def record(self) -> dict[str, Pools]:
        """Show the images, and return the pools of each kind of units.

        They are shown a second time where units are ranked and whole layers do not fit into memory.

        Raises
        ------
        InputError
            What is to be kept does not fit into memory, or an image can't be read.
        RecordingError
            The pass failed, or gave a NaN or an infinity.
        StorageError
            The store can't be written.
        """
        plan, store = self._plan, self._store
        in_memory = isinstance(store, MemoryStore)
        batch_size = None if in_memory else store.batch_size
        self._needed = require_memory(plan, self._show.images, batch_size, self._budget)
        with_whole_layers = self._needed + 4 * self._show.images * plan.layer_sizes()
        whole_layers = bool(plan.ranked) and with_whole_layers <= self._budget
        if whole_layers:  # so that units are ranked without a second pass
            self._needed = with_whole_layers
        pools = {kind: plan.choose(kind) for kind in plan.kinds if kind not in plan.ranked}
        wants = plan.wanted(pools)
        scheduled = schedule(
            self._show.stimuli,
            self._show.fit,
            store,
            skip_unreadable=self._show.skip_unreadable,
            lacks=lambda span: bool(plan.ranked or self._missing(span, wants)),
        )
        self._spans, self._unreadable = list(scheduled.spans), list(scheduled.skipped)
        new = [span for span in self._spans if span.batch is None]
        store.expect(len(new), sum(len(span.indices) for span in new))
        ranking = Ranking(plan.layers if plan.ranked else (), self._spans, store)
        passes = 2 if plan.ranked and not whole_layers else 1
        self._pass(wants, Probes(plan, pools), ranking, whole_layers=whole_layers, of=passes)
        self._shown = self._all_shown()
        if plan.ranked:
            ranking.save()
            for kind, about in plan.ranked.items():
                scores = {name: about.scores(moments) for name, moments in ranking.moments.items()}
                pools[kind] = plan.choose(kind, scores)
            nothing_to_rank = Ranking((), self._spans, store)
            of_ranked = [want for want in plan.wanted(pools) if want not in wants]
            self._pass(of_ranked, Probes(plan, pools), nothing_to_rank, nth=passes - 1, of=passes)
        return pools

    def _missing(self, span: Span, wants: Sequence[Want]) -> list[Quantity]:
        """Return what is yet to be kept of images, after a look at what is kept."""
        wanted = [*wants, *self._plan.wanted_maps(span.indices)]
        if span.batch is None:
            return [Quantity(layer, what, 0, width) for layer, what, width in wanted]
        found = []
        for want in wanted:
            if (span.batch.number, want) not in self._looked_at:
                self._store.repair(want.layer, want.what, span.batch)
                self._looked_at.add((span.batch.number, want))
            found.append(self._store.missing(*want, span.batch))
        return [quantity for quantity in found if quantity is not None]

    def _pass(
        self,
        wants: Sequence[Want],
        probes: Probes,
        ranking: Ranking,
        *,
        nth: int = 0,
        of: int,
        whole_layers: bool = False,
    ) -> None:
        """Show the images of which something is missing."""
        tasks = []
        for position, span in enumerate(self._spans):
            missing = self._missing(span, wants)
            if span.batch is not None and position in self._whole:
                missing = self._keep_of_whole(span.batch, missing, self._whole.pop(position), probes)
            if span.batch is None or missing or ranking.wanted(position):
                tasks.append(_Task(position, span, missing))
        say_notes(self._store)
        self._say_what_is_shown(tasks, again=bool(self._shown))
        size = sum(task.size for task in tasks)
        self._store.require_space(size)
        left = sum(len(task.span.indices) for task in tasks)
        self._runner.expect(left)
        forecast = Forecast(left, size, self._store.name, self._needed, self._budget)
        total = of * self._show.images
        batches = [(task.span.set, task.span.indices) for task in tasks]
        presented = present(
            self._show.stimuli,
            batches,
            self._show.fit,
            skip_unreadable=self._show.skip_unreadable,
            turns=self._turns if "cpu" in self._show.network.device.lower() else None,
        )
        if self._show.progress and tasks and left < self._show.images:
            self._show.progress((nth + 1) * self._show.images - left, total, tasks[0].span.set)
        # To memory at once: a thread would hold up the next pass, which waits for the slowest core.
        writing = nullcontext(_now) if isinstance(self._store, MemoryStore) else _one_ahead()
        # Closed also where a traceback keeps it: else it would go on decoding.
        with closing(presented), freed_memory_kept(), writing as write:
            for task, batch in zip(tasks, presented, strict=True):
                kept = self._show_batch(task, batch, probes, ranking, whole_layers, write)
                ranking.took_in(task.position, kept)
                left -= len(task.span.indices)
                forecast.shown(len(task.span.indices))
                if self._show.progress:
                    done = (nth + 1) * self._show.images - left
                    self._show.progress(done, total, batch.set)

    def _show_batch(
        self,
        task: _Task,
        batch: Batch,
        probes: Probes,
        ranking: Ranking,
        whole_layers: bool,
        write: Callable[..., None],
    ) -> KeptBatch:
        """Show a batch, give what was missing of it to be written, and return as what it is kept."""
        kept = self._kept_batch(task, batch)
        if not batch.labels:
            return kept
        by_layer: dict[str, dict[Any, Any]] = {**probes.of(task.missing)}
        for layer, moments in ranking.wanted(task.position).items():
            # A NaN has no rank.
            by_layer[layer] = {**by_layer.get(layer, {}), MOMENTS: probes.summary(layer), "ranking": moments}
            if whole_layers:
                by_layer[layer][WHOLE] = probes.whole(layer)
        with self._turns.of_a_pass():
            found = self._runner.record(batch.pixels, by_layer) if by_layer else {}
        if self._runner.compiled is not None:
            self._store.note_compiled(self._runner.compiled)
        numbers: list[tuple[Quantity, Num[np.ndarray, "b _"]]] = []
        for layer, by_probe in found.items():
            for name, values in by_probe.items():
                if isinstance(values, Summary):
                    require_finite(values.filter_mean, layer, batch.labels, of="filters' means")
                    numbers += _of_summary(layer, values)
                elif name == WHOLE:
                    require_finite(values, layer, batch.labels)
                    self._whole.setdefault(task.position, {})[layer] = values
                elif isinstance(name, Quantity):
                    flat = values.reshape(len(values), -1)
                    require_finite(flat, layer, batch.labels)
                    numbers.append((name, flat))
        wanted = set(task.missing)
        for quantity in task.missing:
            if quantity.what == THUMBNAIL:
                numbers.append((quantity, thumbnails(batch.pixels).reshape(len(batch.pixels), -1)))
        write(self._write, kept, [(quantity, values) for quantity, values in numbers if quantity in wanted])
        return kept

    def _kept_batch(self, task: _Task, batch: Batch) -> KeptBatch:
        """Return as what the images of a batch are kept: as before, where they are."""
        images = tuple(label.hash for label in batch.labels)
        if task.span.batch is None:
            given = self._show.stimuli[batch.set]
            left_out = [index for index in task.span.indices if index not in batch.indices]
            unreadable = list(zip(left_out, batch.skipped, strict=True))
            self._unreadable += unreadable
            skipped = [content_of(given, index, self._show.fit) for index, _ in unreadable]
            kept = self._store.add_batch(batch.set, images, skipped)
            rows = tuple(range(len(images)))
            self._spans[task.position] = Span(batch.set, batch.indices, kept, rows)
            return kept
        if images != task.span.batch.images:
            now = dict(zip(batch.indices, images, strict=True))
            before = zip(task.span.indices, task.span.batch.images, strict=True)
            changed = next(index for index, content in before if now.get(index) != content)
            name = self._show.stimuli[batch.set].names[changed]
            raise RecordingError(
                f"set {batch.set!r}: image {name!r} changed while the images were recorded; run again"
            )
        return task.span.batch

    def _write(self, batch: KeptBatch, numbers: Sequence[tuple[Quantity, Num[np.ndarray, "b _"]]]) -> None:
        for quantity, values in numbers:
            self._store.write(quantity, batch, values)

    def _keep_of_whole(
        self, batch: KeptBatch, missing: Sequence[Quantity], whole: Mapping[str, np.ndarray], probes: Probes
    ) -> list[Quantity]:
        """Keep the units that were ranked, of layers that are in memory as a whole; return what is left."""
        left = []
        for quantity in missing:
            if quantity.layer in whole and probes.reads_units(quantity):
                units = probes.units(quantity)
                self._store.write(quantity, batch, whole[quantity.layer].take(units, axis=1))
            else:
                left.append(quantity)
        return left

    def _say_what_is_shown(self, tasks: Sequence[_Task], *, again: bool) -> None:
        if again:
            shown = sum(len(task.span.indices) for task in tasks)
            if shown:
                logger.info("%s images are shown again, for the units that were ranked", f"{shown:,}")
            return
        reused = sum(len(span.indices) for span in self._spans if span.batch is not None)
        if not reused:
            return
        new = sum(len(task.span.indices) for task in tasks if task.span.batch is None)
        lacking = sum(len(task.span.indices) for task in tasks if task.span.batch is not None)
        parts = []
        if reused > lacking:
            parts.append(f"all that is needed of {reused - lacking:,} images is recorded already")
        if lacking:
            parts.append(
                f"of {lacking:,} images a part is recorded already, and what is missing is recorded now"
            )
        if new:
            parts.append(f"{new:,} images are new")
        logger.info("%s: %s", self._store.name, "; ".join(parts))

    def _all_shown(self) -> list[_Shown]:
        """Return where each image is kept, in the order of the sets and of the images in each."""
        sets = {name: number for number, name in enumerate(self._show.stimuli)}
        found = [
            _Shown(sets[span.set], index, Place(span.batch, row))
            for span in self._spans
            if span.batch is not None
            for index, row in zip(span.indices, span.rows, strict=True)
        ]
        counts = Counter(image.set for image in found)
        for name, given in self._show.stimuli.items():
            require_a_pair(name, counts[sets[name]], f"{given.source}, without what can't be read")
        return sorted(found, key=lambda image: (image.set, image.number))

    @property
    def labels(self) -> list[ImageLabel]:
        """One for each image that was shown, in order."""
        sets = list(self._show.stimuli.items())
        return [
            ImageLabel(sets[at][0], sets[at][1].names[number], batch.images[row])
            for at, number, (batch, row) in self._shown
        ]

    @property
    def skipped(self) -> list[SkippedImage]:
        """The images that could not be read, in order."""
        sets = list(self._show.stimuli)
        ordered = sorted(self._unreadable, key=lambda image: (sets.index(image[1].set), image[0]))
        return [image for _, image in ordered]

    def matrix(self, want: Want) -> ResponseMatrix:
        """Return what is kept of all images."""
        return self._store.matrix(*want, [image.place for image in self._shown])

    def _whole_array(self, layer: str, what: str, width: int) -> np.ndarray:
        return np.asarray(self.matrix(Want(layer, what, width))[:, :])

    def moments(self) -> Moments | None:
        """Return each image's mean and variance over all units of each layer, where they are kept."""
        if not self._plan.moments:
            return None
        both = np.stack([self._whole_array(layer.name, MOMENTS, 2) for layer in self._plan.layers], axis=1)
        return Moments(both[..., 0], both[..., 1])

    def views(self) -> Views:
        """Return what was kept to look at."""
        plan = self._plan
        small = None
        if plan.thumbnails:
            shape = thumbnail_shape(plan.input_shape)
            small = self._whole_array("", THUMBNAIL, int(np.prod(shape))).reshape(-1, *shape)
        chosen = [row for row, image in enumerate(self._shown) if image.number in plan.map_images]
        maps = tuple(self._maps(chosen)) if chosen else ()
        return Views(
            filter_means={
                layer.name: self._whole_array(layer.name, FILTER_MEAN, layer.n_filters)
                for layer in plan.layers
                if plan.thumbnails
            },
            thumbnails=small,
            predictions=self._predictions(),
            maps=maps,
            map_images=tuple(chosen) if maps else (),
        )

    def _maps(self, chosen: Sequence[int]) -> Iterator[FilterMap]:
        places = [self._shown[row].place for row in chosen]
        space = {layer.name: layer.space for layer in self._plan.layers}
        for layer, what, width in self._plan.wanted_maps(self._plan.map_images):
            values = np.asarray(self._store.matrix(layer, what, width, places)[:, :])
            number = int(what.removeprefix("map-"))
            yield FilterMap(layer, number, values.reshape(len(places), *space[layer]))

    def _predictions(self) -> Predictions | None:
        layer = self._plan.class_layer
        if layer is None:
            return None
        probabilities = class_probabilities(self._whole_array(layer.name, ALL, layer.size))
        return Predictions(probabilities, class_names(self._show.network, layer.size))


def say_notes(store: Store) -> None:
    """Warn of what a store found to be changed or damaged."""
    for note in store.take_notes():
        warnings.warn(note, DifferentiaWarning, stacklevel=2)


def _of_summary(layer: str, summary: Summary) -> list[tuple[Quantity, Num[np.ndarray, "b _"]]]:
    both = np.stack([summary.mean, summary.variance], axis=1)
    means = summary.filter_mean
    return [
        (Quantity(layer, MOMENTS, 0, 2), both),
        (Quantity(layer, FILTER_MEAN, 0, means.shape[1]), means),
    ]


def _now(function: Callable[..., None], *arguments: Any) -> None:
    """Call a function."""
    function(*arguments)


@contextmanager
def _one_ahead() -> Iterator[Callable[..., None]]:
    """Give a function that calls another on a thread, after the call before is done."""
    with ThreadPoolExecutor(1) as thread:
        before: list[Future[None]] = []

        def call(function: Callable[..., None], *arguments: Any) -> None:
            if before:
                before.pop().result()
            before.append(thread.submit(function, *arguments))

        yield call
        for future in before:
            future.result()
