"""What is made once in a run of the tests, by the first worker that needs it, and read by all of them."""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from filelock import FileLock

Made = TypeVar("Made")

#: Where it lies: set by conftest.py, to a folder of this run.
FOLDER: Path | None = None


def made_once(name: str, make: Callable[[Path], object]) -> Path:
    """Return a folder with what is made in it; another worker that asks for it meanwhile waits."""
    assert FOLDER is not None, "a script that uses this sets FOLDER, as conftest.py does"
    folder, done = FOLDER / name, FOLDER / f"{name}.done"
    with FileLock(FOLDER / f"{name}.lock"):
        if not done.exists():
            folder.mkdir(exist_ok=True)  # it is there where making it has failed before
            make(folder)
            done.touch()
    return folder


def once(make: Callable[[], Made]) -> Callable[[], Made]:
    """Have a function called once in a run: all workers get the same; a test that changes it copies it."""

    @functools.cache
    def made() -> Made:
        def keep(folder: Path) -> None:
            (folder / "made").write_bytes(pickle.dumps(make()))

        kept = made_once(f"{make.__module__}.{make.__qualname__}", keep)
        value: Made = pickle.loads((kept / "made").read_bytes())
        return value

    return functools.wraps(make)(made)
