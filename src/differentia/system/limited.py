"""Work in a process of its own, which is given up where it takes more time or memory than it may.

The process is started when it is first needed, and kept for the next work, one at a time; it ends with this
one. What it answers is bytes: nothing that it sends is run.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import struct
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import IO

#: In seconds of the clock, for each second of computing: a machine may be busy with something else.
PATIENCE = 8

_LENGTH = struct.Struct("<Q")
_LIMITS = struct.Struct("<dQ")

#: What a process does: it answers, in the function of a module that it is given, until nobody asks any more.
_BEGIN = "import sys; sys.path[:] = {path}; from differentia.system.limited import answer; answer({work!r})"


class GivenUpError(Exception):
    """Work that took more time or memory than it may; the message says what, as in "took longer than 7 s"."""


class LimitedProcess:
    """A process that does some work, ``package.module:function``.

    The function is given what is asked and the bytes that it is about, and returns an answer and bytes.
    """

    def __init__(self, work: str) -> None:
        self._work = work
        self._process: subprocess.Popen[bytes] | None = None
        self._one_at_a_time = threading.Lock()
        _PROCESSES.add(self)

    def do(self, asked: bytes, content: bytes, *, seconds: float, memory: int) -> tuple[bytes, bytes]:
        """Return what is answered, for which so much may be computed, in so many bytes of memory.

        Raises
        ------
        GivenUpError
            It took more, or the process ended over it; the next request is done by another.
        """
        with self._one_at_a_time:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            late = threading.Timer(seconds * (PATIENCE if _has_limits() else 1), process.kill)
            late.daemon = True
            late.start()
            try:
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.write(_LIMITS.pack(seconds, memory))
                    _write_messages(process.stdin, asked, content)
                return _read_message(process.stdout), _read_message(process.stdout)
            except EOFError:
                self.end()
                code = process.returncode
            except BaseException:
                self.end()
                raise
            finally:
                late.cancel()
        if code in (-_SIGXCPU, -_SIGKILL):
            raise GivenUpError(f"took longer than {seconds:g} s")
        raise GivenUpError(f"ended the process that reads it, with code {code}")

    def end(self) -> None:
        """End the process, if there is one; the next request begins another."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # what nobody reads any more
                    assert pipe is not None
                    pipe.close()

    def forget(self) -> None:
        """Leave the process to the one that this was forked from."""
        self._process, self._one_at_a_time = None, threading.Lock()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self.end()
        if self._process is None:
            begin = _BEGIN.format(path=json.dumps(sys.path), work=self._work)
            one_thread = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
            self._process = subprocess.Popen(
                [sys.executable, "-c", begin],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, **one_thread},
                start_new_session=True,  # Ctrl-C is this process's affair
            )
            weakref.finalize(self, _end, self._process, os.getpid())
        return self._process


_PROCESSES: weakref.WeakSet[LimitedProcess] = weakref.WeakSet()

_SIGXCPU, _SIGKILL = 24, 9


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    if process.returncode is None and os.getpid() == owner:  # not one that was forked from it
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()


def _forget_all() -> None:
    for process in list(_PROCESSES):
        process.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_all)


def _has_limits() -> bool:
    return sys.platform != "win32"


def _write_messages(stream: IO[bytes], *messages: bytes) -> None:
    for message in messages:
        stream.write(_LENGTH.pack(len(message)))
        stream.write(message)
    stream.flush()


def _read_message(stream: IO[bytes]) -> bytes:
    (length,) = _LENGTH.unpack(_read(stream, _LENGTH.size))
    return _read(stream, length)


def _read(stream: IO[bytes], count: int) -> bytes:
    found = stream.read(count)
    if len(found) < count:
        raise EOFError
    return found


def answer(work: str) -> None:
    """Answer what is asked on this process's standard input; for the process that does the work."""
    from importlib import import_module

    module, _, name = work.partition(":")
    do: Callable[[bytes, bytes], tuple[bytes, bytes]] = getattr(import_module(module), name)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what libraries print is no answer
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            seconds, memory = _LIMITS.unpack(_read(sys.stdin.buffer, _LIMITS.size))
            asked, content = _read_message(sys.stdin.buffer), _read_message(sys.stdin.buffer)
            _limit(seconds, memory)
            _write_messages(answers, *do(asked, content))


def _limit(seconds: float, memory: int) -> None:
    """Have the system end this process after so much more computing, and give it so much more memory."""
    if sys.platform == "win32":
        return
    import resource

    used = resource.getrusage(resource.RUSAGE_SELF)
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime + seconds), most))
    with contextlib.suppress(OSError, ValueError):  # where a process can't know what it takes
        now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + memory, resource.getrlimit(resource.RLIMIT_AS)[1]))
