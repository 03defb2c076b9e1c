"""Where names are broken: behind separators, never within a word or a number, unless these are long."""

from __future__ import annotations

import html

import pytest

from differentia.output.report.breaks import breakable


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("uniform_noise_13", ["uniform_", "noise_", "13"]),
        ("n01632777_axolotl.jpg", ["n01632777_", "axolotl.", "jpg"]),
        ("layer1.0.conv1", ["layer1.0.", "conv1"]),
        ("a/b\\c:d", ["a/", "b\\", "c:", "d"]),
        ("1.5e-3 to -2,000", ["1.5e-3 ", "to ", "-2,000"]),
        ("__init__", ["__", "init__"]),
        ("x" * 40, ["x" * 18, "x" * 18, "x" * 4]),
        ("", []),
    ],
)
def test_parts_of_names(name: str, parts: list[str]) -> None:
    """Each with the separators behind it; together they are the name."""
    assert str(breakable(name)).split("<wbr>") == (parts or [""])
    assert "".join(parts) == name


def test_markup_in_names_is_text() -> None:
    """It is escaped, and nothing of it is lost."""
    name = "<b>bold</b> & 'quoted'"
    text = str(breakable(name))
    assert "<b>" not in text
    assert html.unescape(text.replace("<wbr>", "")) == name
