"""The run-time check of array shapes: of every function that has an array in its signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import jaxtyping
from beartype import BeartypeConf, beartype

_CHECKED = beartype(conf=BeartypeConf(is_pep484_tower=True))


def install(package: str) -> None:
    """Have arrays checked in every call of a package that is imported from now on."""
    jaxtyping.jaxtyped = _where_arrays_are(jaxtyping.jaxtyped)
    jaxtyping.install_import_hook(package, f"{__name__}.check_arrays")


def _where_arrays_are(jaxtyped: Callable[..., Any]) -> Callable[..., Any]:
    """Return jaxtyping's decorator, which leaves alone what speaks of no arrays.

    Otherwise each call of any function is bound to its signature, and then to two more, to check nothing.
    """

    def decorator(*, typechecker: Any) -> Callable[[Any], Any]:
        def decorate(made: Any) -> Any:
            called = vars(made).get("__init__") if inspect.isclass(made) else made
            return jaxtyped(made, typechecker=typechecker) if speaks_of_arrays(called) else made

        return decorate

    return decorator


def speaks_of_arrays(function: Any) -> bool:
    """Return whether there is an array in a function's signature, under whatever name."""
    for annotation in getattr(function, "__annotations__", {}).values():
        try:
            known = eval(annotation, function.__globals__) if isinstance(annotation, str) else annotation
        except Exception:  # a name for type checkers alone, which jaxtyping passes over, too
            continue
        if "ndarray" in str(known):
            return True
    return False


def check_arrays(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function with its arguments checked, where its annotations speak of arrays.

    What takes a user's input is left alone: it has to refuse wrong types itself, in its own words.
    """
    return _CHECKED(function) if speaks_of_arrays(function) else function
