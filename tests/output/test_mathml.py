"""The pieces of formulas are whole MathML."""

from __future__ import annotations

import xml.etree.ElementTree as ET

from differentia.output.mathml import EQUALS, MINUS, over, row, symbol


def test_pieces() -> None:
    """Letters with and without an index, fractions, and a line of several formulas."""
    assert symbol("K") == "<mi>K</mi>"
    indexed = ET.fromstring(symbol("z", "ik"))
    assert (indexed.tag, [part.tag for part in indexed], "".join(indexed.itertext())) == (
        "msub",
        ["mi", "mrow"],
        "zik",
    )
    top, bottom = ET.fromstring(over(symbol("A") + MINUS + symbol("m"), symbol("s")))
    assert ["".join(part.itertext()) for part in (top, bottom)] == ["A\N{MINUS SIGN}m", "s"]
    line = ET.fromstring(row(symbol("a") + EQUALS + symbol("b"), symbol("c")))
    assert line.attrib == {"display": "block"}
    assert [part.tag for part in line[0]] == ["mi", "mo", "mi", "mspace", "mi"]
