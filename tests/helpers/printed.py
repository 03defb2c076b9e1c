"""Tables that the command line printed, read by their rules, with no use of what lays them out."""

from __future__ import annotations

import re


def parts(printed: str) -> list[tuple[list[str], dict[str, list[str]]]]:
    """Return each part of printed tables: the last line of its headings, and its cells by the row's name.

    A name may stand on the line above its cells.
    """
    lines = printed.splitlines()
    found = []
    for at, line in enumerate(lines):
        if not re.fullmatch(r"[─ ]*─", line):
            continue
        spans = [match.span() for match in re.finditer("─+", line)]
        edges = [start for start, _ in spans]
        headings = [heading.strip() for heading in _cut(lines[at - 1], edges)]
        rows: dict[str, list[str]] = {}
        name = ""
        for below in lines[at + 1 :]:
            if not below:
                break
            first, *cells = _cut(below, edges)
            if not any(cells) or any(
                start < len(below) and start > 0 and below[start - 2 : start].strip() for start in edges[1:]
            ):
                name = below
                continue
            rows[first.rstrip() or name] = [cell.strip() for cell in cells]
        found.append((headings, rows))
    return found


def rows_of(printed: str) -> dict[str, list[str]]:
    """Return the cells of a table by the row's name, of all its parts together."""
    rows: dict[str, list[str]] = {}
    for _, of_part in parts(printed):
        for name, cells in of_part.items():
            rows.setdefault(name, []).extend(cells)
    return rows


def _cut(line: str, edges: list[int]) -> list[str]:
    ends = [*edges[1:], None]
    return [line[start:end] for start, end in zip(edges, ends, strict=True)]
