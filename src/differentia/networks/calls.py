"""Calls of modules within a pass: what adapters report, the arrays that a call gives, and their names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Any

from differentia.errors import InputError, has_control_characters, shortened
from differentia.networks.layers import INPUT, PRESETS


class Manner(Enum):
    """How a pass is done, in words that follow "is not computed"."""

    FASTEST = "with channels last in memory"
    IN_PARTS = "with transformers taken apart"
    OWN = "as its own code has it"


@dataclass(frozen=True, eq=False)
class Call:
    """A call of a module, or of an operation, within a pass, as an adapter reports it when it returns."""

    module: str
    kind: str
    type: type = object
    #: By its class it only reshapes, or does nothing at inference.
    does_nothing: bool = False
    #: Whether it is of a class that only calls others one after another (Sequential).
    generic: bool = False
    #: Whether it is of a function that a module's code calls.
    operation: bool = False
    #: The calls of modules within it, where the pass is followed.
    children: tuple[Call, ...] = ()
    #: Whether it gives what the last of its children gave.
    passes_on: bool = False
    #: The operation within it that gave what it gives.
    by_operation: Call | None = None
    #: Returns the axis of an array that it gives which holds the channels, where that is known.
    channel_axis: Callable[[Any], int | None] = lambda output: None

    @property
    def inert(self) -> bool:
        """Whether it only reshapes, or does nothing at inference, as all that it calls."""
        return self.does_nothing or (self.generic and all(child.inert for child in self.children))

    @property
    def container(self) -> bool:
        """Whether it is made of others that compute."""
        return any(not child.inert for child in self.children)


#: What an adapter calls after each module, with the module's output (arrays, or what holds some), before
#: anything can change that in place.
Observer = Callable[[Call, Any], None]


class ObserverFailedError(BaseException):
    """Carries an observer's error, its one argument, through code that catches or rewrites exceptions."""


def carrying_errors(observe: Observer) -> Observer:
    """Return an observer whose errors pass through the network's code."""

    def observed(call: Call, output: Any) -> None:
        try:
            observe(call, output)
        except Exception as error:
            raise ObserverFailedError(error) from error

    return observed


def parts_of(output: Any, within: tuple[Any, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Yield what an output holds, with the suffix of its name: arrays, and whatever else is no collection.

    A sequence that PyTorch packed is none: it holds images of several lengths in an order of its own.
    """
    if any(output is outer for outer in within):
        return
    if hasattr(output, "batch_sizes"):
        yield "", output
        return
    if isinstance(output, Mapping):
        items: Iterable[tuple[Any, Any]] = output.items()
    elif is_dataclass(output) and not isinstance(output, type):
        items = ((field.name, getattr(output, field.name, None)) for field in fields(output))
    elif isinstance(output, tuple) and hasattr(output, "_fields"):
        items = zip(output._fields, output, strict=True)
    elif isinstance(output, tuple | list):
        items = enumerate(output)
    else:
        yield "", output
        return
    items = list(items)
    written = Counter(str(key) for key, _ in items)
    for key, item in items:
        plain = written[str(key)] == 1 and str(key).isprintable()  # not so 0 and "0"
        name = str(key) if plain else repr(key)
        for suffix, part in parts_of(item, (*within, output)):
            yield f"[{name}]{suffix}", part


class Names:
    """The names of layers: ``module``, ``module:1`` for its second call, ``module[key]`` for a part.

    An operation has the name of the module that calls it, and its own after a slash: after more slashes than
    any module's name has in a row.

    A module may bear such a name itself. Where that could be confused, the number of the call is written in
    any case, after more colons than any module's name has in a row, so that no two layers have one name.
    """

    def __init__(self, modules: Iterable[str]) -> None:
        names = list(modules)
        for name in names:
            if has_control_characters(name):  # no table, figure or terminal could hold it
                raise InputError(
                    f"the network has a layer named {shortened(name)!r}, with control characters; rename it"
                )
        self._confusing = {name for name in names if set(name) & set(":[")}
        runs = (len(run) for name in names for run in re.findall(":+", name))
        self._colons = ":" * (1 + max(runs, default=0))
        slashes = (len(run) for name in names for run in re.findall("/+", name))
        self._slashes = "/" * (1 + max(slashes, default=0))
        self.name = cache(self._name)

    def operation(self, module: str, name: str) -> str:
        """Return what the calls of an operation within a module are named by: ``module/relu``."""
        return module + self._slashes + name

    def _name(self, module: str, nth: int, suffix: str) -> str:
        plain = f"{module}:{nth}{suffix}" if nth else module + suffix
        own = plain == module
        confusing = (module in self._confusing and not own) or self._is_taken(plain, own)
        return f"{module}{self._colons}{nth}{suffix}" if confusing else plain

    def _is_taken(self, name: str, own: bool) -> bool:
        if name in (INPUT, *PRESETS) or name.endswith("/"):
            return True
        return not own and any(
            name == other or name.startswith((f"{other}:", f"{other}[", f"{other}/"))
            for other in self._confusing
        )
