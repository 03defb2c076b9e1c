"""Differentiation with and without noise as a picture, read back from the axes."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.figures import legend_entries, require_readable, require_still

import differentia as dif


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def found() -> xr.Dataset:
    """Return two sets in two areas; of one nothing is left without noise, of another there is a doubt."""
    rng = np.random.default_rng(0)
    signal, noise = rng.normal(size=(20, 3)) @ rng.normal(size=(3, 30)), rng.normal(size=(4, 20, 30))
    given = {
        "films": {"V1": signal + noise, "LM": signal + 2 * noise},
        "gratings": {"V1": signal + noise[:2], "LM": noise},
    }
    with pytest.warns(dif.DifferentiaWarning, match="'gratings', layer 'LM'"):
        return dif.measure_repeats(given)


def test_all_values_are_drawn(found: xr.Dataset) -> None:
    """Three marks for each set and area, the bars of their limits, and what is doubted or unknown."""
    ax = dif.plot_repeats(found)
    drawn = np.concatenate([np.asarray(line.get_ydata(), dtype=float) for line in ax.lines])
    for name in ("plain", "of_mean", "noise_free"):
        values = found[name].values[np.isfinite(found[name].values)]
        assert np.isin(np.round(values, 9), np.round(drawn, 9)).all()
    assert (drawn == 0).sum() == 1  # hidden by noise
    ends = np.concatenate(
        [
            np.asarray(path.vertices)[:, 1]
            for bars in ax.collections
            for path in bars.get_paths()
            if len(np.asarray(path.vertices)) == 2
        ]
    )
    for name in ("plain_low", "of_mean_high", "noise_free_low"):
        values = found[name].values[np.isfinite(found[name].values)]
        assert np.isin(np.round(values, 9), np.round(ends, 9)).all()
    places = [
        np.asarray(line.get_xdata(), dtype=float) for line in ax.lines if np.size(line.get_xdata()) == 2
    ]
    assert len({*np.round(np.concatenate(places), 6)}) == 12
    assert set(legend_entries(ax)) >= {
        *("films", "gratings", "single repeats", "mean response", "without noise"),
        *("95 %: other stimuli", "not to be trusted", "hidden by noise"),
    }
    require_readable(ax.figure)


def test_what_is_not_there_is_not_explained(found: xr.Dataset) -> None:
    """Of a selection without doubts and without what noise hides; other data are refused."""
    ax = dif.plot_repeats(found.sel(set=["films"]))
    require_still(ax.figure)
    entries = set(legend_entries(ax))
    assert not entries & {"not to be trusted", "hidden by noise", "gratings"}
    with pytest.raises(dif.InputError, match=r"not what measure_repeats\(repeats\) returned"):
        dif.plot_repeats(found.assign_attrs(differentia="depth"))
    none = dif.measure_repeats(
        np.random.default_rng(0).normal(size=(3, 5, 400)) + np.eye(5, 400) * 40, normalize="none"
    )
    ax = dif.plot_repeats(none)
    assert ax.get_ylabel() == "Differentiation (unit of the responses)"
    assert "95 %: other stimuli" not in legend_entries(ax)
