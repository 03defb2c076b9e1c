"""Times of samples at a rate, and what is no time."""

from __future__ import annotations

import numpy as np
import pytest

import differentia as dif
from differentia.neurons.times import number, regular_times, spans, spike_times


def test_regular_times() -> None:
    """Each is the first and a multiple of the period; an error of rounding does not add up."""
    times = regular_times(np.float32(0.5), np.array([30.0]), 108_001, "x")
    assert times[0] == 0.5
    assert times[-1] == 0.5 + 3600
    with pytest.raises(dif.InputError, match=r"^x: the first sample is at '0'; expected a time"):
        regular_times("0", 30.0, 3, "x")


def test_numbers() -> None:
    """Texts, lists and truth are no numbers, even where Python could read them as such."""
    assert [number(one) for one in (3, np.float32(0.5), np.array([2.0]))] == [3.0, 0.5, 2.0]
    assert np.isnan([number(one) for one in ("3", b"3", [1, 2], None, True, np.nan)]).all()


def test_spikes_at_one_time() -> None:
    """They are in order, and stay; whole numbers are seconds."""
    assert spike_times([1, 1, 2], "x").tolist() == [1.0, 1.0, 2.0]
    with pytest.raises(
        dif.InputError, match=r"^x: spike times are out of order \(1 s after 2 s\); sort them$"
    ):
        spike_times([2, 1], "x")


def test_spans() -> None:
    """They may be of no length, overlap, and be in any order; each needs both its ends."""
    assert spans([3, 1], [3, 2], "x").tolist() == [[3.0, 3.0], [1.0, 2.0]]
    with pytest.raises(dif.InputError, match=r"^x: 2 starts and 1 ends; expected as many"):
        spans([1, 2], [3], "x")
