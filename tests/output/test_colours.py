"""How sets are marked: told apart, the same in figures and on pages, by one table."""

from __future__ import annotations

import matplotlib.markers
import numpy as np
import plotly.validator_cache
from helpers.results import neurons
from matplotlib.colors import to_rgb

from differentia.output.chosen import FEW_SETS
from differentia.output.colours import COLOURS, REFERENCE_COLOUR, SYMBOLS, set_colours, set_looks


def contrast(colour: str, ground: str) -> float:
    """Return the contrast of two colours as WCAG 2 defines it."""
    light = []
    for name in (colour, ground):
        parts = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(name)]
        light.append(0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2])
    return (max(light) + 0.05) / (min(light) + 0.05)


def test_looks_of_sets() -> None:
    """The reference is grey wherever it stands; the others have the colours in their order."""
    result = neurons()
    names = result["set"].values.tolist()
    looks = set_looks(result)
    assert list(looks) == names
    assert [look.symbol for look in looks.values()] == list(SYMBOLS[: len(names)])
    assert looks[result.attrs["reference"]].colour == REFERENCE_COLOUR
    others = [look.colour for name, look in looks.items() if name != result.attrs["reference"]]
    assert others == list(COLOURS[: len(others)])
    assert set_colours(result) == {name: look.colour.figure for name, look in looks.items()}
    without = set_looks(result.assign_attrs(reference=""))
    assert [look.colour for look in without.values()] == list(COLOURS[: len(names)])


def test_many_sets_begin_again() -> None:
    """A few differ in their colours; of more, colours and symbols are used again, but not the same pair."""
    many = neurons().isel(set=[0]).drop_vars("set").isel(set=np.zeros(80, dtype=int))
    looks = [*set_looks(many.assign_coords(set=[f"set {n}" for n in range(80)])).values()]
    assert len(set(looks)) == 80
    assert len({look.colour for look in looks[:FEW_SETS]} | {REFERENCE_COLOUR}) == FEW_SETS + 1


def test_colours_can_be_seen() -> None:
    """Each differs from every other, and lines stand out from either ground."""
    every = (*COLOURS, REFERENCE_COLOUR)
    for shade, ground in (("light", "#ffffff"), ("dark", "#11161c")):
        shades = [getattr(colour, shade) for colour in every]
        assert len(set(shades)) == len(every)
        assert min(contrast(one, ground) for one in shades) >= 3
    assert len({colour.figure for colour in every}) == len(every)
    assert contrast("#E69F00", "#ffffff") < 3  # why pages have shades of their own


def test_both_libraries_know_the_symbols() -> None:
    """By their names in Matplotlib and in Plotly, also open."""
    known = plotly.validator_cache.ValidatorCache.get_validator("scatter.marker", "symbol").values
    for symbol in SYMBOLS:
        assert symbol.marker in matplotlib.markers.MarkerStyle.markers
        assert symbol.plotly in known
        assert f"{symbol.plotly}-open" in known
        assert len(symbol.text) == 1
