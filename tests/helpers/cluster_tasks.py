"""What workers of a cluster do in the tests."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import differentia as dif


def double(number: int) -> int:
    """Return twice a number."""
    return 2 * number


def process(seconds: float) -> int:
    """Return the number of the process, after a while."""
    time.sleep(seconds)
    return os.getpid()


def fail_at_first(number: int, folder: str, times: int, how: str) -> int:
    """Return a number, after it failed, or its process was killed, some times in all."""
    for nth in range(times):
        mark = Path(folder, f"{number}-{nth}")
        if not mark.exists():
            mark.touch()
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(f"the disk of task {number} is away")
    return number


def refuse(number: int) -> int:
    """Return a number, but not 2."""
    if number == 2:
        raise dif.InputError("set 'a': is wrong")
    return number
