"""How objects show themselves: a title and what is known of them, as text and, in notebooks, as a table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from html import escape

from differentia.errors import is_control_character

#: In characters: longer values are cut off.
LONGEST = 160

#: Names of which a list shows so many.
MOST_NAMED = 4


def as_text(title: str, facts: Mapping[str, str]) -> str:
    """Return a title, and below it one fact a line."""
    width = max(map(len, facts), default=0)
    return "\n".join(
        [title, *(f"  {name + ':':{width + 1}} {_short(value)}" for name, value in facts.items())]
    )


def as_html(title: str, facts: Mapping[str, str]) -> str:
    """Return the same as a table."""
    rows = "".join(
        f'<tr><th style="text-align: left">{escape(name)}</th>'
        f'<td style="text-align: left">{escape(_short(value))}</td></tr>'
        for name, value in facts.items()
    )
    return f"<div><strong>{escape(title)}</strong><table>{rows}</table></div>"


def counted(number: int, noun: str) -> str:
    """Return "1 image", "1,200 images"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str]) -> str:
    """Return the first of some names, and how many there are."""
    more = f", ... ({len(names):,} in all)" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more


def _short(value: str) -> str:
    line = "".join(" " if is_control_character(character) else character for character in value)
    line = " ".join(line.split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."


class Shown(ABC):
    """What shows itself by a title and facts, none of which take long to find."""

    @abstractmethod
    def _shown(self) -> tuple[str, dict[str, str]]:
        """Return the title, and the facts by name."""

    def __repr__(self) -> str:
        """Return the title and the facts as text."""
        return as_text(*self._shown())

    def _repr_html_(self) -> str:
        return as_html(*self._shown())
