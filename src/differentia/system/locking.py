"""A folder that one run at a time writes into, or several parts of one recording.

Who writes into a folder lays a *lease* there, a small file of a name that nobody else uses, and then looks at
the others: where one stands in the way, it takes its own back. A lease ends with its process. On the same
machine that is seen at once; a process elsewhere is taken for ended once its lease was not renewed for some
minutes. No locks of the operating system are asked for, since many network file systems have none.

What is relied on is that who makes a file in a directory, and then reads the directory, finds all files that
were made before. It is so on local file systems, and on Lustre, where all clients see the same; and over NFS,
whose client drops what it knows of a directory as it makes a file in it ("weak cache consistency", RFC 1813,
2.6; ``change_info4``, RFC 8881, 3.3.3). A time that is read of a file may be a minute old there (``acregmax``
of nfs(5)), which is much less than `STALE`.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import itertools
import json
import os
import platform
import re
import secrets
import socket
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from differentia.errors import FolderInUseError, InputError
from differentia.system.files import require_writable

#: The folder in a folder that has the leases.
IN_USE = ".in-use"

#: In seconds: how often a lease is renewed, and after how long without that a process elsewhere is taken for
#: ended. A machine that swaps, or a long call that lets no other thread run, must not lose its lease.
RENEWED, STALE = 15.0, 300.0

#: In seconds: how long a run waits for one that is just letting go, and a part for a run that only asks.
LETTING_GO, GIVING_WAY = 0.3, 1.2

#: By kind of lease: the kinds that stand in its way.
_IN_THE_WAY = {"held": {"held", "shared"}, "shared": {"held"}, "moment": {"moment"}}

#: The host for people, what tells machines apart for programs, the process, and when it started.
_TOKEN = re.compile(r"([0-9A-Za-z-]{1,40})_([0-9a-f]{12})_([0-9]{1,10})_([0-9]{1,20})")

#: When it was asked for (microseconds since 1970, in hexadecimal), the kind, the token, a number.
_LEASE = re.compile(rf"([0-9a-f]{{13}})_({'|'.join(_IN_THE_WAY)})_({_TOKEN.pattern})_[0-9]{{1,20}}")

#: In bytes, of a lease, and in characters, of what a part says of itself.
_MOST_READ, _MOST_SAID = 1000, 100

#: Nothing is read or written through a link, or waits for the other end of a pipe; Windows has neither.
_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

#: How a system says that a folder was removed just now, NFS by the latter.
_REMOVED = {errno.ENOENT, errno.ESTALE}

#: Windows is at it for as long as somebody reads the folder.
_BEING_REMOVED = {errno.EACCES} if os.name == "nt" else set()

#: The leases of this process and its forks, each with the process that has it.
_mine: dict[Path, int] = {}

#: Files of processes elsewhere with their times, and until when, by this process's clock, these are fresh.
_fresh: dict[tuple[Path, float], float] = {}

_serial = itertools.count()


@dataclass(frozen=True)
class Holder:
    """Who holds a folder, or has left that behind.

    Attributes
    ----------
    host, pid
        The machine and its process.
    since
        When it began, by the clock of that machine.
    share
        What it does, where it leaves room for others that share the folder; else None.
    renewed
        When it last gave a sign of life, by the file server's clock.
    alive
        Whether it is at work, as far as can be seen from here: of another machine, by this one's clock.
    """

    host: str
    pid: int
    since: datetime
    share: str | None
    renewed: datetime
    alive: bool


@contextmanager
def held(folder: Path, *, share: str | None = None) -> Iterator[None]:
    """Hold a folder, which is made where there is none, so that no other run writes into it meanwhile.

    With `share`, such as "part 3 of 10", others that share it may hold it too. It ends with the process,
    however that ends. A process elsewhere that was silent for `STALE` seconds, and then goes on, has lost it
    without noticing: what two must never write may not depend on this alone.
    """
    require_writable(folder, str(folder))
    with _leased(
        folder, "held" if share is None else "shared", share, LETTING_GO if share is None else GIVING_WAY
    ):
        yield


@contextmanager
def alone(folder: Path, *, wait: float = 60.0) -> Iterator[None]:
    """Do something short in a folder that nobody else does meanwhile, also those that share it: they wait."""
    with _leased(folder, "moment", None, wait):
        yield


def holders(folder: Path) -> list[Holder]:
    """Return who holds a folder, or has left that behind, in the order in which they came; write nothing."""
    try:
        leases = sorted(_leases(folder), key=lambda lease: lease.path.name)
    except NotADirectoryError:
        return []
    except OSError as error:
        raise InputError(
            f"{folder}: {IN_USE} in it can't be read ({error.strerror or error}), so that nobody can say who "
            "writes to it; ask its owner"
        ) from error
    found = []
    for lease in leases:
        if lease.kind != "moment":
            with suppress(OSError):  # it lets go just now
                renewed = lease.path.lstat().st_mtime
                found.append(lease.holder(renewed, alive=not seems_ended(lease.token, renewed)))
    return found


def leave_nothing() -> None:
    """Remove the leases of a process that ends at once, without leaving what it is in."""
    for path in list(_mine):
        _give_back(path)


def this_process() -> str:
    """Return what names this process among those of all machines, for the name of a file."""
    return _named(os.getpid())


def ended(token: str, file: Path) -> bool:
    """Return whether the process that a token names is gone.

    On this machine its number and start say so. Elsewhere it is taken for gone once `file`, which it should
    renew, was not changed for `STALE` seconds. That is by the file server's clock: machines need not agree.
    It is asked for the time by a file that is made, not again until the answer may be another.
    """
    gone = _gone(token)
    if gone is not None:
        return gone
    try:
        changed = file.lstat().st_mtime
        if time.monotonic() < _fresh.get((file, changed), 0):
            return False
        with tempfile.TemporaryFile(dir=file.parent) as new:
            age = os.fstat(new.fileno()).st_mtime - changed
        _fresh[file, changed] = time.monotonic() + STALE - age
        return age > STALE
    except FileNotFoundError:
        return True
    except OSError:
        return False


def seems_ended(token: str, renewed: float) -> bool:
    """Return the same without a write, for whoever looks on: elsewhere by this machine's clock.

    `renewed` is when its file was changed last, in seconds since 1970.
    """
    gone = _gone(token)
    return time.time() - renewed > STALE if gone is None else gone


@functools.cache
def _named(pid: int) -> str:
    host = re.sub(r"[^0-9A-Za-z-]", "-", platform.node())[:40] or "unknown"
    return f"{host}_{_machine(pid)}_{pid}_{_start(pid) or 0}"


@functools.cache
def _machine(pid: int) -> str:
    """Return what a process has in common with those that it knows by number: a boot, and a container."""
    try:
        known = Path("/proc/sys/kernel/random/boot_id").read_text() + os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        import uuid

        known = secrets.token_hex() if sys.platform == "linux" else str(uuid.getnode())
    # With the name, since copies of a virtual machine that runs have its boot too.
    return hashlib.sha256(f"{platform.node()} {known}".encode()).hexdigest()[:12]


def _gone(token: str) -> bool | None:
    """Return whether a process of this machine has ended; None for all that can't be seen from here."""
    import psutil

    found = _TOKEN.fullmatch(token)
    if found is None or found[2] != _machine(os.getpid()):
        return None
    pid, start = int(found[3]), int(found[4])
    try:
        return not psutil.pid_exists(pid) or _start(pid) not in (start, None)
    except OverflowError:  # no process has such a number
        return True


