"""What a terminal is sent: text from files and networks can't steer it."""

from __future__ import annotations

import json

from differentia.errors import is_control_character


def printable(text: str) -> str:
    """Return a text with its control characters, but for the ends of lines, as escapes of JSON and Python."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    if character == "\n" or not is_control_character(character):
        return character
    return json.dumps(character)[1:-1]
