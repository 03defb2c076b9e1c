"""One thread after the other, locks that a forked process finds open, and what a fork cuts off."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from differentia.errors import RecordingError
from differentia.system import turns
from differentia.system.turns import at_work, in_turn

forks = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes are forked"),
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
]

#: In seconds: what takes longer hangs.
HANGS = 20


@contextmanager
def thread(work: Callable[[], None]) -> Iterator[threading.Thread]:
    """Do something in a thread meanwhile, and wait for its end."""
    begun = threading.Thread(target=work, daemon=True)
    begun.start()
    yield begun
    begun.join(HANGS)
    assert not begun.is_alive()


@contextmanager
def held_elsewhere(context: Callable[[], object]) -> Iterator[None]:
    """Have another thread in a context meanwhile."""
    inside, over = threading.Event(), threading.Event()

    def hold() -> None:
        with context():  # type: ignore[attr-defined]
            inside.set()
            over.wait(HANGS)

    with thread(hold):
        assert inside.wait(HANGS)
        try:
            yield
        finally:
            over.set()


def holds_in_child(true: Callable[[], object]) -> bool:
    """Return whether something is true in a forked process; one that hangs is ended, and fails."""
    child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(HANGS)
        status = 2
        try:
            status = 0 if true() else 1
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 1), f"it ended with {status}"
    return status == 0


def test_one_thread_after_the_other() -> None:
    """The one that is in it may enter again; the others wait until it has left for good."""
    inside, most = list[int](), list[int]()

    def enter() -> None:
        for _ in range(5):
            with in_turn(), in_turn():
                inside.append(threading.get_ident())
                time.sleep(0.001)
                most.append(len(inside))
                inside.pop()

    with thread(enter), thread(enter), thread(enter):
        pass
    assert most == [1] * 15


@pytest.mark.skipif(sys.platform == "win32", reason="no processes are forked")
class TestForks:
    """Of this process, with the threads that it has."""

    pytestmark = forks

    def test_a_fork_waits_for_the_turn(self) -> None:
        """The child finds what was changed for a while as it was, and has its own turn; so has the parent."""
        state, inside = ["as before"], threading.Event()

        def change() -> None:
            with in_turn():
                state[:] = ["changed"]
                inside.set()
                time.sleep(0.1)
                state[:] = ["as before"]

        def as_before() -> bool:
            with in_turn():
                found = [*state]
            with thread(change):
                pass
            return found == ["as before"]

        with thread(change):
            assert inside.wait(HANGS)
            assert holds_in_child(as_before)
        assert holds_in_child(as_before)
        with thread(change):
            pass

    def test_a_fork_within_the_turn(self) -> None:
        """The child is in it too, as the thread is that forked, and another of its threads after it."""

        def both() -> bool:
            done = list[int]()

            def enter() -> None:
                with in_turn():
                    done.append(1)

            with in_turn():
                other = threading.Thread(target=enter)
                other.start()
                other.join(0.05)
                assert not done
            return True

        with in_turn():
            assert holds_in_child(both)
        with held_elsewhere(in_turn):
            pass

    def test_locks_are_open_in_a_child(self) -> None:
        """Whoever has them in the parent, where they stay shut; a plain one is shut in both."""
        lock, plain = turns.lock(), threading.Lock()
        with held_elsewhere(lambda: lock), held_elsewhere(lambda: plain):
            assert holds_in_child(lambda: lock.acquire(timeout=1))
            assert not holds_in_child(lambda: plain.acquire(timeout=0.1))
            assert not lock.acquire(blocking=False)
        assert lock.acquire(blocking=False)
        assert holds_in_child(lambda: lock.acquire(blocking=False) and not lock.acquire(blocking=False))

    def test_a_child_of_a_process_at_work(self) -> None:
        """It is told so; not where the thread itself was at work that forked, or where none is any more."""

        def refused() -> bool:
            with pytest.raises(
                RecordingError, match=r"^this process was forked while another thread .*\('sp"
            ):
                at_work().__enter__()
            return True

        def works() -> bool:
            with at_work():
                return True

        with at_work(), at_work():
            pass
        with held_elsewhere(at_work):
            assert holds_in_child(refused)
            assert works()
            with at_work():
                assert holds_in_child(refused)
        with at_work():
            assert holds_in_child(works)
        assert holds_in_child(works)

    def test_a_child_waits_for_no_threads_of_pytorch(self) -> None:
        """It has none of those that were begun in its parent, whose number stays."""
        before = torch.get_num_threads()
        torch.set_num_threads(2)
        try:
            assert holds_in_child(lambda: torch.get_num_threads() == 1)
            assert torch.get_num_threads() == 2
        finally:
            torch.set_num_threads(before)
