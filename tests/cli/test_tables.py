"""Tables fit the room there is: nothing in them is broken, and nothing is left out."""

from __future__ import annotations

import re
from itertools import product

import pytest
from helpers.printed import parts, rows_of

from differentia.cli.tables import Column, aligned, table_lines


def lines_of(names: list[str], sets: list[str], width: int) -> tuple[list[str], list[str]]:
    """Return a table's lines, and all that has to be in it."""
    cells = {
        (name, one): f"{at / 7:.3f} [{at / 8:.3f}, {at / 6:.3f}]"
        for at, (name, one) in enumerate(product(names, sets))
    }
    columns = [Column([one], [cells[name, one] for name in names]) for one in sets]
    return list(table_lines(Column(["layer"], names, text=True), columns, width)), [*cells.values()]


LONG = [f"encoder.layers.encoder_layer_{at:02}.self_attention.out_projection"[:60] for at in range(5)]


@pytest.mark.parametrize("width", [40, 80, 200])
@pytest.mark.parametrize("n_sets", [1, 3, 12])
@pytest.mark.parametrize("names", [["conv1", "fc"], LONG, ["input", *LONG]])
@pytest.mark.parametrize("of_set", ["s{}", "a_set_with_a_rather_long_name_{}", "x" * 57 + "_{}"])
def test_nothing_is_broken_or_left_out(width: int, n_sets: int, names: list[str], of_set: str) -> None:
    """Lines are as long as there is room, but for a single name; each name, heading and cell is whole."""
    sets = [of_set.format(at) for at in range(n_sets)]
    lines, cells = lines_of(names, sets, width)
    for line in lines:
        assert len(line) <= width or line.strip() in {*names, *sets}, line
        assert line == line.rstrip()
    words = [word for line in lines for word in re.split(r" {2,}", line.strip())]
    for text in (*sets, *cells):
        assert words.count(text) == 1, text
    for name in names:
        assert name in words
    table = rows_of("\n".join(lines))
    assert {name: table[name] for name in names} == {
        name: cells[at * n_sets : (at + 1) * n_sets] for at, name in enumerate(names)
    }


def test_room_is_used() -> None:
    """Columns stand side by side as long as they fit, and not one more."""
    sets = [f"s{at}" for at in range(12)]
    for width in (80, 200):
        of_parts = [
            len(headings) - 1 for headings, _ in parts("\n".join(lines_of(["conv1"], sets, width)[0]))
        ]
        assert sum(of_parts) == 12
        taken = len("conv1") + 22 * of_parts[0]
        assert taken <= width < taken + 22


def test_headings_of_several_parts() -> None:
    """Stand below each other above the numbers; one that is far wider than these has a line of its own."""
    columns = [Column(["threes /", "noise"], ["0.42"]), Column(["x" * 30, "noise"], ["0.65"])]
    assert list(table_lines(Column(["layer"], ["conv"], text=True), columns, 80)) == [
        "x" * 30 + " noise",
        "       threes /",
        "layer     noise",
        "─────  ────────  ────",
        "conv       0.42  0.65",
    ]


def test_wide_letters() -> None:
    """Are counted as the two columns that a terminal gives them."""
    lines = list(table_lines(Column(["layer"], ["猫の層", "fc"], text=True), [Column(["n"], ["1", "2"])], 80))
    assert lines[2:] == ["猫の層  1", "fc      2"]


def test_decimal_points_stand_in_line() -> None:
    """And so does what follows the numbers; a column of nothing takes no room."""
    rows = [("1.25", "", "[1.2, 1.3]"), ("-10.125", "", "?"), ("nan", "", ""), ("3", "", "")]
    assert aligned(rows) == [
        "  1.25  [1.2, 1.3]",
        "-10.125 ?         ",
        "nan               ",
        "  3               ",
    ]


def test_narrower_than_any_column() -> None:
    """Each column has a part of its own, with every name on its own line."""
    lines, cells = lines_of(["conv1", "fc"], ["a", "b"], 5)
    assert [line for line in lines if line in ("conv1", "fc")] == ["conv1", "fc"] * 2
    assert [line.strip() for line in lines if line.strip() in cells] == [cells[at] for at in (0, 2, 1, 3)]
