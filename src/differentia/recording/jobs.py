"""A job: what other processes need to know to record images into a store, written into the store itself.

Tasks name the store, the job and a number. So they stay small, and a process reads a job once. A job's name
is the digest of its file: whoever can write into the store can't have workers load something else.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import re
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from differentia.errors import DifferentiaError, InputError, StorageError, in_one_line
from differentia.networks.base import Network
from differentia.networks.load import load_network
from differentia.networks.origin import Origin, origin_of
from differentia.networks.specs import NOTHING
from differentia.recording.cluster import Cluster
from differentia.recording.division import Promised, digest_of
from differentia.recording.options import RecordOptions
from differentia.recording.passes import Task
from differentia.recording.store.disk import JOBS, behaves_alike, what_differs
from differentia.stimuli.base import Stimuli
from differentia.stimuli.presentation import as_sets
from differentia.stimuli.written import Written, written_sets
from differentia.system.fields import accept, as_toml, options_of
from differentia.system.files import written_whole
from differentia.system.locking import held
from differentia.system.machine import memory_budget
from differentia.system.progress import Progress
from differentia.system.regular import opened
from differentia.system.showing import counted

logger = logging.getLogger(__name__)

Found = TypeVar("Found")

#: In seconds: how long a task takes.
OF_A_TASK = 120.0


#: In bytes: the paths of ten million images are fewer.
MOST_BYTES = 2**30

#: Before the network was looked at.
NOT_KNOWN: Mapping[str, Any] = MappingProxyType({})


class Job(NamedTuple):
    """What is recorded, as JSON can hold it.

    Attributes
    ----------
    name
        What the user calls the network.
    images
        By set, a digest of the images' names.
    options
        Of the recording, but for what is of one process or machine.
    threads
        With how many of PyTorch each process does a pass.
    memory
        How many bytes responses may take in each process at most, if that was said.
    beforehand
        Under which name workers have loaded the network beforehand, if they have.
    identity, behaviour
        What the numbers depend on, and what each layer makes of fixed images: a process in which they are
        others may not record.
    """

    name: str
    network: Origin
    sets: Mapping[str, Written]
    images: Mapping[str, str]
    options: Mapping[str, Any]
    threads: int
    memory: int | None
    beforehand: str = ""
    identity: Mapping[str, Any] = NOT_KNOWN
    behaviour: Mapping[str, Sequence[float]] = NOT_KNOWN


def job_of(
    network: Network,
    stimuli: Mapping[str, Stimuli],
    options: RecordOptions,
    cluster: Cluster,
) -> Job:
    """Return the job of recording images by a network.

    Raises
    ------
    InputError
        The network, or some images, are in this process only.
    """
    if network.origin is None:
        raise InputError(
            f"{network.name}: is an object in this process, or has a function as an option, and workers "
            "can't load it; name it instead: 'keras:NAME?weights=PATH', 'package.module:factory', or the "
            "path of a .keras file"
        )
    given = {
        name: getattr(options, name) for name, field in options_of(RecordOptions).items() if field.in_file
    }
    return Job(
        network.name,
        network.origin,
        written_sets(stimuli, follow_links=options.follow_links),
        {name: digest_of(given.names) for name, given in stimuli.items()},
        {name: as_toml(value) for name, value in given.items() if value is not None},
        cluster.threads,
        None if options.memory is None else memory_budget(options.memory),
        cluster.beforehand.get(json.dumps(network.origin), ""),
    )


def read_job(store: Path, name: str) -> Job:
    """Return a job of a store.

    Raises
    ------
    StorageError
        It is not there, or another file is: this machine does not see the store, or does not see it yet.
    """
    path = store / JOBS / f"{name}.json"
    try:
        with opened(path) as file:
            if file is None or os.fstat(file.fileno()).st_size > MOST_BYTES:
                raise ValueError("it is a link, or no file that was written here")
            content = file.read()
        if _name_of(content) != name:
            raise ValueError("it is not what was written there")
        facts = json.loads(content)
        return Job(**{**facts, "network": Origin(*facts["network"])})
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = getattr(error, "strerror", None) or in_one_line(error)
        raise StorageError(
            f"{path}: can't be read {here()} ({reason}); choose a folder that all workers see"
        ) from error


class Opened(NamedTuple):
    """What a job is of, in this process."""

    network: Network
    sets: Mapping[str, Stimuli]
    options: RecordOptions


def open_job(job: Job, **options: Any) -> Opened:
    """Load a job's network and open its images; `options` are those of this process.

    Raises
    ------
    InputError
        The network can't be loaded here, or a set has other images here.
    """
    given = accept(RecordOptions, {**job.options, **options})
    try:
        network = _beforehand.pop(job.beforehand, None) or _load(job.network)
        network.name = job.name
        sets = as_sets(job.sets, seed=0, follow_links=given.follow_links)
    except InputError as error:
        raise InputError(f"{error} ({here()})") from error
    for name, images in sets.items():
        if digest_of(images.names) != job.images[name]:
            raise InputError(
                f"set {name!r}: {images.source} holds other images {here()}; let all workers see the same "
                "files"
            )
    return Opened(network, sets, given)


#: What this process has loaded for a job that is yet to come: at most one.
_beforehand: dict[str, Network] = {}


def load_beforehand(cluster: Cluster, spec: str, **options: Any) -> None:
    """Let workers load a network that is named, as `load_network` does, while this process goes on."""
    origin = origin_of(spec, {**NOTHING, **options})
    if origin is None:
        return
    name = cluster.beforehand[json.dumps(origin)] = uuid.uuid4().hex
    cluster.everywhere(_load_beforehand, name, *origin, name=f"load_{plain(spec)}")


def _load_beforehand(name: str, *origin: Any) -> None:
    """Load a network in a process of a cluster. What fails here fails again, and is told, in a task."""
    _beforehand.clear()
    with suppress(DifferentiaError):
        _beforehand[name] = _load(Origin(*origin))


def _load(origin: Origin) -> Network:
    with origin.code_found():
        return load_network(origin.spec, **origin.options)


def require_the_same(job: Job, identity: Mapping[str, Any], behaviour: Mapping[str, Sequence[float]]) -> None:
    """Raise an error where a job's network, or what its numbers depend on, is another in this process."""
    identity = json.loads(json.dumps(identity))
    alike = behaves_alike(job.behaviour, behaviour)
    if identity == job.identity and alike:
        return
    begun, own = ({"name": job.name, "identity": one} for one in (job.identity, identity))
    raise InputError(
        f"{job.name}: differs {here()} in its {what_differs(begun, own)}; numbers of both can't be mixed: "
        "let all workers have the same"
    )


