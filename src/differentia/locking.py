"""A folder that one run at a time writes into."""

from __future__ import annotations

import errno
import getpass
import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from differentia.errors import FolderInUseError, InputError
from differentia.folders import require_writable

if TYPE_CHECKING:
    from filelock import BaseFileLock

#: What lies in a folder while it is held: what is locked, and who locked it. The latter is apart, since
#: Windows lets nobody read what is locked.
LOCK, HOLDER = ".lock", ".lock.json"

#: What is there instead of a lock where the file system has none.
MARKER = ".lock.marker"

#: In seconds: for a lock that is just being let go.
PATIENCE = 0.3

#: How a file system says that it has no locks.
NO_LOCKS = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP}

#: Of a command, in the message.
MOST_SHOWN = 100

_held: set[Path] = set()


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder, so that no other run writes into it meanwhile.

    The lock is one of the operating system, on the file ``.lock``. It ends with the process, however that
    ends: what a killed run has left is taken over without asking. The files are removed at the end.

    Some network file systems have no such locks (Lustre and NFS as some are mounted). There the file
    ``.lock.marker`` stands for the lock: a marker of a process of this computer that is gone is taken over,
    that of another computer has to be removed by hand; the error names it. NFS mounted with ``nolock``
    keeps only the runs of one computer apart, and nobody can tell.

    Parameters
    ----------
    folder
        Made where there is none.

    Raises
    ------
    FolderInUseError
        Another run holds it: which, where and since when, as far as that is known.
    InputError
        It can't be written to, or something is in the place of a file of the lock.
    """
    require_writable(folder, str(folder))
    lock = _acquired(folder)
    place = folder.absolute()
    _held.add(place)
    try:
        with suppress(OSError):  # the lock holds without it
            (folder / HOLDER).write_text(json.dumps(_this_process()), encoding="utf-8")
        yield
    finally:
        _remove_files(place)
        _held.discard(place)
        with suppress(OSError):
            lock.release()
        if os.name == "nt":  # which removes no file that is open, so nobody's lock either
            _remove_files(place)


def leave_nothing() -> None:
    """Remove the locks' files, for a process that ends at once, without leaving what it is in."""
    for folder in list(_held):
        _remove_files(folder)
        with suppress(OSError):
            (folder / MARKER).unlink()


def _acquired(folder: Path) -> BaseFileLock:
    from filelock import FileLock, SoftFileLock, Timeout

    lock: BaseFileLock
    path = folder / LOCK
    try:
        try:
            lock = FileLock(path, thread_local=False, fallback_to_soft=False)
            lock.acquire(timeout=PATIENCE)
        except OSError as error:
            if isinstance(error, Timeout) or error.errno not in NO_LOCKS:
                raise
            path = folder / MARKER
            lock = SoftFileLock(path, thread_local=False)
            lock.acquire(timeout=PATIENCE)
    except Timeout as error:
        raise FolderInUseError(_in_use(folder, path)) from error
    except PermissionError as error:
        raise FolderInUseError(
            f"{folder}: {path.name} in it can't be opened ({error.strerror}): another user's run holds the "
            "folder, or left this file behind; wait, remove it, or choose another folder"
        ) from error
    except OSError as error:
        reason = error.strerror or error
        raise InputError(
            f"{folder}: {path.name} in it can't be locked ({reason}); remove it, or choose another folder"
        ) from error
    return lock


def _remove_files(folder: Path) -> None:
    # Under the lock, or two could hold it: a run that has the file open already finds that it has lost its
    # name, and opens another (filelock looks at st_nlink).
    for name in (HOLDER, LOCK):
        with suppress(OSError):
            (folder / name).unlink()


def _this_process() -> dict[str, Any]:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container without names
        user = ""
    program = Path(sys.argv[0] if sys.argv else "")
    name = program.parent.name if program.name == "__main__.py" else program.name
    return {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "user": user,
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "command": shlex.join([name, *sys.argv[1:]]),
    }


def _in_use(folder: Path, path: Path) -> str:
    """Return the message that another run holds a folder: who, as far as the file in it can be read."""
    try:
        with (folder / HOLDER).open(encoding="utf-8") as file:
            read = json.loads(file.read(10_000))
    except (OSError, ValueError, RecursionError):
        read = None
    known: dict[str, Any] = read if isinstance(read, dict) else {}
    pid, host, user, command = (_shown(known.get(name)) for name in ("pid", "host", "user", "command"))
    who = f"process {pid}" if pid else "another process"
    who += f" of {user}" if user else ""
    who += f" on host {host}" if host else ""
    who += _since(known.get("started"))
    who += f" ({command})" if command else ""
    remedy = "wait for it, or choose another folder"
    if path.name == MARKER:
        remedy += f"; if it is gone, remove {path}"
    return f"{folder}: is in use by {who}; {remedy}"


def _shown(given: object) -> str:
    """Return a text or a number of a file that anybody may have written, fit to be printed on one line."""
    if isinstance(given, bool) or not isinstance(given, str | int):
        return ""
    text = "".join(letter for letter in str(given)[: MOST_SHOWN + 1] if letter.isprintable())
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _since(given: object) -> str:
    try:
        started = datetime.fromisoformat(str(given)).astimezone()
    except (ValueError, OverflowError, OSError):
        return ""
    today = started.date() == datetime.now().astimezone().date()
    return f", since {started:%H:%M}" if today else f", since {started:%Y-%m-%d %H:%M}"
