"""What workers of a cluster do in the tests."""

from __future__ import annotations

import os
import signal
import time
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import torch
from helpers.networks import Tricky

import differentia as dif
from differentia.errors import warn


def double(number: int) -> int:
    """Return twice a number."""
    return 2 * number


def process(seconds: float) -> int:
    """Return the number of the process, after a while."""
    time.sleep(seconds)
    return os.getpid()


def spent(seconds: float) -> tuple[int, float, float]:
    """Return the number of the process, and when it began and ended to wait for some time."""
    begun = time.monotonic()
    time.sleep(seconds)
    return os.getpid(), begun, time.monotonic()


def fail_at_first(number: int, folder: str, times: int, how: str) -> int:
    """Return a number, after it failed, or its process was killed, some times in all."""
    for nth in range(times):
        mark = Path(folder, f"{number}-{nth}")
        if not mark.exists():
            mark.touch()
            if how == "kill":
                time.sleep(0.5)  # a worker that dies as it begins is not begun again
                os.kill(os.getpid(), signal.SIGKILL)
            raise OSError(f"the disk of task {number} is away")
    return number


def fail_in_one(number: int, folder: str) -> tuple[int, int]:
    """Return a number and the process's, after a while; fail in the process that came first, and at -1."""
    with suppress(FileExistsError):
        Path(folder, "first").symlink_to(str(os.getpid()))
    if number == -1 or os.readlink(Path(folder, "first")) == str(os.getpid()):
        raise OSError("the disk is away")
    time.sleep(0.05)
    return number, os.getpid()


def leave_a_mark(folder: str) -> None:
    """Make a file of the process's number."""
    Path(folder, str(os.getpid())).touch()


def warned() -> int:
    """Return how many warnings are given where there is one to give."""
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always")
        warn("other", "something")
    return len(given)


def refuse(number: int) -> int:
    """Return a number, but not 2."""
    if number == 2:
        raise dif.InputError("set 'a': is wrong")
    return number


class Slow(Tricky):
    """Takes its time, and does what the process's environment says: a test's worker is no other's."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds = seconds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Compute, more slowly; of many images, with more memory than there is."""
        time.sleep(float(os.environ.get("SECONDS", self.seconds)))
        if "HUNGRY" in os.environ and len(x) > 2:
            held = [np.ones(2**24) for _ in range(64)]  # 8 GB, touched
            assert held
        return super().forward(x)


def slow(seconds: float = 0.1) -> torch.nn.Module:
    """Return the same network each time, but where the environment says otherwise."""
    torch.manual_seed(1)
    network = Slow(seconds)
    if "OTHER_WEIGHTS" in os.environ:
        with torch.no_grad():
            network.head.bias.fill_(1.0)
    return network
