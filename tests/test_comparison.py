"""What the page of other packages says of `differentia` itself, and the form of its tables."""

from __future__ import annotations

import re
import tomllib

import numpy as np
import pytest
from helpers.documents import DOCS, ROOT

import differentia as dif
from differentia.networks.hubs.names import HUBS

PAGE = (DOCS / "comparison.md").read_text(encoding="utf-8")


def tables() -> list[list[list[str]]]:
    """Return the cells of each table, its head first, without the rule."""
    found = re.findall(r"(?:^\|.*\|\n)+", PAGE, flags=re.MULTILINE)
    split = [[line[1:-1].split("|") for line in text.splitlines()] for text in found]
    rows = [[[cell.strip() for cell in row] for row in table] for table in split]
    return [[head, *body] for head, _, *body in rows]


def test_tables_have_their_form() -> None:
    """Every row has a cell for each package, and only a version of Python is not known."""
    first, second, packages = tables()
    assert first[0] == ["", "differentia", "thingsvision", "Net2Brain", "torchlens", "Brain-Score"]
    assert second[0] == ["", "differentia", "thingsvision", "Net2Brain", "rsatoolbox", "Brain-Score"]
    for table in (first, second, packages):
        assert {len(row) for row in table} == {len(table[0])}
    empty = [row[0] for table in (first, second, packages) for row in table[1:] if "" in row]
    assert len(empty) == 1
    assert empty[0].startswith("[Net2Brain]")


def test_it_names_every_hub() -> None:
    """Of which networks go by their names, as what they are called in Python."""
    (names,) = [row for row in tables()[0] if row[0] == "networks by name"]
    for hub in HUBS.values():
        assert hub.module in names[1], hub


def test_the_package_itself() -> None:
    """Its version, Python and licence."""
    (row,) = [row for row in tables()[2] if row[0] == "differentia"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    python = project["requires-python"].removeprefix(">=")
    assert row[1:4] == [dif.__version__, f"{python} or later", project["license"].partition(" ")[0]]


def test_the_distance_of_rsatoolbox() -> None:
    """Squared distances over the number of channels give the measure as the page says; others do not."""
    (formula,) = re.findall(r"`(numpy\.median.*?)` is `dif\.differentiation\(A\)`", PAGE)
    A = np.random.default_rng(0).gamma(2.0, 1.0, (9, 40))
    i, j = np.triu_indices(len(A), k=1)
    squared = ((A[i] - A[j]) ** 2).sum(axis=1) / A.shape[1]
    names = {"numpy": np, "A": A}
    assert eval(formula, names | {"d": squared}) == pytest.approx(dif.differentiation(A), rel=1e-12)
    assert eval(formula, names | {"d": np.sqrt(squared)}) != pytest.approx(dif.differentiation(A), rel=1e-3)
