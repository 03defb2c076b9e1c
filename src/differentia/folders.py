"""Folders that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from differentia.errors import InputError


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
    target = Path(path).expanduser()
    if target.is_symlink() or (target.exists() and (not target.is_dir() or any(target.iterdir()))):
        raise InputError(f"{target}: is there already; name a new folder, so that nothing mixes with it")
    beside = target.absolute().with_name(f".{target.absolute().name}.{os.getpid()}")
    try:
        beside.mkdir(parents=True)
        yield beside
        if target.exists():
            target.rmdir()
        beside.replace(target)
    except OSError as error:
        raise InputError(f"{target}: can't be written ({error}); choose another folder") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
