"""Who writes an unfinished file: known from its name, also of other machines and after a process's end."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from differentia.recording.store import writers
from differentia.system.locking import STALE

CODE = """
import sys
from pathlib import Path
from differentia.recording.store import writers
print(writers.beside(Path(sys.argv[1])), flush=True)
sys.stdin.read()
"""


def test_a_process_that_lives_and_one_that_ended(tmp_path: Path) -> None:
    """Its files are left when it has ended, and not before."""
    target = tmp_path / "c.0.0"
    with subprocess.Popen(
        [sys.executable, "-c", CODE, str(target)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        path = Path(process.stdout.readline().strip())
        path.touch()
        assert path.parent == tmp_path
        assert path.name.startswith("c.0.0.")
        assert not writers.is_left(path)
        process.communicate()
    assert writers.is_left(path)


def test_what_a_process_leaves_while_it_runs(tmp_path: Path) -> None:
    """It is anybody's at once; where it can't be renamed, it is so at the process's end."""
    path = writers.beside(tmp_path / "c.0.0")
    path.touch()
    assert not writers.is_left(path)
    left = writers.leave(path)
    assert [file.name for file in tmp_path.iterdir()] == [left.name]
    assert writers.writer_of(left)
    assert writers.is_left(left)
    assert writers.leave(path) == path, "it is gone"


def test_another_machine(tmp_path: Path) -> None:
    """It is known to be at work as long as it writes now and then."""
    path = tmp_path / f"c.0.0.elsewhere_0123456789ab_7_456.01234567{writers.PARTIAL}"
    path.touch()
    assert not writers.is_left(path)
    now = path.stat().st_mtime
    os.utime(path, (now, now - STALE / 2))
    assert not writers.is_left(path)
    os.utime(path, (now, now - STALE - 60))
    assert writers.is_left(path)
    assert [left.name for left in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("name", ["zarr.json.partial", "c.7.7.partial", "x.a_b_c_d.partial", "c.0.0.a.b.c"])
def test_names_that_tell_nothing(name: str, tmp_path: Path) -> None:
    """As earlier versions wrote them: nobody writes to these any more."""
    assert writers.writer_of(tmp_path / name) is None
    assert writers.is_left(tmp_path / name)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In place of the one that was there; where that fails, that one stays, and nothing else."""
    target = tmp_path / "zarr.json"
    writers.write_whole(target, b"one")
    writers.write_whole(target, b"two")
    assert target.read_bytes() == b"two"

    def failing(self: Path, target: Path) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OSError, match="Input/output"):
        writers.write_whole(target, b"three")
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["zarr.json"]
    assert target.read_bytes() == b"two"
