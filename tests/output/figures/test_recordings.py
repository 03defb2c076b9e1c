"""Pictures of recordings speak of stimuli, populations and neurons, and join no populations by lines."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.figures import bands_of, bars_of, legend_entries, of_network, require_readable, texts
from matplotlib.axes import Axes

import differentia as dif

SETS = ("spontaneous", "films", "gratings")
AREAS = ("V1", "LM", "AL")


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def recording() -> xr.Dataset:
    rng = np.random.default_rng(0)
    arrays = {name: {area: rng.gamma(2 + n, 1.0, (12, 40)) for area in AREAS} for n, name in enumerate(SETS)}
    result = dif.measure_responses(arrays, n_units=(10, 30), draws=4, reference=SETS[0])
    nothing = result["doubt"].copy(data=np.full(result["doubt"].shape, ""))
    return dif.with_intervals(result.assign(doubt=nothing))


def words_of(ax: Axes) -> str:
    return " ".join(text.get_text() for text in texts(ax.figure))


def joined(ax: Axes) -> bool:
    """Return whether a line goes from one place to the next."""
    return any(
        line.get_linestyle() != "None" and len(np.asarray(line.get_xdata())) > 2 for line in ax.get_lines()
    )


def test_no_line_joins_populations() -> None:
    """Their points, bars and bands stand apart, those of a population side by side; layers are joined."""
    result = recording()
    contrast = dif.contrast(result, "films", "gratings")
    other = result.assign(differentiation=result["differentiation"] + 0.1)
    across = dif.across({"mouse 1": result, "mouse 2": other})
    axes = [
        dif.plot(result),
        dif.plot_relative(result),
        dif.plot_contrast(contrast),
        dif.plot_across(across),
        *dif.plot_kinds({"random": result}),
    ]
    for ax in axes:
        assert not joined(ax)
        assert all(len(outline) == len(AREAS) for outline in bands_of(ax, whole=True).values())
        assert ax.get_xlabel() == "Population"
        require_readable(ax.figure)
        assert not {"layer", "units", "images", "layers"} & {*words_of(ax).lower().split()}
    points = np.concatenate([line.get_xdata() for line in axes[0].get_lines()]).astype(float)
    assert len({*points}) == len(points) == len(SETS) * 2 * len(AREAS)
    assert {*np.round(points)} == {0, 1, 2}
    within = np.sort(points[np.round(points) == 1])
    assert np.diff(within).min() > 0.03
    assert within[-1] - within[0] < 0.8
    bars = [segments[0, 0, 0] for _, segments in bars_of(axes[0])]
    assert len(bars) == len({*bars}) >= len(SETS)
    assert {*bars} <= {*points}
    groups = dif.plot_across(dif.across({"mouse": result, "cat": other}, group=["mice", "cats"]))
    fills = [line.get_fillstyle() for line in groups.get_lines() if line.get_marker() != "."]
    assert fills == ["full", "none"] * len(SETS)
    network = of_network(result)
    for ax in (dif.plot(network), dif.plot_contrast(dif.contrast(network, "films", "gratings"))):
        assert joined(ax)
        assert ax.get_xlabel() == "Layer, in the order of computation"


def test_words_of_recordings() -> None:
    """Legends and axes name what was recorded; a network has images, layers and units."""
    result = recording()
    entries = legend_entries(dif.plot(result))
    assert {"30 neurons", "10 neurons", "95 %: other stimuli", "95 %: other neurons"} <= {*entries}
    entries = legend_entries(dif.plot_contrast(dif.contrast(result, "films", "gratings")))
    assert {"95 %: other stimuli", "95 %: all 3 populations\ntogether", "with 30 neurons"} <= {*entries}
    distances = dif.plot_distances(result)[0, 0]
    assert (distances.get_xlabel(), distances.get_ylabel()) == ("stimuli", "stimuli")
    network = of_network(result)
    assert {"30 units", "95 %: other images", "95 %: other units"} <= {*legend_entries(dif.plot(network))}
    assert dif.plot_distances(network)[0, 0].get_ylabel() == "images"


def test_channels_of_recordings_are_neurons() -> None:
    """In the heat map of their responses too."""
    result = recording().assign(
        filter_mean=(("image", "filter"), np.random.default_rng(1).normal(size=(36, 40))),
    )
    result = result.assign_coords(
        filter_layer=("filter", ["V1"] * 40), filter_index=("filter", np.arange(40))
    )
    ax = dif.plot_filters(result)[0, 0]
    assert ax.get_xlabel() == "neurons (numbered: the highest means)"
    assert ax.get_ylabel() == "stimuli"
