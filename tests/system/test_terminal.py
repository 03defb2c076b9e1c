"""Text for a terminal: nothing in it is obeyed, and nothing that can be read is changed."""

from __future__ import annotations

from differentia.errors import printable


def test_only_control_characters_are_escaped() -> None:
    """Ends of lines, blanks of any width, joiners and what Python calls no character stay."""
    for text in (
        "",
        "a\nb",
        "1\u202f000\u00a0%",
        "\u0646\u0645\u06cc\u200c\u062e\u0648 \u56fe",
        "\U0001f468\u200d\U0001f469",
        "\u0378",
    ):
        assert printable(text) == text
    assert printable("\x1b[2J\r\t\n\x9b\u202e\u2028\udcff") == (
        r"\u001b[2J\r\t" + "\n" + r"\u009b\u202e\u2028\udcff"
    )
