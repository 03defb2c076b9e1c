"""The words of pages that take hours to write are those of their scripts, and the tables have their form."""

from __future__ import annotations

import re
from typing import Any

import pytest
from helpers.documents import DOCS, script
from helpers.zoo import NETWORKS


def page(name: str) -> str:
    """Return a page of docs/."""
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def rows_of(text: str) -> list[list[str]]:
    """Return the cells of a text's tables, without the heads."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]
    return [row for row in rows if len(row) > 1]


def test_unit_kinds() -> None:
    """What stands above and below its tables."""
    written, told = page("unit_kinds"), script("write_unit_kinds")
    assert written.startswith(told.HEAD)
    assert written.endswith(told.TAIL)


def test_sketch_accuracy() -> None:
    """What stands above its tables."""
    assert page("sketch_accuracy").startswith(script("write_sketch_accuracy").HEAD)


def test_networks() -> None:
    """What stands above its table; and each network has its row, in which the calls add up."""
    written, told = page("networks"), script("write_networks")
    assert written.startswith(told.HEAD)
    head, _, *rows = rows_of(written.removeprefix(told.HEAD))
    assert tuple(head) == told.COLUMNS
    assert [row[0] for row in rows] == [f"{one.package}: {one.name}" for one in NETWORKS]
    for row in rows:
        cells = dict(zip(head, row, strict=True))
        assert int(cells["calls"]) == int(cells["recorded"]) + int(cells["not"])
        assert 0 < float(cells["error"]) < 1e-5


def test_coverage() -> None:
    """The whole page, written anew from the numbers that stand on it."""
    written, told = page("coverage"), script("write_coverage")
    intervals, _, contrasts = written.partition("## Contrasts")
    covered, _, widths = intervals.partition("\nHalf the width of an interval")
    head, *cells = rows_of(covered)
    found: dict[tuple[str, int, str], dict[str, Any]] = {}
    for name, n, *values in cells[1:]:
        for method, value in zip(head[2:], values, strict=True):
            coverage, below, above = (float(number) / 100 for number in re.findall(r"[\d.]+", value))
            key = name, int(n), method
            found[key] = dict(zip(("generator", "images", "method"), key, strict=True))
            found[key] |= {"coverage": coverage, "below": below, "above": above}
    for name, n, *values in rows_of(widths)[2:]:
        for method, value in zip(head[2:], values, strict=True):
            found[name, int(n), method]["half_width"] = float(value) / 100
    head, _, *cells = rows_of(contrasts)
    tests = [
        {"null": null, "generator": name, "images": 43}
        | {kind: float(value.removesuffix(" %")) / 100 for kind, value in zip(head[2:], values, strict=True)}
        for null, name, *values in cells
    ]
    assert told.coverage_page([*found.values()], 1000) + told.contrast_page(tests, 600) == written


@pytest.mark.parametrize("texts", [1, 2])
def test_tables(texts: int) -> None:
    """Columns of numbers stand to the right."""
    lines = script("markdown_tables").table(["a", "b", "c"], [["x", "y", "1"], ["z", "2", "3"]], texts=texts)
    rule = {1: "|---|---:|---:|", 2: "|---|---|---:|"}[texts]
    assert lines == ["| a | b | c |", rule, "| x | y | 1 |", "| z | 2 | 3 |"]
