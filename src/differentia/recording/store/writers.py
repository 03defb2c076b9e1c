"""Who writes a file that is not finished yet, as its name tells, and whether that process has ended."""

from __future__ import annotations

import os
import re
import socket
from functools import lru_cache
from pathlib import Path

#: How the name of a file ends that is not finished.
PARTIAL = ".partial"

#: In seconds: what a process of another machine writes to is taken to be left after so long without a change.
LEFT_AFTER = 600.0

#: The host, the namespace of its processes, the process and when it began; and which of its files.
_WRITER = re.compile(
    r"(?P<process>(?P<place>[\w-]+~\d+)~(?P<pid>\d{1,10})~(?P<began>\d+))~(?P<serial>[0-9a-f]+)", re.ASCII
)


@lru_cache(maxsize=8)
def _began(pid: int) -> int | None:
    """Return when a process began, in hundredths of a second; None where there is none."""
    import psutil

    try:
        return round(100 * psutil.Process(pid).create_time())
    except (psutil.Error, OverflowError, ValueError):
        return None


@lru_cache(maxsize=1)
def _this_place() -> str:
    """Return this machine, and the namespace that its processes are numbered in."""
    host = re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())[:64]
    try:
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        space = 0
    return f"{host}~{space}"


def this_process() -> str:
    """Return what tells this process from all others, of any machine, as a part of a file's name."""
    return f"{_this_place()}~{os.getpid()}~{_began(os.getpid())}"


def beside(target: Path) -> Path:
    """Return where a process writes what will get a name when it is finished: a file of its own."""
    return target.with_name(f"{target.name}.{this_process()}~{os.urandom(4).hex()}{PARTIAL}")


def writer_of(path: Path) -> str | None:
    """Return who writes a file that is not finished, as its name says; None where it does not."""
    found = _WRITER.fullmatch(path.name.removesuffix(PARTIAL).rpartition(".")[2])
    return found["process"] if found and path.name.endswith(PARTIAL) else None


def is_left(path: Path) -> bool:
    """Return whether nobody writes to an unfinished file any more, or nobody that we know of.

    Of another machine's file that is known by the file server's clock: by a file that is made beside it.
    """
    found = _WRITER.fullmatch(path.name.removesuffix(PARTIAL).rpartition(".")[2])
    if found is None:
        return True
    if found["place"] == _this_place():
        _began.cache_clear()
        return _began(int(found["pid"])) != int(found["began"])
    clock = path.with_name(f".clock~{os.urandom(4).hex()}")
    try:
        clock.touch()
        return clock.stat().st_mtime - path.stat().st_mtime > LEFT_AFTER
    except OSError:
        return False
    finally:
        clock.unlink(missing_ok=True)


def write_whole(target: Path, content: bytes) -> None:
    """Write a small file whole or not at all, in place of one that is there."""
    unfinished = beside(target)
    try:
        unfinished.write_bytes(content)
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def remove_left(folder: Path, pattern: str = f"*{PARTIAL}") -> None:
    """Remove unfinished files that nobody writes to any more."""
    for path in folder.glob(pattern):
        if is_left(path):
            path.unlink(missing_ok=True)
