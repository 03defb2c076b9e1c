"""Zip archives of anybody: what lists their files is read whole, and has to be of a length that it can be."""

from __future__ import annotations

import sys
import zipfile
from io import BufferedReader
from pathlib import Path

from differentia.system.machine import written_size
from differentia.system.regular import open_regular

#: In bytes: what lists the files, which takes a hundred or so for each.
MOST_LISTED = 500_000_000


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a regular file as a zip archive, to read it."""
    file = _Reader(open_regular(path).detach())
    try:
        return _ClosedWithItsFile(file)
    except BaseException:
        file.close()
        raise


class _Reader(BufferedReader):
    """A file of which no more is read at once than it may."""

    most = MOST_LISTED

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > self.most:
            raise zipfile.BadZipFile(f"it declares {written_size(size)} to be read at once")
        return super().read(size)


class _ClosedWithItsFile(zipfile.ZipFile):
    """An archive in a file that is already open."""

    def __init__(self, file: _Reader) -> None:
        self._own = file  # first: it is closed where this fails, too
        super().__init__(file)
        file.most = sys.maxsize  # of its files there may be more

    def close(self) -> None:
        super().close()
        self._own.close()
