"""HDF5 files of strangers: what is plain is read, all else is refused before anything is."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from helpers.hdf5_files import h5, hostile_h5

import differentia as dif
from differentia.system import hdf5
from differentia.system.hdf5 import require_own_data, require_plain_hdf5


def test_hdf5_files_are_read(tmp_path: Path) -> None:
    """Plain numbers and text, links to groups in a ring, and no more than memory holds: the controls."""

    def plain(file: h5py.File) -> None:
        file["g/x"] = np.ones((2, 3), np.float16)
        file["g/names"] = ["a", "b"]
        file["g/ring"] = file["g"]

    require_plain_hdf5(h5(tmp_path / "plain.h5", plain), "x")
    zeros = h5(
        tmp_path / "zeros.h5", lambda file: file.create_dataset("x", data=np.zeros(10**7), compression=9)
    )
    assert zeros.stat().st_size < 10**6  # what shrinks most is no bomb
    require_plain_hdf5(zeros, "x")


def test_more_than_memory_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is what it says but too large is told with both sizes."""
    import psutil

    path = h5(tmp_path / "x.h5", lambda file: file.create_dataset("x", data=np.zeros(10**6)))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Memory", (), {"available": 7_000_000}))
    with pytest.raises(dif.InputError, match=r"^x: needs 0\.0 GB of memory, and 0\.0 GB are free"):
        require_plain_hdf5(path, "x")


def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    """The error names the file and the place in it; of what is no HDF5, the form that was expected."""
    for told, fill in hostile_h5(tmp_path).items():
        with pytest.raises(dif.InputError, match=rf"^x: .*{told}"):
            require_plain_hdf5(h5(tmp_path / "hostile.h5", fill), "x")
    (tmp_path / "junk").write_bytes(b"junk" * 100)
    with pytest.raises(dif.InputError, match=r"^x: can't be read as a result \(it is text\)$"):
        require_plain_hdf5(tmp_path / "junk", "x", form="a result")


def test_no_more_is_declared_than_the_file_can_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By its size, in a file or in bytes."""
    path = h5(tmp_path / "z.h5", lambda file: file.create_dataset("x", data=np.zeros(10**7), compression=9))
    growth = 8 * 10**7 // path.stat().st_size
    for given in (path, path.read_bytes()):
        monkeypatch.setattr(hdf5, "MOST_DEFLATED", growth + 1)
        assert require_plain_hdf5(given, "x") == 8 * 10**7
        monkeypatch.setattr(hdf5, "MOST_DEFLATED", growth // 2)
        with pytest.raises(dif.InputError, match=r"^x: declares 80,000,000 bytes of data, far more"):
            require_plain_hdf5(given, "x")


def test_links_within_a_file(tmp_path: Path) -> None:
    """Soft links, objects and sizes are left to who reads them; what lies elsewhere is refused as ever."""

    def linked(file: h5py.File) -> None:
        file["g/x"] = np.ones(3)
        file["g/ring"] = file["g"]
        file["s"] = h5py.SoftLink("/t")
        file["t"] = h5py.SoftLink("g/x")
        file.create_dataset("r", (2,), h5py.ref_dtype)

    with h5py.File(h5(tmp_path / "linked.h5", linked)) as file:
        require_own_data(file, "x")
        assert file["s"][:].tolist() == [1, 1, 1]
    refused = {}
    for told, fill in hostile_h5(tmp_path).items():
        with h5py.File(h5(tmp_path / "hostile.h5", fill)) as file:
            try:
                require_own_data(file, "x")
            except dif.InputError as error:
                refused[told] = str(error)
    assert list(refused) == [
        "/a is a link", "/g/a is a link", "/g/x lies in another file", "/v lies in another file",
    ]  # fmt: skip
    assert refused["/a is a link"].startswith("x: /a is a link to another file, which is not followed")
    assert refused["/g/a is a link"].startswith("x: /g/a is a link to '/x', where nothing is found")
