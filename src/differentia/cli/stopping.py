"""Ctrl-C, and the signals that ask a process to end: one line, the exit code, within two seconds.

Nothing heavy is imported here: what is pressed while the rest is being imported counts too.
"""

from __future__ import annotations

import atexit
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

#: In seconds: how long what runs has to clean up, before the process ends all the same. A convolution of a
#: batch takes longer, and Python tells its thread of a signal only after it.
PATIENCE = 1.2

#: SIGTERM is what Slurm, ``kill`` and ``timeout`` send, SIGHUP a terminal that is closed.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

#: The commands that keep what they have recorded.
KEEPING = ("demo", "measure", "run")

#: The signal that came.
received: list[int] = []

_once = threading.Lock()


def stop_on_signals() -> None:
    """Let signals end this process by a `KeyboardInterrupt`, and after a while in any case."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
            signal.signal(number, _stop)
    read, write = socket.socketpair()  # Windows takes nothing else
    write.setblocking(False)
    signal.set_wakeup_fd(write.detach(), warn_on_full_buffer=False)
    threading.Thread(target=_end_in_any_case, args=(read,), daemon=True).start()
    # Python drops an interrupt that comes while an object is deleted, and would say so: the end comes anyway.
    sys.unraisablehook = lambda lost: None if received else sys.__unraisablehook__(lost)
    if hasattr(os, "register_at_fork"):  # a process of a user's own code; its signals are not ours
        os.register_at_fork(after_in_child=_leave_signals)


def tell(arguments: Sequence[str]) -> int:
    """Say on stderr how to go on from a command, once for a signal, and return the exit code."""
    if not received or _once.acquire(blocking=False):
        command = next((word for word in arguments if not word.startswith("-")), "")
        goes_on = command in KEEPING and "--no-store" not in arguments
        how = ": it goes on where it stopped" if goes_on else ""
        # A progress bar may have hidden the cursor, and stands on the line.
        clear = "\r\x1b[2K\x1b[?25h" if os.isatty(2) else ""
        with suppress(OSError):  # where it is closed
            os.write(2, f"{clear}differentia: stopped; run the same command again{how}\n".encode())
    return 128 + (received[0] if received else signal.SIGINT)


def ignore_signals() -> None:
    """Let nothing disturb the rest, while Python takes down what was imported."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def end(status: int) -> NoReturn:
    """End the process without taking everything down in order, which takes seconds after a large network."""
    atexit._run_exitfuncs()  # which remove temporary files, of Matplotlib for example
    with suppress(OSError, ValueError):  # where nobody reads it any more
        sys.stdout.flush()
    os._exit(status)


def _stop(number: int, frame: object) -> None:
    if not received:
        received.append(number)
        raise KeyboardInterrupt


def _end_in_any_case(signals: socket.socket) -> None:
    # A signal's number arrives at once, also while the main thread is in a long call outside Python.
    while (number := signals.recv(1)[0]) not in SIGNALS:
        pass
    time.sleep(PATIENCE)
    received.append(number)
    locking: Any = sys.modules.get("differentia.system.locking")
    if locking is not None:
        locking.leave_nothing()
    os._exit(tell(sys.argv[1:]))


def _leave_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        if signal.getsignal(number) is _stop:
            signal.signal(number, signal.SIG_DFL)
