"""The curves show the numbers: read back from the axes."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.figures import bands_of, bars_of, legend_entries, of_network, require_readable, texts
from helpers.results import of_sets
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import differentia as dif
from differentia.output.colours import set_colours
from differentia.results.dataset import with_provenance

RNG = np.random.default_rng(0)
COUNTS = (5, 20, 60)


@pytest.fixture(autouse=True)
def _close_figures() -> Any:
    yield
    plt.close("all")


def neurons(
    layers: int = 4, names: tuple[str, ...] = ("noise", "cats", "dogs"), draws: int = 6
) -> xr.Dataset:
    arrays = {
        name: {f"layer_{n}": RNG.gamma(1 + place, 1.0, (8, 60)) for n in range(layers)}
        for place, name in enumerate(names)
    }
    return of_network(dif.measure_responses(arrays, n_units=COUNTS, draws=draws, reference=names[0]))


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


def test_legend_shows_lines_only_where_there_are_some() -> None:
    """Areas have no order, and no lines between them; layers of a network have."""
    rng = np.random.default_rng(0)
    recorded = dif.measure_responses({"a": {"V1": rng.normal(size=(6, 9)), "V2": rng.normal(size=(6, 9))}})
    assert set(legend_styles(dif.plot(recorded))) == {"None"}
    assert "-" in legend_styles(dif.plot(of_network(recorded)))


def legend_styles(ax: Axes) -> list[str]:
    """Return the styles of the lines beside the words of a legend."""
    legend = ax.get_legend()
    assert legend is not None
    return [str(line.get_linestyle()) for line in legend.get_lines()]


def test_labels_and_legend() -> None:
    """Layers are named in order, sets and numbers of units in the legend, which covers no data."""
    result = neurons(names=("noise", "cats & $dogs", "<b>"))
    ax = dif.plot(result)
    ax.figure.canvas.draw()
    assert [label.get_text() for label in ax.get_xticklabels()] == [f"layer_{n}" for n in range(4)]
    legend = ax.get_legend()
    assert legend is not None
    shown = [text.get_text().replace("\\", "") for text in legend.get_texts()]
    assert shown[:7] == ["noise", "cats & $dogs", "<b>", "", "60 units", "20 units", "5 units"]
    assert shown[7:9] == ["", "95 %: other units"]
    assert legend.get_window_extent().x0 >= ax.get_window_extent().x1


def test_numbers_are_of_what_the_kind_of_units_counts() -> None:
    """A sketch has sums; in the legend of several kinds both are named."""
    random = neurons()
    sketch = random.assign_coords(units="sketch")
    assert {"60 sums", "20 sums", "5 sums", "95 %: other sums"} <= set(legend_entries(dif.plot(sketch)))
    axes = dif.plot_kinds({"random": random, "sketch": sketch})
    assert {"60 units or sums", "95 %: other units or sums"} <= set(legend_entries(axes[0].figure))


def test_draws_into_a_given_figure() -> None:
    """An empty figure gets the size that fits, or the height that fits its width; no other is made."""
    plt.close("all")
    cases: list[tuple[Any, Any]] = [(dif.plot, neurons(30)), (dif.plot_kinds, {"random": neurons(30)})]
    for draw, what in cases:
        for asked, expected in ((None, 7.2), ((5.0, 1.0), 5.0), ((1.0, 1.0), 2.0)):
            figure = Figure(figsize=asked)
            draw(what, figure)
            assert figure.axes
            assert figure.get_figwidth() == pytest.approx(expected)
            assert figure.get_figheight() > 2
            assert figure.get_constrained_layout()
    assert plt.get_fignums() == []


def test_reference_is_grey_and_colours_stay() -> None:
    """The reference is grey; a set's colour is the same in both plots."""
    result = neurons()
    colours = set_colours(result)
    assert colours["noise"] == "#7A7A7A"
    assert len(set(colours.values())) == 3
    for ax in (dif.plot(result), dif.plot_relative(result)):
        assert {colour for colour, _ in lines_of(ax)} == {to_hex(colour) for colour in colours.values()}


