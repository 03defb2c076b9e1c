"""Passes: the images of which a store lacks something are shown to a network, a batch at a time."""

from __future__ import annotations

import logging
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Num

from differentia.errors import RecordingError, warn
from differentia.networks.base import Network
from differentia.networks.classes import class_names, class_probabilities
from differentia.networks.probes import Probe, Summary, UnitMoments
from differentia.networks.runner import Runner
from differentia.recording.cost import Forecast, require_memory
from differentia.recording.division import Part, Promised
from differentia.recording.options import RecordOptions
from differentia.recording.planning import (
    ALL,
    FILTER_MEAN,
    MOMENTS,
    Plan,
    Pools,
    Probes,
    map_number,
    quantity_of,
    size_of,
)
from differentia.recording.ranking import RANKING, Ranking
from differentia.recording.responses import FilterMap, Moments, Predictions, Responses, Views, require_finite
from differentia.recording.schedule import Showing, divide, schedule, schedule_part
from differentia.recording.store.base import KeptBatch, Place, Quantity, Store
from differentia.stimuli.base import Fit, Stimuli
from differentia.stimuli.copies import content_of
from differentia.stimuli.presentation import Batch, ImageLabel, SkippedImage, Turns, present, require_a_pair
from differentia.stimuli.thumbnails import thumbnail_shape, thumbnails
from differentia.system.showing import counted, listed

logger = logging.getLogger(__name__)

#: Quantities of a batch, and their numbers.
Numbers = Sequence[tuple[Quantity, Num[np.ndarray, "b _"]]]


@dataclass(frozen=True)
class PartRecorded:
    """What was done of a part of a recording.

    Attributes
    ----------
    part
        Which: its ``number``, from 1, ``of`` how many.
    images
        How many images were shown and recorded.
    there
        How many of its images were recorded already.
    left_out
        How many of those that were to be shown could not be read.
    tasks
        How many tasks it has; more parts than a recording has tasks leave some without any.
    round, rounds
        Where units are ranked, images are shown in two rounds; else there is one.
    """

    part: Part
    images: int
    there: int
    left_out: int
    tasks: int
    round: int
    rounds: int


@dataclass(frozen=True)
class Show:
    """The images that are shown to a network, by set, and how."""

    network: Network
    stimuli: Mapping[str, Stimuli]
    fit: Fit
    options: RecordOptions

    @property
    def images(self) -> int:
        """How many images there are."""
        return sum(len(given) for given in self.stimuli.values())


class Task(NamedTuple):
    """A task of a recording: its batches, and how many of their images have to be shown in a round."""

    batches: Sequence[Promised]
    lacking: int


@dataclass
class Instruments:
    """What reads a network's layers by one plan, and is made, or compiled, once for many tasks."""

    runner: Runner | None = None
    probes: dict[Quantity, Probe] = field(default_factory=dict)
    sums: dict[str, UnitMoments] = field(default_factory=lambda: defaultdict(UnitMoments))


