"""Time and memory that a test may take: more is an error, and not a machine that hangs."""

from __future__ import annotations

import resource
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from differentia.errors import DifferentiaError


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Raise an error in what takes longer, and waits or runs in Python."""

    def end(*_: Any) -> None:
        raise TimeoutError(f"took longer than {seconds:g} s")

    earlier = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)


@contextmanager
def memory_left(size: int) -> Iterator[None]:
    """Let this process take so many bytes more of its address space, and no others."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (now + size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)


def said(error: DifferentiaError) -> str:
    """Return what an error says, which is one line without control characters."""
    text = str(error)
    assert text.isprintable(), text
    return text
