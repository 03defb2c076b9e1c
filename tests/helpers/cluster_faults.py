"""What goes wrong in one worker of a cluster, as its environment says; Dask loads it as the worker begins."""

from __future__ import annotations

import os
import resource
from itertools import count

from helpers.run_server import follow_chunks

_written = count()


def _before_a_chunk() -> None:
    """Let the disk be full, once so many chunks were written, by a limit on the size of files."""
    if next(_written) >= int(os.environ.get("FULL_AFTER", "1_000_000_000")):
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))


follow_chunks(_before_a_chunk)
