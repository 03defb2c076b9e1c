"""A folder that one run at a time writes into."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from differentia.errors import FolderInUseError, InputError
from differentia.system.files import require_writable

if TYPE_CHECKING:
    from filelock import BaseFileLock

#: What lies in a folder while it is held: what is locked, and who locked it. The latter is apart, since
#: Windows lets nobody read what is locked. Where the file system has no locks, a marker stands for one.
LOCK, HOLDER, MARKER = ".lock", ".lock.json", ".lock.marker"

#: In seconds: for a lock that is just being let go.
LETTING_GO = 0.3

#: How a file system says that it has no locks.
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}

_held: set[Path] = set()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where there is none, so that no other run writes into it meanwhile.

    The lock is one of the operating system. It ends with the process, however that ends: what a killed run
    has left is taken over. Some network file systems have none (Lustre and NFS as some are mounted): there a
    marker of this computer is taken over where its process is gone, and that of another computer has to be
    removed by hand. NFS mounted with ``nolock`` keeps only the runs of one computer apart.
    """
    require_writable(folder, str(folder))
    lock = _acquired(folder)
    place = folder.absolute()
    _held.add(place)
    try:
        with suppress(OSError):  # the lock holds without it
            started = datetime.now().astimezone().isoformat(timespec="seconds")
            about = {"pid": os.getpid(), "host": socket.gethostname(), "started": started}
            (folder / HOLDER).write_text(json.dumps(about), encoding="utf-8")
        yield
    finally:
        # Under the lock, or two could hold it: a run that has the file open already finds that it has lost
        # its name, and opens another (filelock looks at st_nlink).
        _remove(place, HOLDER, LOCK)
        _held.discard(place)
        with suppress(OSError):
            lock.release()
        if os.name == "nt":  # which removes no file that is open, so nobody's lock either
            _remove(place, HOLDER, LOCK)


def leave_nothing() -> None:
    """Remove the locks' files, for a process that ends at once, without leaving what it is in."""
    for folder in list(_held):
        _remove(folder, HOLDER, LOCK, MARKER)


def _remove(folder: Path, *names: str) -> None:
    for name in names:
        with suppress(OSError):
            (folder / name).unlink()


def _acquired(folder: Path) -> BaseFileLock:
    from filelock import FileLock, SoftFileLock, Timeout

    name, remedy = LOCK, "wait for it, or choose another folder"
    lock: BaseFileLock = FileLock(folder / LOCK, thread_local=False, fallback_to_soft=False)
    try:
        try:
            return lock.acquire(timeout=LETTING_GO).lock
        except OSError as error:
            if isinstance(error, Timeout) or error.errno not in NO_LOCKS:
                raise
        name, remedy = MARKER, f"{remedy}; if it is gone, remove {folder / MARKER}"
        lock = SoftFileLock(folder / MARKER, thread_local=False)
        return lock.acquire(timeout=LETTING_GO).lock
    except Timeout as error:
        raise FolderInUseError(f"{folder}: is in use by {_holder(folder)}; {remedy}") from error
    except PermissionError as error:
        raise FolderInUseError(
            f"{folder}: {name} in it can't be opened ({error.strerror}): another user's run holds the "
            "folder, or left this file behind; wait, remove it, or choose another folder"
        ) from error
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"{folder}: {name} in it can't be locked ({reason}); remove it, or choose another folder"
        ) from error


def _holder(folder: Path) -> str:
    """Return who holds a folder, as far as the file in it can be trusted, which anybody may have written."""
    try:
        with (folder / HOLDER).open(encoding="utf-8") as file:
            known = json.loads(file.read(1000))
        since = datetime.fromisoformat(known["started"]).astimezone()
        host = str(known["host"])
        if not host.isprintable():
            raise ValueError("a host has no such name")
        return f"process {int(known['pid'])} on host {host}, since {since:%Y-%m-%d %H:%M}"
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return "another process"