def _start(pid: int) -> int | None:
    """Return what tells a process from others of its number, -1 once it ended, None where that is hidden."""
    if sys.platform == "linux":  # in ticks: psutil's time changes where the clock is set
        try:
            state, *fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
            return -1 if state in "ZX" else int(fields[18])
        except (OSError, ValueError, IndexError):
            return None
    import psutil

    try:
        process = psutil.Process(pid)
        return -1 if process.status() == psutil.STATUS_ZOMBIE else int(1000 * process.create_time())
    except psutil.Error:
        return None


@dataclass(frozen=True)
class _Lease:
    """A lease in a folder, as its name has it."""

    path: Path
    since: int
    kind: str
    token: str
    host: str
    pid: int

    def holder(self, renewed: float, *, alive: bool) -> Holder:
        """Return who has it: by its name, and by what is in it, which anybody may have written."""
        said = _read(self.path)
        return Holder(
            host=said.get("host", self.host),
            pid=self.pid,
            since=_time(self.since / 1e6),
            share=said.get("share", "a part") if self.kind == "shared" else None,
            renewed=_time(renewed),
            alive=alive,
        )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, 0), 1 << 32), UTC).astimezone()


def _leases(folder: Path) -> list[_Lease]:
    place = folder / IN_USE
    if place.is_symlink():
        raise NotADirectoryError(errno.ENOTDIR, "Not a folder")
    try:
        with os.scandir(place) as entries:
            names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    except OSError as error:
        if error.errno not in _REMOVED:
            raise
        return []
    found = []
    for name in map(_LEASE.fullmatch, names):
        if name is not None:
            since, kind, token, host, _, pid, _ = name.groups()
            found.append(_Lease(place / name.string, int(since, 16), kind, token, host, int(pid)))
    return found


