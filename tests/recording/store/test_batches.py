"""Which images were shown together: what a line tells is what was written, or nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from differentia.errors import StorageError
from differentia.recording.store.base import KeptBatch
from differentia.recording.store.batches import BatchLines

BATCHES = [
    KeptBatch(number, "a" if number < 4 else "ä\n", tuple(f"{number}/{row}" for row in range(3)), ("s",))
    for number in (0, 1, 2, 3, 7)
]


def lines(folder: Path) -> BatchLines:
    return BatchLines(folder, most=4, task_batches=3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for batch in reversed(BATCHES):
        lines(tmp_path).add(batch)
    return tmp_path


def test_a_line_for_each_batch_and_a_file_for_each_task(folder: Path) -> None:
    """They are read in the order of their numbers."""
    kept = lines(folder)
    assert kept.read() == BATCHES
    assert kept.notes == []
    assert sorted(path.name for path in folder.iterdir()) == ["0.jsonl", "1.jsonl", "2.jsonl"]
    assert [len(path.read_bytes().splitlines()) for path in sorted(folder.iterdir())] == [3, 1, 1]


@pytest.mark.parametrize("left", [1, 20, -2])
def test_a_line_that_was_not_finished_is_none(left: int, folder: Path) -> None:
    """And no damage: the run ended there. What is added afterwards is a line of its own."""
    path = folder / "0.jsonl"
    written = path.read_bytes().splitlines(keepends=True)  # of the batches 2, 1, 0
    path.write_bytes(b"".join(written[:2]) + written[2][:left])
    kept = lines(folder)
    assert kept.read() == BATCHES[1:]
    assert kept.notes == []
    kept.add(BATCHES[0])
    assert path.read_bytes() == b"".join(written)
    assert lines(folder).read() == BATCHES


@pytest.mark.parametrize(
    "junk",
    [
        b"junk",
        b"{}",
        b"[" * 100_000,
        b"\xff\xfe\x00",
        b'{"number": 0}',
        b'{"number": "0", "set": "a", "images": [], "skipped": [], "digest": "x"}',
        b"x" * 10**6,
    ],
)
def test_a_damaged_line_is_noted(junk: bytes, folder: Path) -> None:
    """Its batch only is lost; when that is there again, the file is as it was."""
    path = folder / "0.jsonl"
    written = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(written[0] + junk + b"\n" + written[2])
    kept = lines(folder)
    assert kept.read() == [BATCHES[0], *BATCHES[2:]]
    (note,) = kept.notes
    assert note.startswith(f"{path}: ")
    assert "damaged; the images are recorded again" in note
    kept.add(BATCHES[1])
    assert sorted(path.read_bytes().splitlines(keepends=True)) == sorted(written)
    again = lines(folder)
    assert again.read() == BATCHES
    assert again.notes == []


def test_a_changed_line_is_damaged(folder: Path) -> None:
    """Other images, another set, another number: the digest or the file does not go with it."""
    path = folder / "1.jsonl"
    facts = json.loads(path.read_bytes())
    for change in ({"images": ["x"]}, {"set": "b"}, {"number": 0}, {"number": 8}, {"number": -1}):
        path.write_text(json.dumps({**facts, **change}) + "\n", encoding="utf-8")
        kept = lines(folder)
        assert kept.read() == [batch for batch in BATCHES if batch.number != 3]
        assert len(kept.notes) == 1


def test_a_batch_that_was_written_twice(folder: Path) -> None:
    """By two processes that did the same task: it is one, or the second is told in time."""
    lines(folder).add(BATCHES[0])
    assert lines(folder).read() == BATCHES
    with pytest.raises(StorageError, match="another process records the same images"):
        lines(folder).add(BATCHES[0]._replace(images=("other",)))
    assert lines(folder).read() == BATCHES


def test_two_processes_at_one_task(tmp_path: Path) -> None:
    """Each looks at what the other wrote since, and no more often than that."""
    one, other = lines(tmp_path), lines(tmp_path)
    for kept in (one, other):
        assert kept.read() == []
    one.add(BATCHES[0])
    one.add(BATCHES[1])
    other.add(BATCHES[0])
    with pytest.raises(StorageError, match="another process records the same images"):
        other.add(BATCHES[1]._replace(skipped=()))
    one.add(BATCHES[2])
    assert lines(tmp_path).read() == BATCHES[:3]


def test_more_images_than_a_batch_has(folder: Path) -> None:
    """A stranger's batch is not believed."""
    assert BatchLines(folder, most=3, task_batches=3).read() == []


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    """It holds no batches, and the file takes its place."""
    (folder / "2.jsonl").unlink()
    os.mkfifo(folder / "2.jsonl")
    kept = lines(folder)
    assert kept.read() == BATCHES[:-1]
    kept.add(BATCHES[-1])
    assert lines(folder).read() == BATCHES


def test_a_folder_that_can_not_be_read(tmp_path: Path) -> None:
    """It is an error: no batches would mean that everything is recorded again."""
    (tmp_path / "batches").touch()
    with pytest.raises(NotADirectoryError):
        lines(tmp_path / "batches").read()
    assert lines(tmp_path / "gone").read() == []


def test_a_file_of_batches_that_a_backup_has_too(tmp_path: Path) -> None:
    """As a hard link, a link, or a pipe that came meanwhile: it is written anew, and nothing through it."""
    for number, kind in enumerate(("hard link", "link", "pipe")):
        folder = tmp_path / str(number)
        folder.mkdir()
        lines = BatchLines(folder, 8, 4)
        lines.add(KeptBatch(0, "a", ("x",)))
        file, other = folder / "0.jsonl", tmp_path / "other"
        content = file.read_bytes()
        other.unlink(missing_ok=True)
        file.rename(other)
        if kind == "pipe":
            os.mkfifo(file)
        else:
            (file.hardlink_to if kind == "hard link" else file.symlink_to)(other)
        lines.add(KeptBatch(1, "a", ("y",)))
        assert other.read_bytes() == content
        assert file.lstat().st_nlink == 1
        known = [batch.number for batch in BatchLines(folder, 8, 4).read()]
        assert known == ([0, 1] if kind == "hard link" else [1])