def test_each_set_relative_to_its_own_reference() -> None:
    """The axis says so; where sets differ is marked for those of one reference only."""
    rng = np.random.default_rng(0)
    arrays = {
        name: {"x": rng.gamma(1 + place, size=(12, 30)), "y": rng.normal(size=(12, 30))}
        for place, name in enumerate(("a", "b", "c", "noise"))
    }
    result = dif.measure_responses(arrays, n_units=30, reference={"a": "noise", "b": "noise", "c": "a"})
    contrasts = [dif.contrast(result, first, second) for first, second in (("a", "b"), ("a", "c"))]
    ax = dif.plot_relative(result, contrasts=contrasts)
    assert ax.get_ylabel() == "Differentiation /\neach set's reference"
    relative = dif.draw_mean(dif.relative(result), result).sel(n_units=30)
    for name, colour in set_colours(result).items():
        of_set = [line for line in ax.get_lines() if to_hex(line.get_color()) == to_hex(colour)]
        shown = [np.asarray(line.get_ydata()) for line in of_set if line.get_marker() not in ("None", None)]
        expected = relative.sel(set=name).values
        assert any(len(drawn) == len(expected) and np.allclose(drawn, expected) for drawn in shown), name
    marked = {text.get_text() for text in texts(ax.figure)}
    assert "a vs b" in marked
    assert "a vs c" not in marked
    drawn = dif.plot(result, contrasts=contrasts)
    assert {"a vs b", "a vs c"} <= {text.get_text() for text in texts(drawn.figure)}


def test_intervals_of_plain_values_are_not_divided() -> None:
    """Where each set has a reference of its own, as where all have one."""
    arrays = {name: {"x": RNG.gamma(2, size=(12, 30)), "y": RNG.gamma(2, size=(12, 30))} for name in "abc"}
    several, one = (
        dif.measure_responses(arrays, n_units=(10, 30), reference=reference)
        for reference in ({"a": "b", "*": "c"}, "c")
    )
    (bands, bars), expected, relative = (
        (bands_of(ax), dict(bars_of(ax)))
        for ax in (dif.plot(several), dif.plot(one), dif.plot_relative(several))
    )
    for found, others, divided in zip((bands, bars), expected, relative, strict=True):
        assert found.keys() == others.keys()
        assert found
        for colour, at in found.items():
            np.testing.assert_allclose(at, others[colour])
        assert any(not np.allclose(at, divided[colour]) for colour, at in found.items() if colour in divided)


def test_a_set_without_a_reference_has_no_line() -> None:
    """The others have theirs."""
    arrays = {name: {"x": RNG.gamma(2.0, size=(8, 20)), "y": RNG.gamma(2.0, size=(8, 20))} for name in "abc"}
    result = dif.measure_responses(arrays, reference={"a": "b"})
    drawn = {
        to_hex(line.get_color())
        for line in dif.plot_relative(result).get_lines()
        if np.isfinite(np.asarray(line.get_ydata(), float)).any()
    }
    colours = set_colours(result)
    assert [to_hex(colours[name]) in drawn for name in "abc"] == [True, True, False]


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
    """Where a line would be a point, each number of units has a mark and a bar of its style, side by side."""
    ax = dif.plot(neurons(layers=1).isel(n_units=[0, 1]))
    points = [float(np.asarray(line.get_xdata())[0]) for line in ax.get_lines()]
    assert {line.get_marker() for line in ax.get_lines()} == {"o", "s", "^"}
    assert points == sorted(points)
    assert np.diff(points).min() > 0.03
    assert [segments[0, 0, 0] for _, segments in bars_of(ax)] == points
    bars = [bar for bar in ax.collections if isinstance(bar, LineCollection)]
    assert [str(bar.get_linestyle()) for bar in bars[:2]] * 3 == [str(bar.get_linestyle()) for bar in bars]
    assert str(bars[0].get_linestyle()) != str(bars[1].get_linestyle())


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


def published_result(name: str = "keras:VGG16", **options: Any) -> xr.Dataset:
    """Return random numbers under the names of three of VGG16's layers, in another order of sets."""
    arrays = {
        set_name: {layer: RNG.normal(size=(3, 8)) for layer in ("input", "block5_pool", "fc1", "predictions")}
        for set_name in ("dogs", "tabby_cats", "white_noise")
    }
    result = dif.measure_responses(arrays, n_units=(2, 3, 4), draws=2, reference="white_noise", **options)
    return with_provenance(result.assign_coords(n_units=[50, 200, 10_000]), network=name)


def published_lines(ax: Axes) -> dict[str, tuple[list[float], list[float]]]:
    """Return where the dotted lines go, by colour."""
    drawn = [line for line in ax.get_lines() if line.get_linestyle() == ":"]
    return {to_hex(line.get_color()): (list(line.get_xdata()), list(line.get_ydata())) for line in drawn}  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["plot", "plot_relative"])
