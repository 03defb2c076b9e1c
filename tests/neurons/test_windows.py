"""Windows and spans of time against loops over all of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers.neurons import spiking, table

import differentia as dif
from differentia.neurons.windows import Windows, merged, names_in, observed, require_apart, touched, within


def windows_from(starts: np.ndarray, lengths: np.ndarray) -> Windows:
    """Return windows of one set."""
    names = np.array([f"a {at + 1}" for at in range(len(starts))], dtype=object)
    sets = np.full(len(starts), "a", dtype=object)
    return Windows(starts, starts + lengths, sets, names, pd.DataFrame(index=range(len(starts))))


def tenths(rng: np.random.Generator, low: float, high: float, count: int) -> np.ndarray:
    """Return random tenths of seconds, many of which are the same."""
    return np.round(rng.uniform(low, high, count), 1)


@pytest.mark.parametrize("case", range(20))
def test_spans_of_time_are_those_of_loops(case: int) -> None:
    """Windows that touch a span are not in it; spans that touch each other are one."""
    rng = np.random.default_rng(case)
    windows = windows_from(np.sort(tenths(rng, 0, 20, 60)), tenths(rng, 0.1, 1.5, 60))
    starts = tenths(rng, 0, 19, case)
    spans = np.stack([starts, starts + tenths(rng, 0.1, 3, case)], axis=1)
    in_part = [
        any(b < t - 1e-6 and e > s + 1e-6 for b, e in spans)
        for s, t in zip(windows.starts, windows.stops, strict=True)
    ]
    assert touched(windows, spans).tolist() == in_part
    grid = np.arange(0.05, 24, 0.1)  # between the tenths
    covered = np.array([any(b < time < e for b, e in spans) for time in grid])
    wholly = [
        bool(covered[(grid > s) & (grid < t)].all())
        for s, t in zip(windows.starts, windows.stops, strict=True)
    ]
    assert within(windows, spans).tolist() == wholly
    if case:
        joined = merged(spans, 1e-9)
        assert (joined[1:, 0] > joined[:-1, 1]).all()
        assert [any(b < time < e for b, e in joined) for time in grid] == covered.tolist()
        assert any(in_part)


@pytest.mark.parametrize("case", range(10))
def test_overlapping_windows_are_found(case: int) -> None:
    """Wherever two of all overlap, and nowhere else."""
    rng = np.random.default_rng(case)
    windows = windows_from(np.sort(tenths(rng, 0, 60, 6)), tenths(rng, 0.1, [2.0, 12.0][case % 2], 6))
    pairs = [(one, other) for other in range(6) for one in range(other)]
    overlapping = any(windows.starts[other] < windows.stops[one] - 1e-6 for one, other in pairs)
    if overlapping:
        with pytest.raises(dif.InputError, match="overlap"):
            require_apart(windows)
    else:
        require_apart(windows)


def test_half_of_the_units_decide_what_is_observed() -> None:
    """Windows that most were not observed in are left out; units that were not in others are none."""
    windows = windows_from(np.arange(10.0), np.full(10, 0.5))
    spans = [np.array([[0.0, 8.0]])] * 3 + [np.array([[2.0, 10.0]]), np.array([[0.0, 4.0], [4.0, 10.0]])]
    recording = spiking([[1.0]] * 5, table(start=[0.0], stop=[1.0]), observed=tuple(spans))
    left, units = observed(windows, recording)
    assert left.starts.tolist() == [*np.arange(8.0)]
    assert units.tolist() == [True, True, True, False, True]
    nothing = spiking([[1.0]], table(start=[0.0], stop=[1.0]), observed=(np.empty((0, 2)),))
    with pytest.raises(dif.InputError, match="no unit was observed at any time"):
        observed(windows, nothing)


def test_a_set_that_is_gone_is_named() -> None:
    """Where none of its windows is left, unless that was asked for; where none is, how long they were."""
    windows = replace(windows_from(np.arange(4.0), np.full(4, 0.5)), sets=np.array([*"aabb"], object))
    assert "2 of 4 presentations (1 s) were left out, all of 'b' among them: so" in told_of(
        windows.keep(windows.starts < 2, "so")
    )
    assert "all of" not in told_of(windows.keep(windows.starts < 3, "so"))
    assert "all of" not in told_of(windows.keep(windows.starts < 2, "so", asked=True))
    with pytest.raises(dif.InputError, match=r"no presentation is left: all 4, of 0\.5 s, were left out: so"):
        windows.keep(np.zeros(4, bool), "so")


def told_of(windows: Windows) -> str:
    return windows.told[-1].text


def test_values_as_names() -> None:
    """Numbers as shortly as they can be written; what is missing has none."""
    column = pd.Series([1.0, 0.1, b"film", " a ", None, np.nan, pd.NA, True, 7], dtype=object)
    assert names_in(column).tolist() == ["1", "0.1", "film", "a", "", "", "", "True", "7"]
