"""Paths as users write them; files and folders that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import platform
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from differentia.errors import DifferentiaError, InputError, StorageError
from differentia.system.regular import open_regular

#: The disk has no room: to name another place is one way out, to make room is another.
NO_ROOM = frozenset(getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EFBIG") if hasattr(errno, name))

#: In bytes: of a file, as most file systems have it.
LONGEST_NAME = 255

#: In bytes: no experiment file or list of classes is as large.
MOST_TEXT = 16_000_000

#: In seconds: what another machine left beside a file is taken for abandoned after so long without a change.
ABANDONED = 7 * 24 * 3600

#: Where something fails late.
AGAIN = "run the same command again; what was recorded is kept"

#: Tells apart what one process writes at the same time.
_SERIAL = itertools.count()


def absolute_path(path: str, folder: Path) -> str:
    """Return a path that a user wrote, which may be relative to a folder, with ``~`` expanded."""
    return os.path.abspath(folder / os.path.expanduser(path))


def user_path(path: str | os.PathLike[str]) -> Path:
    """Return a path that a user wrote, with ``~`` expanded; there need not be anything."""
    if not os.fspath(path):
        raise InputError("an empty path was given; name a file or a folder")
    require_utf8(path)
    try:
        expanded = Path(path).expanduser()
        os.stat(expanded)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return expanded
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: can't be a path ({reason}); choose another") from error
    return expanded


def require_utf8(path: str | os.PathLike[str]) -> None:
    """Raise an error for a path of bytes that are no UTF-8: no result, table or page could hold it."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        raise InputError(f"{os.fspath(path)!a}: this path is not encoded in UTF-8; rename it") from None


def read_text(path: Path) -> str:
    """Return the text of a small file in UTF-8, without the mark that Windows puts first.

    All else is a `ValueError`, or an `OSError` of what is no regular file.
    """
    with open_regular(path) as file:
        content = file.read(MOST_TEXT + 1)
    if len(content) > MOST_TEXT:
        raise ValueError(f"more than {MOST_TEXT:,} bytes")
    return content.decode("utf-8-sig")


def require_writable(folder: Path, what: str) -> None:
    """Make a folder where there is none, or raise an error where nothing can be written into it."""
    problem = "can't be made"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        problem = "can't be written to"
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"0")  # a full disk may still make files, empty ones
    except OSError as error:
        raise _unwritten(what, error, "choose another", problem=problem) from error


def _unwritten(
    what: object,
    error: OSError,
    remedy: str,
    *,
    problem: str = "can't be written",
    kind: type[DifferentiaError] = InputError,
) -> DifferentiaError:
    """Return the error for what can't be written, whose remedy is another where the disk is full."""
    if error.errno in NO_ROOM:
        kind, remedy = StorageError, f"free some space and {AGAIN}"
    return kind(f"{what}: {problem} ({error.strerror or error}); {remedy}")


def require_free(folder: Path, what: str, *, files: Iterable[str], folders: Iterable[str] = ()) -> None:
    """Raise an error where a folder is in the place of a file that will be written, or the reverse.

    In the place of a folder there may be no link either.
    """
    for place in (folder, *folder.parents):
        if place.is_file():
            raise InputError(f"{what}: {place} is a file; name a folder, a new one or one of an earlier run")
    in_the_way = {name: "folder" for name in files if (folder / name).is_dir()}
    in_the_way |= {name: "file" for name in folders if folder_within(folder, name).is_file()}
    for name, kind in in_the_way.items():
        raise InputError(f"{what}: the {kind} {name} in it is in the way; move it away, or choose another")


def folder_within(folder: Path, name: str) -> Path:
    """Return the path of a folder of ours in one that a user named, or raise an error where it is a link.

    The user's own may be a link, and lie below others. One in it may be a stranger's, who sent the folder.
    """
    place = folder / name
    if place.is_symlink():
        raise InputError(
            f"{place}: is a link, and nothing is written through one that lies in a folder; remove it, or "
            "choose another folder"
        )
    return place


