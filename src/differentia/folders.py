"""Paths as users write them, and folders that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from differentia.errors import InputError


def user_path(path: str | os.PathLike[str]) -> Path:
    """Return a path that a user wrote, with ``~`` expanded; there need not be anything.

    Parameters
    ----------
    path
        Of a file or a folder.

    Raises
    ------
    InputError
        No file can have this path: it is empty, too long, of no user's home, or holds a null character.
    """
    if not os.fspath(path):
        raise InputError("an empty path was given; name a file or a folder")
    try:
        expanded = Path(path).expanduser()
        os.stat(expanded)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return expanded
    except (OSError, RuntimeError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{path}: can't be a path ({reason}); choose another") from error
    return expanded


def require_writable(folder: Path, what: str) -> None:
    """Make a folder where there is none, or raise an error where nothing can be written into it.

    Parameters
    ----------
    folder
        With the folders above it.
    what
        What the error calls it.

    Raises
    ------
    InputError
        It can't be made, or a file can't be made in it (permissions alone do not tell: a disk may be full).
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{what}: can't be made ({error.strerror}); choose another") from error
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{what}: can't be written to ({error.strerror}); choose another") from error


def require_free(folder: Path, what: str, *, files: Iterable[str], folders: Iterable[str] = ()) -> None:
    """Raise an error where a folder is in the place of a file that will be written, or the other way round.

    Parameters
    ----------
    folder
        That they will be written into.
    what
        What the error calls it.
    files, folders
        Their names. Those that are there as what they should be are no hindrance.

    Raises
    ------
    InputError
        Something is in the way.
    """
    in_the_way = {name: "folder" for name in files if (folder / name).is_dir()}
    in_the_way |= {name: "file" for name in folders if (folder / name).is_file()}
    for name, kind in in_the_way.items():
        raise InputError(f"{what}: the {kind} {name} in it is in the way; move it away, or choose another")


def require_new(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a folder that does not exist yet, or is empty.

    Parameters
    ----------
    path
        Of the folder.

    Raises
    ------
    InputError
        `path` holds something already, or can't be a path.
    """
    target = Path(os.path.abspath(user_path(path)))  # so that no folder is made for the sake of a ..
    try:
        taken = target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir())))
    except OSError as error:
        raise InputError(f"{path}: can't be looked into ({error.strerror}); choose another folder") from error
    if taken:
        raise InputError(f"{path}: is there already; name a new folder, so that nothing mixes with it")
    return target


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a folder to write into, which becomes `path` when all is well, and is removed when it is not.

    Parameters
    ----------
    path
        Does not exist yet, or is an empty folder.

    Yields
    ------
    Path
        Of a folder beside it.

    Raises
    ------
    InputError
        `path` holds something already, or can't be written.
    """
    target = require_new(path)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.mkdir(parents=True)
        yield beside
        if target.exists():
            target.rmdir()
        beside.replace(target)
    except OSError as error:
        raise InputError(f"{path}: can't be written ({error}); choose another folder") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def names_in_one_folder(names: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """Return names for files that come from several folders, no two of them the same.

    Subfolders become a part of the name; one that is taken gets its number, from 1, before it. A and a are
    the same, as many file systems have it.

    Parameters
    ----------
    names
        Paths with ``/`` between their parts.
    taken
        What else lies in the folder.
    """
    found: list[str] = []
    used = {name.casefold() for name in taken}
    for number, name in enumerate(names, start=1):
        free = name.replace("/", "__")
        while free.casefold() in used:
            free = f"{number}__{free}"
        used.add(free.casefold())
        found.append(free)
    return found
