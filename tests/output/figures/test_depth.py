"""The axis of layers: its names, its marks, and the figure that it is in."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.figures import of_network, texts
from matplotlib.figure import Figure

import differentia as dif
from differentia.results.dataset import with_provenance

RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def neurons(layers: int = 4) -> xr.Dataset:
    arrays = {"a": {f"layer_{n}": RNG.normal(size=(8, 60)) for n in range(layers)}}
    return of_network(dif.measure_responses(arrays, n_units=(5, 20, 60), draws=1))


def test_tokens_that_count() -> None:
    """The axis says which, as far as there is room; nothing where all do, or a result says nothing of it."""
    result = neurons(16)
    ordered = "Layer, in the order of computation"
    assert dif.plot(result).get_xlabel() == ordered
    assert dif.plot(with_provenance(result, tokens="class")).get_xlabel() == ordered
    some = with_provenance(result, tokens="class", token_layers=[f"layer_{n}" for n in range(3, 16)])
    told = "class token of 13 layers; 3 whole"
    narrow, narrower = (plt.figure(figsize=(width, 4)) for width in (3.6, 2.2))
    for ax in (dif.plot(some), dif.plot_kinds({"random": some})[0]):
        assert ax.get_xlabel() == f"{ordered} ({told})"
    assert dif.plot(some, narrow).get_xlabel() == f"Layer ({told})"
    assert dif.plot(some, narrower).get_xlabel() == "Layer (class token)"
    every = with_provenance(result, tokens="mean", token_layers=[f"layer_{n}" for n in range(16)])
    assert dif.plot(every).get_xlabel() == f"{ordered} (mean of patch tokens)"


@pytest.mark.parametrize("layers", [2, 30, 90, pytest.param(500, marks=pytest.mark.soak)])
def test_layer_names_do_not_overlap(layers: int) -> None:
    """With many layers the names are thinned; the first and the last are there."""
    ax = dif.plot(neurons(layers))
    ax.figure.canvas.draw()
    assert ax.figure.bbox.width <= 7.2 * ax.figure.dpi  # paper size, at which no letters are small
    assert min(float(text.get_fontsize()) for text in texts(ax.figure)) >= 6
    labels = ax.get_xticklabels()
    assert labels[0].get_text() == "layer_0"
    assert labels[-1].get_text() == f"layer_{layers - 1}"
    positions = [label.get_window_extent().x1 for label in labels]
    heights = float(labels[0].get_fontsize()) * ax.figure.dpi / 72
    # neighbours at 60 degrees are told apart where they stand a line's height apart across their slant
    assert np.diff(positions).min() * np.sin(np.radians(60)) > 0.8 * heights


def test_draws_into_given_axes() -> None:
    """A user's axes are used, and no other figure is made."""
    ax = Figure().add_subplot()
    assert dif.plot(neurons(), ax=ax) is ax
    assert plt.get_fignums() == []
    dif.plot(neurons())
    assert len(plt.get_fignums()) == 1


def test_marks_are_smaller_where_layers_stand_close() -> None:
    """Of many layers, so that lines can be seen between them; not of few."""
    sizes = {n: dif.plot(neurons(n)).get_lines()[0].get_markersize() for n in (2, 8, 60)}
    assert sizes[60] < 0.7 * sizes[8]
    assert sizes[8] == sizes[2]


def test_tokens_of_several_results() -> None:
    """Panels of several choices bear their own names, and no axis the tokens of the first."""
    result = of_network(dif.measure_responses({"a": {"x": np.random.default_rng(0).normal(size=(6, 9))}}))
    chosen = {name: with_provenance(result, tokens=name, token_layers=["x"]) for name in ("class", "mean")}
    for names, tokens in ((["class", "mean"], 0), (["class"], 1)):
        panels = dif.plot_kinds({name: chosen[name] for name in names})
        assert ["token" in ax.get_xlabel() for ax in panels] == [bool(tokens)] * len(names)
