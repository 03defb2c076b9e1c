"""Work in a process that is given up: its time, its memory, its end, and what is forked from this one."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from differentia.system.limited import GivenUpError, LimitedProcess

#: What the process does.
WORK = """
import os, time

def answer(asked, content):
    if asked == b"hang":
        while True:
            pass
    if asked == b"crash":
        os.kill(os.getpid(), 11)
    if asked == b"print":
        os.write(1, b"no answer")
    if asked == b"fill":
        try:
            bytearray(int(content))
        except MemoryError:
            return b"full", b""
    return str(os.getpid()).encode(), content[::-1]
"""


@pytest.fixture
def process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LimitedProcess]:
    """A process that does the work above, which it finds as this process does."""
    (tmp_path / "work_of_a_test.py").write_text(WORK)
    monkeypatch.syspath_prepend(tmp_path)
    process = LimitedProcess("work_of_a_test:answer")
    yield process
    process.end()


def ask(
    process: LimitedProcess, asked: bytes, content: bytes = b"", memory: int = 10**9
) -> tuple[bytes, bytes]:
    """Return the answer within a second of computing."""
    return process.do(asked, content, seconds=1, memory=memory)


def test_one_process_answers_all(process: LimitedProcess) -> None:
    """It is another than this one, and is kept; what libraries print is no answer."""
    content = os.urandom(3_000_000)
    first = ask(process, b"", content)
    assert first[1] == content[::-1]
    assert first[0] != str(os.getpid()).encode()
    assert ask(process, b"print", b"ab") == (first[0], b"ba")


def test_it_is_given_up(process: LimitedProcess) -> None:
    """Where it computes too long, and where it dies; another does what comes next."""
    first = ask(process, b"")[0]
    begun = time.process_time()
    with pytest.raises(GivenUpError, match=r"^took longer than 1 s$"):
        ask(process, b"hang")
    assert time.process_time() - begun < 1
    second = ask(process, b"")[0]
    assert second != first
    with pytest.raises(GivenUpError, match=r"^ended the process that reads it, with code -11$"):
        ask(process, b"crash")
    assert ask(process, b"")[0] not in (first, second)


@pytest.mark.skipif(sys.platform != "linux", reason="only there a process can know what it takes")
def test_memory(process: LimitedProcess) -> None:
    """More than it may take is an error of its own, which it lives through."""
    first = ask(process, b"fill", b"50000000", 10**8)[0]
    assert ask(process, b"fill", b"200000000", 10**8)[0] == b"full"
    assert ask(process, b"fill", b"200000000", 10**9)[0] == first


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_process_that_is_forked_has_its_own(process: LimitedProcess) -> None:
    """Two that spoke with one would take each other's answers; the end of one leaves the other's alone."""
    first = ask(process, b"")[0]
    forked = os.fork()
    if not forked:
        own = ask(process, b"")[0]
        process.end()
        os._exit(0 if own != first else 1)
    assert os.waitpid(forked, 0)[1] == 0
    assert ask(process, b"")[0] == first
