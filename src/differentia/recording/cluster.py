"""A cluster of Dask: its workers record images and measure layers. Nothing else imports Dask.

A task carries names and numbers only, and gives little back: responses go into the store, which all processes
see. Nothing stays on a worker but the network that it has loaded.
"""

from __future__ import annotations

import gc
import importlib.util
import json
import logging
import multiprocessing
import pickle
import queue
import signal
import tempfile
import time
import uuid
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

from differentia.errors import (
    DifferentiaError,
    InputError,
    RecordingError,
    StorageError,
    in_one_line,
    without_warnings,
)
from differentia.system.files import user_path
from differentia.system.machine import memory_budget, usable_cores
from differentia.system.showing import listed
from differentia.system.turns import in_turn, lock

if TYPE_CHECKING:
    from distributed import Client, Future

logger = logging.getLogger(__name__)

Found = TypeVar("Found")

#: How often a task is done at most, where it fails for another reason than what the user gave.
MOST_TRIES = 3

#: In seconds: how long a scheduler has to answer, and between two looks at the workers.
ANSWER, LOOK = 10, 1.0

#: In seconds: how long workers of this machine may all be away. Of a cluster, others may come in hours.
AWAY = 60.0

#: In bytes: glibc's largest thresholds, to which it comes by itself where none is set. Dask sets a low one,
#: by which each array of more than 128 kB is taken anew from the system.
ALLOCATOR = {"MALLOC_MMAP_THRESHOLD_": 2**25, "MALLOC_TRIM_THRESHOLD_": 2**26}

#: Tasks that failed of which a message tells.
MOST_TOLD = 3

_MISSING = "needs Dask, which is not installed; pip install 'differentia[cluster]'"

#: How to go on after what was not the fault of what was given.
GO_ON = "what was recorded is kept: run the same command again"


