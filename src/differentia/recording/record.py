"""Recording: a network, sets of stimuli and probes become responses, in one pass over the images."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, Unpack

import numpy as np
import torch

from differentia.errors import InputError, RecordingError
from differentia.networks.base import Network
from differentia.networks.classes import class_layer
from differentia.networks.layers import select_layers, wants_operations, without_operations
from differentia.networks.load import load_network
from differentia.networks.probes import SummaryProbe, UnitProbe, together
from differentia.networks.tokens import ALL as ALL_TOKENS
from differentia.recording.caveats import (
    require_tokens,
    warn_of_later_calls,
    warn_of_network,
    whole_in_words,
)
from differentia.recording.cluster import Cluster, cluster_of, memory_of_worker, tell
from differentia.recording.cost import best_batch_size, require_memory
from differentia.recording.division import Part, batches_of_a_task, require_few
from differentia.recording.fitting import described_fit, fit_of
from differentia.recording.jobs import (
    Job,
    given_out,
    job_of,
    load_beforehand,
    open_job,
    read_job,
    require_the_same,
)
from differentia.recording.options import POOL, RecordKeywords, RecordOptions, checked_map_images, one_kind
from differentia.recording.passes import Instruments, Passes, Show, say_notes
from differentia.recording.planning import FILTER_MEAN, Plan, checked_maps
from differentia.recording.presets import blocks_in_words
from differentia.recording.responses import Responses
from differentia.recording.schedule import divide
from differentia.recording.store.base import Store
from differentia.recording.store.disk import RECORDINGS, WAIT, open_recording, require_store
from differentia.recording.store.memory import MemoryStore
from differentia.recording.units import require_channels, unit_kind, unit_order
from differentia.stimuli.copies import find_duplicates, without_copies
from differentia.stimuli.noise import NoiseStimuli
from differentia.stimuli.presentation import (
    ImageLabel,
    as_record,
    as_sets,
    attributes_of,
    copies_in_words,
    first_images,
    make_clipped,
    warn_of_images,
)
from differentia.system.fields import accept, takes
from differentia.system.files import user_path
from differentia.system.locking import alone, held
from differentia.system.machine import memory_budget
from differentia.system.progress import shown_progress
from differentia.system.random import fixed_generator
from differentia.system.showing import counted, listed

logger = logging.getLogger(__name__)

#: Of more images than this no channels' means and no thumbnails are kept: nobody could look at them.
MOST_IMAGES_TO_VIEW = 2_000


@takes(RecordOptions, keywords=RecordKeywords)
def record(network: Any, sets: Mapping[str, Any], **options: Unpack[RecordKeywords]) -> Responses:
    """Show every image to a network once, and keep the chosen units of each layer.

    Memory grows with images x pool, never with images x layer size. A batch holds images of one set
    only, so that a set's numbers do not depend on the others.

    Parameters
    ----------
    network
        What `load_network` takes.
    sets
        Name -> stimuli, or anything that `images` takes, or ``"noise:43"``.
    {options}

    Raises
    ------
    InputError
        Something that was given can't be used; responses that would not fit into memory.
    RecordingError
        The pass failed, or gave a NaN or an infinity.
    StorageError
        The store can't be written or read.
    FolderInUseError
        Another run writes to the store.
    """
    given = accept(RecordOptions, options)
    kind = one_kind(given)
    return record_kinds(network, sets, given)[kind]


def record_kinds(network: Any, sets: Mapping[str, Any], options: RecordOptions) -> dict[str, Responses]:
    """Record several kinds of units at once, by kind."""
    with shown_progress(options.progress) as progress:
        return _record_kinds(network, sets, replace(options, progress=progress))


@dataclass(frozen=True)
class Ready:
    """A network and images, ready to be shown, and what is to be kept."""

    show: Show
    plan: Plan
    budget: int
    fingerprint: Future[str]
    dropped: list[ImageLabel]
    warned: list[dict[str, str]]

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What a recording's numbers depend on, apart from the images."""
        network = self.show.network
        return {
            "network": self.fingerprint.result(),
            "engine": {name: version(name) for name in ("torch", *network.frameworks)},
            "decoder": {"pillow": version("pillow")},
            "device": network.device.partition(":")[0],
            **({} if network.dtype == "float32" else {"dtype": network.dtype}),  # as in old stores
            **_conditions(self.show),
        }

    @cached_property
    def behaviour(self) -> dict[str, list[float]]:
        """What each layer makes of fixed images."""
        return _behaviour(self.show.network, self.plan)


