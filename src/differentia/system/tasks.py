"""Tasks that do not depend on one another, for processes here or elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar, runtime_checkable

Found = TypeVar("Found")


@runtime_checkable
class Workers(Protocol):
    """Processes that do tasks: each does one at a time, with nothing kept from one task to the next."""

    @property
    def count(self) -> int:
        """How many there are now; others may come and go."""

    def each(
        self, function: Callable[..., Found], tasks: Sequence[tuple[Any, ...]], *, names: Sequence[str]
    ) -> Iterator[tuple[int, Found]]:
        """Yield the number of a task and what a function of a module made of it, as tasks are done.

        Each is there once, or there is an error; those that are left when nobody asks further are given up.
        Tasks are the function's arguments, small and to be pickled: an address of numbers, never numbers.
        Names, one for each, say what a task does to whoever looks on.
        """
