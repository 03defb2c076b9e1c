"""The pictures show the numbers: read back from the axes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import differentia as dif
from differentia.figures import save_figures, set_colours

RNG = np.random.default_rng(0)
COUNTS = (5, 20, 60)


@pytest.fixture(autouse=True)
def _close_figures() -> Any:
    yield
    plt.close("all")


def neurons(layers: int = 4, names: tuple[str, ...] = ("noise", "cats", "dogs")) -> xr.Dataset:
    arrays = {
        name: {f"layer_{n}": RNG.gamma(1 + place, 1.0, (8, 60)) for n in range(layers)}
        for place, name in enumerate(names)
    }
    return dif.measure_responses(arrays, n_units=COUNTS, draws=6, reference=names[0])


def lines_of(ax: Axes) -> dict[tuple[str, str], np.ndarray]:
    """Return what each line shows, by colour and style; guides apart."""
    drawn = [line for line in ax.get_lines() if len(line.get_xdata()) > 2]  # type: ignore[arg-type]
    return {
        (to_hex(line.get_color()), str(line._unscaled_dash_pattern)): np.asarray(line.get_ydata())  # type: ignore[attr-defined]
        for line in drawn
    }


@pytest.mark.parametrize("kind", ["plot", "plot_relative"])
def test_lines_are_the_means_over_draws(kind: str) -> None:
    """One line for each set and number of units, its colour the set's, its style the number's."""
    result = neurons()
    values = result["differentiation"] if kind == "plot" else dif.relative(result)
    ax = getattr(dif, kind)(result)
    lines = lines_of(ax)
    assert len(lines) == 9
    styles = [style for colour, style in lines if colour == to_hex(set_colours(result)["cats"])]
    assert len(set(styles)) == 3
    for name, colour in set_colours(result).items():
        for count, style in zip(COUNTS, styles, strict=True):
            expected = values.sel(set=name, n_units=count).mean("draw").values
            np.testing.assert_allclose(lines[to_hex(colour), style], expected)
    first, second, *_ = lines.values()
    assert not np.allclose(first, second)


def test_bands_are_the_spread() -> None:
    """One SD over draws either side of the mean."""
    result = neurons()
    ax = dif.plot(result)
    spread = dif.draw_spread(result["differentiation"], result)
    first = ax.collections[0].get_paths()[0].vertices
    assert isinstance(first, np.ndarray)
    mean = result["differentiation"].sel(set="noise", n_units=5).mean("draw").values
    sd = spread.sel(set="noise", n_units=5).values
    assert (sd > 0.01).all()
    for place in range(4):
        heights = np.unique(np.round(first[np.isclose(first[:, 0], place), 1], 9))
        np.testing.assert_allclose(
            [heights.min(), heights.max()], [mean[place] - sd[place], mean[place] + sd[place]], rtol=1e-6
        )


def test_labels_and_legend() -> None:
    """Layers are named in order, sets and numbers of units in the legend, which covers no data."""
    result = neurons(names=("noise", "cats & $dogs", "<b>"))
    ax = dif.plot(result)
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == [f"layer_{n}" for n in range(4)]
    legend = ax.get_legend()
    assert legend is not None
    shown = [text.get_text().replace("\\", "") for text in legend.get_texts()]
    assert shown == ["noise", "cats & $dogs", "<b>", "", "60 units", "20 units", "5 units"]
    assert legend.get_window_extent().x0 >= ax.get_window_extent().x1


def test_reference_is_grey_and_colours_stay() -> None:
    """The reference is grey; a set's colour is the same in both plots."""
    result = neurons()
    colours = set_colours(result)
    assert colours["noise"] == "#7A7A7A"
    assert len(set(colours.values())) == 3
    for ax in (dif.plot(result), dif.plot_relative(result)):
        assert {colour for colour, _ in lines_of(ax)} == {to_hex(colour) for colour in colours.values()}


@pytest.mark.parametrize("layers", [2, 30, 90, 500])
def test_layer_names_do_not_overlap(layers: int) -> None:
    """With many layers the names are thinned; the first and the last are there."""
    ax = dif.plot(neurons(layers=layers))
    ax.figure.canvas.draw()
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


@pytest.mark.parametrize("length", [60, 180])
def test_long_names_are_not_cut_off(length: int) -> None:
    """Sets' names are wrapped, layers' names lose their middle; nothing is outside of the picture."""
    layer, name = "layer." + "x" * length, " ".join(["word"] * (length // 5))
    arrays = {name: {layer: RNG.normal(size=(5, 9)), "y": RNG.normal(size=(5, 9))}}
    ax = dif.plot(dif.measure_responses(arrays, n_units=(3, 9), draws=2))
    ax.figure.canvas.draw()
    legend = ax.get_legend()
    assert legend is not None
    assert " ".join(legend.get_texts()[0].get_text().split()) == name
    width, height = ax.figure.canvas.get_width_height()
    for box in (legend.get_window_extent(), *(label.get_window_extent() for label in ax.get_xticklabels())):
        assert box.x1 <= width
        assert box.y0 >= 0
    assert ax.get_window_extent().height > 0.4 * height


def test_one_layer_shows_every_number_of_units() -> None:
    """Where a line would be a point, each number of units has a marker and its spread a bar."""
    ax = dif.plot(neurons(layers=1))
    points = [line for line in ax.get_lines() if len(line.get_xdata()) == 1 and line.get_marker() != "_"]  # type: ignore[arg-type]
    assert len([line for line in points if line.get_marker() not in ("None", None, "")]) == 9
    assert len(ax.containers) == 9


def test_one_number_of_units_and_no_value() -> None:
    """A result of all units has no styles to explain; NaN leaves a gap."""
    arrays = {"a": {"x": RNG.normal(size=(5, 9)), "y": np.zeros((5, 9)), "z": RNG.normal(size=(5, 9))}}
    with pytest.warns(dif.DifferentiaWarning):
        result = dif.measure_responses(arrays)
    ax = dif.plot(result)
    legend = ax.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["a"]
    (shown,) = lines_of(ax).values()
    assert np.isnan(shown[1])
    assert np.isfinite(shown[[0, 2]]).all()


def test_files_are_the_same_each_time(tmp_path: Path) -> None:
    """The same result gives the same pictures; another result gives others."""
    result = neurons()
    written = save_figures(result, tmp_path / "a")
    assert sorted(path.name for path in written) == [
        *("differentiation.png", "differentiation.svg", "relative.png", "relative.svg"),
    ]
    save_figures(result, tmp_path / "b")
    save_figures(neurons(), tmp_path / "c")
    for path in written:
        if path.suffix == ".png":
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
            assert path.read_bytes() != (tmp_path / "c" / path.name).read_bytes()
