"""Two conditions over trials as a picture, read back from the axes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from helpers.figures import legend_entries, require_readable
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

import differentia as dif


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def found(
    n_sessions: int = 7,
    areas: tuple[str, ...] = ("V1", "LM"),
    *,
    effect: float = 1.5,
    spread: float = 0.0,
    **options: Any,
) -> xr.Dataset:
    """Compare sessions in whose first area "film" is above "noise"; their levels may differ."""
    rng = np.random.default_rng(0)
    levels = 10 * np.exp(spread * np.linspace(-1, 1, n_sessions))
    rows = [
        (session, area, name, levels[session] + rng.normal() + effect * (area == areas[0]) * (name == "film"))
        for session in range(n_sessions)
        for area in areas
        for name in ("film", "noise")
        for _ in range(6)
    ]
    table = pd.DataFrame(rows, columns=["session", "brain_area", "set", "differentiation"])
    about = {"group": "brain_area", "permutations": 99, **options}
    return dif.compare_trials(table, "film", "noise", **about)


def marks(ax: Axes, marker: str) -> list[Line2D]:
    return [line for line in ax.get_lines() if line.get_marker() == marker]


def points(ax: Axes, *, filled: bool) -> np.ndarray:
    """Return the values of the sessions whose points are filled, or open."""
    lines = [line for line in marks(ax, "o") if (to_hex(line.get_markerfacecolor()) != "#ffffff") == filled]
    return np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in lines])


def test_sessions_and_means() -> None:
    """Each session is a point, filled where its p is small; right of them stands the mean with its limits."""
    given = found()
    ax = dif.plot_trials(given)
    values, told = given["difference"].values, given["p"].values < 0.05
    assert 0 < told.sum() < told.size
    for filled in (True, False):
        expected = np.sort(values[told == filled])
        np.testing.assert_array_equal(np.sort(points(ax, filled=filled)), expected)
    means = marks(ax, "D")
    np.testing.assert_array_equal([line.get_ydata()[0] for line in means], given["mean"])  # type: ignore[index]
    limits = [line.get_ydata() for line in ax.get_lines() if line.get_linewidth() == 1.6]
    np.testing.assert_array_equal(limits, np.stack([given["low"], given["high"]], axis=1))
    for place, mean in enumerate(means):
        of_group = [np.asarray(line.get_xdata(), dtype=float) for line in marks(ax, "o")][
            2 * place : 2 * place + 2
        ]
        assert np.concatenate(of_group).max() < float(np.asarray(mean.get_xdata())[0]) < place + 0.5
    counts = told.sum(axis=0)
    names = [label.get_text() for label in ax.get_xticklabels()]
    assert names == [f"V1: {counts[0]} of 7", f"LM: {counts[1]} of 7"]
    assert ax.get_xlabel() == "Brain area: sessions with p < 0.05"
    assert ax.get_ylabel() == "film \N{MINUS SIGN} noise\n(differentiation)"
    assert legend_entries(ax) == [
        "session, p < 0.05 (two-sided)",
        "session, p \N{GREATER-THAN OR EQUAL TO} 0.05",
        "",
        "mean over sessions",
        "95 %: other sessions",
    ]
    require_readable(ax.figure)


def test_an_interval_that_may_hold_too_seldom() -> None:
    """It is doubted where levels of sessions differ much, unless logarithms are compared."""
    interval = "95 %: other sessions"
    doubtful = legend_entries(dif.plot_trials(found(spread=1.0)))[-1]
    assert doubtful.split() == [*interval.split(), "(doubtful)"]
    assert legend_entries(dif.plot_trials(found(spread=1.0, log=True)))[-1] == interval
    assert legend_entries(dif.plot_trials(found(spread=0.1)))[-1] == interval


def test_one_group_of_animals() -> None:
    """Without a name of its own; the sides of the test are named once."""
    given = found(
        effect=0.0, group=None, subject={session: session // 2 for session in range(7)}, alternative="less"
    )
    ax = dif.plot_trials(given)
    count = int((given["p"] < 0.05).sum())
    assert [label.get_text() for label in ax.get_xticklabels()] == [f"{count} of 7"]
    assert ax.get_xlabel() == "Sessions with p < 0.05"
    entries = " ".join(legend_entries(ax)).replace("\n", " ")
    assert "(one-sided, lower)" in entries
    assert "mean over animals" in entries
    assert "95 %: other animals" in entries


def test_one_session() -> None:
    """There is no interval, and none in the legend."""
    ax = dif.plot_trials(found(1).sel(group=["LM"]))
    assert len(points(ax, filled=True)) + len(points(ax, filled=False)) == 1
    assert not [entry for entry in legend_entries(ax) if "95 %" in entry]


@pytest.mark.parametrize(("sessions", "areas", "millimetres"), [(50, 2, None), (3, 16, None), (12, 3, 85)])
def test_readable(sessions: int, areas: int, millimetres: float | None) -> None:
    """With many sessions, with many areas, and as wide as a journal's column."""
    width = None if millimetres is None else (millimetres / 25.4, 1.0)
    figure = Figure() if width is None else Figure(figsize=width)
    given = found(sessions, tuple(f"area {n}" for n in range(areas)), permutations=19)
    dif.plot_trials(given, figure)
    require_readable(figure)
    if width is not None:
        assert figure.get_figwidth() == pytest.approx(width[0])


def test_axes_and_errors() -> None:
    """A user's axes are drawn into; what is no such Dataset is refused."""
    ax = Figure(figsize=(6, 4)).add_subplot()
    assert dif.plot_trials(found(3), ax) is ax
    with pytest.raises(dif.InputError, match=r"not what compare_trials\(values\) returned"):
        dif.plot_trials(xr.Dataset())
