"""What lies in a store: files and folders, not too deep."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import differentia as dif
from differentia.recording.store.entries import DEEPEST, files_in


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in files_in(folder))


def test_files_of_all_folders(tmp_path: Path) -> None:
    """A folder that is gone has none."""
    deep = tmp_path.joinpath(*"a" * DEEPEST)
    deep.mkdir(parents=True)
    for folder in (tmp_path, deep):
        (folder / f"of {len(folder.parts)}").touch()
    assert names(tmp_path) == sorted(f"of {len(folder.parts)}" for folder in (tmp_path, deep))
    assert names(tmp_path / "gone") == []
    (deep / "a").mkdir()
    with pytest.raises(dif.InputError, match=f"{deep}/a: lies deeper than anything in a store; remove it"):
        names(tmp_path)


@pytest.mark.parametrize("target", [".", "nowhere", None])
def test_what_is_neither_is_refused(target: str | None, tmp_path: Path) -> None:
    """A link to a folder, one that leads nowhere, a pipe."""
    (tmp_path / "a").mkdir()
    if target is None:
        os.mkfifo(tmp_path / "a" / "b")
    else:
        (tmp_path / "a" / "b").symlink_to(target)
    with pytest.raises(dif.InputError, match=r"a/b: is a link, a pipe or a device, and a store holds none"):
        names(tmp_path)