def require_new(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a folder that does not exist yet, or is empty."""
    target = Path(os.path.abspath(user_path(path)))  # so that no folder is made for the sake of a ..
    try:
        taken = target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir())))
    except OSError as error:
        raise InputError(f"{path}: can't be read ({error.strerror}); choose another folder") from error
    if taken:
        raise InputError(f"{path}: already exists; name a new folder, so that old and new files do not mix")
    return target


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a folder beside `path`, which becomes `path` when all is well, and is removed when it is not."""
    target = require_new(path)
    beside = _beside(target)
    _remove_abandoned(target)
    try:
        beside.mkdir(parents=True)
        yield beside
        if target.exists():
            target.rmdir()
        beside.replace(target)
    except OSError as error:
        raise _unwritten(path, error, "choose another folder") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a file to write, which becomes `path` when all is well, and is removed when it is not.

    It is on the disk before it gets its name, so that not even a crash of the machine leaves half a file.
    """
    target = user_path(path)
    elsewhere = "give the path of a file in a folder that can"
    if target.is_dir():
        raise InputError(f"{target}: can't be written (it is a folder); {elsewhere}")
    _remove_abandoned(target)
    try:
        beside = _file_beside(target)
    except OSError as error:
        raise _unwritten(target, error, elsewhere) from error
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        beside.replace(target)
        _keep_name(target.absolute().parent)
    except OSError as error:
        remedy = f"make sure that its folder is there and can be written to, and {AGAIN}"
        raise _unwritten(path, error, remedy, kind=StorageError) from error
    finally:
        with contextlib.suppress(OSError):  # it must not hide what went wrong
            beside.unlink(missing_ok=True)


def _keep_name(folder: Path) -> None:
    """See to it that a crash of the machine does not undo a renaming."""
    with contextlib.suppress(OSError):  # not every system opens folders, or lets them be synchronised
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _beside(target: Path) -> Path:
    """Return a hidden name for what is yet to be whole: it names the machine and the process."""
    return target.with_name(f"{_stem(target)}{_machine()}.{os.getpid()}.{next(_SERIAL)}")


def _file_beside(target: Path) -> Path:
    """Make an empty file under such a name: a new one, since a link could have been laid there."""
    while True:
        beside = _beside(target)
        with contextlib.suppress(FileExistsError):
            beside.touch(exist_ok=False)
            return beside


def _stem(target: Path) -> str:
    """Return how the hidden names begin; the longest name that a file may have leaves room for the rest."""
    return f".{os.fsencode(target.name)[:150].decode(errors='ignore')}~"


def _machine() -> str:
    return re.sub(r"[^0-9A-Za-z-]", "-", platform.node())[:40]


def _remove_abandoned(target: Path) -> None:
    """Remove what killed processes left beside a file or folder.

    Of this machine: what belongs to no process that lives. Of others, whose processes can't be seen: what has
    not changed for long.
    """
    import psutil

    name = re.compile(re.escape(_stem(target)) + r"(?P<machine>[0-9A-Za-z-]*)\.(?P<process>[0-9]+)\.[0-9]+")
    with contextlib.suppress(OSError):
        for path in target.parent.iterdir():
            if found := name.fullmatch(path.name):
                if found["machine"] == _machine():
                    abandoned = not psutil.pid_exists(int(found["process"]))
                else:
                    abandoned = time.time() - path.stat().st_mtime > ABANDONED
                if abandoned and path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path, ignore_errors=True)
                elif abandoned:
                    path.unlink(missing_ok=True)


def names_in_one_folder(names: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """Return names for files that come from several folders, no two of them the same.

    Subfolders become a part of the name; one that is taken gets its number, from 1, before it, and of one
    that is too long its end is kept. A and a are the same, as many file systems have it.
    """
    found: list[str] = []
    used = {name.casefold() for name in taken}
    for number, name in enumerate(names, start=1):
        free = name.replace("/", "__")
        if len(free.encode()) > LONGEST_NAME:
            free = f"{number}__{free.encode()[-LONGEST_NAME // 2 :].decode(errors='ignore')}"
        while free.casefold() in used:
            free = f"{number}__{free}"
        used.add(free.casefold())
        found.append(free)
    return found
