"""A network that the command line names: its code may lie in the working folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from differentia.cli.output import say, told_by_the_library
from differentia.errors import InputError
from differentia.networks.specs import NOTHING, names_code, read_network_spec

if TYPE_CHECKING:
    from differentia.recording.cluster import Cluster


def load_named_network(
    network: str, *, quiet: bool = False, loaded_by: Cluster | None = None, **options: Any
) -> Any:
    """Return a network; code that it names may also lie in the working folder, as for ``python -m``.

    What weights were taken is told, unless it is to be quiet. Workers may load it at the same time.
    """
    from differentia.networks.load import load_network

    with _code_found(network), nullcontext() if quiet else told_by_the_library():
        if loaded_by is not None:
            from differentia.recording.jobs import load_beforehand

            load_beforehand(loaded_by, network, **options)
        return load_network(network, **options)


def check_named_network(network: str, **options: Any) -> None:
    """Raise the error that can be told before PyTorch or Keras is imported, if there is one."""
    with _code_found(network):
        read_network_spec(network, {**NOTHING, **options})


def require_trusted(network: str, *, trusted: bool) -> None:
    """Raise an error where the network of a file is code that nobody has allowed to run.

    At a terminal the user is asked, and is shown what would run.
    """
    if trusted or not names_code(network):
        return
    told = f"the file's network is code, {network!r}, which would be run, and can do all that you can"
    if all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        say(f"differentia: {told}. Type yes to run it:")
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
    raise InputError(f"{told}; nothing was run: look at it, and give --trust-code if you trust it")


@contextmanager
def _code_found(network: str) -> Iterator[None]:
    """Look for code in the working folder too, where a network's name is of code."""
    if not names_code(network):
        yield
        return
    # Only now: a file there may be a stranger's, and bear the name of what a library would import.
    sys.path.insert(0, "")
    try:
        yield
    finally:
        sys.path.remove("")
