"""A folder that one run at a time writes into."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import filelock
import pytest

import differentia as dif
from differentia.system.locking import HOLDER, LOCK, MARKER, held, leave_nothing

#: Holds the folder of its argument until it is killed; without real locks where a second argument is given.
HOLD = """
import errno, sys, time
from pathlib import Path
from differentia.system.locking import held
if len(sys.argv) > 2:
    import filelock._unix
    def none(fd): raise OSError(errno.ENOLCK, "No locks available")
    filelock._unix.lock_fd_nonblocking = none
with held(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(100)
"""

unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has another lock, and no SIGKILL")


@contextmanager
def another_process(folder: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds a folder, and is killed at the end."""
    command = [sys.executable, "-c", HOLD, str(folder), *more]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def content(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def no_locks(descriptor: int) -> bool:
    """What a file system without locks answers."""
    raise OSError(errno.ENOLCK, "No locks available")


def test_one_at_a_time_in_one_process(tmp_path: Path) -> None:
    """The second is told, in the same thread and in another; after the first anyone may; nothing is left."""
    folder = tmp_path / "new" / "out"
    told: list[str] = []

    def take() -> None:
        try:
            with held(folder):
                told.append("held")
        except dif.FolderInUseError as error:
            told.append(str(error))

    with held(folder):
        assert content(folder) == [LOCK, HOLDER]
        take()
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
        with held(tmp_path / "new" / "other"):  # another folder is free
            pass
    assert content(folder) == []
    take()
    assert told == [told[0], told[0], "held"]
    assert f"{folder}: is in use by process {os.getpid()} " in told[0]
    assert f" on host {socket.gethostname()}, since {datetime.now():%Y-%m-%d }" in told[0]
    assert told[0].endswith("; wait for it, or choose another folder")


def test_an_error_lets_go(tmp_path: Path) -> None:
    """What goes wrong within leaves the folder free and empty."""
    for kind in (ValueError, KeyboardInterrupt):
        with pytest.raises(kind), held(tmp_path):
            raise kind
        assert content(tmp_path) == []


@unix
def test_a_killed_run_is_taken_over(tmp_path: Path) -> None:
    """Alive, its number is told; after SIGKILL its files are there, and hinder nobody."""
    with another_process(tmp_path) as process:
        message = rf"is in use by process {process.pid} on host "
        with pytest.raises(dif.FolderInUseError, match=message), held(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert content(tmp_path) == [LOCK, HOLDER]
        with held(tmp_path):
            assert json.loads((tmp_path / HOLDER).read_text())["pid"] == os.getpid()
    assert content(tmp_path) == []


HELD: dict[str, object] = {"pid": 12, "host": "a", "started": "2001-02-03T10:42:00"}
WRONG: list[dict[str, object]] = [
    {"pid": {}},
    {"pid": "a"},
    {"started": 7},
    {"started": "yesterday"},
    {"started": "9999-12-31T23:59:59-23:59"},
    {"host": "a\x1b[2Jb\nc"},
    {"host": "x" * 5000},
]


@pytest.mark.parametrize(
    "junk",
    [
        None,
        b"",
        b'{"pid": 12, "host"',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"[1, 2]",
        b'{"pid": 12, "host": "a"}',
        *(json.dumps(HELD | wrong).encode() for wrong in WRONG),
    ],
)
def test_junk_says_nothing(tmp_path: Path, junk: bytes | None) -> None:
    """What is unreadable of the holder's file is no error of its own, and what is printed is harmless."""
    with held(tmp_path):
        (tmp_path / HOLDER).unlink()
        if junk is not None:
            (tmp_path / HOLDER).write_bytes(junk)
        with pytest.raises(dif.FolderInUseError) as caught, held(tmp_path):
            pass
    expected = f"{tmp_path}: is in use by another process; wait for it, or choose another folder"
    assert str(caught.value) == expected


def test_who_and_since_when(tmp_path: Path) -> None:
    """The day and the time stand in the message, beside the process and its host."""
    with held(tmp_path):
        (tmp_path / HOLDER).write_text(json.dumps(HELD))
        message = "in use by process 12 on host a, since 2001-02-03 10:42; wait for it"
        with pytest.raises(dif.FolderInUseError, match=message), held(tmp_path):
            pass


@unix
def test_the_file_of_a_lock_that_ends_is_no_lock(tmp_path: Path) -> None:
    """A run that has opened the lock's file just before it was removed doesn't hold the folder with it."""
    from filelock import _unix

    opened: list[int] = []
    lock_it = _unix.lock_fd_nonblocking
    first = held(tmp_path)
    first.__enter__()

    def let_go_between(descriptor: int) -> bool:
        opened.append(os.fstat(descriptor).st_ino)
        if len(opened) == 1:  # the second has the file open: the first ends, and a third comes
            first.__exit__(None, None, None)
        return lock_it(descriptor)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_unix, "lock_fd_nonblocking", let_go_between)
        with held(tmp_path):
            patch.undo()
            assert len(opened) == 2, "it has locked the removed file, seen it, and opened another"
            assert os.stat(tmp_path / LOCK).st_ino == opened[1]
            with pytest.raises(dif.FolderInUseError), held(tmp_path):
                pass


def test_many_take_turns(tmp_path: Path) -> None:
    """Threads that take and leave the folder as fast as they can are never in it together."""
    inside: list[int] = []
    most: list[int] = []
    turns: list[int] = []

    def work(number: int) -> None:
        for _ in range(15):
            try:
                with held(tmp_path):
                    inside.append(number)
                    most.append(len(inside))
                    turns.append(number)
                    inside.remove(number)
            except dif.FolderInUseError:
                pass

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(most) == {1}
    assert len(turns) > 15
    assert content(tmp_path) == []


@unix
def test_without_locks_a_marker_stands_for_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One at a time; that of a killed process of this computer is taken over; nothing is left."""
    monkeypatch.setattr("filelock._unix.lock_fd_nonblocking", no_locks)
    with another_process(tmp_path, "without locks") as process:
        assert MARKER in content(tmp_path)
        with pytest.raises(dif.FolderInUseError, match=f"process {process.pid} .*; if it is gone, remove "):
            held(tmp_path).__enter__()
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert MARKER in content(tmp_path)
        with held(tmp_path):
            assert json.loads((tmp_path / HOLDER).read_text())["pid"] == os.getpid()
    assert content(tmp_path) == []


@unix
def test_a_marker_of_another_computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody here can tell whether its process lives: the message names the file, and nothing is removed."""
    monkeypatch.setattr("filelock._unix.lock_fd_nonblocking", no_locks)
    with held(tmp_path):
        marker = (tmp_path / MARKER).read_text()
    host = filelock._identity.host_name()
    assert host in marker, "else this test shows nothing"
    (tmp_path / MARKER).write_text(marker.replace(host, "elsewhere").replace(str(os.getpid()), "999999"))
    (tmp_path / HOLDER).write_text(json.dumps(HELD | {"pid": 999999, "host": "elsewhere"}))
    message = (
        f"process 999999 on host elsewhere, since .*; wait .*; if it is gone, remove {tmp_path / MARKER}"
    )
    with pytest.raises(dif.FolderInUseError, match=message):
        held(tmp_path).__enter__()
    (tmp_path / MARKER).unlink()
    with held(tmp_path):
        pass


def test_what_cannot_be_locked(tmp_path: Path) -> None:
    """A file in the place of the folder, a folder or a link in the place of the lock: an error says what."""
    (tmp_path / "file").touch()
    with pytest.raises(dif.InputError, match=r"file: can't be made \(File exists\); choose another"):
        held(tmp_path / "file").__enter__()
    (tmp_path / "a" / LOCK).mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / LOCK).symlink_to(tmp_path / "file")
    for name in "ab":
        with pytest.raises(dif.InputError, match=rf"{name}: .lock in it can't be locked \(.*\); remove it"):
            held(tmp_path / name).__enter__()


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is that of `require_writable`; the refusal is put in, since root may write anywhere."""

    def refuse(*args: object, **options: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(dif.InputError, match=r"can't be written to \(Permission denied\); choose another"):
        held(tmp_path).__enter__()


def test_another_users_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock's file that may not be opened is another user's, who may be at work."""

    def refuse(*args: object, **options: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("filelock.BaseFileLock.acquire", refuse)
    with pytest.raises(dif.FolderInUseError, match=r"\.lock in it can't be opened .*: another user's run"):
        held(tmp_path).__enter__()


@unix
def test_a_process_that_ends_at_once_leaves_nothing(tmp_path: Path) -> None:
    """The files are removed while the lock still holds."""
    with held(tmp_path):
        leave_nothing()
        assert content(tmp_path) == []
    leave_nothing()
    assert content(tmp_path) == []
