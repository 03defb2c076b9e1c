"""What tests count while they run, for the pages whose tables they make true."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
TESTS = HERE.parent / "tests"
VARIABLE = "DIFFERENTIA_TRIED"


@dataclass
class Table:
    """What the tests of one module make true.

    Attributes
    ----------
    outcomes
        By what happens, in the order of the tests: how it ends.
    tries
        How often that was tried.
    more
        What else was counted.
    """

    title: str
    outcomes: dict[str, str]
    tries: Counter[str] = field(default_factory=Counter)
    more: dict[str, Any] = field(default_factory=dict)

    def lines(self, what: str) -> list[str]:
        """Return the table in Markdown; what was not tried is an error."""
        rows = [f"| {what} | tries | outcome |", "|---|---:|---|"]
        for name, outcome in self.outcomes.items():
            if not self.tries.get(name):
                raise SystemExit(f"{name}: was not tried")
            rows.append(f"| {name} | {self.tries[name]:,} | {outcome} |")
        return rows


def run(tests: Sequence[str], *options: str) -> list[Table]:
    """Run all of some tests, also those that take long, and return what they counted, by module in order.

    The page is written from it, so the tests that read it (marked ``page``) are left out. Where one fails, so
    does this.
    """
    with tempfile.TemporaryDirectory() as folder:
        paths = [str(TESTS / name) for name in tests]
        named = ["-m", "not page", *options]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *named, *paths],
            cwd=HERE.parent,
            env={**os.environ, VARIABLE: folder},
            check=False,
        )
        if done.returncode:
            raise SystemExit(done.returncode)
        return collected(Path(folder))


def collected(folder: Path) -> list[Table]:
    """Return what processes that ran tests wrote into a folder, their counts together."""
    tables: dict[str, Table] = {}
    for file in sorted(folder.glob("*.json")):
        for path, counted in json.loads(file.read_text(encoding="utf-8")).items():
            table = tables.setdefault(path, Table(counted["title"], counted["outcomes"]))
            table.tries.update(counted["tries"])
            table.more.update(counted["more"])
    return [tables[path] for path in sorted(tables)]
