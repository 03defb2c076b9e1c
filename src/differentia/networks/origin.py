"""What a network was loaded from, in plain values: another process, or machine, loads the same from them."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from differentia.networks.specs import NOTHING, absolute_spec, installed_package, names_code


class Origin(NamedTuple):
    """What `load_network` was given.

    Attributes
    ----------
    spec
        The network's written name, with absolute paths.
    options
        What else was said about it.
    folder
        Where the code that the name is of lies, unless it is installed; "" of other names.
    """

    spec: str
    options: Mapping[str, Any]
    folder: str = ""

    @contextmanager
    def code_found(self) -> Iterator[None]:
        """Look for the network's code in its folder too, after all other places."""
        if not self.folder or self.folder in sys.path:
            yield
            return
        sys.path.append(self.folder)
        try:
            yield
        finally:
            sys.path.remove(self.folder)


#: What `load_network` takes, as JSON can hold it.
_PLAIN: Mapping[str, Callable[[Any], Any]] = {
    "preprocess": str,
    "input_shape": lambda sizes: [int(size) for size in sizes],
    "class_names": list,
    "classes": lambda path: os.path.abspath(os.path.expanduser(path)),
    "device": str,
    "dtype": str,
}


def origin_of(spec: str, about: Mapping[str, Any]) -> Origin | None:
    """Return what a network was loaded from; None where only this process has it.

    That is so where a function is part of it, or it is code that was typed into a notebook.
    """
    if about["forward"] is not None or callable(about["preprocess"]):
        return None
    folder = _folder_of_code(spec)
    if folder is None:
        return None
    said = {name: _PLAIN[name](value) for name, value in about.items() if value is not None}
    options = {name: value for name, value in said.items() if value != NOTHING[name]}
    return Origin(absolute_spec(spec, Path.cwd()), options, folder)


def _folder_of_code(spec: str) -> str | None:
    """Return the folder that a user's code is imported from: "" of what is installed, None if from none."""
    if not names_code(spec):
        return ""
    package, _, _ = spec.partition(":")[0].partition(".")
    if installed_package(package):
        return ""
    try:
        found = importlib.util.find_spec(package)
    except ValueError:  # of a module that was made as the program runs, such as __main__
        return None
    places = [*(found.submodule_search_locations or ())] if found else []
    if found and not places and found.has_location:  # a module alone
        places = [str(found.origin)]
    return str(Path(places[0]).absolute().parent) if places else ""
