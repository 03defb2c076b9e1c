"""Heaps of HDF5 that would keep the library busy for ever."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from helpers.hdf5_files import h5, zero_heaps

import differentia as dif
from differentia.system.hdf5 import open_hdf5, plain_datasets, require_plain_hdf5
from differentia.system.hdf5_heaps import HeapsLookedAt, require_whole_heaps


def texts(path: Path) -> bytes:
    """Write a file with texts, some long; return what is in it."""
    with h5py.File(path, "w") as file:
        file["names"] = ["a", "ä" * 5000, "b" * 37, ""] * 50
        file["numbers"] = list(b"GCOL")
    return path.read_bytes()


def signal_of(work: Callable[[], object]) -> int:
    """Return which signal ends a process that does something, for which it has half a second of computing."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, which are of no use to the child
        process = os.fork()
    if not process:
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, 0.5)
        try:
            work()
        finally:
            os._exit(0)
    return os.WTERMSIG(os.waitpid(process, 0)[1])


def of_texts(file: h5py.File) -> None:
    file["names"] = ["a", "b"]


def of_a_virtual_dataset(file: h5py.File) -> None:
    file["x"] = np.zeros((3, 4, 4), np.uint8)
    layout = h5py.VirtualLayout((3, 4, 4), np.uint8)
    layout[:] = h5py.VirtualSource(".", "x", (3, 4, 4))
    file.create_virtual_dataset("v", layout)


def first_text(file: Any) -> object:
    return file["names"][0]


@pytest.mark.parametrize(("fill", "read"), [(of_texts, first_text), (of_a_virtual_dataset, plain_datasets)])
def test_hdf5_does_not_end(
    tmp_path: Path, fill: Callable[[h5py.File], None], read: Callable[[Any], object]
) -> None:
    """Where it reads a text, or opens a virtual dataset: the control; here it is an error."""
    path = h5(tmp_path / "x.h5", fill)
    with open_hdf5(path, "x") as file, h5py.File(path) as plain:
        assert str(read(file)) == str(read(plain))
    begin = zero_heaps(path)
    assert signal_of(lambda: read(h5py.File(path))) == signal.SIGPROF
    told = rf"^x: can't be read as HDF5 \(a heap of texts at byte {begin:,} is damaged\)"
    with pytest.raises(dif.InputError, match=told), open_hdf5(path, "x") as file:
        read(file)
    for given in (path, path.read_bytes()):
        with pytest.raises(dif.InputError, match=told):
            require_plain_hdf5(given, "x")


def test_a_file_is_read_as_it_is(tmp_path: Path) -> None:
    """In parts of any size, to its end; what it has lost meanwhile is an error, and no zeros."""
    content = texts(tmp_path / "x.h5")
    for given in (content, tmp_path / "x.h5"):
        with HeapsLookedAt(given, "x") as looked:
            assert looked.seek(0, os.SEEK_END) == len(content)
            assert looked.read(9) == b""
            for start, count in ((0, 8), (3, 5000), (len(content) - 9, 100), (1, len(content))):
                assert looked.seek(start) == looked.tell() == start
                assert looked.read(count) == content[start : start + count]
    with HeapsLookedAt(tmp_path / "x.h5", "x") as looked:
        os.truncate(tmp_path / "x.h5", 100)
        assert looked.read(100) == content[:100]
        with pytest.raises(OSError, match="it ends at byte 100, and did not when it was opened"):
            looked.read(1)


@pytest.mark.parametrize("size", [1, 3, 7, 8, 9, 64])
def test_no_byte_of_a_damaged_heap_is_read(size: int, tmp_path: Path) -> None:
    """Wherever a read ends; the order does not count."""
    texts(tmp_path / "x.h5")
    begin = zero_heaps(tmp_path / "x.h5")
    with HeapsLookedAt(tmp_path / "x.h5", "x") as looked:
        looked.seek(begin - 80)
        with pytest.raises(dif.InputError, match="heap of texts"):
            list(iter(partial(looked.read, size), b""))
        assert looked.tell() <= begin
        looked.seek(begin + 1)
        with pytest.raises(dif.InputError, match="heap of texts"):
            looked.read(1)


def test_heaps_that_overlap(tmp_path: Path) -> None:
    """Each whole, to the end of the file: looking at them takes no longer than reading the file."""
    count, size = 50_000, (16).to_bytes(8, "little")
    objects = [  # each of 16 bytes, with which another heap begins
        b"\1\0" + bytes(6) + size + b"GCOL\x01\0\0\0" + (32 * left - 16).to_bytes(8, "little")
        for left in range(count, 0, -1)
    ]
    (tmp_path / "x").write_bytes(b"".join(objects))
    before = time.process_time()
    with pytest.raises(dif.InputError, match=r"a heap of texts at byte \d+ is damaged"):
        require_whole_heaps(tmp_path / "x", "x")
    assert time.process_time() - before < 2


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
