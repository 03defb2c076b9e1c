"""Regular files are opened, nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from differentia.recording.store.regular import names_in, opened, read_at


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
