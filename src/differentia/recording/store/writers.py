"""Unfinished files: their name tells who writes to them, so that what a process left is known for that."""

from __future__ import annotations

import secrets
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


def remove_left(folder: Path) -> None:
    """Remove unfinished files that nobody writes to any more."""
    for path in folder.glob(f"*{PARTIAL}"):
        if is_left(path):
            path.unlink(missing_ok=True)
