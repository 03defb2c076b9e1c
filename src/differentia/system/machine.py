"""What the machine has: memory, and how much of it responses may take; cores of the processor."""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import re
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from differentia.errors import InputError

#: In bytes: a text of a smaller number was meant in another unit.
LEAST_WITHOUT_UNIT = 1_000_000

#: The share of free memory that responses may take unless a budget is given.
SHARE = 0.5


class _Controller(NamedTuple):
    """Where a version of Linux's control groups says what memory a group may take, and what it does."""

    folder: str
    limit: str
    usage: str
    reclaimable: str


_VERSION_1 = _Controller(
    "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
)
_VERSION_2 = _Controller("sys/fs/cgroup", "memory.max", "memory.current", "inactive_file")


def usable_cores() -> int:
    """Return how many cores this process may use: a cluster's scheduler may allow a job some of them.

    Not every cluster with Slurm binds a job to those that it asked for.
    """
    allowed = getattr(os, "sched_getaffinity", None)  # Linux
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    asked = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(cores, int(asked)) if asked.isdecimal() and int(asked) else cores


def free_memory(root: Path = Path("/")) -> int:
    """Return how many bytes this process can still take: of the machine, or of its control groups if less.

    Clusters and containers limit memory by control groups, and end what exceeds it.
    """
    return max(0, min([psutil.virtual_memory().available, *_left_in_groups(root)]))


def _left_in_groups(root: Path) -> list[int]:
    """Return what each control group that holds this process, and limits its memory, has left."""
    try:
        lines = (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):  # no Linux
        return []
    left: list[int | None] = []
    for line in lines:
        number, controllers, path = [*line.split(":", 2), "", ""][:3]
        if number != "0" and "memory" not in controllers.split(","):
            continue
        controller = _VERSION_2 if number == "0" else _VERSION_1
        # Every group above is a limit too. Within a container the path may be the host's, which is not there.
        names = [name for name in path.split("/") if name not in ("", "..")]
        groups = (root.joinpath(controller.folder, *names[:depth]) for depth in range(len(names) + 1))
        left += [_left_in_group(group, controller) for group in groups]
    return [some for some in left if some is not None]


def _left_in_group(folder: Path, controller: _Controller) -> int | None:
    """Return how many bytes a control group has left, or None where it has no limit."""
    try:
        limit, used = (
            int((folder / name).read_text(encoding="utf-8")) for name in (controller.limit, controller.usage)
        )
    except (OSError, ValueError):  # no such group, or "max"
        return None
    # Files that were read and are kept for later count as used, but make room.
    with contextlib.suppress(OSError, ValueError):
        stat = (folder / "memory.stat").read_text(encoding="utf-8")
        reclaimable = re.search(rf"^{controller.reclaimable} ([0-9]+)$", stat, re.MULTILINE)
        used -= int(reclaimable[1]) if reclaimable else 0
    return limit - used


def parse_size(text: str) -> int:
    """Return a written size in bytes: ``"4GB"`` is 4 * 10**9, ``"4 GiB"`` is 4 * 2**30."""
    written = r"\s*(?P<number>[0-9]+(\.[0-9]+)?)\s*((?P<prefix>[kmgt]?)b|(?P<binary>[kmgt])ib)?\s*"
    parts, size = re.fullmatch(written, text, re.IGNORECASE | re.ASCII), Decimal(0)
    if parts:
        power = " kmgt".index((parts["prefix"] or parts["binary"] or " ").lower())
        size = Decimal(parts["number"]) * (1024 if parts["binary"] else 1000) ** power
    if not 1 <= size < 2**63:
        raise InputError(
            f"the size of memory is {text[:50]!r}; expected bytes, or a number with a unit: "
            "4GB (10**9 bytes), 4GiB (2**30 bytes), 500MB"
        )
    return int(size)


def written_size(size: float) -> str:
    """Return bytes as people write them, which `parse_size` reads: ``"8.4 GB"``, ``"540 MB"``."""
    for unit, letters in ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB")):
        if size >= 0.9995 * unit:  # what rounds to 1,000 of the smaller unit
            return f"{size / unit:.3g} {letters}" if size < 999.5 * unit else f"{size / unit:.0f} {letters}"
    return f"{size:.0f} B"


#: In bytes: so much may be unpacked of anything; of more, so many times what it takes packed.
LITTLE, MOST_TIMES = 1_000_000_000, 100


def is_bomb(unpacked: int, packed: int) -> bool:
    """Return whether what is unpacked is so much larger than before that it was made to fill a memory.

    Images shrink to a half or a tenth, pictures of few colours to a fiftieth.
    """
    return unpacked > max(LITTLE, MOST_TIMES * packed)


def memory_budget(given: int | str | None = None) -> int:
    """Return how many bytes responses may take: half of what is free, unless a size is given."""
    if isinstance(given, str) and given.strip().isdecimal() and 0 < int(given) < LEAST_WITHOUT_UNIT:
        raise InputError(
            f"the size of memory is {given!r}, which is bytes; write its unit: {given.strip()}GB"
        )
    return int(SHARE * free_memory()) if given is None else parse_size(str(given))


def untouched_array(shape: Sequence[int], dtype: Any) -> np.ndarray:
    """Return an array of zeros, of which the system gives each page when it is first written to.

    For arrays that are large and stay. NumPy asks Linux for huge pages, which a virtual machine may give at a
    tenth of the speed.
    """
    if not hasattr(mmap, "MAP_PRIVATE"):
        return np.zeros(shape, dtype)
    size = max(1, math.prod(shape) * np.dtype(dtype).itemsize)
    try:
        memory = mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryError(f"there is no memory for an array of {written_size(size)}: {error}") from error
    return np.ndarray(tuple(shape), dtype, buffer=memory)