class Passes:
    """Shows the images of which a store lacks something of a plan, once or twice.

    Where others have just recorded batches that were not there `before`, these are what they were then.
    """

    def __init__(
        self,
        show: Show,
        plan: Plan,
        store: Store,
        budget: int,
        *,
        part: Part | None = None,
        instruments: Instruments | None = None,
        before: Collection[int] | None = None,
    ) -> None:
        self._show = show
        self._before = before
        self._part = part
        self._plan = plan
        self._store = store
        self._budget = budget
        batch_size = None if store.holds_all_at_once else store.batch_size
        tasks = math.ceil(show.images / (store.batch_size * store.task_batches))
        self._needed = require_memory(plan, show.images, batch_size, budget, tasks)
        with_whole_layers = self._needed + 4 * show.images * plan.n_units
        self._whole_layers = bool(plan.ranked) and with_whole_layers <= budget and part is None
        if self._whole_layers:  # so that units are ranked without a second pass
            self._needed = with_whole_layers
        self._passes = 2 if plan.ranked and not self._whole_layers else 1
        compile = show.options.compile if part is None or show.options.compile != "auto" else "never"
        self._instruments = instruments or Instruments()
        self._runner = self._instruments.runner or Runner(
            show.network, compile=compile, batch_size=store.at_once, compiled=store.compiled
        )
        self._runner.at_once = min(self._runner.at_once, store.at_once)  # which others may have made less
        self._instruments.runner = self._runner
        self._turns = Turns()
        self._layers = {layer.name: layer for layer in plan.layers}
        self._showings: list[Showing] = []
        self._skipped: list[SkippedImage] = []
        self._looked_at: set[tuple[int, Quantity]] = set()

    @property
    def called_later(self) -> list[str]:
        """The modules that were called for some images, but not for the first."""
        return sorted(self._runner.called_later)

    def record(self) -> tuple[dict[str, Responses], tuple[SkippedImage, ...]]:
        """Show the images; return the responses to them by kind of units, and those that could not be read.

        They are shown a second time where units are ranked and whole layers do not fit into memory.
        """
        plan, store, show = self._plan, self._store, self._show
        pools = self._pools_known_before
        wanted = plan.wanted(pools)
        self._showings, self._skipped = schedule(
            show.stimuli,
            show.fit,
            store,
            skip_unreadable=show.options.skip_unreadable,
            lacks=lambda showing: bool(plan.ranked or self._missing(showing, wanted)),
            promise=show.options.record,
            before=self._before,
        )
        if not show.options.record:
            self._require_recorded(wanted)
        ranking = Ranking(plan.layers if plan.ranked else (), self._showings, store)
        self._pass(wanted, self._probes(pools), ranking)
        kept = self._kept()
        if plan.ranked:
            pools |= self._pools_of_ranked(ranking)
            self._pass_again(wanted, pools)
        return self._recorded(pools, kept), tuple(sorted(self._skipped, key=self._order))

    def tasks(self) -> list[Task]:
        """Return all tasks, with what they lack as far as the numbers of batches tell.

        What ranked units lack is not known: of these, all images are shown twice.
        """
        plan, store, stimuli = self._plan, self._store, self._show.stimuli
        wanted = plan.wanted(self._pools_known_before)
        kept = {batch.number: batch for batch in store.batches}
        batches: dict[int, list[Promised]] = defaultdict(list)
        lacking = Counter[int]()
        for number, batch in sorted(divide(stimuli, store).items()):
            of_batch = [*wanted, *plan.wanted_maps(batch.images)]
            whole = number in kept and not any(store.missing(one, kept[number]) for one in of_batch)
            task = number // store.task_batches
            batches[task].append(batch)
            lacking[task] += 0 if whole and not plan.ranked else len(batch.images)
        return [Task(of_task, lacking[task]) for task, of_task in batches.items()]

    def record_part(self, part: Part, *, only_first: bool = False) -> PartRecorded:
        """Show the images of a part, and return what was done.

        Where units are ranked, they are shown twice: in the first round to gather sums over all of them, in
        the second, once all other parts have done so too, to record the units that rank highest.
        """
        plan, store, show = self._plan, self._store, self._show
        pools = self._pools_known_before
        wanted = plan.wanted(pools)
        scheduled = schedule_part(
            show.stimuli,
            show.fit,
            store,
            part,
            skip_unreadable=show.options.skip_unreadable,
            lacks=lambda showing: bool(plan.ranked or self._missing(showing, wanted)),
            ranked=bool(plan.ranked),
        )
        self._showings = scheduled.showings
        ranked = plan.layers if plan.ranked else ()
        ranking = Ranking(ranked, self._showings, store, self._instruments.sums)
        first_round = bool(ranking.lacking)
        shown = self._pass(wanted, self._probes(pools), ranking)
        if plan.ranked and scheduled.tasks and not (first_round or only_first):
            every = Ranking(ranked, scheduled.every, store)
            if every.lacking:
                raise RecordingError(_lacking_in_words(every.lacking, scheduled.every, store, part))
            shown |= self._pass_again(wanted, pools | self._pools_of_ranked(every))
        return PartRecorded(
            part=part,
            images=sum(len(showing.images) for showing in self._showings if showing.position in shown),
            there=sum(len(showing.images) for showing in self._showings if showing.position not in shown),
            left_out=len(self._skipped),
            tasks=len(scheduled.tasks),
            round=2 if plan.ranked and not first_round else 1,
            rounds=2 if plan.ranked else 1,
        )

    @property
    def _pools_known_before(self) -> dict[str, Pools]:
        """The units of each kind that is not chosen by what all images do."""
        plan = self._plan
        return {kind: plan.choose(kind) for kind in plan.kinds if kind not in plan.ranked}

    def _probes(self, pools: Mapping[str, Pools]) -> Probes:
        return Probes(self._plan, pools, self._instruments.probes)

    def _pools_of_ranked(self, ranking: Ranking) -> dict[str, Pools]:
        ranking.finish()
        pools = {}
        for kind, about in self._plan.ranked.items():
            scores = {
                name: getattr(moments, str(about.ranked_by)) for name, moments in ranking.moments.items()
            }
            pools[kind] = self._plan.choose(kind, scores)
        return pools

    def _pass_again(self, wanted: Sequence[Quantity], pools: Mapping[str, Pools]) -> set[int]:
        """Show the images again, as far as what the layers in memory have is not enough."""
        of_ranked = [quantity for quantity in self._plan.wanted(pools) if quantity not in wanted]
        nothing_to_rank = Ranking((), self._showings, self._store)
        return self._pass(of_ranked, self._probes(pools), nothing_to_rank, again=True)

    def _missing(self, showing: Showing, wanted: Sequence[Quantity]) -> list[Quantity]:
        """Return what is yet to be kept of images, after a look at what is kept."""
        wanted = [*wanted, *self._plan.wanted_maps(image.number for image in showing.images)]
        if showing.kept is None:
            return wanted
        just_recorded = self._before is not None and showing.kept.number not in self._before
        for quantity in () if just_recorded else wanted:
            if (showing.kept.number, quantity) not in self._looked_at:
                self._store.repair(quantity, showing.kept)
                self._looked_at.add((showing.kept.number, quantity))
        missing = [self._store.missing(quantity, showing.kept) for quantity in wanted]
        return [quantity for quantity in missing if quantity is not None]

    def _to_show(self, wanted: Sequence[Quantity], probes: Probes, ranking: Ranking) -> list[Showing]:
        """Return what has to be shown, once the layers in memory have given what is missing."""
        for showing in self._showings:
            missing = self._missing(showing, wanted) if showing.images else []  # none could be read
            whole, showing.whole_layers = showing.whole_layers, {}
            for quantity in [quantity for quantity in missing if quantity.layer in whole]:
                assert showing.kept is not None
                values = whole[quantity.layer].take(probes.units(quantity), axis=1)
                self._store.write(quantity, showing.kept, values)
                missing.remove(quantity)
            showing.missing = missing
        return [
            showing
            for showing in self._showings
            if showing.kept is None or showing.missing or ranking.wanted(showing.position)
        ]

    def _pass(
        self, wanted: Sequence[Quantity], probes: Probes, ranking: Ranking, *, again: bool = False
    ) -> set[int]:
        """Show the images of which something is missing, and return their positions."""
        show, store = self._show, self._store
        showings = self._to_show(wanted, probes, ranking)
        if showings and not show.options.record:
            raise RecordingError(self._missing_in_words(showings))
        left = sum(len(showing.images) for showing in showings)
        say_notes(store)
        if not again:
            self._say_what_is_reused(showings)
        elif left:
            logger.info("%s images are shown again, to record the units that rank highest", f"{left:,}")
        size = sum(len(showing.images) * size_of(showing.missing) for showing in showings)
        store.require_space(size)
        self._runner.expect(left)
        forecast = Forecast(left, size, store.name, self._needed, self._budget)
        presented = present(
            show.stimuli,
            [showing.images for showing in showings],
            show.fit,
            skip_unreadable=show.options.skip_unreadable,
            turns=self._turns if "cpu" in show.network.device.lower() else None,
        )

        images = show.images if self._part is None else sum(len(one.images) for one in self._showings)

        def report(set_name: str) -> None:
            passes = self._passes if again else 1  # of which the one at work is the last
            done, total = passes * images - left, self._passes * images
            show.options.progress(done, total, f"recording {set_name}")

        if showings:
            self._note_threads()
            if left < images:
                report(showings[0].set)
        # Closed also where a traceback keeps it: else it would go on decoding.
        with closing(presented), _writing(store) as write:
            for showing, batch in zip(showings, presented, strict=True):
                set_name, count = showing.set, len(showing.images)
                kept = self._take_in(showing, batch)
                if batch.images:
                    write(kept, self._shown(showing, batch, probes, ranking))
                ranking.took_in(showing.position, kept)
                left -= count
                forecast.shown(count)
                report(set_name)
        return {showing.position for showing in showings}

    def _note_threads(self) -> None:
        """Keep how many threads a pass has, and say where images were shown with others."""
        threads = torch.get_num_threads()
        if others := [str(number) for number in self._store.threads if number != threads]:
            logger.info(
                "%s: PyTorch had another number of threads before (%s), and has %s now: numbers may differ "
                "in their last digits",
                *(self._store.name, listed(others), threads),
            )
        self._store.note_threads(threads)

    def _require_recorded(self, wanted: Sequence[Quantity]) -> None:
        """Raise an error where something is missing, but for what is needed to rank units."""
        for showing in self._showings:
            showing.missing = self._missing(showing, wanted)
        if lacking := [showing for showing in self._showings if showing.kept is None or showing.missing]:
            raise RecordingError(self._missing_in_words(lacking))

    def _missing_in_words(self, showings: Sequence[Showing]) -> str:
        """Return what is yet to be recorded."""
        new = Counter({showing.set: 0 for showing in showings})
        partly = Counter(new)
        of_layers: dict[str, None] = {}
        for showing in showings:
            (new if showing.kept is None else partly)[showing.set] += len(showing.images)
            if showing.kept is not None:
                of_layers |= dict.fromkeys(quantity.layer for quantity in showing.missing if quantity.layer)
        in_layers = f" in {listed(list(of_layers))}" if of_layers else ""
        parts = [
            f"{what}{counted(counts.total(), 'image')}{where} "
            f"({listed([f'{name}: {count:,}' for name, count in counts.items() if count])})"
            for what, counts, where in (("", new, ""), ("something of ", partly, in_layers))
            if counts.total()
        ]
        return (
            f"{self._store.name}: yet to be recorded: {' and '.join(parts)}; leave --no-record out to do so"
        )

    def _take_in(self, showing: Showing, batch: Batch) -> KeptBatch:
        """Return as what the images of a batch are kept: as before, where they are."""
        if showing.kept is None:
            given = self._show.stimuli[showing.set]
            hashes = [image.hash for image in batch.images]
            skipped = [content_of(given, image.number, self._show.fit) for image in batch.skipped]
            showing.kept = self._store.add_batch(showing.place, showing.set, hashes, skipped)
            showing.images, showing.rows = batch.images, range(len(batch.images))
            self._skipped += batch.skipped
        elif batch.images != tuple(showing.images):
            changed = next(image for image in showing.images if image not in batch.images)
            raise RecordingError(
                f"set {changed.set!r}: image {changed.name!r} changed while the images were recorded; "
                "run again"
            )
        return showing.kept

    def _shown(self, showing: Showing, batch: Batch, probes: Probes, ranking: Ranking) -> Numbers:
        """Show a batch, and return what was missing of it."""
        ranked = ranking.gathering(showing.position)
        to_read = list(showing.missing)
        for name in ranked:
            to_read.append(quantity_of(self._layers[name], MOMENTS))  # a NaN has no rank
            if self._whole_layers:
                to_read.append(quantity_of(self._layers[name], ALL))
        by_layer = probes.by_layer(to_read)
        for name, moments in ranked.items():
            by_layer[name][RANKING] = moments
        with self._turns.of_a_pass():
            found = self._runner.record(batch.pixels, by_layer) if by_layer else {}
        if self._runner.compiled is not None:
            self._store.note_compiled(self._runner.compiled)
        self._store.note_at_once(self._runner.at_once)
        numbers: dict[Quantity, Num[np.ndarray, "b _"]] = {}
        for name, by_quantity in found.items():
            for quantity, values in by_quantity.items():
                if isinstance(values, Summary):
                    require_finite(values.filter_mean, name, batch.images, of="channels' means")
                    numbers[quantity] = np.stack([values.mean, values.variance], axis=1)
                    numbers[quantity_of(self._layers[name], FILTER_MEAN)] = values.filter_mean
                elif quantity != RANKING:
                    numbers[quantity] = values.reshape(len(values), -1)
                    require_finite(numbers[quantity], name, batch.images)
                    if self._whole_layers and name in ranked and quantity.what == ALL:
                        showing.whole_layers[name] = numbers[quantity]
        if self._plan.thumbnail in showing.missing:
            numbers[self._plan.thumbnail] = thumbnails(batch.pixels).reshape(len(batch.pixels), -1)
        return [(quantity, numbers[quantity]) for quantity in showing.missing if quantity in numbers]

    def _say_what_is_reused(self, showings: Sequence[Showing]) -> None:
        reused = sum(len(showing.images) for showing in self._showings if showing.kept)
        lacking = sum(len(showing.images) for showing in showings if showing.kept)
        new = sum(len(showing.images) for showing in showings if not showing.kept)
        counts = {
            "all that is needed of {} is recorded already": reused - lacking,
            "{} {are} partly recorded already, and what is missing is recorded now": lacking,
            "{} {are} new": new,
        }
        by_workers = self._show.options.client is not None and not showings  # just now, not before
        if reused and not by_workers:
            said = [
                text.format(counted(count, "image"), are="is" if count == 1 else "are")
                for text, count in counts.items()
                if count
            ]
            logger.info("%s: %s", self._store.name, "; ".join(said))

    def _kept(self) -> list[tuple[ImageLabel, Place]]:
        """Return where each image is kept, in the order of the sets and of the images in each."""
        kept = [
            (image, Place(showing.kept, row))
            for showing in self._showings
            if showing.kept is not None
            for image, row in zip(showing.images, showing.rows, strict=True)
        ]
        counts = Counter(image.set for image, _ in kept)
        for name, given in self._show.stimuli.items():
            require_a_pair(name, counts[name], f"{given.source}, without what can't be read")
        return sorted(kept, key=lambda both: self._order(both[0]))

    def _order(self, image: ImageLabel | SkippedImage) -> tuple[int, int]:
        return list(self._show.stimuli).index(image.set), image.number

    def _recorded(
        self, pools: Mapping[str, Pools], kept: Sequence[tuple[ImageLabel, Place]]
    ) -> dict[str, Responses]:
        plan, store = self._plan, self._store
        images, places = tuple(image for image, _ in kept), [place for _, place in kept]

        def read(quantity: Quantity, places: Sequence[Place] = places) -> np.ndarray:
            return np.asarray(store.matrix(quantity, places)[:, :])

        moments = small = predictions = None
        filter_means: dict[str, np.ndarray] = {}
        if plan.moments:
            both = np.stack([read(quantity_of(layer, MOMENTS)) for layer in plan.layers], axis=1)
            moments = Moments(both[..., 0], both[..., 1])
        if plan.thumbnails:
            small = read(plan.thumbnail).reshape(-1, *thumbnail_shape(plan.input_shape))
            with_channels = [layer for layer in plan.layers if layer.n_channels is not None]
            filter_means = {layer.name: read(quantity_of(layer, FILTER_MEAN)) for layer in with_channels}
        if plan.class_layer:
            probabilities = class_probabilities(read(quantity_of(plan.class_layer, ALL)))
            predictions = Predictions(probabilities, class_names(self._show.network, plan.class_layer.size))
        chosen = [row for row, image in enumerate(images) if image.number in plan.map_images]
        maps = []
        for quantity in plan.wanted_maps(plan.map_images) if chosen else ():
            values = read(quantity, [places[row] for row in chosen])
            space = self._layers[quantity.layer].space
            number = map_number(quantity)
            assert number is not None
            maps.append(FilterMap(quantity.layer, number, values.reshape(len(chosen), *space)))
        views = Views(filter_means, predictions, tuple(maps), tuple(chosen) if maps else (), small)
        return {
            kind: Responses(
                layers=plan.layers,
                images=images,
                values={name: store.matrix(pool.quantity(name), places) for name, pool in by_layer.items()},
                units={name: pool.units for name, pool in by_layer.items()},
                unit_kind=kind,
                seed=plan.seed,
                moments=moments,
                views=views,
            )
            for kind, by_layer in pools.items()
        }


