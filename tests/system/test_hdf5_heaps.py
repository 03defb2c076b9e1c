"""Heaps of HDF5 that would keep the library busy for ever."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest

import differentia as dif
from differentia.system.hdf5_heaps import require_whole_heaps


def texts(path: Path) -> bytes:
    """Write a file with texts, some long; return what is in it."""
    with h5py.File(path, "w") as file:
        file["names"] = ["a", "ä" * 5000, "b" * 37, ""] * 50
        file["numbers"] = list(b"GCOL")
    return path.read_bytes()


def test_whole_heaps(tmp_path: Path) -> None:
    """Those that HDF5 writes; and letters that only look like one."""
    content = texts(tmp_path / "x.h5")
    assert content.count(b"GCOL\x01\0\0\0") > 1
    require_whole_heaps(tmp_path / "x.h5", "x.h5")
    (tmp_path / "x.h5").write_bytes(content + b"GCOL\x01")
    require_whole_heaps(tmp_path / "x.h5", "x.h5")


@pytest.mark.parametrize("damage", ["zeros", "cut", "size", "beyond"])
def test_damaged_heaps(damage: str, tmp_path: Path) -> None:
    """An object that has no size, one beyond the end, and a heap that is cut off, or longer than the file."""
    content = bytearray(texts(tmp_path / "x.h5"))
    begin = content.index(b"GCOL\x01\0\0\0")
    if damage == "zeros":
        content[begin + 16 : begin + 528] = bytes(512)
    elif damage == "cut":
        del content[begin + 40 :]
    elif damage == "size":
        content[begin + 8 : begin + 16] = b"\xff" * 8
    else:
        content[begin + 24 : begin + 32] = (10**9).to_bytes(8, "little")
    (tmp_path / "x.h5").write_bytes(content)
    with pytest.raises(dif.InputError, match=rf"x\.h5: can't be read as HDF5 .* {begin:,} is damaged"):
        require_whole_heaps(tmp_path / "x.h5", "x.h5")
