"""How each set is marked in every picture and page of a result: its colour and its symbol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True)
class Colour:
    """A colour in figures, and its like on light and dark screens, where lines need a contrast of 3."""

    figure: str
    light: str
    dark: str


@dataclass(frozen=True)
class Symbol:
    """A symbol as Matplotlib and Plotly call it, and as a character; those with arms look small when open."""

    marker: str
    plotly: str
    text: str
    has_arms: bool = False


class Look(NamedTuple):
    """How a set is marked."""

    colour: Colour
    symbol: Symbol


#: Okabe and Ito's colours, which colour-blind readers can tell apart; for more sets, darker ones of other
#: hues. Grey is kept for the reference.
COLOURS = (
    Colour("#0072B2", "#0072B2", "#4FA8E0"),
    Colour("#D55E00", "#D55E00", "#F0813A"),
    Colour("#009E73", "#008A64", "#2CC199"),
    Colour("#CC79A7", "#B85A8F", "#DE98BF"),
    Colour("#E69F00", "#B57B00", "#F0B53C"),
    Colour("#56B4E9", "#2F92CC", "#8BCDF2"),
    Colour("#000000", "#000000", "#FFFFFF"),
    Colour("#882255", "#882255", "#E0629F"),
    Colour("#999933", "#84842B", "#C4C45A"),
    Colour("#332288", "#332288", "#9A8BF0"),
    Colour("#7A4A1E", "#7A4A1E", "#CF9A66"),
    Colour("#AA4499", "#AA4499", "#DD88CC"),
    Colour("#E0457B", "#D13A6E", "#FF86AC"),
)
REFERENCE_COLOUR = Colour("#7A7A7A", "#6E6E6E", "#A6A6A6")

SYMBOLS = (
    Symbol("o", "circle", "\N{BLACK CIRCLE}"),
    Symbol("s", "square", "\N{BLACK SQUARE}"),
    Symbol("^", "triangle-up", "\N{BLACK UP-POINTING TRIANGLE}"),
    Symbol("D", "diamond", "\N{BLACK DIAMOND}"),
    Symbol("v", "triangle-down", "\N{BLACK DOWN-POINTING TRIANGLE}"),
    Symbol("P", "cross", "\N{HEAVY GREEK CROSS}", has_arms=True),
    Symbol("X", "x", "\N{HEAVY MULTIPLICATION X}", has_arms=True),
    Symbol("*", "star", "\N{BLACK STAR}", has_arms=True),
)


def set_looks(result: xr.Dataset, among: Sequence[str] | None = None) -> dict[str, Look]:
    """Return each set's colour and symbol, the same in every picture of a result; the reference is grey.

    Where only some of many sets are shown they are told apart among themselves.
    """
    names = [str(name) for name in result["set"].values] if among is None else among
    others = [name for name in names if name != result.attrs["reference"]]
    colours = {name: COLOURS[place % len(COLOURS)] for place, name in enumerate(others)}
    return {
        name: Look(colours.get(name, REFERENCE_COLOUR), SYMBOLS[place % len(SYMBOLS)])
        for place, name in enumerate(names)
    }


def set_colours(result: xr.Dataset, among: Sequence[str] | None = None) -> dict[str, str]:
    """Return each set's colour in figures, as `set_looks`."""
    return {name: look.colour.figure for name, look in set_looks(result, among).items()}
