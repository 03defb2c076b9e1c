"""A scheduler and workers of Dask, and a command that uses them, each a process that can be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from helpers.runs import ENVIRONMENT, LONG, Ended

#: The command line without figures and report, which take longest.
WITHOUT_VIEWS = (
    "import differentia.cli.measuring as measuring\n"
    "measuring.write_views = lambda *_: {}\n"
    "from differentia.cli import script\n"
    "script()\n"
)


class LabCluster:
    """The processes of a test, in one folder; all end with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.began: list[subprocess.Popen[str]] = []

    def scheduler(self) -> subprocess.Popen[str]:
        """Begin a scheduler, and wait until it has written its file."""
        self.file.unlink(missing_ok=True)
        options = ("--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", str(self.file))
        scheduler = self.begin("-m", "distributed.cli.dask_scheduler", *options, log="scheduler")
        wait_for(self.file.exists)
        return scheduler

    def worker(self, *options: str, **environment: str) -> subprocess.Popen[str]:
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
        log = f"worker-{len(self.began)}"
        return self.begin(
            "-m", "distributed.cli.dask_worker", *given, *place, *nanny, *options, log=log, **environment
        )

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Begin a command that uses them."""
        where = ("--scheduler", str(self.file))
        return self.begin("-c", WITHOUT_VIEWS, *arguments, *where, log=f"command-{len(self.began)}")

    def begin(self, *arguments: str, log: str, **environment: str) -> subprocess.Popen[str]:
        path = os.pathsep.join([*filter(None, [environment.pop("FIRST", "")]), *sys.path])
        with (self.folder / log).open("w") as said:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                cwd=self.folder,
                stdout=subprocess.DEVNULL,
                stderr=said,
                text=True,
                start_new_session=True,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored in the background
                env={**os.environ, **ENVIRONMENT, **environment, "PYTHONPATH": path},
            )
        process.log = self.folder / log  # type: ignore[attr-defined]
        self.began.append(process)
        return process

    def close(self) -> None:
        """Kill what still runs, and wait until the processes that it began have ended."""
        for process in self.began:
            process.kill()
            process.wait()
        wait_for(lambda: not self.processes())

    def processes(self) -> list[psutil.Process]:
        """Return what runs in the folder: whatever was begun there, and what that began."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if Path(process.cwd()).is_relative_to(self.folder):
                    found.append(process)
        return found


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a process, and return how it ended."""
    code = process.wait(LONG)
    return Ended(code, process.log.read_text())  # type: ignore[attr-defined]


def kill(process: subprocess.Popen[str], number: int = signal.SIGKILL) -> None:
    """Send a signal, and wait for the end."""
    process.send_signal(number)
    process.wait(LONG)


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
