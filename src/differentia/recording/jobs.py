"""A job: what other processes need to know to record images into a store, written into the store itself.

Tasks name the store, the job and a number. So they stay small, and a process reads a job once.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from differentia.errors import InputError, StorageError, in_one_line
from differentia.networks.base import Network
from differentia.networks.load import load_network
from differentia.networks.origin import Origin
from differentia.recording.cluster import Cluster
from differentia.recording.division import digest_of
from differentia.recording.options import RecordOptions
from differentia.recording.store.disk import behaves_alike, what_differs
from differentia.stimuli.base import Stimuli, counted
from differentia.stimuli.presentation import as_sets
from differentia.stimuli.written import Written, written_sets
from differentia.system.fields import accept, as_toml, options_of
from differentia.system.files import written_whole
from differentia.system.machine import memory_budget
from differentia.system.progress import Progress

#: The folder in a store with a file for each job.
JOBS = "jobs"


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
    identity: Mapping[str, Any] = NOT_KNOWN
    behaviour: Mapping[str, Sequence[float]] = NOT_KNOWN


def job_of(
    network: Network,
    stimuli: Mapping[str, Stimuli],
    options: RecordOptions,
    *,
    threads: int,
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
            "can't load it; name it instead: 'keras:NAME?weights=PATH', 'package.module:factory', or the path of a "
            ".keras file"
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
        threads,
        None if options.memory is None else memory_budget(options.memory),
    )


def write_job(job: Job, store: Path) -> str:
    """Write a job into a store, whole, and return its name there."""
    text = json.dumps(job._asdict())
    name = hashlib.sha256(text.encode()).hexdigest()[:16]
    path = store / JOBS / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8")
    return name


def read_job(store: Path, name: str) -> Job:
    """Return a job of a store.

    Raises
    ------
    StorageError
        It is not there: this machine does not see the store, or does not see it yet.
    """
    path = store / JOBS / f"{name}.json"
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
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
        with job.network.code_found():
            network = load_network(job.network.spec, **job.network.options)
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


def give_out(
    cluster: Cluster,
    job: Job,
    record_task: Callable[[str, str, int, int], int],
    store: Path,
    lacking: Mapping[int, int],
    progress: Progress,
    done: int,
) -> None:
    """Let workers do the tasks of a job in which some images are lacking, and tell how far they are.

    Parameters
    ----------
    lacking
        By task, how many images have to be shown.
    done
        How many are recorded already.
    """
    name = write_job(job, store)
    total, begun = done + sum(lacking.values()), time.monotonic()
    finished: set[int] = set()
    try:
        with cluster.told(name) as shown:

            def report() -> None:
                now = sum(lacking[task] if task in finished else shown.get(task, 0) for task in lacking)
                pace = f", {now / max(time.monotonic() - begun, 1e-9):,.3g} images/s" if now else ""
                progress(done + now, total, f"recording with {counted(cluster.count, 'worker')}{pace}")

            tasks = [(str(store), name, task, images) for task, images in lacking.items()]
            names = [f"record_{plain(job.name)}-{task}" for task in lacking]
            for number, _ in cluster.each(record_task, tasks, names=names, meanwhile=report):
                finished.add(tasks[number][2])
                report()
    finally:
        (store / JOBS / f"{name}.json").unlink(missing_ok=True)
        with suppress(OSError):  # of a job of another
            (store / JOBS).rmdir()


def plain(name: str) -> str:
    """Return a network's name without what stands behind its ?, as Dask's dashboard can group tasks by it."""
    return re.sub(r"\W+", "_", name.partition("?")[0])


def here() -> str:
    """Return where this process is, for the errors of one among many."""
    return f"on the worker's host {socket.gethostname()}"
