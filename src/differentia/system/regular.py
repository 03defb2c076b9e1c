"""Files that are read where they are regular ones only: a pipe has no end, and a device is no file.

A folder that can't be read is an error, and not an empty one: what is in it would be recorded again.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path

#: Without waiting: a pipe that nobody writes to would be waited for, before it can be known for one.
_FLAGS = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_BINARY", "O_CLOEXEC"))
_NOT_THROUGH_LINKS = _FLAGS | getattr(os, "O_NOFOLLOW", 0)

_KINDS = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}


class NotRegularError(OSError):
    """What has a file's name is none that could be read to an end: a pipe, a device, a socket, a folder."""


def open_regular(path: str | os.PathLike[str]) -> BufferedReader:
    """Open a file that anybody may have given, to read it; a link to a file is followed.

    Raises
    ------
    OSError
        It can't be opened, or, as `NotRegularError`, is no regular file: that is known without waiting.
    """
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        if error.errno in (errno.ENXIO, errno.EOPNOTSUPP):  # of sockets
            require_regular(path)
        raise
    try:
        _require_regular(os.fstat(descriptor))
        return BufferedReader(FileIO(descriptor))
    except BaseException:
        os.close(descriptor)
        raise


def require_regular(path: str | os.PathLike[str]) -> None:
    """Raise an error unless a path leads to a regular file, for what is opened by its name alone."""
    _require_regular(os.stat(path))


def _require_regular(about: os.stat_result) -> None:
    if not stat.S_ISREG(about.st_mode):
        kind = _KINDS.get(stat.S_IFMT(about.st_mode), "of another kind")
        raise NotRegularError(f"it is {kind}, not a file")


@contextmanager
def opened(path: Path) -> Iterator[FileIO | None]:
    """Open a file of a folder of one's own to read it; None where it is a link, or no regular file."""
    try:
        descriptor = os.open(path, _NOT_THROUGH_LINKS)
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


def read_at(file: FileIO | BufferedReader, start: int, into: memoryview) -> int:
    """Read from a place in a file until a buffer is full, or the file ends; return how many bytes it had."""
    file.seek(start)
    done = 0
    while done < len(into) and (count := file.readinto(into[done:])):
        done += count
    return done
