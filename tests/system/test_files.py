"""Paths as users write them; files and folders that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import differentia as dif
from differentia.system.files import (
    folder_within,
    names_in_one_folder,
    new_folder,
    read_text,
    require_free,
    require_new,
    require_writable,
    user_path,
    written_whole,
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
        with pytest.raises(dif.InputError, match=f"{name}: already exists; name a new folder"):
            require_new(tmp_path / name)
    with pytest.raises(dif.InputError, match="file: already exists"), new_folder(tmp_path / "file"):
        raise AssertionError("the body must not run")
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file", "link"]


def test_parent_folders_in_a_path(tmp_path: Path) -> None:
    """``gone/../new`` is ``new``: no folder ``gone`` is left behind, and ``gone/..`` is what is there."""
    with new_folder(tmp_path / "gone" / ".." / "new") as beside:
        (beside / "a").write_text("a")
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    with pytest.raises(dif.InputError, match="already exists"):
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
    for folder in (tmp_path / "a.nc", tmp_path / "a.nc" / "below"):
        with pytest.raises(dif.InputError, match=r"^--out x: .*/a\.nc is a file; name a folder"):
            require_free(folder, "--out x", files=[])


def test_links_in_a_users_folder(tmp_path: Path) -> None:
    """None is taken for a folder of ours, wherever it leads; the user's own may be one."""
    (tmp_path / "scratch").mkdir()
    (tmp_path / "out").symlink_to("scratch")
    assert folder_within(tmp_path / "out", "figures") == tmp_path / "out" / "figures"
    for target in ("/", "nowhere", "."):
        (tmp_path / "out" / "figures").symlink_to(target)
        message = r"out/figures: is a link, and nothing is written through one .*; remove it, or choose"
        with pytest.raises(dif.InputError, match=message):
            folder_within(tmp_path / "out", "figures")
        with pytest.raises(dif.InputError, match=message):
            require_free(tmp_path / "out", "--out x", files=["a"], folders=["more", "figures"])
        (tmp_path / "out" / "figures").unlink()
    require_free(tmp_path / "out", "--out x", files=["a"], folders=["figures"])


def test_texts_are_of_regular_files(tmp_path: Path) -> None:
    """A pipe is not waited for, nor is anything read of a device; a link to a file is as good as that."""
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), Path("/dev/tty"), tmp_path):
        with pytest.raises((ValueError, OSError), match=r"not a file|Is a directory|No such device"):
            read_text(path)
    (tmp_path / "text").write_bytes(b"\xef\xbb\xbfa\n")
    (tmp_path / "link").symlink_to("text")
    assert read_text(tmp_path / "link") == "a\n"


def names_in(folder: Path) -> list[str]:
    """Return all that lies in a folder, hidden or not."""
    return sorted(path.name for path in folder.iterdir())


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Let the system refuse to make a file longer, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def write_half(file: Path, error: BaseException) -> None:
    """Begin to write, then raise an error."""
    file.write_text("sec")
    raise error


def test_a_file_is_whole_or_absent(tmp_path: Path) -> None:
    """It appears at the end; after an error or an interruption the old one stands, and nothing else."""
    target = tmp_path / "a.txt"
    with written_whole(target) as beside:
        beside.write_text("first")
        assert not target.exists()
        assert beside.parent == target.parent  # renaming works on one file system only
        assert beside.name.startswith(".")
    (tmp_path / "plain").touch()
    assert target.stat().st_mode == (tmp_path / "plain").stat().st_mode
    for error in (RuntimeError("halfway"), KeyboardInterrupt(), SystemExit(3)):
        with pytest.raises(type(error)), written_whole(target) as beside:
            write_half(beside, error)
        assert names_in(tmp_path) == ["a.txt", "plain"]
        assert target.read_text() == "first"
    with written_whole(target) as beside:
        beside.write_text("second")
    assert target.read_text() == "second"


def test_two_writers_do_not_share_a_file(tmp_path: Path) -> None:
    """Each writes its own, also under the longest name there can be; the last one to end stays."""
    for name in ("a", "b" * 255, "\N{SNOWMAN}" * 85):
        with written_whole(tmp_path / name) as one, written_whole(tmp_path / name) as other:
            one.write_text("one")
            other.write_text("other")
        assert (tmp_path / name).read_text() == "one"
        (tmp_path / name).unlink()
        with new_folder(tmp_path / name) as beside:
            (beside / "x").touch()
        assert names_in(tmp_path / name) == ["x"]
    assert len(names_in(tmp_path)) == 3


def test_a_full_disk(tmp_path: Path) -> None:
    """The error names the file, the reason and what to do; the old file stands, nothing is left beside."""
    target = tmp_path / "a.txt"
    target.write_text("old")
    message = r"a\.txt: can't be written \(File too large\); free some space and run the same command"
    with (
        no_file_larger_than(100),
        pytest.raises(dif.StorageError, match=message),
        written_whole(target) as beside,
    ):
        beside.write_text("x" * 1000)
    assert names_in(tmp_path) == ["a.txt"]
    assert target.read_text() == "old"
    with no_file_larger_than(2000), written_whole(target) as beside:  # the control
        beside.write_text("x" * 1000)
    with (
        no_file_larger_than(0),
        pytest.raises(dif.StorageError, match=r"^--out x: can't be written to \(File"),
    ):
        require_writable(tmp_path, "--out x")
    message = r"n: can't be written \(File too large\); free some space"
    with (
        no_file_larger_than(100),
        pytest.raises(dif.StorageError, match=message),
        new_folder(tmp_path / "n") as n,
    ):
        (n / "x").write_text("x" * 1000)
    assert names_in(tmp_path) == ["a.txt"]


