"""Files that are read where they are regular ones only: a pipe has no end, and a link leads elsewhere.

A folder that can't be read is an error, and not an empty one: what is in it would be recorded again.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOFOLLOW", "O_BINARY"))


@contextmanager
def opened(path: Path) -> Iterator[FileIO | None]:
    """Open a file to read it; None where it is not a regular one."""
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno != errno.ELOOP:  # which a link is, where none is followed
            raise
        yield None
        return
    try:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        yield FileIO(descriptor, closefd=False) if regular else None
    finally:
        os.close(descriptor)


def names_in(folder: Path) -> list[str]:
    """Return the names in a folder, in order; none where it does not exist."""
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []


def read_at(file: FileIO, start: int, into: memoryview) -> int:
    """Read from a place in a file until a buffer is full, or the file ends; return how many bytes it had."""
    file.seek(start)
    done = 0
    while done < len(into) and (count := file.readinto(into[done:])):
        done += count
    return done
