"""How far a long call is: told to a function, shown on a bar where somebody looks on, else logged."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from differentia.errors import InputError, printable
from differentia.system import turns
from differentia.system.terminal import PrintableStream, printable_streams

if TYPE_CHECKING:
    from rich.progress import Progress as Bar

logger = logging.getLogger(__name__)

#: Called with how many are done, of how many, and the stage; what is counted depends on it: see `COUNTED`.
Progress = Callable[[int, int, str], None]

#: What is counted, by the first word of a stage. Of the report, which is one, nothing is.
COUNTED = {
    "recording": "images",  # of all sets, as often as they are shown: "recording cats"
    "selecting": "images",
    "measuring": "layers",
    "contrasts": "pairs of sets",
    "figures": "figures",
    "report": "",
}

#: In seconds: a notebook's line is written anew no more often.
_PAUSE = 0.2

#: In seconds: where nobody looks on, a line is logged no more often.
_INTERVAL = 300.0

#: Held by the call whose bar is shown: there is one at a time.
_shown = turns.lock()


def require_progress(given: Any) -> Any:
    """Return what `shown_progress` takes; anything else is an error."""
    if not (given is None or isinstance(given, bool) or callable(given)):
        raise InputError(
            f"progress is {given!r}; expected True, False, or a function that is called with (done, total, "
            "stage)"
        )
    return given


@contextmanager
def shown_progress(given: Progress | bool | None = None) -> Iterator[Progress]:
    """Give a function that is to be called with progress: a user's own, or one that moves a bar.

    By default there is a bar where stderr is a terminal, and in notebooks; with True on any stderr. Elsewhere
    a line is logged now and then.
    """
    with turns.at_work():
        if callable(given):
            yield given
        elif given is False or not _shown.acquire(blocking=False):
            yield tell_nobody
        else:
            try:
                with _bar(forced=given is True) as report:
                    yield report
            finally:
                _shown.release()


def tell_nobody(done: int, total: int, stage: str) -> None:
    """Show nothing."""


@contextmanager
def _bar(*, forced: bool) -> Iterator[Progress]:
    from rich.console import Console
    from rich.file_proxy import FileProxy

    # Of a command's stream, what lies below: control characters of the bar's own are no text to be shown.
    below = sys.stderr.rich_proxied_file if isinstance(sys.stderr, PrintableStream) else None
    console = Console(stderr=True, file=below, force_terminal=forced or None)
    if console.is_jupyter:
        with _line_of_a_notebook() as report:
            yield report
        return
    # Where something else has put itself in the place of stderr, a bar of its own stands there.
    looked_at = sys.stderr is not None and sys.stderr.isatty() and not isinstance(sys.stderr, FileProxy)
    if not forced and not (looked_at and console.is_interactive):
        yield _logging()
        return
    with (
        _made(console, transient=True, redirect_stdout=sys.stdout is not None and sys.stdout.isatty()) as bar,
        nullcontext() if below is None else printable_streams(),
    ):  # in the place of Rich's own
        yield _moving(bar)


def _logging() -> Progress:
    """Return a function that logs how far a call is, once it is long."""
    last = time.monotonic()

    def report(done: int, total: int, stage: str) -> None:
        nonlocal last
        if time.monotonic() - last > _INTERVAL:
            logger.info("%s", ": ".join(filter(None, (stage, _counted(done, total, stage)))))
            last = time.monotonic()

    return report


@contextmanager
def _line_of_a_notebook() -> Iterator[Progress]:
    """Show a line in a notebook's cell, without the widgets that Rich's own bar needs there."""
    import io

    from IPython.display import display
    from rich.console import Console

    console = Console(file=io.StringIO(), width=100, color_system=None, force_jupyter=False)
    bar = _made(console, auto_refresh=False)
    move = _moving(bar)

    def line() -> dict[str, str]:
        with console.capture() as captured:
            console.print(bar.get_renderable())
        return {"text/plain": captured.get().rstrip()}

    shown: Any = display(line(), raw=True, display_id=True)  # type: ignore[no-untyped-call]
    last = time.monotonic()

    def report(done: int, total: int, stage: str) -> None:
        nonlocal last
        move(done, total, stage)
        if time.monotonic() - last > _PAUSE:
            shown.update(line(), raw=True)
            last = time.monotonic()

    try:
        yield report
    finally:
        shown.update({"text/plain": "", "text/html": ""}, raw=True)


def _made(console: Any, **options: Any) -> Bar:
    """Return a bar of one line, however long a stage's name is."""
    from rich import progress as parts
    from rich.table import Column

    stage = Column(no_wrap=True, overflow="ellipsis", max_width=max(10, console.width - 52))
    columns = (
        parts.TextColumn("{task.description}", markup=False, table_column=stage),
        parts.BarColumn(bar_width=min(40, max(5, console.width - 65))),
        parts.TextColumn("{task.fields[count]}", table_column=Column(no_wrap=True)),
        parts.TimeElapsedColumn(table_column=Column(no_wrap=True)),
        parts.TimeRemainingColumn(table_column=Column(no_wrap=True)),
    )
    bar = parts.Progress(*columns, console=console, **options)
    bar.add_task("preparing", total=None, count="")
    return bar


def _moving(bar: Bar) -> Progress:
    """Return the function that moves a bar, and begins it anew with each stage."""
    task, stage_before = bar.task_ids[0], ""

    def report(done: int, total: int, stage: str) -> None:
        nonlocal stage_before
        stage = printable(" ".join(stage.split()))
        what = stage.partition(" ")[0]
        # What is not counted is under way for as long as it takes.
        known = total if (count := _counted(done, total, stage)) else None
        if what == stage_before:
            bar.update(task, completed=done, total=known, description=stage, count=count)
        else:
            bar.reset(task, completed=done, total=known, description=stage, count=count)
        stage_before = what

    return report


def _counted(done: int, total: int, stage: str) -> str:
    """Return how many are done of a stage, in words; nothing where nothing is counted."""
    noun = COUNTED.get(stage.partition(" ")[0], "")
    return f"{done:,}/{total:,} {noun}" if noun else ""
