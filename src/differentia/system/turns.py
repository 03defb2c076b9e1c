"""What a process has once, such as PyTorch's settings: one thread after the other changes it for a while."""

from __future__ import annotations

import os
import sys
import threading
from contextlib import AbstractContextManager
from typing import Any

_turn = threading.RLock()


def in_turn() -> AbstractContextManager[Any]:
    """Return the context in which one thread at a time is, and which no fork of the process cuts short.

    Networks are run in it too: they are changed for the time of a pass.
    """
    return _turn


def _begin_child() -> None:
    """Let a forked child do without the threads that PyTorch had in its parent, for which it would wait."""
    pytorch: Any = sys.modules.get("torch")
    if hasattr(pytorch, "set_num_threads"):
        pytorch.set_num_threads(1)  # as in the workers of its own data loader
    _turn.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_turn.acquire, after_in_parent=_turn.release, after_in_child=_begin_child)
