"""Where the command line begins and ends: errors and warnings become one line, and an exit code."""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Sequence

import typer

from differentia.cli import stopping
from differentia.cli.commands import app
from differentia.cli.output import say
from differentia.cli.usage import in_our_words
from differentia.errors import (
    DifferentiaError,
    DifferentiaWarning,
    InputError,
    StorageError,
    whole_tracebacks,
)
from differentia.system.terminal import NotReadError, drop_output, printable_streams

DONE, FAILED, WRONG_USAGE, INTERRUPTED, NOT_READ = 0, 1, 2, 130, 141


def run_app(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 the work failed, 2 wrong usage or input."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    with printable_streams():
        try:
            status = _run(given)
            sys.stdout.flush()
        except NotReadError:
            drop_output()
            return NOT_READ
        except StorageError as error:
            drop_output()
            say(f"differentia: {error}")
            return FAILED
        return status


def _run(given: list[str]) -> int:
    if "--debug" in given:
        whole_tracebacks.set(True)
    try:
        _require_text(given)
        _require_folder()
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            warnings.simplefilter("always", DifferentiaWarning)
            status = app(given or ["--help"], prog_name="differentia", standalone_mode=False, obj=given)
        return stopping.tell(given) if status == INTERRUPTED else DONE
    except typer.TyperException as error:
        say(f"differentia: {in_our_words(error, given)}")
        return WRONG_USAGE
    except (typer.Abort, KeyboardInterrupt):
        return stopping.tell(given)
    except NotReadError:
        raise
    except Exception as error:
        if stopping.received:  # on the way a library may turn it into an error of its own
            return stopping.tell(given)
        if "--debug" in given:
            sys.stderr.write(traceback.format_exc())
        if not isinstance(error, DifferentiaError):
            say(f"differentia: failed: {type(error).__name__}: {error} (--debug shows where)")
            return FAILED
        say(f"differentia: {error}")
        return WRONG_USAGE if isinstance(error, InputError) else FAILED


def _require_text(given: Sequence[str]) -> None:
    """Raise an error where the locale, other than UTF-8, has no letters for what was typed."""
    encoding = sys.getfilesystemencoding()
    odd = next(
        (one for one in given if not one.isascii() and any("\udc80" <= letter <= "\udcff" for letter in one)),
        None,
    )
    if odd is not None and encoding != "utf-8":
        raise InputError(
            f"{odd!r} is no text in this locale, whose letters are {encoding}; set PYTHONUTF8=1, or "
            "LC_ALL=C.UTF-8, in the environment"
        )


def _require_folder() -> None:
    """Raise an error where the working folder was removed: PyTorch does not start there."""
    try:
        os.getcwd()
    except OSError as error:
        raise InputError(
            "the working folder can't be used, as it was removed or moved; change to another with cd"
        ) from error


def _show_warning(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    prefix = "warning" if issubclass(category, DifferentiaWarning) else category.__name__
    say(f"differentia: {prefix}: {message}")
