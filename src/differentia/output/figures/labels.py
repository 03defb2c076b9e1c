"""Names as figures show them: shortened, wrapped, and only where they have room."""

from __future__ import annotations

import functools
import textwrap
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

#: In characters.
LONGEST_LEGEND_LINE = 30

#: A column stands out where it has more than this of the highest.
LEAST_SHARE = 0.1

#: Points between two names that stand side by side.
BETWEEN_NAMES = 6.0


def shortened(text: str, longest: int, start: int | None = None) -> str:
    """Return a name, its middle left out where it is longer than `longest` characters.

    Of what is left, `start` characters stand before the gap, by default half.
    """
    if len(text) <= longest:
        return text
    start = longest - 1 - (longest - 1) // 2 if start is None else start
    return f"{text[:start]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - (longest - 1 - start) :]}"


def told_apart(names: Sequence[str], longest: int) -> list[str]:
    """Return names as `shortened`, with what is left out chosen so that as many as possible differ."""
    middle = longest // 2
    starts = sorted(range(1, longest - 1), key=lambda start: abs(start - middle))
    long_ones = [name for name in names if len(name) > longest]
    shared = next((at for at, letters in enumerate(zip(*long_ones, strict=False)) if len({*letters}) > 1), 0)
    rests = [f"\N{HORIZONTAL ELLIPSIS}{name[shared:]}" if len(name) > longest else name for name in names]
    ways = (
        [shortened(name, longest, start) for name in of] for of in (names, rests) for start in (None, *starts)
    )
    best: list[str] = []
    for way in ways:
        if len({*way}) > len({*best}):
            best = way
        if len({*best}) == len({*names}):
            break
    return best


def wrapped(text: str, width: int = LONGEST_LEGEND_LINE, lines: int | None = None) -> str:
    """Return a name on lines of at most `width` characters, broken at blanks and underscores."""
    apart = text.replace("_", "_ ")
    parts = textwrap.wrap(apart, width, max_lines=lines, placeholder="\N{HORIZONTAL ELLIPSIS}")
    return "\n".join(part.replace("_ ", "_") for part in parts) or text


def plain(text: str) -> str:
    """Return text that Matplotlib shows as it is: a dollar sign would start mathematics."""
    return text.replace("$", r"\$")


@functools.cache
def text_width(text: str, size: float) -> float:
    """Return the width of one line of text in points, in Matplotlib's default font."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    return float(text_to_path.get_text_width_height_descent(text, FontProperties(size=size), False)[0])


def standing_out(
    scores: Float[np.ndarray, " n"], names: Sequence[str], *, width: float, size: float, most: int
) -> list[int]:
    """Return, in ascending order, the highest columns whose names fit side by side under a panel (points)."""
    taken: dict[int, float] = {}
    for place in np.argsort(-scores, kind="stable").tolist():
        if len(taken) == most or not scores[place] > LEAST_SHARE * max(scores.max(), 0.0):
            break
        half = (text_width(names[place], size) + BETWEEN_NAMES) / 2
        column = width / len(scores)
        if all(abs(place - other) * column >= half + other_half for other, other_half in taken.items()):
            taken[place] = half
    return sorted(taken)
