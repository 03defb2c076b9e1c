"""Unfinished files: their name tells who writes to them, so that what a process left is known for that."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import stat
from contextlib import suppress
from io import FileIO
from pathlib import Path

from differentia.system.locking import ended, this_process

#: How the name of a file ends that is not finished.
PARTIAL = ".partial"

#: The writer of a file that a process has left, though it still runs.
NOBODY = "nobody_writes_to_this"


def beside(target: Path) -> Path:
    """Return where a process writes what will get a name when it is finished: a file of its own."""
    return target.with_name(f"{target.name}.{this_process()}.{secrets.token_hex(4)}{PARTIAL}")


def writer_of(path: Path) -> str | None:
    """Return the process that writes an unfinished file, as its name says; None where it does not."""
    match path.name.rsplit(".", 3):
        case [_, writer, serial, _] if len(serial) == 8 and writer.count("_") == 3:
            return writer
    return None


def leave(path: Path) -> Path:
    """Give an unfinished file to whoever wants it, and return its name from now on."""
    left = path.with_name(path.name.replace(f".{this_process()}.", f".{NOBODY}."))
    try:
        return path.replace(left)
    except OSError:  # with its name it waits for the end of this process
        return path


def is_left(path: Path) -> bool:
    """Return whether nobody writes to an unfinished file any more, or nobody that we know of."""
    writer = writer_of(path)
    return writer in (None, NOBODY) or ended(writer, path)


def write_whole(target: Path, content: bytes) -> None:
    """Write a small file whole or not at all, in place of one that is there."""
    unfinished = beside(target)
    try:
        unfinished.write_bytes(content)
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


#: Nothing is written through a link, and nobody waits for the other end of a pipe.
_IN_PLACE = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))


def open_again(path: Path, flags: int) -> FileIO:
    """Open a file of ours to write on in it, as `os.open` takes flags; what took its place is an error."""
    descriptor = os.open(path, flags | _IN_PLACE, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileExistsError(errno.EEXIST, "It is a pipe or a device", str(path))
    return FileIO(descriptor, "r+" if flags & os.O_RDWR else "w")


def has_one_name(path: Path) -> bool:
    """Return whether a file is in one place, not in a backup by hard links too, or is yet to be made."""
    try:
        facts = path.lstat()
    except FileNotFoundError:
        return True
    return stat.S_ISREG(facts.st_mode) and facts.st_nlink == 1


def remove_folder(path: Path) -> None:
    """Remove a folder with all in it; others may do the same meanwhile."""
    while path.exists():
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


def remove_left(folder: Path) -> None:
    """Remove unfinished files that nobody writes to any more."""
    for path in folder.glob(f"*{PARTIAL}"):
        if is_left(path):
            path.unlink(missing_ok=True)
