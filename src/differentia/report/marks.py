"""The colour and the mark of each set, on light and on dark ground."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from differentia.figures.labels import REFERENCE_COLOUR, set_colours

if TYPE_CHECKING:
    import xarray as xr

#: By colour of the figures: what stands for it on light and on dark ground, where lines need a contrast of 3.
ON_GROUND = {
    "#0072B2": ("#0072B2", "#4FA8E0"),
    "#D55E00": ("#D55E00", "#F0813A"),
    "#009E73": ("#008A64", "#2CC199"),
    "#CC79A7": ("#B85A8F", "#DE98BF"),
    "#E69F00": ("#B57B00", "#F0B53C"),
    "#56B4E9": ("#2F92CC", "#8BCDF2"),
    "#000000": ("#000000", "#FFFFFF"),
    REFERENCE_COLOUR: ("#6E6E6E", "#A6A6A6"),
}

#: In the order of the figures' markers: as a character, and as Plotly calls it.
SYMBOLS = (
    ("\N{BLACK CIRCLE}", "circle"),
    ("\N{BLACK SQUARE}", "square"),
    ("\N{BLACK UP-POINTING TRIANGLE}", "triangle-up"),
    ("\N{BLACK DIAMOND}", "diamond"),
    ("\N{BLACK DOWN-POINTING TRIANGLE}", "triangle-down"),
    ("\N{HEAVY GREEK CROSS}", "cross"),
    ("\N{HEAVY MULTIPLICATION X}", "x"),
    ("\N{BLACK STAR}", "star"),
)


def marks(result: xr.Dataset) -> dict[str, dict[str, Any]]:
    """Return how each set is marked: the figures' colour, fit for either ground, and its symbol.

    Parameters
    ----------
    result
        What `measure` or `measure_responses` returned.

    Returns
    -------
    dict
        By set: ``colour`` (``light``, ``dark``) and ``symbol`` (``text``, ``plotly``).
    """
    found = {}
    for place, (name, colour) in enumerate(set_colours(result).items()):
        light, dark = ON_GROUND[colour]
        text, plotly = SYMBOLS[place % len(SYMBOLS)]
        found[name] = {
            "colour": {"light": light, "dark": dark},
            "symbol": {"text": text, "plotly": plotly},
        }
    return found
