"""The grid of panels, and one heat map in a panel."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import oracles
from matplotlib.figure import Figure

from differentia.output.figures.panels import MEAN, PEAK, RESOLUTION, Grid, Scale, draw_heat_map, thinned


@pytest.mark.parametrize("columns", [1, 5, 12, 13, 97])
def test_thinning(columns: int) -> None:
    """Of neighbours the mean is left, or the highest: against a loop."""
    values = np.random.default_rng(columns).normal(size=(3, columns))
    few, share = thinned(values, 12, PEAK)
    means, _ = thinned(values, 12, MEAN)
    assert few.shape[1] <= 12
    for row, mean, line in zip(few, means, values, strict=True):
        groups = [line[start : start + share] for start in range(0, columns, share)]
        assert row.tolist() == [max(group) for group in groups]
        assert mean.tolist() == pytest.approx([oracles.mean(group) for group in groups])
    assert share == -(-columns // 12)


def test_nothing_to_show() -> None:
    """A heat map without a number has no colours."""
    ax = Figure().add_subplot()
    scale = Scale(0.0, 1.0, "x")
    assert draw_heat_map(ax, np.full((2, 2), np.nan), scale, rows="", columns="") is None
    assert draw_heat_map(ax, np.zeros((2, 2)), scale, rows="", columns="") is not None


@pytest.mark.parametrize(("rows", "sets"), [(1, 1), (7, 3), (2, 12)])
def test_panels_stand_side_by_side(rows: int, sets: int) -> None:
    """In their order, equally large and apart, within the figure, which is as large as the grid."""
    grid = Grid(rows, tuple(f"set {number}" for number in range(sets)), 0.8)
    figure = Figure(dpi=RESOLUTION)
    axes = grid.axes(figure)
    assert axes.shape == (rows, sets)
    assert figure.get_size_inches().tolist() == pytest.approx(grid.size)
    boxes = np.array([[ax.get_position().extents for ax in row] for row in axes])  # left, bottom, right, top
    inches = np.tile(grid.size, 2)
    sizes = (boxes[..., 2:] - boxes[..., :2]) * grid.size
    np.testing.assert_allclose(sizes, np.broadcast_to(grid.panel, sizes.shape))
    assert boxes.min() > 0
    assert boxes.max() < 1
    np.testing.assert_allclose((boxes[:, 1:, 0] - boxes[:, :-1, 2]) * inches[0], 0.3)
    assert (boxes[:-1, :, 1] > boxes[1:, :, 3]).all()
