"""Regular files are opened, nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from differentia.system.regular import (
    NotRegularError,
    names_in,
    open_regular,
    opened,
    read_at,
    require_regular,
)


def test_links_are_followed_to_regular_files_alone(tmp_path: Path) -> None:
    """What is no file is told without waiting, and what it is; what is not there is an error as always."""
    (tmp_path / "file").write_bytes(b"0123456789")
    os.mkfifo(tmp_path / "pipe")
    for link, target in {"link": str(tmp_path / "file"), "device": "/dev/zero", "to a pipe": "pipe"}.items():
        (tmp_path / link).symlink_to(target)
    for name in ("file", "link"):
        with open_regular(tmp_path / name) as file:
            assert file.read() == b"0123456789"
        require_regular(tmp_path / name)
    for name, kind in {
        "pipe": "a pipe",
        "to a pipe": "a pipe",
        "device": "a device",
        ".": "a folder",
    }.items():
        for look in (open_regular, require_regular):
            with pytest.raises(NotRegularError, match=f"^it is {kind}, not a file$"):
                look(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "gone")


def test_regular_files_only(tmp_path: Path) -> None:
    """A pipe would be waited for, a link lead elsewhere; what is not there is an error as always."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    with opened(path) as file:
        assert file is not None
        buffer = bytearray(4)
        assert read_at(file, 3, memoryview(buffer)) == 4
        assert buffer == b"3456"
        assert read_at(file, 8, memoryview(buffer)) == 2
        assert buffer == b"8956"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(path)
    for name in ("pipe", ".", "link"):
        with opened(tmp_path / name) as file:
            assert file is None
    with pytest.raises(FileNotFoundError), opened(tmp_path / "gone"):
        pass


def test_a_folder_that_can_not_be_read_is_not_empty(tmp_path: Path) -> None:
    """Taken for empty, all would be recorded again; only where there is no folder is there nothing."""
    for name in ("b", "a"):
        (tmp_path / name).touch()
    assert names_in(tmp_path) == ["a", "b"]
    assert names_in(tmp_path / "gone") == []
    with pytest.raises(NotADirectoryError):
        names_in(tmp_path / "a")