class Work:
    """A job's tasks, which workers do."""

    def __init__(self, cluster: Cluster, job: Job, store: Path, name: str, told: Mapping[int, int]) -> None:
        self._cluster = cluster
        self._job = job
        self._place = str(store), name
        self._told = told

    def one(self, function: Callable[..., Found], *arguments: Any) -> Found:
        """Return what a function makes of arguments, behind the store and the job's name, on a worker."""
        names = [f"begin_{plain(self._job.name)}-1"]
        ((_, found),) = self._cluster.each(function, [(*self._place, *arguments)], names=names)
        return found

    def begin(self, function: Callable[..., object]) -> None:
        """Let each worker do something with the store and the job's name while this process goes on."""
        self._cluster.everywhere(function, *self._place, name=f"begin_{plain(self._job.name)}")

    def tasks(self, batches: int, seconds: float) -> int:
        """Return how many tasks some batches are, of which one takes some seconds: at least two a worker.

        A task takes two minutes, so that little is lost with a worker, and little is spent on each.
        """
        return max(1, min(batches, max(2 * self._cluster.count, math.ceil(batches * seconds / OF_A_TASK))))

    def all(
        self,
        function: Callable[[str, str, int, int, bool], None],
        tasks: Sequence[Task],
        sets: Mapping[str, Stimuli],
        progress: Progress,
        *,
        rounds: int,
    ) -> None:
        """Let workers do the tasks in which images of sets are lacking, in one round or two; tell how far."""
        lacking = {number: task.lacking for number, task in enumerate(tasks, 1) if task.lacking}
        numbers, images = [*lacking], sum(map(len, sets.values()))
        total, begun = rounds * images, time.monotonic()
        there = rounds * (images - sum(lacking.values()))
        name = plain(self._job.name)
        logger.info(
            "recording %s with %s in %s",
            *(counted(sum(lacking.values()), "image"), counted(self._cluster.count, "worker")),
            counted(len(numbers), "task"),
        )
        for nth in range(rounds):
            finished: set[int] = set()

            def report(nth: int = nth, finished: set[int] = finished) -> None:
                done = sum(
                    min((nth + 1) * left, max(nth * left, self._told.get(number, 0)))
                    if number not in finished
                    else (nth + 1) * left
                    for number, left in lacking.items()
                )
                pace = f", {done / max(time.monotonic() - begun, 1e-9):,.3g} images/s" if done else ""
                workers = counted(self._cluster.count, "worker")
                progress(there + done, total, f"recording with {workers}{pace}")

            asked = [(*self._place, number, len(tasks), nth + 1 < rounds) for number in numbers]
            done = self._cluster.each(
                function,
                asked,
                names=[f"record_{name}-{number}" for number in numbers],
                about=lambda at: images_in_words(tasks[numbers[at] - 1].batches, sets),
                meanwhile=report,
            )
            for at, _ in done:
                finished.add(numbers[at])
                report()


@contextmanager
def given_out(cluster: Cluster, job: Job, store: Path) -> Iterator[Work]:
    """Give the work of a job, which is written into a store meanwhile; there is one job at a time."""
    content = json.dumps(job._asdict()).encode()
    name = _name_of(content)
    path = store / JOBS / f"{name}.json"
    try:
        with held(store / JOBS), cluster.told(name) as told:
            with written_whole(path) as beside:
                beside.write_bytes(content)
            try:
                yield Work(cluster, job, store, name, told)
            finally:
                path.unlink(missing_ok=True)
    finally:
        with suppress(OSError):  # of another
            (store / JOBS).rmdir()


def _name_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def images_in_words(batches: Sequence[Promised], sets: Mapping[str, Stimuli]) -> str:
    """Return which images a task is of, by set: how many, and the first and the last."""
    told = []
    for name in dict.fromkeys(batch.set for batch in batches):
        images = [image for batch in batches if batch.set == name for image in batch.images]
        first, last = (sets[name].names[image] for image in (images[0], images[-1]))
        to = "" if len(images) == 1 else f" to {last!r}"
        told.append(f"{counted(len(images), 'image')} of set {name!r}, {first!r}{to}")
    return " and ".join(told)


def plain(name: str) -> str:
    """Return a network's name without what stands behind its ?, as Dask's dashboard can group tasks by it."""
    return re.sub(r"\W+", "_", name.partition("?")[0])


def here() -> str:
    """Return where this process is, for the errors of one among many."""
    return f"on the worker's host {socket.gethostname()}"
