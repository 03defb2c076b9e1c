"""Commands given a stranger's files, each in a process of its own, whose time, memory and deeds are known."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import torch

import differentia.cli.entry  # once, and not in each process
import differentia.recording.cost
import differentia.recording.selection  # noqa: F401
from differentia.cli import main

#: In seconds of CPU and bytes: what a file may cost beyond the imports.
MOST_SECONDS, MOST_MEMORY = 10, 1_500_000_000

#: In bytes, of addresses: what a process may take before it gets no more.
LIMIT = 6 * 2**30

#: Events that a harmless file never leads to.
DEEDS = ("os.exec", "os.fork", "os.posix_spawn", "os.system", "pickle.find_class", "socket.connect")

STATUS = Path("/proc/self/status")


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    text: str
    #: Of CPU.
    seconds: float
    #: Bytes of memory at its most, beyond those at its start.
    grown: int
    #: What it did that it should not.
    deeds: list[str]


def attempt(*arguments: str) -> Ended:
    """Run a command in a forked process, which is ended where it takes a minute."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which are of no use to the child
        process = os.fork()
    if not process:
        _in_child([*arguments], writing)
    os.close(writing)
    with open(reading, "rb") as pipe:
        text, _, facts = pipe.read().decode(errors="surrogateescape").rpartition("\0")
    _, status = os.waitpid(process, 0)
    assert status == 0, f"{arguments} ended with {status}: {text}{facts}"
    return Ended(text=text, **json.loads(facts))


def in_bounds(*arguments: str) -> Ended:
    """Run a command on a stranger's file; it ends soon, in little memory, and shows and does nothing odd."""
    ended = attempt(*arguments)
    assert ended.code in (0, 2), ended
    assert ended.seconds < MOST_SECONDS, ended
    assert ended.grown < MOST_MEMORY, ended
    assert not ended.deeds, ended
    assert ended.text.replace("\n", "").isprintable(), ended
    assert "Traceback" not in ended.text, ended
    return ended


def refused(*arguments: str) -> str:
    """Return the one line with which a command on a stranger's file ends."""
    ended = in_bounds(*arguments)
    assert ended.code == 2, ended
    assert ended.text.strip().count("\n") == 0, ended
    return ended.text.strip()


def _in_child(arguments: list[str], writing: int) -> NoReturn:
    code, started = 70, time.process_time()
    deeds: list[str] = []
    outside = (tempfile.gettempdir(), "/dev/null")

    def note(event: str, given: tuple[Any, ...]) -> None:
        written = event == "open" and isinstance(given[2], int) and given[2] & (os.O_WRONLY | os.O_RDWR)
        if event in DEEDS or (written and not str(given[0]).startswith(outside)):
            deeds.append(f"{event} {given[:2]}")

    try:
        for number in (1, 2):
            os.dup2(writing, number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        warnings.simplefilter("ignore")
        sys.dont_write_bytecode = True
        torch.set_num_threads(1)  # those of the parent are not in the child
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(60)
        resource.setrlimit(resource.RLIMIT_AS, (_memory("VmSize") + LIMIT, resource.RLIM_INFINITY))
        Path("/proc/self/clear_refs").write_text("5")  # the most is counted from here
        before = _memory("VmRSS")
        sys.addaudithook(note)
        code = main(arguments)
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    facts = {"code": code, "seconds": time.process_time() - started, "deeds": deeds}
    facts["grown"] = _memory("VmHWM") - before
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.write(writing, b"\0" + json.dumps(facts).encode())
    os._exit(0)


def _memory(name: str) -> int:
    """Return a size that Linux tells of this process, in bytes."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024
