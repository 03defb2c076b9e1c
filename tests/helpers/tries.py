"""Tables of the documentation that tests make true: what happens, how it ends, how often it was tried."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

#: Names the folder where the counts go that a page is written from.
VARIABLE = "DIFFERENTIA_TRIED"


class Rows:
    """The rows of a table, which the tests of one module make true; it is called ROWS there."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.outcomes: dict[str, str] = {}
        self.tries: Counter[str] = Counter()
        #: What else is counted.
        self.more: dict[str, Any] = {}

    def row(self, what: str, outcome: str) -> pytest.MarkDecorator:
        """Give a test, which has to call `tried`, its row: what happens, and how it ends."""
        assert self.outcomes.setdefault(what, outcome) == outcome, what
        return pytest.mark.row(what)


def bounded(tries: Sequence[Any] | int, every_time: int) -> list[Any]:
    """Return tries of which all but the first are left to ``make soak``."""
    several = range(tries) if isinstance(tries, int) else tries
    return [
        pytest.param(
            *(one if isinstance(one, tuple) else [one]), marks=[pytest.mark.soak] * (nth >= every_time)
        )
        for nth, one in enumerate(several)
    ]


def write_counts(items: Iterable[pytest.Item]) -> None:
    """Write what was counted in the modules of tests, where a page asks for it; each process has its file."""
    if VARIABLE in os.environ:
        modules = {str(item.path): item.module for item in items if isinstance(item, pytest.Function)}
        counted = {path: vars(module.ROWS) for path, module in modules.items() if hasattr(module, "ROWS")}
        file = Path(os.environ[VARIABLE]) / f"{os.getpid()}.json"
        file.write_text(json.dumps(counted), encoding="utf-8")