class Cluster:
    """Dask's workers, behind a client; see `differentia.system.tasks.Workers`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        #: By what it is loaded from: the name under which each worker has a network that it loads beforehand.
        self.beforehand: dict[str, str] = {}
        self._once: list[Future[Any]] = []
        self._known: dict[str, Any] = {}
        self._looked = float("-inf")
        self._seen = time.monotonic()

    @property
    def count(self) -> int:
        """How many workers there are now; at least 1, which may be yet to come."""
        self._look()
        return max(1, len(self._known))

    @cached_property
    def threads(self) -> int:
        """How many threads of PyTorch each worker has: as many as Dask gave it, and the same in all.

        Workers do one task at a time, and numbers depend on the threads in their last digits.
        """
        self._wait()
        return min(self._client.nthreads().values(), default=1)

    @cached_property
    def memory(self) -> int:
        """How many bytes responses may take on each worker: half of what the one with least may take."""
        self._wait()
        asked = pickle.dumps(_Call(memory_of_worker, ()))
        told = self._client.run(pickle.loads, asked, on_error="return")
        for address, found in told.items():
            if isinstance(found, BaseException):
                raise InputError(f"the worker {address} can't be used: {_in_words(found)}")
        return min(told.values())

    def _wait(self) -> None:
        """Wait for the first worker."""
        if not self._client.nthreads():
            logger.info("waiting for workers of the scheduler at %s", _address(self._client))
            self._client.wait_for_workers(1)

    @contextmanager
    def told(self, topic: str) -> Iterator[dict[int, int]]:
        """Give what workers `tell` about a topic: the last number of each task."""
        last: dict[int, int] = {}
        self._client.subscribe_topic(topic, lambda event: last.update([event[1]]))
        try:
            yield last
        finally:
            if self._client.status == "running":
                self._client.unsubscribe_topic(topic)

    def _look(self) -> None:
        """Ask for the workers, and tell of those that are gone."""
        if time.monotonic() - self._looked < LOOK:
            return
        if self._client.status != "running":
            raise _lost(self._client)
        now = self._client.nthreads()
        if gone := sorted(self._known.keys() - now.keys()):
            logger.info(
                "%s gone (%s), %d left; what was begun there is done again",
                *("a worker is" if len(gone) == 1 else f"{len(gone)} workers are", listed(gone), len(now)),
            )
        self._known, self._looked = now, time.monotonic()
        if now:
            self._seen = self._looked
        elif self._looked - self._seen > AWAY and self._is_local:
            raise RecordingError(f"all workers died, and none has begun again; {GO_ON}")

    @property
    def _is_local(self) -> bool:
        from distributed import LocalCluster

        return isinstance(self._client.cluster, LocalCluster)

    def each(
        self,
        function: Callable[..., Found],
        tasks: Sequence[tuple[Any, ...]],
        *,
        names: Sequence[str],
        about: Callable[[int], str] | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Iterator[tuple[int, Found]]:
        """Yield the number of a task and what a function of a module made of it, as tasks are done.

        Each worker does one at a time, and has another to begin with next, while there are more than workers:
        a cluster that grows with the work sees that there is some. What a worker died of is known all the
        same: a task that was there when several did is tried once more alone. One that fails is done again;
        where it fails for good, the others are done before that is an error. Workers where fewest failed are
        preferred: one without a disk would fail all tasks before others have done one each. What the user
        gave is told at once. Names are ``record_vgg16-17``: what stands before the hyphen is one row of
        Dask's dashboard; the error says what a task that failed is `about`, too.
        """
        left, suspects, tries = deque(range(len(tasks))), deque[int](), Counter[int]()
        running: dict[Any, tuple[int, Future[Any], list[str]]] = {}
        failed: dict[int, BaseException] = {}
        faults: dict[int, list[str]] = {}
        ended: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
        try:
            while left or running or suspects:
                while (left and len(running) < self._at_once(len(left), faults)) or (
                    suspects and not (left or running)
                ):
                    number = (left or suspects).popleft()
                    future, places = self._begin(function, tasks[number], names[number], faults)
                    running[future.key] = number, future, places
                    future.add_done_callback(ended.put)
                if meanwhile is not None:
                    meanwhile()
                try:
                    future = ended.get(timeout=LOOK)
                except queue.Empty:
                    self._look()
                    for number, future, places in [*running.values()]:
                        if places and self._known and not self._known.keys() & {*places}:
                            del running[future.key]  # it may wait for these, which are gone
                            self._client.cancel([future], force=True)
                            left.appendleft(number)
                    continue
                if future.key not in running:
                    continue
                number, *_ = running.pop(future.key)
                tries[number] += 1
                if (error := self._error_of(future)) is None:
                    found = future.result()
                    future.release()
                    yield number, found
                elif isinstance(error, DifferentiaError) and not isinstance(error, StorageError):
                    raise error.with_traceback(None)
                elif _killed(error) and tries[number] == 1:
                    logger.info("%s is done again alone, when all others are done", names[number])
                    suspects.append(number)
                elif _killed(error) or tries[number] == MOST_TRIES:
                    failed[number] = error
                    faults.pop(number, None)  # which was the task's
                else:
                    faults.setdefault(number, []).append(vars(error).get(_WORKER, ""))
                    logger.info("%s is done again: %s", names[number], _in_words(error))
                    left.appendleft(number)
        finally:
            if running and self._client.status == "running":
                self._client.cancel([future for _, future, _ in running.values()], force=True)
        if failed:
            of = {number: f", {about(number)}" if about else "" for number in failed}
            raise _given_up({f"{names[at]}{of[at]}": error for at, error in sorted(failed.items())})

    def everywhere(self, function: Callable[..., object], *arguments: Any, name: str) -> None:
        """Let each worker that is there now do something while this process goes on.

        What comes of it is not looked at: what has to be done, a task that needs it does again.
        """
        call = pickle.dumps(_Call(_alone, (function, *arguments)))
        for number, address in enumerate(self._client.nthreads(), 1):
            key = f"{name}-{number}-{uuid.uuid4().hex[:12]}"
            future = self._client.submit(pickle.loads, call, key=key, pure=False, workers=[address])
            self._once.append(future)  # which is given up where nobody has it

    def _at_once(self, left: int, faults: Mapping[int, Sequence[str]]) -> int:
        """Return how many tasks are given out at once.

        Of the last, none waits behind another; nor do any where some worker is to get none: it would take it.
        """
        count, preferred = self.count, len(self._preferred(faults))
        return max(1, preferred) if preferred < count else count + max(0, min(count, left - count))

    def _preferred(self, faults: Mapping[int, Sequence[str]]) -> list[str]:
        """Return the workers where fewest tasks failed, each of which has a list of where it did."""
        times = Counter(worker for workers in faults.values() for worker in workers)
        least = min((times[worker] for worker in self._known), default=0)
        return [worker for worker in self._known if times[worker] == least]

    def _begin(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        name: str,
        faults: Mapping[int, Sequence[str]],
    ) -> tuple[Future[Any], list[str]]:
        """Return what will be made of a task, and the workers that are to do it, where not all are."""
        call = pickle.dumps(_Call(_alone, (function, *arguments)))
        key = f"{name}-{uuid.uuid4().hex[:12]}"
        preferred = self._preferred(faults)
        some = preferred if len(preferred) < len(self._known) else []
        where: dict[str, Any] = {"workers": some, "allow_other_workers": True} if some else {}
        return self._client.submit(pickle.loads, call, key=key, pure=False, **where), some

    def _error_of(self, future: Future[Any]) -> BaseException | None:
        if future.status == "finished":
            return None
        if future.status != "error":  # which nobody but us, or the end of the scheduler, may cancel
            raise _lost(self._client)
        error: BaseException = future.exception()
        return error


def memory_of_worker(given: int | None = None) -> int:
    """Return how many bytes responses may take in this process, a worker: half of its limit at most."""
    from distributed import get_worker

    limits = [given, memory_budget(None)]
    with suppress(ValueError):  # where this is none
        if (limit := get_worker().memory_manager.memory_limit) is not None:
            limits.append(limit // 2)
    return min(limit for limit in limits if limit is not None)


def tell(topic: str, task: int, number: int) -> None:
    """Tell those who listen to a topic of a number of a task, from a worker."""
    from distributed import get_worker

    get_worker().log_event(topic, (task, number))


#: The attribute of an error that says which worker it is from.
_WORKER = "_differentia_worker"

#: Held by the one task that this process, a worker, does: others of its threads wait.
_doing_a_task = lock()


def _alone(function: Callable[..., Found], *arguments: Any) -> Found:
    """Return what a function makes of arguments, when no other task is done in this process.

    What it would warn of, its client does.
    """
    from distributed import get_worker

    with _doing_a_task, without_warnings():
        try:
            return function(*arguments)
        except Exception as error:
            vars(error)[_WORKER] = get_worker().address
            raise


class _Call:
    """A call that is made where it is unpickled.

    The scheduler unpickles the functions that it is given: as bytes they pass, and it needs none of what
    they import.
    """

    def __init__(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._parts = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._parts


def _lost(client: Client) -> RecordingError:
    return RecordingError(
        f"the scheduler at {_address(client)} is gone, or has ended the tasks; {GO_ON} when it is back"
    )


def _address(client: Client) -> str:
    return str(getattr(client.scheduler, "address", None) or "an unknown address")


def _killed(error: BaseException) -> bool:
    from distributed import KilledWorker

    return isinstance(error, KilledWorker)


def _in_words(error: BaseException) -> str:
    if _killed(error):
        return "each worker that did it died; has it too little memory?"
    if isinstance(error, ModuleNotFoundError):
        return f"a worker has no {error.name}; install there what is installed here"
    text = in_one_line(error) if isinstance(error, Exception) else str(error)
    return text if isinstance(error, DifferentiaError) else f"{type(error).__name__}: {text}"


def _given_up(failed: dict[str, BaseException]) -> RecordingError:
    """Return the error for tasks that failed for good, when all others are done."""
    told = [f"{name} ({_in_words(error)})" for name, error in failed.items()]
    more = f", and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
    return RecordingError(f"given up: {'; '.join(told[:MOST_TOLD])}{more}; all others are done, and {GO_ON}")


def cluster_of(client: Any) -> Cluster:
    """Return the workers of a user's client, or those that are given."""
    if isinstance(client, Cluster):
        return client
    try:
        from distributed import Client
    except ImportError:
        raise InputError(f"client= {_MISSING}") from None
    if not isinstance(client, Client):
        raise InputError(
            f"client is of type {type(client).__name__}; expected a dask.distributed.Client, such as "
            "Client(cluster)"
        )
    if client.asynchronous:
        raise InputError("client is asynchronous; give one that was made without asynchronous=True")
    if client.status != "running":
        raise InputError(f"client is {client.status}; give one that is connected to its scheduler")
    return Cluster(client)


