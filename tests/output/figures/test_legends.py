"""Where a legend has room, and how much of a name it shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from differentia.output.figures.legends import HIGHEST, key, laid_out


def entries(count: int, length: int) -> list[dict[str, Any]]:
    return [
        {f"{number} {'word ' * 50}"[:length].rstrip(): key() for number in range(count)},
        {"units": key()},
    ]


def test_beside_where_there_is_room_else_below() -> None:
    """The axes keep the width that they need; below them, entries stand in columns as wide as the figure."""
    groups = entries(3, 20)
    beside = laid_out(groups, 6.0, narrowest=3.0)
    assert not beside.below
    assert [name for name, _ in beside.entries][3:] == ["", "units"]
    assert not laid_out(groups, beside.width + 3.01, narrowest=3.0).below
    below = laid_out(groups, beside.width + 2.9, narrowest=3.0)
    assert below.below
    assert below.columns > 1
    assert below.width <= beside.width + 2.9
    assert "" not in [name for name, _ in below.entries]
    assert laid_out(groups, 6.0, narrowest=3.0, right=3.1).below


@pytest.mark.parametrize(("count", "lines"), [(3, 5), (12, 2), (20, 1)])
def test_the_more_names_the_fewer_lines(count: int, lines: int) -> None:
    """A few long names are whole; of many, the middle is left out."""
    legend = laid_out(entries(count, 120), 7.0, narrowest=2.0)
    names = [name for name, _ in legend.entries][:count]
    assert len({*names}) == count
    assert max(name.count("\n") + 1 for name in names) <= lines
    assert (names[0].count(" ") + names[0].count("\n") > 20) == (count == 3)
    assert legend.height <= HIGHEST


def test_size_is_as_large_as_it_is_drawn() -> None:
    """So that what is planned has room."""
    for width in (7.0, 3.3):
        legend = laid_out(entries(7, 40), width, narrowest=2.5)
        ax = Figure(figsize=(width, 6)).add_subplot()
        legend.draw_at(ax)
        drawn = ax.get_legend()
        assert drawn is not None
        inches = np.asarray(drawn.get_window_extent().size) / ax.figure.dpi
        padding = 0.5 * legend.size / 72
        assert inches[0] == pytest.approx(legend.width - padding, abs=0.12)
        assert inches[1] == pytest.approx(legend.height - padding, rel=0.12)
