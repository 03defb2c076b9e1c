"""The heat map of all sets shows the numbers: read back from the axes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers.figures import of_network
from helpers.results import of_sets
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import differentia as dif
from differentia.output.figures.panels import PAGE_HEIGHT, PAGE_WIDTH


@pytest.fixture(autouse=True)
def _close_figures() -> Any:
    yield
    plt.close("all")


def shown(ax: Axes) -> np.ndarray:
    """Return the values of a heat map, NaN where one is masked."""
    values = ax.images[0].get_array()
    assert isinstance(values, np.ma.MaskedArray)
    return np.asarray(values.filled(np.nan))


def test_values_are_means_over_draws_at_the_most_units() -> None:
    """In the order of the result, and sorted by the mean over layers; unknown values are masked."""
    result = of_sets(20, n_units=(4, 8), draws=3)
    result["differentiation"][4, 1] = np.nan
    expected = result["differentiation"].sel(n_units=8).mean("draw").transpose("set", "layer").values
    np.testing.assert_allclose(shown(dif.plot_sets(result)), expected)
    ax = dif.plot_sets(result, order="value")
    ordered = shown(ax)
    means = np.nanmean(ordered, axis=1)
    assert (np.diff(means) <= 0).all()
    assert not (np.diff(np.nanmean(expected, axis=1)) <= 0).all()
    names = [text.get_text() for text in ax.get_yticklabels()]
    assert names[0] == f"set {np.nanargmax(np.nanmean(expected, axis=1))}"
    assert "by their means" in ax.get_ylabel()
    with pytest.raises(dif.InputError, match=r"values.*value"):
        dif.plot_sets(result, order="values")  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [2, 13, 200])
def test_a_page_holds_it(count: int) -> None:
    """However many sets there are; their names do not overlap, and the axis says which are left out."""
    figure = Figure(dpi=100)
    ax = dif.plot_sets(of_network(of_sets(count)), figure)
    width, height = figure.get_size_inches()
    assert width <= PAGE_WIDTH + 0.01
    assert height <= PAGE_HEIGHT + 0.01
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.get_yticklabels()]
    assert all(upper.y0 >= lower.y1 - 2 for upper, lower in pairwise(boxes))
    assert min(box.x0 for box in boxes) > 0
    assert ("every third named" in ax.get_ylabel()) == (count == 200)


def test_the_unit_is_said() -> None:
    """Where there is one, at the colours."""
    result = of_sets(3, normalize="none")
    ax = dif.plot_sets(result)
    assert "unit of the responses" in ax.child_axes[0].get_ylabel()
    assert "unit of" not in dif.plot_sets(of_sets(3)).child_axes[0].get_ylabel()
