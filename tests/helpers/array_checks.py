"""The run-time check of array shapes: of every function that has an array in its signature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from beartype import BeartypeConf, beartype

_CHECKED = beartype(conf=BeartypeConf(is_pep484_tower=True))


def check_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with its arguments checked, where its annotations speak of arrays.

    What takes a user's input is left alone: it has to refuse wrong types itself, in its own words.
    """
    annotations = getattr(function, "__annotations__", {})
    speaks_of_arrays = any("ndarray" in str(annotation) for annotation in annotations.values())
    return _CHECKED(function) if speaks_of_arrays else function
