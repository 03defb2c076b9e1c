"""The command line: parse, call, print, and turn errors into one line and an exit code.

Nothing heavy is imported before it is needed, so that ``--help`` answers at once.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from differentia.cli import stopping
from differentia.system.terminal import open_closed_streams

__all__ = ["main", "script"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line, of these arguments or the process's own, and return its exit code."""
    from differentia.cli.entry import run_app

    return run_app(arguments)


def script() -> NoReturn:
    """Run the command line as this process's own purpose: what Ctrl-C stops ends within two seconds."""
    # Processes that it starts would look for modules in the working folder first.
    os.environ.setdefault("PYTHONSAFEPATH", "1")
    # Without a home, Matplotlib finds itself a folder for temporary files, and advises to give it another.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    open_closed_streams()
    try:
        stopping.stop_on_signals()
        status = main()
        stopping.ignore_signals()  # what is done is done
    except KeyboardInterrupt:
        status = stopping.tell(sys.argv[1:])
    if stopping.received:
        stopping.end(stopping.tell(sys.argv[1:]))
    sys.exit(status)
