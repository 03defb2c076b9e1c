"""The page on security: each section is what a module of tests here makes true."""

from __future__ import annotations

import sys
from collections import Counter
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
from helpers.documents import DOCS, script
from helpers.tries import Rows

HERE = Path(__file__)


def rows_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> Rows:
    """Return the rows of a module of tests, which is imported anew, and known by its name meanwhile."""
    spec = spec_from_file_location(f"rows_of_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, spec.name, module)
    spec.loader.exec_module(module)
    rows = module.ROWS
    assert isinstance(rows, Rows)
    return rows


@pytest.mark.page
def test_the_page_has_these_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of all modules, in order; ``make soak`` writes it anew, with its counts."""
    cells = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in (DOCS / "security.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| what is given")
    ]
    modules = sorted(path for path in HERE.parent.glob("test_*.py") if path != HERE)
    rows = [row for path in modules for row in rows_of(path, monkeypatch).outcomes.items()]
    assert [(what, outcome) for what, _, outcome in cells] == rows
    assert all(int(tries.replace(",", "")) >= 1 for _, tries, _ in cells)


def test_the_page_is_written_from_the_counts() -> None:
    """Each module is a section, each row has its count; one that was not tried is an error."""
    table = script("tries").Table("Pipes", {"A pipe": "Refused"}, Counter({"A pipe": 1200}))
    write = script("write_security").page
    assert "### Pipes\n\n| what is given | tries | outcome |" in write([table])
    assert "| A pipe | 1,200 | Refused |" in write([table])
    table.tries.clear()
    with pytest.raises(SystemExit, match="A pipe: was not tried"):
        write([table])
