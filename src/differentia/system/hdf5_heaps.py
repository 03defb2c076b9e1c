"""Global heaps of HDF5, where texts and references lie: a zero in one would keep the library busy for ever.

It walks from object to object by the size of each ("Disk Format: Level 1E - Global Heap" of the HDF5 File
Format Specification), and one of no size is where it stays. A sector that was zeroed is enough.
"""

from __future__ import annotations

import os
import struct
from io import BytesIO, RawIOBase
from typing import Any

from differentia.errors import InputError
from differentia.system.regular import open_regular

#: The signature, the version, and three bytes that are 0; the collection's size follows, in so many.
_BEGIN = b"GCOL\x01\0\0\0"
_SIZE = 8

#: Of an object: its number, 0 for what is free, how often it is referred to, and its size.
_OBJECT = struct.Struct("<HH4xQ")

#: In bytes: what is looked at of a file at once.
_BLOCK = 2**20


class HeapsLookedAt(RawIOBase):
    """A file as HDF5 reads it, whose heaps are looked at before the library has any byte of them."""

    def __init__(self, file: str | os.PathLike[str] | bytes, where: str) -> None:
        self._file = BytesIO(file) if isinstance(file, bytes) else open_regular(file)
        self._where, self._at = where, 0
        self._size = self._file.seek(0, os.SEEK_END)
        self._whole: set[int] = set()
        #: No two heaps share an object: a file has room for so many.
        self._objects_left = self._size // _OBJECT.size

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place, from the beginning or the end."""
        self._at = self._file.seek(offset, whence)
        return self._at

    def tell(self) -> int:
        """Return the place in the file."""
        return self._at

    def readinto(self, into: Any, /) -> int:
        """Read bytes, none of which are of a damaged heap, until a buffer is full or the file ends."""
        done, view = 0, memoryview(into)
        while done < len(view) and (count := self._read_block(view[done : done + _BLOCK])):
            done += count
        return done

    def _read_block(self, into: memoryview) -> int:
        before = min(self._at, len(_BEGIN) - 1)  # where a signature may begin
        first, wanted = self._at - before, len(into)
        content = self._read(first, before + wanted + len(_BEGIN) - 1)
        found = content.find(_BEGIN)
        while found >= 0:
            self._require_whole(first + found)
            found = content.find(_BEGIN, found + len(_BEGIN))
        given = memoryview(content)[before : before + wanted]
        if len(given) < min(wanted, self._size - self._at):
            raise OSError(f"it ends at byte {first + len(content):,}, and did not when it was opened")
        into[: len(given)] = given
        self._at += len(given)
        return len(given)

    def close(self) -> None:
        """Close the file too."""
        self._file.close()
        super().close()

    def _read(self, at: int, count: int) -> bytes:
        self._file.seek(at)
        return self._file.read(count)

    def _require_whole(self, begin: int) -> None:
        if begin not in self._whole and not self._is_whole(begin):
            raise InputError(
                f"{self._where}: can't be read as HDF5 (a heap of texts at byte {begin:,} is damaged); use "
                "another copy of it"
            )
        self._whole.add(begin)

    def _is_whole(self, begin: int) -> bool:
        at = begin + len(_BEGIN) + _SIZE
        size = int.from_bytes(self._read(begin + len(_BEGIN), _SIZE), "little")
        end = begin + size
        if at > end or end > self._size:
            return False
        while end - at >= _OBJECT.size:
            number, _, length = _OBJECT.unpack(self._read(at, _OBJECT.size))
            # The size of what is free has the header in it; others are padded to eight bytes.
            at += _OBJECT.size + -(-length // 8) * 8 if number else length
            self._objects_left -= 1
            if at > end or (not number and length < _OBJECT.size) or self._objects_left < 0:
                return False
        return True


def require_whole_heaps(file: str | os.PathLike[str] | bytes, where: str) -> None:
    """Raise an error where an object in a global heap of a file has no size, or lies beyond the heap."""
    block = bytearray(_BLOCK)
    with HeapsLookedAt(file, where) as looked:
        while looked.readinto(block):
            pass
