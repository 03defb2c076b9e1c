"""Ctrl-C, and the signals that ask a process to end: one line, the exit code, within two seconds.

Nothing heavy is imported here: what is pressed while the rest is being imported counts too.
"""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import socket

#: In seconds: how long what runs has to clean up, before the process ends all the same. A convolution of a
#: batch takes longer, and Python tells its thread of a signal only after it.
PATIENCE = 1.2

#: SIGTERM is what Slurm, ``kill`` and ``timeout`` send, SIGHUP a terminal that is closed.
SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]

#: The commands that keep what they have recorded.
KEEPING = ("demo", "measure", "run")

_received: list[int] = []
_lost = threading.Event()
_told = threading.Lock()


class Stopped(KeyboardInterrupt):
    """A signal asked the process to end."""


def stop_on_signals() -> None:
    """Let signals end this process in order: `Stopped` is raised, and after a while it ends in any case."""
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup wants it
            signal.signal(number, _stop)
    import socket  # Windows takes nothing else

    read, write = socket.socketpair()
    write.setblocking(False)
    signal.set_wakeup_fd(write.detach(), warn_on_full_buffer=False)
    threading.Thread(target=_end_in_any_case, args=(read,), daemon=True).start()
    sys.unraisablehook = _keep_what_is_lost
    if hasattr(os, "register_at_fork"):  # a process of a user's own code; its signals are not ours
        os.register_at_fork(after_in_child=_leave_signals)


def stopped() -> bool:
    """Return whether a signal came."""
    return bool(_received)


def tell(arguments: Sequence[str]) -> int:
    """Say on stderr how to go on, once for a signal, and return the exit code.

    Parameters
    ----------
    arguments
        Of the command line.
    """
    if not _received or _told.acquire(blocking=False):
        sys.stderr.write(f"{_line(arguments)}\n")
        sys.stderr.flush()
    return _exit_code()


def ignore_signals() -> None:
    """Let nothing disturb the rest, while Python takes down what was imported."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def end(status: int) -> NoReturn:
    """End the process, without taking everything down in order: that takes seconds after a large network.

    Parameters
    ----------
    status
        The exit code.
    """
    atexit._run_exitfuncs()  # which remove temporary files, of Matplotlib for example
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(status)


def _line(arguments: Sequence[str]) -> str:
    command = next((word for word in arguments if not word.startswith("-")), "")
    goes_on = command in KEEPING and "--no-store" not in arguments
    how = ": it goes on where it stopped" if goes_on else ""
    return f"differentia: stopped; run the same command again{how}"


def _exit_code() -> int:
    return 128 + (_received[0] if _received else signal.SIGINT)


def _stop(number: int, frame: FrameType | None) -> None:
    if not _received or _lost.is_set():
        _lost.clear()
        _received.append(number)
        raise Stopped


def _end_in_any_case(signals: socket.socket) -> None:
    # A signal's number arrives at once, also while the main thread is in a long call outside Python.
    while (number := signals.recv(1)[0]) not in SIGNALS:
        pass
    end = time.monotonic() + PATIENCE
    while (left := end - time.monotonic()) > 0:
        if _lost.wait(left):
            time.sleep(0.01)  # until the object is gone that swallowed it
            _thread.interrupt_main(signal.Signals(number))
    _received.append(number)
    if _told.acquire(blocking=False):
        # A progress bar may have hidden the cursor, and stands on the line.
        clear = "\r\x1b[2K\x1b[?25h" if os.isatty(2) else ""
        os.write(2, f"{clear}{_line(sys.argv[1:])}\n".encode())
    locking: Any = sys.modules.get("differentia.locking")
    if locking is not None:
        locking.leave_nothing()
    os._exit(_exit_code())


def _keep_what_is_lost(unraisable: sys.UnraisableHookArgs) -> None:
    """Have `Stopped` raised again, where it came while an object was being deleted, and Python dropped it."""
    if isinstance(unraisable.exc_value, Stopped):
        _lost.set()
    else:
        sys.__unraisablehook__(unraisable)


def _leave_signals() -> None:
    signal.set_wakeup_fd(-1)
    for number in SIGNALS:
        if signal.getsignal(number) is _stop:
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