def test_published_curves(kind: str) -> None:
    """Dotted, in the colour of the set of that name, at the largest common n_units; only of the network."""
    result = published_result()
    draw = getattr(dif, kind)
    ax = draw(result)
    variable = "differentiation" if kind == "plot" else "relative_differentiation"
    curves = dif.published_curves()[variable].sel(
        n_units=10_000, layer=["input", "block5_pool", "predictions"]
    )
    colours = set_colours(result)
    expected = {
        to_hex(colours[name]): ([0, 1, 3], curves.sel(set=name).values.tolist())
        for name in ("tabby_cats", "white_noise")
    }
    assert published_lines(ax) == expected
    entries = legend_entries(ax)
    assert entries[entries.index("50 units") + 1] == "published"
    low = result.assign(differentiation=result["differentiation"] * (0.1 if kind == "plot" else 1.0))
    highest = max(max(heights) for _, heights in expected.values())
    assert draw(low).get_ylim()[1] > highest
    assert not published_lines(draw(result, published=False))
    other = published_result("keras:VGG19")
    assert not published_lines(draw(other))
    assert "published" not in legend_entries(draw(other))
    assert published_lines(draw(other, published=True)) == expected


def test_published_curves_without_a_counterpart() -> None:
    """None are drawn by default; asked for, the error says what they have."""
    result = published_result()
    assert not published_lines(dif.plot(result.assign_coords(n_units=[1, 2, 3])))
    with pytest.raises(dif.InputError, match=r"nothing in common .* which have n_units 200, 10000, 100000; "):
        dif.plot(result.assign_coords(n_units=[1, 2, 3]), published=True)
    with pytest.raises(dif.InputError, match="set white_noise, tabby_cats, random_images; layer input, "):
        dif.plot(neurons(), published=True)
    assert not published_lines(dif.plot_relative(result, "dogs"))
    with pytest.raises(dif.InputError, match="which have reference white_noise"):
        dif.plot_relative(result, "dogs", published=True)


def kinds(layers: int = 4, names: tuple[str, ...] = ("noise", "cats")) -> dict[str, xr.Dataset]:
    """Return results as `measure_kinds` returns them: one of them takes no number of units."""
    random = neurons(layers, names)
    ranked = random.assign(differentiation=2 * random["differentiation"]).assign_coords(units="top")
    means = random.isel(n_units=[-1]).assign_coords(units="filter_mean", n_units=[512])
    return {"random": random, "top": ranked, "filter_mean": means}


def test_kinds() -> None:
    """A panel for each kind, with the lines of its result; one y axis, one legend."""
    results = kinds()
    axes = dif.plot_kinds(results)
    assert [ax.get_title(loc="left") for ax in axes] == ["random", "top", "filter_mean"]
    for ax, result in zip(axes, results.values(), strict=True):
        lines = lines_of(ax)
        assert len(lines) == 2 * result.sizes["n_units"]
        assert [line.tolist() for line in lines.values()] == [
            pytest.approx(result["differentiation"].sel(set=name, n_units=count).mean("draw").values)
            for name in ("noise", "cats")
            for count in result["n_units"].values
        ]
        assert {colour for colour, _ in lines} == {to_hex(c) for c in set_colours(result).values()}
    assert len({ax.get_ylim() for ax in axes}) == 1
    assert axes[0].get_ylim()[1] >= float(results["top"]["differentiation"].mean("draw").max())
    assert legend_entries(axes[0].figure)[:6] == ["noise", "cats", "", "60 units", "20 units", "5 units"]
    solid = {style for _, style in lines_of(axes[2])}
    assert solid < {style for _, style in lines_of(axes[0])}
    require_readable(axes[0].figure)


