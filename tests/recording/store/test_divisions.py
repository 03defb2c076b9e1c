"""Divisions in files: what one process promises is read by all, each number once."""

from __future__ import annotations

from pathlib import Path

import pytest

from differentia.recording.division import Division, Promised
from differentia.recording.store.divisions import DivisionFiles


def division(first: int) -> Division:
    return Division(first, 2, {"a": "digest"}, (Promised("a", (first, first + 1)),))


def test_of_two_at_once_the_first_counts(tmp_path: Path) -> None:
    """The second finds what the first has promised, and keeps what it wanted for the next time."""
    one, other = DivisionFiles(tmp_path, 2), DivisionFiles(tmp_path, 2)
    one.add(division(0))
    other.add(division(4))
    assert one.whole == other.whole == [division(0)]
    other.add(division(4))
    one.read()
    assert one.whole == other.whole == [division(0), division(4)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.json", "1.json"]


@pytest.mark.parametrize("junk", [b"", b"{}", b"[1]", b"\xff"])
def test_what_is_damaged_or_of_other_numbers(junk: bytes, tmp_path: Path) -> None:
    """It is told, and its number is not given again; the others are there."""
    for first in (0, 2, 4):
        files = DivisionFiles(tmp_path, 2)
        files.read()
        files.add(division(first))
    (tmp_path / "1.json").write_bytes(junk)
    (tmp_path / "3.json").write_bytes((tmp_path / "0.json").read_bytes())
    files = DivisionFiles(tmp_path, 2)
    files.read()
    assert files.whole == [division(0), division(4)]
    assert files.damaged == [tmp_path / "1.json", tmp_path / "3.json"]
    files.add(division(6))
    assert files.whole[-1] == division(6)
    assert (tmp_path / "4.json").exists()


def test_a_folder_that_can_not_be_read(tmp_path: Path) -> None:
    """It is an error: the same numbers would be given again; where there is none, there is no division."""
    (tmp_path / "divisions").touch()
    with pytest.raises(NotADirectoryError):
        DivisionFiles(tmp_path / "divisions", 2).read()
    files = DivisionFiles(tmp_path / "gone", 2)
    files.read()
    assert files.whole == []