def _lacking_in_words(tasks: Sequence[int], every: Sequence[Showing], store: Store, part: Part) -> str:
    """Return which parts are yet to be recorded before units can be ranked."""
    numbers = sorted({showing.place // store.task_batches for showing in every})
    lacking = [place for place, number in enumerate(numbers) if number in {*tasks}]
    left = list(dict.fromkeys(str(part.that_has(place, len(numbers)).number) for place in lacking))
    return (
        f"{store.name}: units are ranked once all {part.of} parts have recorded their first round; "
        f"yet to do so: {'part' if len(left) == 1 else 'parts'} {listed(left)}; run what is left, and then "
        "all again"
    )


def say_notes(store: Store) -> None:
    """Warn of what a store found to be changed or damaged."""
    for note in store.take_notes():
        warn("other", note)


@contextmanager
def _writing(store: Store) -> Iterator[Callable[[KeptBatch, Numbers], None]]:
    """Give what writes the numbers of a batch: on a thread, after those of the batch before.

    What was written is completed with each task.
    """
    task: list[int] = []

    def write(batch: KeptBatch, numbers: Numbers) -> None:
        if task and task.pop() != batch.number // store.task_batches:
            store.finish()
        task.append(batch.number // store.task_batches)
        for quantity, values in numbers:
            store.write(quantity, batch, values)

    if store.holds_all_at_once:  # a thread would hold up the next pass, which waits for the slowest core
        yield write
        return
    with ThreadPoolExecutor(1) as thread:
        before: list[Future[None]] = []

        def write_beside(batch: KeptBatch, numbers: Numbers) -> None:
            while before:
                before.pop().result()
            before.append(thread.submit(write, batch, numbers))

        yield write_beside
        for future in before:
            future.result()
    store.finish()
