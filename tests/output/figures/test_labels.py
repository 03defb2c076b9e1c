"""Names as figures show them."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from differentia.output.figures.labels import plain, shortened, standing_out, text_width, told_apart, wrapped


def test_standing_out() -> None:
    """The highest first; a neighbour without room is left out, and so is what is low."""
    scores = np.zeros(100)
    scores[[10, 11, 50, 90, 99]] = [5.0, 4.0, 3.0, 0.2, 2.0]
    names = [str(number) for number in range(100)]
    wide = 100 * (text_width("00", 6.0) + 7)
    assert standing_out(scores, names, width=wide, size=6.0, most=9) == [10, 11, 50, 99]
    assert standing_out(scores, names, width=wide / 20, size=6.0, most=9) == [10, 50, 99]
    assert standing_out(scores, names, width=wide, size=6.0, most=2) == [10, 11]
    assert standing_out(-scores - 1, names, width=wide, size=6.0, most=2) == []


def test_shortened_and_wrapped_names() -> None:
    """A long name keeps its ends; lines are broken at blanks and underscores, and no letter is lost."""
    assert shortened("block1_conv1", 12) == "block1_conv1"
    assert shortened("abcdefghij", 6) == "abc\u2026ij"
    assert {len(shortened("x" * 99, longest)) for longest in (7, 8)} == {7, 8}
    assert wrapped("a_set of images", 9) == "a_set of\nimages"
    assert wrapped("one_two_three", 9) == "one_two_\nthree"
    assert wrapped("one two three", 5, 2) == "one\ntwo\u2026"
    assert wrapped("") == ""


def test_widths_and_dollars_are_those_of_matplotlib() -> None:
    """A text takes the room that was computed; with a dollar sign it is no mathematics."""
    figure = Figure(dpi=72)
    text = figure.text(0, 0, "predictions", fontsize=8)
    assert abs(text.get_window_extent().width - text_width("predictions", 8.0)) < 2
    shown = figure.text(0, 0, plain("$a$"), fontsize=8)
    assert shown.get_window_extent().width > figure.text(0, 0, "$a$", fontsize=8).get_window_extent().width


def test_names_are_told_apart() -> None:
    """By their ends or by what is in their midst; short ones stay as they are."""
    assert told_apart(["a", "b"], 9) == ["a", "b"]
    ends = [f"{'x' * 20}{number}" for number in range(3)]
    assert told_apart(ends, 9) == [shortened(name, 9) for name in ends]
    early = [f"a{number}{'x' * 20}" for number in range(12)]
    amid = [f"{'x' * 20}{number}{'y' * 20}" for number in range(12)]
    for names in (early, amid):
        assert len({shortened(name, 12) for name in amid}) == 1
        shown = told_apart(names, 12)
        assert len({*shown}) == 12
        assert max(map(len, shown)) <= 12
    assert told_apart(["same" * 9] * 2, 9) == [shortened("same" * 9, 9)] * 2
