"""Files that stay open between reads."""

from __future__ import annotations

import gc
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from differentia.system.open_files import MOST_OPEN, KeptOpen


class File:
    """Counts how many of its kind are open."""

    opened = 0
    counting = threading.Lock()

    def __init__(self) -> None:
        with self.counting:
            File.opened += 1
        self.is_open = True

    def close(self) -> None:
        assert self.is_open
        self.is_open = False
        with self.counting:
            File.opened -= 1


@pytest.fixture(autouse=True)
def none_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(File, "opened", 0)


def test_a_file_stays_open() -> None:
    """Until others are used; the next use opens it again."""
    kept = KeptOpen(File)
    assert File.opened == 0
    with kept.use() as first:
        assert first.is_open
    with kept.use() as again:
        assert again is first
    others = [KeptOpen(File) for _ in range(MOST_OPEN - 1)]
    for other in others:
        with other.use():
            pass
    assert first.is_open
    last = KeptOpen(File)
    with last.use():
        pass
    assert not first.is_open
    with kept.use() as anew:
        assert anew is not first
        assert anew.is_open


def test_many_files_from_many_threads() -> None:
    """No more are open than may be, nobody has one that is closed, and no two have one at once."""
    files = [KeptOpen(File) for _ in range(50)]
    busy = [threading.Lock() for _ in files]
    most = 0

    def use(number: int) -> None:
        nonlocal most
        place = number * 7 % len(files)
        with files[place].use() as file:
            assert busy[place].acquire(blocking=False)
            assert file.is_open
            most = max(most, File.opened)
            busy[place].release()

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(use, range(2000)))
    assert MOST_OPEN <= most <= MOST_OPEN + 16  # one for each thread that has it
    assert File.opened <= MOST_OPEN


def test_what_nobody_has_is_not_kept() -> None:
    """What is among the latest is not held by that alone."""
    kept = KeptOpen(File)
    with kept.use() as file:
        pass
    del kept
    gc.collect()
    with KeptOpen(File).use() as other:
        assert other is not file


def test_a_file_that_can_not_be_opened() -> None:
    """Its error is that of opening, each time."""

    def fail() -> File:
        raise OSError("no")

    kept = KeptOpen(fail)
    for _ in range(2):
        with pytest.raises(OSError, match="no"), kept.use():
            pass
