"""HDF5 files, also such as could do harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np


def h5(path: Path, fill: Callable[[h5py.File], object]) -> Path:
    """Write an HDF5 file."""
    with h5py.File(path, "w") as file:
        fill(file)
    return path


def zero_heaps(path: Path) -> int:
    """Zero a sector in each heap of texts, which keeps HDF5 busy for ever; return where the first one is."""
    content = bytearray(path.read_bytes())
    begins = [at for at in range(len(content)) if content.startswith(b"GCOL\x01\0\0\0", at)]
    for begin in begins:
        content[begin + 16 : begin + 512] = bytes(496)
    path.write_bytes(content)
    return begins[0]


def hostile_h5(folder: Path) -> dict[str, Callable[[h5py.File], object]]:
    """Return what fills HDF5 files by what is wrong with them."""
    (folder / "secret.bin").write_bytes(b"secret!!" * 4)
    h5(folder / "other.h5", lambda file: file.create_dataset("x", data=np.ones(4)))
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource(folder / "other.h5", "x", shape=(4,))
    outside = [(str(folder / "secret.bin"), 0, 32)]
    references = h5py.special_dtype(ref=h5py.Reference)
    lists = h5py.vlen_dtype(np.dtype("f8"))
    big = {"shape": (2**40,), "dtype": "f4", "chunks": (2**20,), "fillvalue": 1.0}
    return {
        "/a is a link": lambda file: file.__setitem__("a", h5py.ExternalLink(str(folder / "other.h5"), "x")),
        "/g/a is a link": lambda file: file.create_group("g").__setitem__("a", h5py.SoftLink("/x")),
        "/g/x lies in another file": lambda file: file.create_dataset("g/x", (4,), "f8", external=outside),
        "/v lies in another file": lambda file: file.create_virtual_dataset("v", layout),
        "/r holds objects": lambda file: file.create_dataset("r", (2,), references),
        "/l holds objects": lambda file: file.create_dataset("l", (2,), lists),
        "bytes of data": lambda file: file.create_dataset("big", **big),
    }
