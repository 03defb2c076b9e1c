"""What is made once in a run of the tests is made once, by whichever worker asks first."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from helpers import shared
from helpers.shared import made_once, once


@pytest.fixture(autouse=True)
def another_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is made yet."""
    monkeypatch.setattr(shared, "FOLDER", tmp_path)


def test_it_is_made_once() -> None:
    """Whoever asks while it is being made waits for it; what failed is made again."""
    made: list[str] = []

    def make(folder: Path) -> None:
        made.append(folder.name)
        if len(made) == 1:
            raise OSError("the first time")
        (folder / "file").write_text("whole")

    with pytest.raises(OSError, match="the first time"):
        made_once("a", make)
    workers = [threading.Thread(target=made_once, args=("a", make)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert made == ["a", "a"]
    assert (made_once("a", make) / "file").read_text() == "whole"


def test_another_worker_reads_what_was_made() -> None:
    """Equal, but for each worker its own: what one changes by mistake the others do not see."""
    calls: list[int] = []

    def numbers() -> list[int]:
        calls.append(1)
        return [1, 2]

    one, other = once(numbers), once(numbers)
    assert one() == other() == [1, 2]
    assert calls == [1]
    assert one() is one()
    assert one() is not other()