@pytest.mark.parametrize(("count", "layers"), [(1, 3), (5, 21), pytest.param(2, 90, marks=pytest.mark.slow)])
def test_kinds_are_readable(count: int, layers: int) -> None:
    """Few and many kinds and layers: the layers' names have room."""
    one = neurons(layers, ("noise", "a long name of a set"), draws=1)
    axes = dif.plot_kinds({f"kind_{number}": one for number in range(count)})
    axes[0].figure.canvas.draw()
    named = [ax for ax in axes if ax.get_xticklabels()]
    lowest = {round(ax.get_position().x0, 3): ax for ax in axes}  # of each column, since rows go down
    assert named == [ax for ax in axes if ax in lowest.values()]
    for ax in named:
        positions = [label.get_window_extent().x1 for label in ax.get_xticklabels()]
        letters = 6.5 * ax.figure.dpi / 72
        assert np.diff(positions).min() * np.sin(np.radians(60)) > 0.8 * letters
    width = axes[0].figure.bbox.width
    assert axes[0].figure.get_figwidth() <= 7.2
    assert axes[0].figure.get_figheight() <= 9.7
    for text in texts(axes[0].figure):
        box = text.get_window_extent()
        assert box.x1 <= width + 1
        assert box.y0 >= -3, text  # descenders that it has not
        assert float(text.get_fontsize()) >= 6


def test_kinds_that_can_not_be_drawn() -> None:
    """No result, results of other sets or layers, too few axes."""
    with pytest.raises(dif.InputError, match=r"expected results as \{kind of units: result\}"):
        dif.plot_kinds({})
    with pytest.raises(dif.InputError, match="kind 'top' is of type int; expected the Dataset"):
        dif.plot_kinds({"random": neurons(), "top": 3})  # type: ignore[dict-item]
    with pytest.raises(
        dif.InputError, match=r"'random' and 'top' differ in their sets \(noise, cats, dogs; a\)"
    ):
        dif.plot_kinds({"random": neurons(), "top": neurons(names=("a",))})
    with pytest.raises(dif.InputError, match="differ in their layers"):
        dif.plot_kinds({"random": neurons(), "top": neurons(2)})
    with pytest.raises(dif.InputError, match=r"axes= holds 2 axes; expected 3, .*: random, top, filter_mean"):
        dif.plot_kinds(kinds(), axes=Figure().subplots(2))


def crowd_of(ax: Axes) -> list[np.ndarray]:
    """Return the lines of sets that have no colour of their own."""
    return [np.asarray(line.get_ydata()) for line in ax.get_lines() if to_hex(line.get_color()) == "#dadada"]


@pytest.mark.parametrize("kind", ["plot", "plot_relative"])
def test_many_sets_are_a_crowd(kind: str) -> None:
    """Each a grey line, behind its quantiles; the reference and those that are named have their colours."""
    result = of_network(of_sets(14, layers=4, n_units=(4, 8), draws=3))
    values = result["differentiation"] if kind == "plot" else dif.relative(result)
    means = values.sel(n_units=8).mean("draw").transpose("set", "layer").values
    ax = getattr(dif, kind)(result)
    np.testing.assert_allclose(crowd_of(ax), means)
    dark = [np.asarray(line.get_ydata()) for line in ax.get_lines() if to_hex(line.get_color()) == "#404040"]
    np.testing.assert_allclose(dark[:3], np.quantile(means, [0.1, 0.5, 0.9], axis=0))
    named = legend_entries(ax)
    assert "each of 14 sets" in named
    assert "set 0" in named
    assert "set 5" not in named
    ax = getattr(dif, kind)(result, sets=["set 5"])
    assert len(crowd_of(ax)) == 14
    assert "set 5" in legend_entries(ax)
    assert "set 0" not in legend_entries(ax)


def test_few_sets_are_no_crowd() -> None:
    """Unless some are chosen; those that are compared have their colours too."""
    result = of_network(of_sets(5))
    assert crowd_of(dif.plot(result)) == []
    found = dif.contrast(result, "set 1", "set 2")
    ax = dif.plot(result, sets="set 4", contrasts=[found])
    assert len(crowd_of(ax)) == 5
    assert {"set 1", "set 2", "set 4"} <= set(legend_entries(ax))
    assert "set 3" not in legend_entries(ax)
    with pytest.raises(dif.InputError, match="set 7"):
        dif.plot(result, sets=["set 7"])


def test_many_sets_of_a_recording() -> None:
    """Populations have no order: no line joins them."""
    ax = dif.plot(of_sets(14))
    grey = [line for line in ax.get_lines() if to_hex(line.get_color()) == "#dadada"]
    assert len(grey) == 14
    assert {line.get_linestyle() for line in grey} == {"None"}


def test_kinds_of_many_sets() -> None:
    """Each panel has its own crowd."""
    first, second = (of_sets(14, n_units=count, draws=2) for count in (4, 8))
    panels = dif.plot_kinds({"random": of_network(first), "top": of_network(second)}, sets=["set 3"])
    assert [len(crowd_of(ax)) for ax in panels] == [14, 14]