def _read(path: Path) -> dict[str, str]:
    """Return what a lease says in words that can be printed; nothing where another user may not read it."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | _NO_LINK), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return {}
            said = json.loads(file.read(_MOST_READ))
        return {name: said[name] for name in ("host", "share") if _printable(said.get(name))}
    except (OSError, ValueError, AttributeError, RecursionError):
        return {}


def _printable(text: object) -> bool:
    return isinstance(text, str) and 0 < len(text) <= _MOST_SAID and text.isprintable()


@contextmanager
def _leased(folder: Path, kind: str, share: str | None, patience: float) -> Iterator[None]:
    name = f"{time.time_ns() // 1000:013x}_{kind}_{this_process()}_{next(_serial)}"
    path = folder.absolute() / IN_USE / name
    _mine[path] = os.getpid()
    try:
        try:
            _acquire(folder, path, kind, share, time.monotonic() + patience)
        except PermissionError as error:
            raise FolderInUseError(
                f"{folder}: {IN_USE} in it can't be used ({error.strerror}): another user's run holds the "
                "folder, or left this behind; wait, remove it, or choose another folder"
            ) from error
        except OSError as error:
            reason = error.strerror or error
            raise InputError(
                f"{folder}: {IN_USE} in it can't be used ({reason}); remove it, or choose another folder"
            ) from error
        with _renewed(path):
            yield
    finally:
        _give_back(path)
        _mine.pop(path, None)


def _acquire(folder: Path, path: Path, kind: str, share: str | None, until: float) -> None:
    """Lay a lease that no other stands in the way of.

    Of two that ask at once, the one whose lease is made later finds the other's: never both hold it. The
    first by name leaves its lease there, and waits until others have stepped back, so that one gets it.
    """
    present, begun = False, time.monotonic()
    while True:
        others = [
            lease for lease in _leases(path.parent.parent) if lease.path != path and _hinders(lease, kind)
        ]
        if not others and present:
            return
        if not others:
            _lay(path, share)
            present = True
            continue
        if time.monotonic() > until:
            raise FolderInUseError(f"{folder}: is in use by {_in_words(others)}")
        if present and min(lease.path.name for lease in others) < path.name:
            _give_back(path)
            present = False
        longer = min(50, 1 + 5 * (time.monotonic() - begun))  # who waits for long asks a server less often
        time.sleep(longer * (2 + secrets.randbelow(20)) / 1000)


def _hinders(lease: _Lease, kind: str) -> bool:
    """Return whether a lease stands in the way of one of a kind.

    What has ended is removed: who is to be alone for long removes all of it, others what stands in their way.
    """
    hinders = lease.kind in _IN_THE_WAY[kind]
    if (hinders or kind == "held") and ended(lease.token, lease.path):
        with suppress(OSError):  # another user's stays
            lease.path.unlink()
        return False
    return hinders


def _lay(path: Path, share: str | None) -> None:
    """Make the file of a lease, and the folder for it, which whoever let go last may be removing."""
    for _ in range(100):
        with suppress(FileExistsError):
            path.parent.mkdir()
        try:
            if not stat.S_ISDIR(path.parent.lstat().st_mode):
                raise NotADirectoryError(errno.ENOTDIR, "Not a folder")
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o666)
        except FileExistsError:  # nobody else has the name: over NFS, a request was sent twice
            return
        except OSError as error:
            if error.errno not in _REMOVED | _BEING_REMOVED:
                raise
            time.sleep(0.001)
        else:
            said = {"host": socket.gethostname()[:_MOST_SAID], "share": (share or "")[:_MOST_SAID]}
            with suppress(OSError), os.fdopen(file, "wb") as opened:  # it holds without
                opened.write(json.dumps(said).encode())
            return
    raise OSError(errno.ENOENT, "It is removed again and again")


@contextmanager
def _renewed(path: Path) -> Iterator[None]:
    """Give signs of life meanwhile; the run goes on where somebody has removed the file."""
    over = threading.Event()
    here: dict[str, Any] = {"follow_symlinks": False} if os.utime in os.supports_follow_symlinks else {}

    def renew() -> None:
        while not over.wait(RENEWED):
            with suppress(OSError):
                os.utime(path, **here)  # without a time, so that the file server's clock is taken

    threading.Thread(target=renew, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _give_back(path: Path) -> None:
    """Remove a lease of this process, not one of its parent's, and the folder if nothing is left in it."""
    if _mine.get(path) == os.getpid():
        with suppress(OSError):
            path.unlink()
        with suppress(OSError):
            path.parent.rmdir()


def _in_words(leases: list[_Lease]) -> str:
    """Return who holds a folder, and what to do."""
    first = min(leases, key=lambda lease: lease.path.name)
    who = first.holder(0, alive=True)
    does = "" if who.share is None else f" ({who.share})"
    more = f", and {len(leases) - 1} more" if len(leases) > 1 else ""
    unseen = f"; if it is gone, its hold ends {STALE / 60:.0f} minutes after its last sign of life"
    return (
        f"process {who.pid} on host {who.host}{does}, since {who.since:%Y-%m-%d %H:%M}{more}; "
        f"wait for it, or choose another folder{unseen if _gone(first.token) is None else ''}"
    )