def make_ready(network: Any, sets: Mapping[str, Any], options: RecordOptions) -> Ready:
    """Load a network, find the images, and choose what is kept of each layer."""
    names, views, maps = options.units, options.views, options.maps
    budget = memory_budget(options.memory)
    stimuli = as_sets(sets, seed=options.seed, follow_links=options.follow_links)
    require_few(stimuli)
    network = copy(load_network(network))  # what is found of these images is of this recording
    fit = fit_of(network, options.resize, options.crop)
    dropped: list[ImageLabel] = []
    if options.drop_duplicates:
        stimuli, dropped = without_copies(stimuli, fit)
    if dropped:
        logger.info(copies_in_words(dropped))
    if (pixels := first_images(stimuli, fit, skip_unreadable=options.skip_unreadable)) is not None:
        asked = (*(options.layers or ()), *filter(None, [options.class_layer]))
        network.look(pixels, operations=wants_operations(asked), tokens=options.tokens)
    chosen = select_layers(network.layers, options.layers, network.unrecorded)
    require_tokens(network, chosen, options.tokens)
    if options.layers is None and (said := blocks_in_words(network.layers)):
        logger.info("%s: %s", network.name, said)
    if whole := whole_in_words(network, chosen):
        logger.info("%s: %s", network.name, whole)
    for name in names:
        require_channels(name, chosen)
    warned = warn_of_network(network, chosen, options)
    to_view = views and sum(map(len, stimuli.values())) <= MOST_IMAGES_TO_VIEW
    plan = Plan(
        layers=chosen,
        kinds={name: unit_kind(name) for name in names},
        pool=options.pool or POOL,
        seed=options.seed,
        input_shape=network.input_shape,
        moments=views or bool(maps) or any(unit_kind(name).sketched for name in names),
        filter_means=FILTER_MEAN in names or to_view,
        thumbnails=to_view,
        class_layer=class_layer(network, options.class_layer) if views else None,
        maps=checked_maps(chosen, maps),
        map_images=checked_map_images(
            options.map_images, max(map(len, stimuli.values())) if maps else None, dropped=bool(dropped)
        ),
    )
    beside = ThreadPoolExecutor(1)  # hundreds of megabytes of weights, while units are chosen
    fingerprint = beside.submit(lambda: network.fingerprint)
    beside.shutdown(wait=False)
    return Ready(Show(network, stimuli, fit, options), plan, budget, fingerprint, dropped, warned)


def _record_kinds(network: Any, sets: Mapping[str, Any], options: RecordOptions) -> dict[str, Responses]:
    names = options.units
    cluster, before = _cluster_of(options), None
    if cluster is not None:
        if isinstance(network, str | os.PathLike) and _begins(options):
            load_beforehand(cluster, os.fspath(network))
        network = load_network(network)
        sets = as_sets(sets, seed=options.seed, follow_links=options.follow_links)
        require_few(sets)
        job = job_of(network, sets, options, cluster)
        options = replace(options, memory=min(memory_budget(options.memory), cluster.memory))
    ready = make_ready(network, sets, options)
    if cluster is not None:
        before = _record_elsewhere(cluster, job, ready)
    show, network, stimuli, fit = ready.show, ready.show.network, ready.show.stimuli, ready.show.fit
    with held_store(ready, emptied=cluster is not None) as opened:
        passes = Passes(show, ready.plan, opened, ready.budget, before=before)
        recorded, skipped = passes.record()
    make_clipped(stimuli, fit)
    duplicates = find_duplicates(recorded[names[0]].images)
    noises = [name for name, given in stimuli.items() if isinstance(given, NoiseStimuli)]
    reference = noises[0] if len(noises) == 1 else None
    of_tokens = [layer.name for layer in ready.plan.layers if layer.tokens]
    provenance = {
        "network": network.name,
        "fingerprint": ready.fingerprint.result(),
        "frameworks": list(network.frameworks),
        **({"package": network.package} if network.package else {}),
        **({"weights": network.weights} if network.weights else {}),
        **_conditions(show),
        "batch_size": opened.at_once,
        **({"token_layers": of_tokens} if of_tokens else {}),
        "compiled": bool(opened.compiled),
        "threads": list(opened.threads),
        "device": network.device,
        "dtype": network.dtype,
        "sets": {name: given.source for name, given in stimuli.items()},
        "skipped": [as_record(image) for image in skipped],
        "dropped": [as_record(image) for image in ready.dropped],
        "duplicates": [[as_record(image) for image in group] for group in duplicates],
        "warnings": [
            *ready.warned,
            *warn_of_later_calls(passes.called_later),
            *warn_of_images(stimuli, skipped, duplicates),
        ],
    }
    facts: dict[str, Any] = {"reference": reference, "provenance": provenance}
    facts["attributes"] = attributes_of(stimuli, recorded[names[0]].images)
    return {name: replace(recorded[name], **facts) for name in names}


