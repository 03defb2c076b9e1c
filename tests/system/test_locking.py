"""A folder that one run at a time writes into, or several parts of one recording."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
import pytest

import differentia as dif
from differentia.system import locking
from differentia.system.locking import (
    IN_USE,
    STALE,
    alone,
    ended,
    held,
    holders,
    leave_nothing,
    this_process,
)

#: Does what it is told, a line each: holds the folder of its argument, as its share where one is named, and
#: answers; or lets go.
HOLD = """
import sys
from contextlib import ExitStack
from pathlib import Path
from differentia.errors import FolderInUseError
from differentia.system import locking
locking.LETTING_GO = 0.1
mine = ExitStack()
for line in sys.stdin:
    share = line.strip()
    try:
        if share == "let go":
            mine.close()
            continue
        mine.enter_context(locking.held(Path(sys.argv[1]), share=share or None))
        print("held", flush=True)
    except FolderInUseError as error:
        print(error, flush=True)
"""

#: Takes a folder again and again, for a second, and leaves a file in it meanwhile, which nobody else may find
#: there; with a second argument, in which case each takes a folder of its own, it finds some.
HAMMER = """
import os, sys, time
from pathlib import Path
from differentia.errors import FolderInUseError
from differentia.system.locking import held
folder = Path(sys.argv[1])
found = turns = 0
until = time.monotonic() + 1.5
while time.monotonic() < until:
    try:
        with held(folder / str(os.getpid()) if sys.argv[2:] else folder):
            try:
                os.close(os.open(folder / "witness", os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                found += 1
                continue
            turns += 1
            time.sleep(0.002)
            (folder / "witness").unlink()
    except FolderInUseError:
        pass
print(found, turns)
"""

unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL, SIGSTOP, fork or pipes")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks for what is held is told soon."""
    monkeypatch.setattr(locking, "LETTING_GO", 0.05)
    monkeypatch.setattr(locking, "GIVING_WAY", 0.2)


class Another:
    """A process that holds a folder as it is told."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-c", HOLD, str(folder)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def ask(self, share: str = "") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{share}\n")
        self.process.stdin.flush()

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


@contextmanager
def another(folder: Path) -> Iterator[Another]:
    found = Another(folder)
    with found.process:
        try:
            yield found
        finally:
            found.process.kill()


def content(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def lease(folder: Path, token: str, kind: str = "held", said: object = None, age: float = 0.0) -> Path:
    """Write a lease by hand, as another machine or an earlier process has left it."""
    path = folder / IN_USE / f"661802e51a15c_{kind}_{token}_0"
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text(json.dumps(said or {}))
    os.utime(path, (time.time() - age,) * 2)
    return path


#: A process of another machine.
ELSEWHERE = "elsewhere_0123456789ab_999_17"


def told(folder: Path, share: str | None = None) -> str:
    """Return what somebody is told who asks for a folder in use."""
    with pytest.raises(dif.FolderInUseError) as caught, held(folder, share=share):
        pass
    return str(caught.value)


def free(folder: Path) -> bool:
    with held(folder):
        return True


# ------------------------------------------------------------------------------------------------ one process


def test_one_at_a_time_in_one_process(tmp_path: Path) -> None:
    """The second is told, in the same thread and in another; after the first anyone may; nothing is left."""
    folder = tmp_path / "new" / "out"
    said: list[str] = []

    def take() -> None:
        try:
            with held(folder):
                said.append("held")
        except dif.FolderInUseError as error:
            said.append(str(error))

    with held(folder):
        assert content(folder) == [IN_USE]
        take()
        thread = threading.Thread(target=take)
        thread.start()
        thread.join()
        assert free(tmp_path / "new" / "other")
    assert content(folder) == []
    take()
    assert said == [said[0], said[0], "held"]
    assert f"{folder}: is in use by process {os.getpid()} " in said[0]
    assert f" on host {socket.gethostname()}, since {datetime.now():%Y-%m-%d }" in said[0]
    assert said[0].endswith("; wait for it, or choose another folder")


def test_an_error_lets_go(tmp_path: Path) -> None:
    """What goes wrong within leaves the folder free and empty."""
    for kind in (ValueError, KeyboardInterrupt):
        with pytest.raises(kind), held(tmp_path):
            raise kind
        assert content(tmp_path) == []


def test_parts_share_a_folder(tmp_path: Path) -> None:
    """Parts are together, and keep a whole run out, which keeps parts out; it is told what they do."""
    with ExitStack() as parts:
        for nth in (1, 2, 3):
            parts.enter_context(held(tmp_path, share=f"part {nth} of 3"))
        assert " (part 1 of 3), since " in told(tmp_path)
        assert ", and 2 more; wait for it" in told(tmp_path)
    with held(tmp_path):
        assert f"process {os.getpid()} on host {socket.gethostname()}, since" in told(tmp_path, "part 1 of 3")
    assert content(tmp_path) == []


def test_moments(tmp_path: Path) -> None:
    """What is done alone waits for its like, not for who holds the folder; after a while it is told."""
    order: list[str] = []
    waits = threading.Event()

    def second() -> None:
        waits.set()
        with alone(tmp_path):
            order.append("second")

    with held(tmp_path, share="part 1 of 2"), alone(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        waits.wait()
        with pytest.raises(dif.FolderInUseError, match="is in use by process"), alone(tmp_path, wait=0.05):
            pass
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert content(tmp_path) == []
    with pytest.raises(dif.InputError, match=r"gone: \.in-use in it can't be used \(No such file"):
        alone(tmp_path / "gone").__enter__()


@pytest.mark.parametrize("take", [held, alone])
def test_many_take_turns(tmp_path: Path, take: object) -> None:
    """Threads that take and leave the folder as fast as they can are never in it together."""
    inside: list[int] = []
    most: list[int] = []
    turns: list[int] = []

    def work(number: int) -> None:
        for _ in range(15):
            try:
                with take(tmp_path):  # type: ignore[operator]
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
    assert len(turns) == 60 if take is alone else len(turns) > 15
    assert content(tmp_path) == []


def test_a_lease_is_renewed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the folder is held, by the file server's time; not afterwards."""
    monkeypatch.setattr(locking, "RENEWED", 0.01)
    with held(tmp_path):
        (path,) = (tmp_path / IN_USE).iterdir()
        for _ in range(2):
            os.utime(path, (0, 0))
            until = time.monotonic() + 20
            while path.stat().st_mtime == 0:
                assert time.monotonic() < until
                time.sleep(0.005)
            assert abs(path.stat().st_mtime - time.time()) < 5
    path.parent.mkdir()
    path.touch()
    time.sleep(0.05)  # for a renewal that is under way
    os.utime(path, (0, 0))
    time.sleep(0.05)
    assert path.stat().st_mtime == 0


def test_somebody_tidies_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run whose lease, or folder, is removed goes on, and ends without an error."""
    monkeypatch.setattr(locking, "RENEWED", 0.005)
    with held(tmp_path / "a"):
        for path in (tmp_path / "a" / IN_USE).iterdir():
            path.unlink()
        (tmp_path / "a" / IN_USE).rmdir()
        time.sleep(0.03)
        (tmp_path / "a").rmdir()
        time.sleep(0.03)
    assert content(tmp_path) == []


def test_a_folder_that_nfs_has_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever lets go removes the leases' folder; a client that still knows it is told, and looks again."""
    opened, scanned, refused = os.open, os.scandir, [0, 0]

    def stale(which: int, call: Any) -> Any:
        def once(*given: Any, **more: Any) -> Any:
            refused[which] += 1
            if refused[which] == 1:
                raise OSError(errno.ESTALE, "Stale file handle")
            return call(*given, **more)

        return once

    monkeypatch.setattr(os, "open", stale(0, opened))
    monkeypatch.setattr(os, "scandir", stale(1, scanned))
    with alone(tmp_path):
        monkeypatch.undo()
        assert len(content(tmp_path / IN_USE)) == 1
    assert min(refused) > 1
    assert content(tmp_path) == []


# --------------------------------------------------------------------------------------------- real processes


@unix
def test_a_killed_run_is_taken_over(tmp_path: Path) -> None:
    """Alive, its number is told; after SIGKILL its lease is there, and hinders nobody, reaped or not."""
    with another(tmp_path) as process:
        process.ask()
        assert process.answer() == "held"
        assert f"is in use by process {process.process.pid} on host " in told(tmp_path)
        process.process.send_signal(signal.SIGKILL)
        while psutil.Process(process.process.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.001)
        assert len(content(tmp_path / IN_USE)) == 1
        with held(tmp_path):
            assert [found.pid for found in holders(tmp_path)] == [os.getpid()]
    assert content(tmp_path) == []


@unix
def test_a_stopped_run_keeps_its_folder(tmp_path: Path) -> None:
    """Its process is there, however long it gives no sign."""
    with another(tmp_path) as process:
        process.ask()
        assert process.answer() == "held"
        process.process.send_signal(signal.SIGSTOP)
        (path,) = (tmp_path / IN_USE).iterdir()
        os.utime(path, (0, 0))
        assert f"process {process.process.pid} " in told(tmp_path)
        assert path.exists()


@unix
@pytest.mark.slow
def test_two_begin_at_once(tmp_path: Path) -> None:
    """Of two that ask at the same time one gets it, each time; of two that share, both."""
    with another(tmp_path) as one, another(tmp_path) as two:
        for _ in range(50):
            for process in (one, two):
                process.ask()
            answers = [one.answer(), two.answer()]
            assert sorted(answer == "held" for answer in answers) == [False, True], answers
            for process in (one, two):
                process.ask("let go")
        for nth in range(50):
            for process, share in ((one, "part 1 of 2"), (two, "part 2 of 2")):
                process.ask(share)
            assert [one.answer(), two.answer()] == ["held", "held"]
            assert nth > 2 or "(part" in told(tmp_path)
            for process in (one, two):
                process.ask("let go")
        for process in (one, two):
            process.process.communicate()
    assert content(tmp_path) == []


def hammered(folder: Path, *more: str) -> list[tuple[int, int]]:
    """Return how often each of three processes found another's file in the folder, and how often not."""
    command = [sys.executable, "-c", HAMMER, str(folder), *more]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    said = [process.communicate(timeout=120)[0].split() for process in processes]
    return [(int(found), int(turns)) for found, turns in said]


@unix
@pytest.mark.slow
def test_never_two_at_once(tmp_path: Path) -> None:
    """Processes that take a folder as fast as they can never meet; where each takes another, they do."""
    counts = hammered(tmp_path)
    assert [found for found, _ in counts] == [0, 0, 0]
    assert sum(turns for _, turns in counts) > 20
    assert sum(found for found, _ in hammered(tmp_path, "each its own")) > 0


FORK = """
import os, sys
from pathlib import Path
from differentia.system.locking import held, holders, leave_nothing, this_process
folder = Path(sys.argv[1])
mine = this_process()
with held(folder):
    try:
        with held(folder / "other"):
            child = os.fork()
            if child == 0:
                assert this_process() != mine
                leave_nothing()
                raise SystemExit  # so that the child, too, leaves what it is in
            os.waitpid(child, 0)
    finally:
        print([found.pid == os.getpid() for found in holders(folder)], flush=True)
        if child == 0:
            os._exit(0)
    assert [found.pid for found in holders(folder)] == [os.getpid()]
"""


@unix
def test_a_fork_has_no_lease(tmp_path: Path) -> None:
    """A child that leaves what its parent is in, or ends at once, removes nothing of its parent's."""
    command = [sys.executable, "-W", "ignore", "-c", FORK, str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split("\n")[:2] == ["[False]", "[True]"]
    assert content(tmp_path) == ["other"]


@unix
def test_a_process_that_ends_at_once_leaves_nothing(tmp_path: Path) -> None:
    """Its leases are removed while it is still in there."""
    with held(tmp_path), alone(tmp_path):
        leave_nothing()
        assert content(tmp_path) == []
    leave_nothing()
    assert content(tmp_path) == []


# ------------------------------------------------------------------------------ elsewhere, and other clocks


@pytest.mark.parametrize(
    ("age", "over"), [(0, False), (STALE - 60, False), (STALE + 60, True), (-86_400, False)]
)
def test_another_machine(tmp_path: Path, age: float, over: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its process is taken for ended once its lease is old, whatever the clock of this machine says."""
    about = {"host": "node-7.example.org", "share": "part 3 of 10"}
    path = lease(tmp_path, ELSEWHERE, "shared", about, age)
    monkeypatch.setattr("time.time", lambda: 0.0)  # of which nothing depends
    assert ended(ELSEWHERE, path) is over
    if over:
        with held(tmp_path):
            assert not path.exists()
        assert content(tmp_path) == []
    else:
        since = datetime.fromtimestamp(0x661802E51A15C / 1e6, UTC).astimezone()
        assert told(tmp_path) == (
            f"{tmp_path}: is in use by process 999 on host node-7.example.org (part 3 of 10), since "
            f"{since:%Y-%m-%d %H:%M}; wait for it, or choose another folder; if it is gone, its hold ends 5 "
            "minutes after its last sign of life"
        )
        assert path.exists()
        with held(tmp_path, share="part 4 of 10"):
            pass


def test_what_is_left_of_a_moment(tmp_path: Path) -> None:
    """Who holds the folder alone removes it, though it hinders nobody but others for a moment."""
    path = lease(tmp_path, ELSEWHERE, kind="moment", age=STALE + 60)
    with held(tmp_path, share="part 1 of 2"):
        assert path.exists()
    with held(tmp_path):
        assert not path.exists()
    lease(tmp_path, ELSEWHERE, kind="moment")
    with held(tmp_path):
        assert path.exists(), "it is of somebody who lives"


def test_a_server_is_asked_seldom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who waits for another machine makes one file to know its time, and again when that was renewed."""
    made: list[object] = []
    temporary = tempfile.TemporaryFile

    def making(**options: Any) -> Any:
        made.append(options)
        return temporary(**options)

    monkeypatch.setattr("tempfile.TemporaryFile", making)
    path = lease(tmp_path, ELSEWHERE, kind="moment")
    begun = time.monotonic()
    with pytest.raises(dif.FolderInUseError), alone(tmp_path, wait=0.5):
        pass
    assert time.monotonic() - begun < 1.5
    assert len(made) == 1
    os.utime(path)
    assert not ended(ELSEWHERE, path)
    assert len(made) == 2
    os.utime(path, (time.time() - STALE - 60,) * 2)
    assert ended(ELSEWHERE, path)


def test_processes(tmp_path: Path) -> None:
    """A token names a process in the name of a file; one of this machine ends with its process."""
    token, file = this_process(), tmp_path / "file"
    file.touch()
    os.utime(file, (0, 0))
    assert re.fullmatch(r"[0-9A-Za-z_-]{1,100}", token)
    assert token == this_process()
    assert not ended(token, file)
    assert ended(ELSEWHERE, file)
    assert ended("junk", file)
    host, machine, pid, start = token.split("_")
    assert int(pid) == os.getpid()
    assert ended("_".join([host, machine, pid, f"{int(start) + 1}"]), file), "an earlier one of this number"
    for number in ("0", "4000000000", "9999999999"):
        assert ended("_".join([host, machine, number, start]), file)
    os.utime(file)
    assert not ended(ELSEWHERE, file)
    assert not ended("junk", file)
    assert ended("junk", tmp_path / "none")
    assert ended("junk", tmp_path / "none" / "none")


@unix
def test_processes_that_hide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a system does not show when another user's process began, it counts as the one that is meant."""
    monkeypatch.setattr(locking, "_start", lambda pid: None)
    assert not ended("_".join([*this_process().split("_")[:3], "1"]), tmp_path)


def test_what_has_ended_may_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lease that can't be removed, since it is another user's, hinders nobody either."""
    path = lease(tmp_path, ELSEWHERE, age=STALE + 60)

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        assert free(tmp_path)
    assert path.exists()


# -------------------------------------------------------------------------------------------------- who holds


def test_holders(tmp_path: Path) -> None:
    """Who is in a folder and who has left something behind, in order; nothing is written."""
    assert holders(tmp_path) == holders(tmp_path / "none") == []
    gone = "_".join([*this_process().split("_")[:3], "1"])
    with held(tmp_path, share="part 2 of 2"):
        lease(tmp_path, gone, said={"host": "here"})
        lease(tmp_path, ELSEWHERE, "shared", {"host": "node-7", "share": "part 1 of 2"})
        lease(tmp_path, ELSEWHERE.replace("999", "998"), "moment")
        before = {path: path.stat().st_mtime_ns for path in (tmp_path, *tmp_path.rglob("*"))}
        found = holders(tmp_path)
        assert {path: path.stat().st_mtime_ns for path in (tmp_path, *tmp_path.rglob("*"))} == before
    about = [(one.host, one.pid, one.share, one.alive) for one in found]
    assert sorted(about[:2]) == [("here", os.getpid(), None, False), ("node-7", 999, "part 1 of 2", True)]
    assert about[2:] == [(socket.gethostname(), os.getpid(), "part 2 of 2", True)]
    for one in found:
        assert abs(one.renewed.timestamp() - time.time()) < 30
    assert abs(found[2].since.timestamp() - time.time()) < 30
    os.utime(lease(tmp_path, ELSEWHERE, "shared"), (-5.0, 1e11))
    assert [one.share for one in holders(tmp_path)] == [None, "a part"]


ABOUT = {"host": "a", "share": "part 3 of 10"}


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b'{"host": "a',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"[1, 2]",
        *(
            f'{{"host": {wrong}, "share": {wrong}}}'.encode()
            for wrong in ("7", "{}", '""', r'"a\u001b[2Jb\nc"', f'"{5000 * "x"}"')
        ),
    ],
)
def test_junk_says_nothing(tmp_path: Path, junk: bytes) -> None:
    """What can't be read of a lease is no error of its own, and what is printed is harmless."""
    path = lease(tmp_path, ELSEWHERE, "shared", ABOUT)
    assert "process 999 on host a (part 3 of 10), since 20" in told(tmp_path)
    path.write_bytes(junk)
    assert "process 999 on host elsewhere (a part), since 20" in told(tmp_path)


def test_another_users_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that may not be read holds as well: its name says enough."""
    path = lease(tmp_path, ELSEWHERE, said=ABOUT)
    opened = os.open

    def refuse(name: object, *flags: int, **more: int) -> int:
        if name == path:
            raise PermissionError(errno.EACCES, "Permission denied")
        return opened(name, *flags, **more)  # type: ignore[arg-type]

    monkeypatch.setattr("os.open", refuse)
    assert "process 999 on host elsewhere, since 20" in told(tmp_path)


@unix
def test_what_is_no_lease(tmp_path: Path) -> None:
    """Names of strangers; links, pipes and folders in the place of a lease: nobody waits, or writes there."""
    place = tmp_path / IN_USE
    path = lease(tmp_path, ELSEWHERE)
    (tmp_path / "file").write_text("kept")
    names = [path.name[:-1] + digit for digit in "123"]
    path.rename(place / "foreign")
    (place / names[0]).symlink_to(tmp_path / "file")
    os.mkfifo(place / names[1])
    (place / names[2]).mkdir()
    assert free(tmp_path)
    assert holders(tmp_path) == []
    assert content(place) == [*names, "foreign"]
    assert (tmp_path / "file").read_text() == "kept"


@unix
def test_a_link_in_the_place_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its time stays as it was of what it leads to."""
    monkeypatch.setattr(locking, "RENEWED", 0.005)
    (tmp_path / "file").write_text("kept")
    os.utime(tmp_path / "file", (0, 0))
    with held(tmp_path):
        (path,) = (tmp_path / IN_USE).iterdir()
        path.unlink()
        path.symlink_to(tmp_path / "file")
        time.sleep(0.05)
    assert (tmp_path / "file").read_text() == "kept"
    assert (tmp_path / "file").stat().st_mtime == 0


# ----------------------------------------------------------------------------------------- what can't be held


def test_what_cannot_be_held(tmp_path: Path) -> None:
    """A file in the place of the folder, a file or a link in that of the leases': an error says what."""
    (tmp_path / "file").touch()
    with pytest.raises(dif.InputError, match=r"file: can't be made \(File exists\); choose another"):
        held(tmp_path / "file").__enter__()
    for name in "ab":
        (tmp_path / name).mkdir()
    (tmp_path / "a" / IN_USE).touch()
    (tmp_path / "c").mkdir()
    (tmp_path / "b" / IN_USE).symlink_to(tmp_path / "c", target_is_directory=True)
    for name in "ab":
        message = rf"{name}: \.in-use in it can't be used \(.*\); remove it, or choose another folder"
        with pytest.raises(dif.InputError, match=message):
            held(tmp_path / name).__enter__()
        assert holders(tmp_path / name) == []
    assert content(tmp_path / "c") == []


def test_a_folder_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is that of `require_writable`; the refusal is put in, since root may write anywhere."""

    def refuse(*args: object, **options: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(dif.InputError, match=r"can't be written to \(Permission denied\); choose another"):
        held(tmp_path).__enter__()
    assert not ended(ELSEWHERE, lease(tmp_path, ELSEWHERE, age=STALE + 60)), "who can't tell leaves it alone"


@pytest.mark.parametrize("refused", ["mkdir", "scandir"])
def test_another_users_folder(tmp_path: Path, refused: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leases among which one can't lay one's own, or that can't be seen, are another user's."""

    def refuse(*args: object, **options: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    with nullcontext() if refused == "mkdir" else alone(tmp_path):
        monkeypatch.setattr(*((Path, "mkdir", refuse) if refused == "mkdir" else (os, "scandir", refuse)))
        message = r"\.in-use in it can't be used .*: another user's run"
        with pytest.raises(dif.FolderInUseError, match=message):
            alone(tmp_path).__enter__()
        if refused == "scandir":
            with pytest.raises(dif.InputError, match=r"\.in-use in it can't be read .*; ask its owner"):
                holders(tmp_path)
        monkeypatch.undo()
