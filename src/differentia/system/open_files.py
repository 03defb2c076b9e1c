"""Files that stay open between reads, so many at a time that sets of any number do not run out of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Generic, Protocol, TypeVar
from weakref import WeakValueDictionary

from differentia.system import turns

#: Files that are open at once; the one that was used longest ago is closed for another.
MOST_OPEN = 8


class Closable(Protocol):
    """What is closed when it is not needed any more."""

    def close(self) -> object: ...


Opened = TypeVar("Opened", bound=Closable)


class KeptOpen(Generic[Opened]):
    """What `begin` opens, when it is first used and again where it was closed meanwhile; for any threads.

    A forked process opens it for itself: it shares the place in the file with its parent otherwise.
    """

    def __init__(self, begin: Callable[[], Opened]) -> None:
        self._begin = begin
        self._opened: Opened | None = None
        self._process = 0
        self._one_at_a_time = turns.lock()

    @contextmanager
    def use(self) -> Iterator[Opened]:
        """Have it for the time of this context, alone."""
        try:
            with self._one_at_a_time:
                if self._process != os.getpid():
                    self._opened, self._process = None, os.getpid()
                if self._opened is None:
                    self._opened = self._begin()
                yield self._opened
        finally:
            for earlier in _let_go_for(self):  # without the lock: two that wait for each other would hang
                earlier.close()

    def __del__(self) -> None:
        if self._opened is not None:
            self._opened.close()

    def close(self) -> None:
        with self._one_at_a_time:
            opened, self._opened = self._opened, None
            if opened is not None:
                opened.close()


_latest: WeakValueDictionary[int, KeptOpen[Any]] = WeakValueDictionary()
_latest_alone = turns.lock()


def _let_go_for(used: KeptOpen[Any]) -> list[KeptOpen[Any]]:
    """Return what has to be closed when another is used."""
    with _latest_alone:
        _latest.pop(id(used), None)
        _latest[id(used)] = used
        earlier = list(_latest.values())[:-MOST_OPEN]
        for one in earlier:
            _latest.pop(id(one), None)
        return earlier