def test_results_on_a_full_disk(tmp_path: Path) -> None:
    """The HDF5 library, which ends the process on a full disk, is kept from it: the run goes on."""
    code = """
import resource, sys, numpy, differentia as dif
result = dif.measure_responses({"a": {"x": numpy.random.default_rng(0).normal(size=(60, 50))}})
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
for limit in (0, 1000, 8000, 12000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        dif.save(result, sys.argv[1])
    except dif.StorageError as error:
        print(error)
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
dif.save(result, sys.argv[1])
"""
    arguments = [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "result.nc")]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("result.nc: can't be written (File too large); free some space") == 4
    assert names_in(tmp_path) == ["result.nc"]
    assert (tmp_path / "result.nc").stat().st_size > 12000  # the last limit was one too


def test_files_that_can_not_be_made(tmp_path: Path) -> None:
    """What is wrong with a place is said before anything is written."""
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for name, reason in {
        "folder": "it is a folder",
        "gone/x": "No such file or directory",
        "file/x": "Not a directory",
    }.items():
        message = rf"{name}: can't be written \({reason}\); give the path of a file in a folder that can"
        with pytest.raises(dif.InputError, match=message), written_whole(tmp_path / name):
            raise AssertionError("the body must not run")
    if Path("/proc/self").is_dir():  # there no user, not even root, can make a file
        with pytest.raises(dif.InputError, match="can't be written"), written_whole("/proc/self/x"):
            raise AssertionError("the body must not run")
    assert names_in(tmp_path) == ["file", "folder"]


def lose_folder(beside: Path) -> None:
    """Remove the folder while a file is written into it."""
    beside.unlink()
    beside.parent.rmdir()


def refuse(beside: Path) -> None:
    """Raise what a disk raises that has been mounted anew, read-only."""
    raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(beside))


@pytest.mark.parametrize(
    ("accident", "reason"), [(lose_folder, "No such file"), (refuse, "Read-only file system")]
)
def test_a_folder_that_changes_under_way(
    tmp_path: Path, accident: Callable[[Path], None], reason: str
) -> None:
    """The error says that its folder is the reason, and how to go on."""
    (tmp_path / "folder").mkdir()
    target = tmp_path / "folder" / "a"
    message = rf"a: can't be written \({reason}.*\); make sure that its folder is there"
    with pytest.raises(dif.StorageError, match=message), written_whole(target) as beside:
        accident(beside)
    assert not target.exists()


def test_what_killed_runs_left_does_not_pile_up(tmp_path: Path) -> None:
    """The next one to write a file removes it, but nothing of a process that lives or can't be seen."""
    code = """
import os, sys
from differentia.system.files import new_folder, written_whole
with written_whole(sys.argv[1]) as file, new_folder(sys.argv[2]) as folder:
    file.write_text("half")
    (folder / "half").touch()
    os._exit(9)
"""
    target, folder = tmp_path / "a.nc", tmp_path / "new"
    subprocess.run([sys.executable, "-c", code, str(target), str(folder)], check=False)
    left = names_in(tmp_path)
    assert len(left) == 2
    assert all(name.startswith(".") for name in left)
    file = next(name for name in left if "a.nc" in name)
    machine, _, rest = file.rpartition("~")[2].partition(".")
    foreign = tmp_path / f".a.nc~{machine}x.{rest}"
    foreign.touch()
    old = tmp_path / f".a.nc~{machine}y.{rest}"
    old.touch()
    os.utime(old, (0, time.time() - 30 * 24 * 3600))
    for mine in (".a.nc", ".a.nc~notes", ".a.nc~old.1"):
        (tmp_path / mine).touch()
    with written_whole(target) as alive, written_whole(target) as other:
        other.touch()
        assert alive.exists()
    with new_folder(folder):
        pass
    assert names_in(tmp_path) == sorted([".a.nc", ".a.nc~notes", ".a.nc~old.1", foreign.name, "a.nc", "new"])


def test_names_in_one_folder() -> None:
    """Names that are clear stay; those that clash get their number, also where a name made so is taken."""
    assert names_in_one_folder(["b.png", "a/b.png", "a/c/b.png"]) == ["b.png", "a__b.png", "a__c__b.png"]
    assert names_in_one_folder(["a__b.png", "a/b.png"]) == ["a__b.png", "2__a__b.png"]
    clash = ["3__a__b.png", "a__b.png", "a/b.png", "A__B.png"]
    assert names_in_one_folder(clash) == ["3__a__b.png", "a__b.png", "3__3__a__b.png", "4__A__B.png"]
    assert names_in_one_folder(["Table.csv"], taken=["table.csv"]) == ["1__Table.csv"]
