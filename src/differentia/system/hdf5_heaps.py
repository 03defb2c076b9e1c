"""Global heaps of HDF5, where texts and references lie: a zero in one would keep the library busy for ever.

It walks from object to object by the size of each ("Disk Format: Level 1E - Global Heap" of the HDF5 File
Format Specification), and one of no size is where it stays. A sector that was zeroed is enough.
"""

from __future__ import annotations

import struct
from pathlib import Path

from differentia.errors import InputError

#: The signature, the version, and three bytes that are 0; the collection's size follows.
_BEGIN = b"GCOL\x01\0\0\0"
_SIZE = struct.Struct("<Q")

#: Of an object: its number, 0 for what is free, how often it is referred to, and its size.
_OBJECT = struct.Struct("<HH4xQ")


def require_whole_heaps(file: Path, where: str) -> None:
    """Raise an error where an object in a global heap has no size, or lies beyond the heap."""
    content = file.read_bytes()
    at = content.find(_BEGIN)
    while at >= 0:
        if not _is_whole(content, at):
            raise InputError(
                f"{where}: can't be read as HDF5 (a heap of texts at byte {at:,} is damaged); use another "
                "copy of it"
            )
        at = content.find(_BEGIN, at + len(_BEGIN))


def _is_whole(content: bytes, begin: int) -> bool:
    at = begin + len(_BEGIN)
    if at + _SIZE.size > len(content):
        return False
    (size,) = _SIZE.unpack_from(content, at)
    at, end = at + _SIZE.size, begin + size
    if end > len(content):
        return False
    while end - at >= _OBJECT.size:
        number, _, length = _OBJECT.unpack_from(content, at)
        # The size of what is free has the header in it; others are padded to eight bytes.
        at += _OBJECT.size + -(-length // 8) * 8 if number else length
        if at > end or (not number and length < _OBJECT.size):
            return False
    return True
