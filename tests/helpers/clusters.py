"""A scheduler and workers of Dask, and a command that uses them, each a process that can be killed."""

from __future__ import annotations

import importlib
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import dask
import psutil
import pytest
from distributed import Client
from helpers.run_server import DRAWING, IMPORTED
from helpers.runs import ENVIRONMENT, LONG, Ended

from differentia.recording.cluster import local_workers

if sys.platform == "win32":  # which forks nothing: what uses it is skipped
    from multiprocessing import Process as ForkServerProcess
else:
    from multiprocessing.context import ForkServerProcess


def begin_server() -> None:
    """Have a server import what processes of Dask need, once: they are forked from it."""
    context = multiprocessing.get_context("forkserver")
    dask_itself = ("distributed.cli.dask_scheduler", "distributed.cli.dask_worker")
    context.set_forkserver_preload([*IMPORTED, *dask_itself, __name__, "helpers.cluster_tasks"])
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, "PYTHONPATH": os.pathsep.join(sys.path)}.items():
            patch.setenv(name, value)
        multiprocessing.forkserver.ensure_running()


@contextmanager
def forked() -> Iterator[None]:
    """Have Dask fork the workers of this machine, where that can be done."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        yield
        return
    begin_server()
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        yield


@contextmanager
def forked_workers(count: int) -> Iterator[Client]:
    """Give the client of as many workers as `local_workers` does."""
    with forked(), local_workers(count) as client:
        yield client


def scheduler() -> None:
    """Be a scheduler."""
    from distributed.cli.dask_scheduler import main

    main()


def worker() -> None:
    """Be a worker."""
    from distributed.cli.dask_worker import main

    main()


def command() -> None:
    """Be the command line, without figures and report, which take longest."""
    module, name = DRAWING
    setattr(importlib.import_module(module), name, lambda *_: {})
    from differentia.cli import script

    script()


class LabProcess(ForkServerProcess):
    """A process of a test; what it says is in its log."""

    def __init__(
        self,
        be: Callable[[], None],
        arguments: tuple[str, ...],
        log: Path,
        environment: dict[str, str],
    ) -> None:
        super().__init__()
        self.be = be
        self.arguments = arguments
        self.log = log
        self.environment = environment

    def run(self) -> None:
        """Be what it is to be, as if it was begun by a shell."""
        os.setsid()
        os.chdir(self.log.parent)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # tests in the background ignore it
        os.environ.update(self.environment)
        tempfile.tempdir = None  # it is looked for in the environment again
        sys.path[:0] = filter(None, [self.environment.get("FIRST")])
        sys.argv = ["differentia", *self.arguments]
        self.be()


class LabCluster:
    """The processes of a test, in one folder; all end with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.began: list[LabProcess] = []

    def scheduler(self) -> LabProcess:
        """Begin a scheduler, and wait until it has written its file."""
        self.file.unlink(missing_ok=True)
        options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(self.file))
        begun = self.begin(scheduler, *options, log="scheduler")
        wait_for(self.file.exists)
        return begun

    def worker(self, *options: str, **environment: str) -> LabProcess:
        """Begin a worker of one thread; without a nanny, so that it ends when it is killed.

        It keeps a list of the chunks that it writes, and what it is told goes into its environment
        (`cluster_faults`).
        """
        nanny = () if "--nanny" in options else ("--no-nanny",)
        given = (
            "--scheduler-file",
            str(self.file),
            "--nthreads",
            "1",
            "--no-dashboard",
            "--death-timeout",
            "60",
            "--preload",
            "helpers.cluster_faults",
        )
        place = ("--local-directory", str(self.folder / "scratch"))
        return self.begin(
            worker, *given, *place, *nanny, *options, log=f"worker-{len(self.began)}", **environment
        )

    def command(self, *arguments: str) -> LabProcess:
        """Begin a command that uses them."""
        where = ("--scheduler", str(self.file))
        return self.begin(command, *arguments, *where, log=f"command-{len(self.began)}")

    def begin(self, be: Callable[[], None], *arguments: str, log: str, **environment: str) -> LabProcess:
        """Begin a process."""
        begin_server()
        process = LabProcess(be, arguments, self.folder / log, {**os.environ, **ENVIRONMENT, **environment})
        process.start()
        self.began.append(process)
        return process

    def close(self) -> None:
        """Kill what still runs, and wait until the processes that it began have ended."""
        for process in self.began:
            process.kill()
            process.join()
        wait_for(lambda: not self.processes())

    def processes(self) -> list[psutil.Process]:
        """Return what runs in the folder: whatever was begun there, and what that began."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if Path(process.cwd()).is_relative_to(self.folder):
                    found.append(process)
        return found


def ended(process: LabProcess) -> Ended:
    """Wait for the end of a process, and return how it ended."""
    process.join(LONG)
    assert process.exitcode is not None, "it did not end"
    return Ended(process.exitcode, process.log.read_text())


def kill(process: LabProcess, number: int = signal.SIGKILL, *, group: bool = False) -> Ended:
    """Send a signal, perhaps to all that it began, too; wait for the end, and return how it ended."""
    assert process.pid is not None
    (os.killpg if group else os.kill)(process.pid, number)
    return ended(process)


def wait_for(happened: Callable[[], object]) -> None:
    """Wait until something has happened."""
    due = time.monotonic() + LONG
    while not happened():
        assert time.monotonic() < due, "it did not happen"
        time.sleep(0.01)


@contextmanager
def lab_cluster(folder: Path) -> Iterator[LabCluster]:
    """Give a cluster without any process yet."""
    cluster = LabCluster(folder)
    try:
        yield cluster
    finally:
        cluster.close()
