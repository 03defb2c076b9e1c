"""What a process has once, such as PyTorch's settings: one thread after the other changes it for a while."""

from __future__ import annotations

import os
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from weakref import WeakSet

from differentia.errors import RecordingError

_turn = threading.RLock()
_locks: WeakSet[Any] = WeakSet()


def in_turn() -> AbstractContextManager[Any]:
    """Return the context in which one thread at a time is, and which no fork of the process cuts short.

    Networks are run in it too: they are changed for the time of a pass.
    """
    return _turn


def lock() -> threading.Lock:
    """Return a lock that is open in a forked child, whoever has it in the parent."""
    made = threading.Lock()
    _locks.add(made)
    return made


#: The threads that are in a long call, such as `measure`, each with the number of these.
_at_work: Counter[int] = Counter()

#: Holds something where this process was forked while another thread was in a long call.
_cut_off: list[int] = []


@contextmanager
def at_work() -> Iterator[None]:
    """Have this thread known as in a long call; an error where those of a parent may have shut locks."""
    if _cut_off:
        raise RecordingError(
            "this process was forked while another thread of its parent measured, for which it might wait "
            "without end; start it by another method (multiprocessing.get_context('spawn'), or "
            "'forkserver'), or before that thread begins"
        )
    thread = threading.get_ident()
    _at_work[thread] += 1
    try:
        yield
    finally:
        _at_work[thread] -= 1
        if not _at_work[thread]:
            del _at_work[thread]


def _begin_child() -> None:
    """Let a forked child do without the threads of its parent, for which it would wait."""
    _cut_off.extend(_at_work.keys() - {threading.get_ident()})
    for one in _locks:
        one._at_fork_reinit()
    pytorch: Any = sys.modules.get("torch")
    if hasattr(pytorch, "set_num_threads"):
        pytorch.set_num_threads(1)  # as in the workers of PyTorch's own data loader
    _turn.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_turn.acquire, after_in_parent=_turn.release, after_in_child=_begin_child)