def _conditions(show: Show) -> dict[str, Any]:
    """Return how images are made to fit the network, and which tokens count, where not all do."""
    tokens = show.options.tokens
    return {
        "preprocessing": show.network.preprocessing,
        "input_shape": list(show.network.input_shape),
        **described_fit(show.fit),
        **({"forward": show.network.forward} if show.network.forward else {}),
        **({} if tokens == ALL_TOKENS else {"tokens": tokens}),
    }


#: Of a store that was begun with other options than are asked for now.
AS_BEGUN = "%s goes on %s, as it was begun, so that its numbers stay the same; to change %s, use --fresh"


@contextmanager
def held_store(
    ready: Ready, part: Part | None = None, *, already: bool = False, emptied: bool = False
) -> Iterator[Store]:
    """Give the store that responses go to, which nobody else writes to meanwhile, but for other parts.

    The first of several parts fixes what all go by: sizes, whether the pass is compiled, who records what.
    Where this process holds the folder `already`, it is left to it; where it has `emptied` it, that is done.
    """
    show, plan, budget = ready.show, ready.plan, ready.budget
    path, batch_size, fresh = show.options.store, show.options.batch_size, show.options.fresh and not emptied
    at_once = batch_size or best_batch_size(show.network, plan, None if path is None else budget)
    if path is None:
        if fresh or not show.options.record:
            given, what = (
                ("fresh=True", "starts a store over") if fresh else ("record=False", "reads a store")
            )
            raise InputError(f"{given} {what}, but no store= was named; name one")
        yield MemoryStore(at_once)
        return
    network, folder = show.network, user_path(path)
    require_store(folder)
    if not (show.options.record or folder.exists()):  # which would be made
        of_sets = listed([f"{name}: {len(given):,}" for name, given in show.stimuli.items()])
        raise RecordingError(
            f"{folder}: yet to be recorded: {counted(show.images, 'image')} ({of_sets}); leave --no-record "
            "out to do so"
        )
    identity, behaviour = ready.identity, ready.behaviour
    if fresh:  # nothing is removed for a run that would be refused
        require_memory(plan, show.images, at_once, budget)
    batches = sum(math.ceil(len(given) / at_once) for given in show.stimuli.values())
    asked = {"always": True, "never": False}.get(show.options.compile)
    with nullcontext() if already else held(folder, share=None if part is None else str(part)):
        with nullcontext() if part is None else alone(folder, wait=WAIT):
            opened = open_recording(
                folder,
                identity,
                behaviour,
                name=network.name,
                batch_size=at_once,
                task_batches=batches_of_a_task(
                    batches, 1 if part is None else part.of, at_once * plan.largest_per_image()
                ),
                compiled=None if part is None else bool(asked),
                compress=show.options.compress or "none",
                fresh=fresh,
            )
            if part is not None:
                divide(show.stimuli, opened)
        if batch_size not in (None, opened.batch_size):
            logger.info(AS_BEGUN, folder, f"in batches of {opened.batch_size} images", "--batch-size")
        if opened.at_once < opened.batch_size:
            logger.info(AS_BEGUN, folder, f"with {opened.at_once} images in one pass", "that")
        if None not in (asked, opened.compiled) and asked != opened.compiled:
            logger.info(AS_BEGUN, folder, "compiled" if opened.compiled else "not compiled", "--compile")
        if show.options.compress not in (None, opened.compress):
            packed = "not packed" if opened.compress == "none" else f"packed ({opened.compress})"
            logger.info(AS_BEGUN, folder, packed, "--compress")
        say_notes(opened)
        try:
            yield opened
        finally:
            opened.close()


#: Units whose responses to fixed images are looked at one by one.
WATCHED_UNITS = 256


