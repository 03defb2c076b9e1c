"""Spikes in bins: against a loop over spikes and bins."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import differentia as dif
from differentia.neurons.binning import bins_of

RNG = np.random.default_rng(0)
TRAINS = [np.sort(RNG.uniform(0, 10, count)) for count in (200, 0, 31)]


def by_loops(start: float, stop: float, width: float, step: float) -> np.ndarray:
    rows, at = [], start
    while at + width <= stop + 1e-9:
        rows.append([sum(at <= time < at + width for time in train) for train in TRAINS])
        at += step
    return np.array(rows)


@pytest.mark.parametrize(("width", "step"), [(0.5, None), (0.5, 0.125), (0.03, None), (3.0, 2.0)])
def test_counts_are_those_of_loops(width: float, step: float | None) -> None:
    """Of bins that follow one another, and of bins that overlap; what is left at the end is left out."""
    bins = bins_of(width, step)
    found = bins.counted(TRAINS, 1.25, 9.3)
    np.testing.assert_array_equal(found, by_loops(1.25, 9.3, width, step or width))
    assert bins.rate == pytest.approx(1 / (step or width))


def test_a_spike_at_an_edge_counts_once() -> None:
    """In the bin that begins with it; no spike is lost or counted twice between bins."""
    edges = np.arange(101) * 0.1
    found = bins_of(0.1, None).counted([edges], 0.0, 10.0)
    assert found.shape == (100, 1)
    assert found[0, 0] == 1.0
    assert found.sum() == 100  # that at 10 s, the end, is without
    assert bins_of(1.0, 0.5).counted([np.array([0.5])], 0.0, 2.0).ravel().tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("width", "step", "says"),
    [
        (0, None, "bin is 0; expected seconds"),
        (True, None, "bin is True"),
        (0.1, -1.0, r"bin_step is -1\.0"),
        (0.1, 0.2, "spikes between bins would not count"),
        (float("inf"), None, "bin is inf"),
    ],
)
def test_bins_that_can_not_be_used(width: Any, step: Any, says: str) -> None:
    """Each is told."""
    with pytest.raises(dif.InputError, match=says):
        bins_of(width, step)
