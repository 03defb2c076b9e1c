"""Paths as users write them, and folders that are written whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

import differentia as dif
from differentia.folders import (
    names_in_one_folder,
    new_folder,
    require_free,
    require_new,
    require_writable,
    user_path,
)


def test_a_path_as_a_user_writes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The home folder is expanded; what does not exist is no error."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert user_path("~/gone/x.nc") == tmp_path / "gone" / "x.nc"
    assert user_path("x~") == Path("x~")
    (tmp_path / "file").write_text("")
    assert user_path(tmp_path / "file" / "below") == tmp_path / "file" / "below"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "an empty path was given; name a file or a folder"),
        ("~no_such_user/x", r"~no_such_user/x: can't be a path \(Could not determine home directory"),
        ("a\0b", r"can't be a path \(embedded null byte\); choose another"),
        ("a" * 300, r"a{300}: can't be a path \(File name too long\); choose another"),
    ],
)
def test_what_is_no_path(path: str, message: str) -> None:
    """Nothing can be there, and the error says why."""
    with pytest.raises(dif.InputError, match=message):
        user_path(path)
    with pytest.raises(dif.InputError, match=message), new_folder(path):
        pass


def fail_halfway(folder: Path) -> None:
    """Write something, then raise an error that is none of the file system's."""
    (folder / "b.txt").write_text("b")
    raise RuntimeError("halfway")


def test_a_new_folder_is_whole_or_absent(tmp_path: Path) -> None:
    """It appears at the end with all that was written; after an error there is nothing."""
    target = tmp_path / "deep" / "new"
    with new_folder(target) as beside:
        (beside / "a.txt").write_text("a")
        assert not target.exists()
        assert beside.parent == target.parent  # renaming works on one file system only
    assert [path.name for path in target.parent.iterdir()] == ["new"]
    assert (target / "a.txt").read_text() == "a"
    with pytest.raises(RuntimeError, match="halfway"), new_folder(tmp_path / "deep" / "failed") as beside:
        fail_halfway(beside)
    assert [path.name for path in target.parent.iterdir()] == ["new"]


def test_what_is_there_is_not_touched(tmp_path: Path) -> None:
    """An empty folder may be there; files, links and folders with something in them stay as they are."""
    (tmp_path / "empty").mkdir()
    with new_folder(tmp_path / "empty") as beside:
        (beside / "a").write_text("a")
    assert (tmp_path / "empty" / "a").read_text() == "a"
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("empty", "file", "link"):
        with pytest.raises(dif.InputError, match=f"{name}: is there already; name a new folder"):
            require_new(tmp_path / name)
    with pytest.raises(dif.InputError, match="file: is there already"), new_folder(tmp_path / "file"):
        raise AssertionError("the body must not run")
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "link"]


def test_parent_folders_in_a_path(tmp_path: Path) -> None:
    """``gone/../new`` is ``new``: no folder ``gone`` is left behind, and ``gone/..`` is what is there."""
    with new_folder(tmp_path / "gone" / ".." / "new") as beside:
        (beside / "a").write_text("a")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    with pytest.raises(dif.InputError, match="is there already"):
        require_new(tmp_path / "gone" / "..")


def test_a_folder_below_a_file(tmp_path: Path) -> None:
    """The error names what was asked for."""
    (tmp_path / "file").write_text("")
    message = r"file/x: can't be written \(.*Not a directory"
    with pytest.raises(dif.InputError, match=message), new_folder(tmp_path / "file" / "x"):
        pass


def test_writable_folders(tmp_path: Path) -> None:
    """It is made with those above it, and nothing is left in it; a file in the way is told."""
    require_writable(tmp_path / "a" / "b", "--out x")
    assert list((tmp_path / "a" / "b").iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(dif.InputError, match=r"^--out x: can't be made \(File exists\); choose another$"):
        require_writable(tmp_path / "file", "--out x")
    if Path("/proc/self").is_dir():  # there no user, not even root, can make a file
        with pytest.raises(dif.InputError, match=r"^--out x: can't be written to \(.+\); choose another$"):
            require_writable(Path("/proc/self"), "--out x")


def test_what_is_in_the_way(tmp_path: Path) -> None:
    """A folder where a file will be, a file where a folder will be; not what is there as it should be."""
    (tmp_path / "a.nc").touch()
    (tmp_path / "figures").mkdir()
    require_free(tmp_path, "--out x", files=["a.nc", "b.html"], folders=["figures", "more"])
    with pytest.raises(dif.InputError, match=r"^--out x: the folder figures in it is in the way; move it"):
        require_free(tmp_path, "--out x", files=["a.nc", "figures"])
    with pytest.raises(dif.InputError, match=r"^--out x: the file a\.nc in it is in the way; move it away"):
        require_free(tmp_path, "--out x", files=[], folders=["a.nc"])


def test_names_in_one_folder() -> None:
    """Names that are clear stay; those that clash get their number, also where a name made so is taken."""
    assert names_in_one_folder(["b.png", "a/b.png", "a/c/b.png"]) == ["b.png", "a__b.png", "a__c__b.png"]
    assert names_in_one_folder(["a__b.png", "a/b.png"]) == ["a__b.png", "2__a__b.png"]
    clash = ["3__a__b.png", "a__b.png", "a/b.png", "A__B.png"]
    assert names_in_one_folder(clash) == ["3__a__b.png", "a__b.png", "3__3__a__b.png", "4__A__B.png"]
    assert names_in_one_folder(["Table.csv"], taken=["table.csv"]) == ["1__Table.csv"]