def _behaviour(network: Network, plan: Plan) -> dict[str, list[float]]:
    """Return three numbers of each layer's response to each of two fixed images, which change with its code.

    They are the mean, the SD, and a sum of some units with random signs: the former two stay where units only
    change places.
    """
    generator = fixed_generator()
    pixels = generator.integers(0, 256, (2, *network.input_shape), dtype=np.uint8)
    signs = generator.choice([-1.0, 1.0], WATCHED_UNITS)
    modules = without_operations(network.layers)
    layers = {layer.name: layer for layer in (modules[0], *plan.layers, modules[-1])}
    probes = {}
    for name, layer in layers.items():
        watched = unit_order(name, layer.size, min(layer.size, WATCHED_UNITS), seed=0)
        probes[name] = together({"all": SummaryProbe(layer), "some": UnitProbe(watched, layer.shape)})
    behaviour: dict[str, list[float]] = {}
    try:
        kept = network.record(pixels, probes)
    except RecordingError:  # of a network that does something else with noise than with the user's images
        return behaviour
    for name, found in kept.items():
        summary, some = found["all"], found["some"].astype(np.float64)
        placed = some @ signs[: some.shape[1]] / np.sqrt(some.shape[1])
        behaviour[name] = np.nan_to_num([*summary.mean, *np.sqrt(summary.variance), *placed]).tolist()
    return behaviour


def _cluster_of(options: RecordOptions) -> Cluster | None:
    if options.client is None:
        return None
    if options.store is None:
        raise InputError("client= needs store=, a folder that all workers see, into which they write")
    return cluster_of(options.client) if options.record else None


def _begins(options: RecordOptions) -> bool:
    """Return whether nothing is recorded yet, so that all workers have something to do at once."""
    return options.fresh or not (user_path(options.store) / RECORDINGS).exists()


def _record_elsewhere(cluster: Cluster, job: Job, ready: Ready) -> set[int]:
    """Let workers record what is missing of a store, task by task; return which batches were there before.

    They share the folder, as parts do. Two that give out tasks at once do not share it with one another.
    """
    folder = user_path(ready.show.options.store).absolute()
    with held_store(ready) as store:  # alone: with fresh=True it is emptied
        before, batch_size = {batch.number for batch in store.batches}, store.batch_size
        begun = bool(before or store.divisions)
    batches = sum(math.ceil(len(given) / batch_size) for given in ready.show.stimuli.values())
    job = job._replace(identity=ready.identity, behaviour=ready.behaviour)
    with held(folder, share="what workers record"), given_out(cluster, job, folder) as work:
        seconds = 0.0
        if not begun:
            work.begin(_load)
            seconds = work.one(_seconds_of_a_batch, batch_size)
        part = Part(1, work.tasks(batches, seconds))
        with held_store(ready, part, already=True, emptied=True) as store:
            tasks = Passes(ready.show, ready.plan, store, ready.budget, part=part).tasks()
        if any(task.lacking for task in tasks):
            rounds = 2 if ready.plan.ranked else 1
            work.all(_record_task, tasks, ready.show.stimuli, ready.show.options.progress, rounds=rounds)
    return before


@dataclass
class _Loaded:
    """What a worker has loaded of a job, and what it has made for its tasks."""

    ready: Ready
    instruments: Instruments = field(default_factory=Instruments)


#: Of one job, by its store and name.
_loaded: dict[tuple[str, str], _Loaded] = {}


def _record_task(store: str, name: str, number: int, of: int, first: bool) -> None:
    """Record what is missing of a task, in a process of a cluster: a part of as many as there are tasks."""
    loaded, part = _load(store, name), Part(number, of)
    ready = loaded.ready

    def report(done: int, total: int, stage: str) -> None:
        tell(name, number, done)

    show = replace(ready.show, options=replace(ready.show.options, progress=report))
    # An error may leave them half-way: then others are made.
    instruments, loaded.instruments = loaded.instruments, Instruments()
    with held_store(ready, part) as opened:
        passes = Passes(show, ready.plan, opened, ready.budget, part=part, instruments=instruments)
        passes.record_part(part, only_first=first)
    loaded.instruments = instruments


def _seconds_of_a_batch(store: str, name: str, images: int) -> float:
    """Return how long a pass of a batch takes, in a process of a cluster, beside decoding."""
    network = _load(store, name).ready.show.network
    pixels = fixed_generator().integers(0, 256, (images, *network.input_shape), dtype=np.uint8)
    network.record(pixels, {})  # what is done once
    started = time.perf_counter()
    network.record(pixels, {})
    return time.perf_counter() - started


def _load(store: str, name: str) -> _Loaded:
    """Load a job's network, and open its images, after a look at whether it is the same here."""
    if (store, name) not in _loaded:
        _loaded.clear()
        folder = Path(store)
        job = read_job(folder, name)
        torch.set_num_threads(job.threads)
        network, sets, options = open_job(
            job, store=folder, progress=False, memory=memory_of_worker(job.memory)
        )
        ready = make_ready(network, sets, options)
        require_the_same(job, ready.identity, ready.behaviour)
        _loaded[store, name] = _Loaded(ready)
    return _loaded[store, name]