@contextmanager
def local_workers(count: int, *, debug: bool = False) -> Iterator[Client]:
    """Give the client of as many processes on this machine, which end with this context."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise InputError(f"--workers {_MISSING}") from None
    if not debug:
        _silence_dask()  # for good: the cluster's own silence ends before its connections do
    # A task that has killed three is not tried again. What is kept in memory is never put on the disk.
    settings = {
        "distributed.scheduler.allowed-failures": MOST_TRIES - 1,
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.profile.enabled": False,
        **{f"distributed.nanny.pre-spawn-environ.{name}": size for name, size in ALLOCATOR.items()},
    }
    with (
        dask.config.set(settings),
        tempfile.TemporaryDirectory(prefix="differentia-") as scratch,
        LocalCluster(
            n_workers=count,
            threads_per_worker=max(1, usable_cores() // count),
            processes=True,
            local_directory=scratch,
            dashboard_address=":0",  # any free port
            preload=[__name__],  # and with it `dask_setup`
            silence_logs=False if debug else logging.CRITICAL,
        ) as cluster,
        Client(cluster) as client,
    ):
        if importlib.util.find_spec("bokeh") is not None:  # which draws it
            logger.info("Dask's dashboard: %s", cluster.dashboard_link)
        try:
            yield client
        except KeyboardInterrupt:  # what they do has no end that is waited for
            for worker in multiprocessing.active_children():
                worker.kill()
            raise


def _silence_dask() -> None:
    for handler in logging.getLogger("distributed").handlers:
        handler.setLevel(logging.CRITICAL)


def dask_setup(worker: object) -> None:
    """Leave Ctrl-C, which a terminal sends to all, to the process that workers of this machine end with."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def scheduler_at(address: str, *, debug: bool = False) -> Iterator[Client]:
    """Give a client of the scheduler at an address, or of the one that wrote a file."""
    try:
        from distributed import Client
        from distributed.versions import VersionMismatchWarning
    except ImportError:
        raise InputError(f"--scheduler {_MISSING}") from None
    if address.endswith(".json"):
        address = _address_in(address)
    if not debug:
        _silence_dask()
    try:
        gc.collect()  # an earlier client that is collected while this one begins would wait for it
        with in_turn(), warnings.catch_warnings():
            warnings.simplefilter("ignore", VersionMismatchWarning)  # what matters is looked at by workers
            client = Client(address, timeout=ANSWER)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"--scheduler {address}: no scheduler answers ({in_one_line(error)}); check the address, such as "
            "tcp://host:8786, or the file that dask scheduler --scheduler-file writes"
        ) from None
    with client:
        yield client


def _address_in(file: str) -> str:
    try:
        content = json.loads(user_path(file).read_text(encoding="utf-8"))
        if isinstance(address := content["address"], str):
            return address
        raise TypeError(address)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = getattr(error, "strerror", None) or "it holds no address"
        raise InputError(
            f"--scheduler {file}: can't be read ({reason}); expected what dask scheduler --scheduler-file "
            "writes"
        ) from None
