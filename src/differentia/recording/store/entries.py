"""What lies in a store: files and folders, and nothing that leads out of it, or has no end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from differentia.errors import InputError

#: Folders in one another, at most: ours are six, and one with the leases of those who write.
DEEPEST = 16


def files_in(store: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the files in a store and all its folders; what others remove meanwhile may be left out.

    Raises
    ------
    InputError
        Something is neither, or lies so deep that no store would have it.
    """
    folders = [(os.fspath(store), 0)]
    while folders:
        folder, depth = folders.pop()
        with suppress(FileNotFoundError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    yield entry
                elif not entry.is_dir(follow_symlinks=False):
                    entry.stat(follow_symlinks=False)  # it is there
                    raise InputError(
                        f"{entry.path}: is a link, a pipe or a device, and a store holds none; remove it"
                    )
                elif depth == DEEPEST:
                    raise InputError(f"{entry.path}: lies deeper than anything in a store; remove it")
                else:
                    folders.append((entry.path, depth + 1))
