"""The heat maps show the numbers: read back from the axes, against NumPy on every unit of the layers."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.figures import LAYERS, apart, explained, limits, require_readable, shown, whole
from helpers.odd_networks import inputs, mixed, outputs_of, partly_without_channels, without_channels
from helpers.results import of_sets
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

import differentia as dif
from differentia.output.colours import set_colours

SETS = ("noise", "digits", "dim_digits")


@pytest.fixture(autouse=True)
def _close_figures() -> Any:
    yield
    plt.close("all")


def z_scored_means(layer: str, name: str) -> np.ndarray:
    """Return the mean over space of each filter, in SDs from the mean of all units of the layer."""
    values = whole(layer, name)
    means = values.reshape(len(values), values.shape[1], -1).mean(axis=2)
    return (means - values.mean()) / values.std()


def tick_labels(ax: Axes) -> list[str]:
    return [label.get_text() for label in ax.get_xticklabels()]


def wide_result(images: int = 5, columns: int = 1000, sets: tuple[str, ...] = ("a", "b")) -> xr.Dataset:
    """Return a result of many filters, with names of classes that are hard to place."""
    rng = np.random.default_rng(1)
    arrays = {name: {"x": rng.gamma(0.3, 1.0, (images, columns))} for name in sets}
    result = dif.measure_responses(arrays)
    values = np.concatenate([by_layer["x"] for by_layer in arrays.values()])
    return result.assign(
        filter_mean=(("image", "filter"), values),
        prediction=(("image", "class"), values / values.sum(axis=1, keepdims=True)),
    ).assign_coords(
        filter_layer=("filter", ["x"] * columns),
        filter_index=("filter", np.arange(columns)),
        class_name=("class", [f"a_very_$long$_class_name_{number}" for number in range(columns)]),
    )


def test_predictions() -> None:
    """The set's probabilities over their mean, over the SD of that; a row for each set, from 0 to 1."""
    result = explained()
    axes = dif.plot_predictions(result)
    assert axes.shape == (3,)
    for ax, name in zip(axes, SETS, strict=True):
        expected = whole("predictions", name)
        expected = expected / expected.mean()
        expected = expected / expected.std()
        np.testing.assert_allclose(shown(ax), expected, rtol=1e-5)
        assert limits(ax) == (0.0, 1.0)
        assert ax.get_title() == name
        assert ax.title.get_color() == set_colours(result)[name]
        assert ax.spines["top"].get_edgecolor() == to_rgba(set_colours(result)[name])
        assert tick_labels(ax) == [str(number) for number in range(10)]  # few classes are all named
        assert [label.get_text() for label in ax.get_yticklabels()] == ["0", str(len(expected) - 1)]
    require_readable(axes[0].figure)


def test_filters() -> None:
    """Exact z-scores; 0 to 1 for maps, -1 to 1 for layers without space; the strongest are named."""
    result = explained()
    axes = dif.plot_filters(result)
    assert axes.shape == (4, 3)
    for row, layer in zip(axes, LAYERS, strict=True):
        for ax, name in zip(row, SETS, strict=True):
            expected = z_scored_means(layer, name)
            np.testing.assert_allclose(shown(ax), expected, rtol=1e-4, atol=1e-5)
            assert limits(ax) == ((-1.0, 1.0) if layer == "predictions" else (0.0, 1.0))
            named = [int(label) for label in tick_labels(ax)]
            assert len(named) <= 4
            mean = expected.mean(axis=0)
            assert mean.max() < 1e-9 or int(mean.argmax()) in named  # that of a single filter is 0
            assert ax.spines["top"].get_edgecolor() == to_rgba(set_colours(result)[name])
    assert [ax.get_title() for ax in axes[0]] == list(SETS)
    assert [ax.title.get_color() for ax in axes[0]] == list(set_colours(result).values())
    assert [row[0].texts[0].get_text().split()[0] for row in axes] == list(LAYERS)
    assert len({ax.get_images()[0].get_cmap().name for ax in axes[[1, 3], 0]}) == 2
    require_readable(axes[0, 0].figure)


def test_layers_without_channels() -> None:
    """They are left out unless they are asked for; then the error names them, and the rest stays as it is."""
    result = partly_without_channels()
    axes = dif.plot_filters(result)
    assert [row[0].texts[0].get_text().split()[0] for row in axes] == ["input", "conv", "head"]
    given = outputs_of(mixed(), inputs())["conv"][:4]
    means = given.reshape(4, 4, -1).mean(axis=2)
    np.testing.assert_allclose(shown(axes[1, 0]), (means - given.mean()) / given.std(), rtol=1e-3, atol=1e-4)
    assert axes[1, 0].get_xlabel() == "channels (numbered: the highest means)"
    assert axes[2, 0].get_xlabel() == "units (numbered: the highest means)"
    with pytest.raises(
        dif.InputError, match="layer 'cut' has no means of channels: which axis of its output"
    ):
        dif.plot_filters(result, ["conv", "cut"])
    with pytest.raises(dif.InputError, match=r"no filter_mean; .* layers whose channels are known"):
        dif.plot_filters(without_channels())
    with pytest.raises(dif.InputError, match="no filter_mean"):
        dif.plot_filters(result.sel(layer=["cut"]))


def test_another_result_is_another_picture() -> None:
    """What was compared above follows the result: its means, its moments and its predictions."""
    result = explained()
    changed = result.copy(deep=True)
    changed["layer_sd"].loc[{"set": "digits", "layer": "block4_pool"}] *= 2
    changed["filter_mean"][0] += 1
    changed["prediction"][0] = 0.1
    before, after = (dif.plot_filters(given, "block4_pool")[0] for given in (result, changed))
    np.testing.assert_allclose(2 * shown(after[1]), shown(before[1]), rtol=1e-6)
    assert not np.allclose(shown(after[0])[0], shown(before[0])[0])
    np.testing.assert_allclose(shown(after[2]), shown(before[2]))
    first, second = (dif.plot_predictions(given)[0] for given in (result, changed))
    assert not np.allclose(shown(first), shown(second))


def test_no_column_is_lost() -> None:
    """Of 1,000 filters in few pixels the one that responds is seen in its place; the label says how."""
    result = wide_result(images=2)
    result["filter_mean"][:] = 0.0
    result["filter_mean"][0, 123] = 9.0
    axes = dif.plot_filters(result)
    values = shown(axes[0, 0])
    share = -(-1000 // values.shape[1])
    pixels = axes[0, 0].get_window_extent().width
    assert values.shape[1] <= pixels < 1000
    assert values[0].argmax() == 123 // share
    mean, sd = (float(result[name].sel(set="a", layer="x")) for name in ("layer_mean", "layer_sd"))
    group = (result["filter_mean"].values[0, 123 // share * share :][:share] - mean) / sd
    assert values[0].max() == pytest.approx(group.mean())
    left, right, *_ = axes[0, 0].get_images()[0].get_extent()
    assert (right - left) / values.shape[1] == share
    assert tick_labels(axes[0, 0]) == ["123"]
    assert axes[0, 0].get_xlim() == (-0.5, 999.5)
    assert f"{share} neighbours share a pixel" in axes[0, 0].get_xlabel()
    assert "share" not in dif.plot_filters(explained(), "input")[0, 0].get_xlabel()


def test_no_class_is_lost() -> None:
    """Of 1,000 classes the most probable of those that share a pixel is shown, not their mean."""
    result = wide_result(images=2)
    ax = dif.plot_predictions(result)[0]
    values = shown(ax)
    share = -(-1000 // values.shape[1])
    scaled = result["prediction"].values[:2] / result["prediction"].values[:2].mean()
    scaled = scaled / scaled.std()
    groups = [scaled[:, start : start + share] for start in range(0, 1000, share)]
    np.testing.assert_allclose(values, np.stack([group.max(axis=1) for group in groups], axis=1))
    assert share > 1
    assert "share a pixel, which shows the highest" in ax.get_xlabel()
    shares = result["prediction"].values[:2].mean(axis=0)
    named = [int(label.rpartition("_")[2]) for label in tick_labels(ax)]
    assert 1 <= len(named) <= 5
    assert int(shares.argmax()) in named


def test_many_images_share_pixels_too() -> None:
    """More images than pixels: the label says how many share one."""
    axes = dif.plot_filters(wide_result(images=400, columns=3))
    values = shown(axes[0, 0])
    assert len(values) < 200
    assert f"{-(-400 // len(values))} to a pixel" in axes[0, 0].get_ylabel()
    require_readable(axes[0, 0].figure)


def test_names_do_not_overlap() -> None:
    """Long names of neighbouring classes: only those that fit, shortened, as they are."""
    axes = dif.plot_predictions(wide_result())
    axes[0].figure.canvas.draw()
    for ax in axes:
        labels = ax.get_xticklabels()
        assert 2 <= len(labels) <= 5
        assert apart(labels)
        assert "$" in labels[0].get_text()
    require_readable(axes[0].figure)


def test_a_constant_layer_says_so() -> None:
    """No colours where there is no SD to scale by; the other sets are drawn."""
    result = explained().copy(deep=True)
    result["layer_sd"].loc[{"set": "digits", "layer": "input"}] = 0.0
    axes = dif.plot_filters(result, ["input"])
    assert not axes[0, 1].get_images()
    assert [text.get_text() for text in axes[0, 1].texts] == ["constant"]
    assert axes[0, 0].get_images()
    assert axes[0, 2].get_images()
    result["prediction"][:] = 0.1
    assert not any(ax.get_images() for ax in dif.plot_predictions(result))


@pytest.mark.parametrize("layer", LAYERS)
def test_distances(layer: str) -> None:
    """Euclidean distances over SD and root of units; the sets share their colours, from 0 to the largest."""
    axes = dif.plot_distances(explained(), layer)
    assert axes.shape == (1, 3)
    everything = []
    for ax, name in zip(axes[0], SETS, strict=True):
        values = whole(layer, name).reshape(len(whole(layer, name)), -1)
        values = values / values.std()
        differences = values[:, np.newaxis] - values[np.newaxis]
        expected = np.sqrt((differences**2).mean(axis=2))
        np.testing.assert_allclose(shown(ax), expected, rtol=1e-4, atol=1e-6)
        everything.append(expected.ravel())
        upper = expected[np.triu_indices(len(expected), k=1)]
        d = float(explained()["differentiation"].sel(set=name, layer=layer, draw=0).item())
        assert np.median(upper) == pytest.approx(d, rel=1e-4)
    assert {limits(ax) for ax in axes[0]} == {limits(axes[0, 0])}
    assert limits(axes[0, 0]) == pytest.approx((0.0, np.percentile(np.concatenate(everything), 99)), rel=1e-4)
    require_readable(axes[0, 0].figure)


def test_layers_share_the_colours_of_distances() -> None:
    """They can be compared, and one bar says so; in the unit of the responses each layer has its own."""
    rng = np.random.default_rng(0)
    arrays = {name: {f"L{n}": (n + 1) * rng.normal(size=(5, 9)) for n in range(4)} for name in ("a", "b")}
    axes = dif.plot_distances(dif.measure_responses(arrays))
    assert len({limits(ax) for ax in axes.flat}) == 1
    highest = [np.percentile([shown(ax) for ax in row], 99) for row in axes]
    assert limits(axes[0, 0]) == pytest.approx((0.0, max(highest)))
    assert max(highest) > 1.1 * min(highest)
    (bar,) = [bar for ax in axes.flat for bar in ax.child_axes]
    assert bar.get_ylabel() == "Euclidean distance / SD, all panels"
    require_readable(axes[0, 0].figure)
    raw = dif.plot_distances(dif.measure_responses(arrays, normalize="none"))
    for row in raw:
        assert {limits(ax) for ax in row} == {limits(row[0])}
        assert limits(row[0])[1] == pytest.approx(np.percentile([shown(ax) for ax in row], 99))
    assert [len(row[-1].child_axes) for row in raw] == [1, 1, 1, 1]


def test_labels_of_distances() -> None:
    """They say where another measure than the one shown was used."""
    arrays = {"a": {"x": np.random.default_rng(0).normal(size=(5, 9))}}

    def label(**options: str) -> str:
        ax = dif.plot_distances(dif.measure_responses(arrays, **options))[0, 0]  # type: ignore[arg-type]
        (bar,) = ax.child_axes
        return " ".join(bar.get_ylabel().split())

    assert label() == "Euclidean distance / SD"
    assert label(normalize="none") == "Euclidean distance per unit"
    assert label(metric="cosine", normalize="response") == "Euclidean distance / SD (not the measure used)"


@pytest.mark.parametrize(
    ("sets", "images"), [(1, 43), (2, 2), (6, 43), (12, 3)], ids=["one", "two", "six", "twelve"]
)
def test_pages_are_readable(sets: int, images: int) -> None:
    """One set and many, few images and many, long names: nothing is cut off, small or covered."""
    names = tuple(f"a set of images_with a long name {number}" for number in range(sets))
    result = wide_result(images=images, columns=60, sets=names)
    for draw in (dif.plot_predictions, dif.plot_filters, dif.plot_distances):
        axes = draw(result)
        figure = axes.flat[0].figure
        assert sets > 8 or figure.get_figwidth() <= 7.21
        assert figure.get_figheight() <= 9.71
        require_readable(figure)


@pytest.mark.parametrize(("sets", "millimetres", "wide"), [(3, 85, 85), (3, 51, 60.2), (12, 85, 144.8)])
def test_the_width_of_a_column(sets: int, millimetres: float, wide: float) -> None:
    """It is kept where panels are 6 mm wide or more; nothing is cut off, also what is said of pixels."""
    names = tuple(f"a set number {number}" for number in range(sets))
    result = wide_result(images=50, columns=900, sets=names)
    for draw in (dif.plot_predictions, dif.plot_filters, dif.plot_distances):
        figure = Figure(figsize=(millimetres / 25.4, 1.0), dpi=150)
        axes = draw(result, axes=figure)
        expected = millimetres if draw is dif.plot_predictions else wide
        assert 25.4 * figure.get_figwidth() == pytest.approx(expected, abs=0.1)
        assert 25.4 * min(ax.get_position().width for ax in axes.flat) * figure.get_figwidth() > 6.3
        assert draw is dif.plot_distances or expected > 100 or "\n" in axes.flat[0].get_xlabel()
        require_readable(figure)


def test_long_names_of_layers_are_readable() -> None:
    """Shortened to what fits beside one small panel; the longest label of a colour bar fits too."""
    arrays = {"a": {"layer_" + "x" * 80: np.random.default_rng(0).normal(size=(5, 9))}}
    result = dif.measure_responses(arrays, normalize="response", metric="correlation")
    axes = dif.plot_distances(result)
    require_readable(axes[0, 0].figure)
    assert axes[0, 0].texts[0].get_text().startswith("layer_xx")


def test_the_check_of_readability_can_fail() -> None:
    """A text over another, a small one, and one that is cut off are found."""
    for place, size in ((0.5, 8), (1.2, 8), (0.1, 4)):
        figure = plt.figure()
        figure.text(0.5, 0.5, "some text")
        require_readable(figure)
        figure.text(place, 0.5, "other text", fontsize=size)
        with pytest.raises(AssertionError):
            require_readable(figure)


def test_users_axes_and_layers() -> None:
    """Drawn into what was given, in the order of the layers that were asked for."""
    result = explained()
    figure = Figure()
    given = figure.subplots(2, 3)
    axes = dif.plot_filters(result, ["predictions", "input"], axes=given)
    assert axes.tolist() == given.tolist()
    assert plt.get_fignums() == []
    assert [row[0].texts[0].get_text().split()[0] for row in axes] == ["predictions", "input"]
    with pytest.raises(dif.InputError, match=r"shape \(2, 3\); expected \(3, 1\): plt.subplots\(3, 1\)"):
        dif.plot_predictions(result, axes=given)
    with pytest.raises(dif.InputError, match="unknown layer 'block1'"):
        dif.plot_filters(result, "block1")
    with pytest.raises(dif.InputError, match="no layer was asked for"):
        dif.plot_distances(result, [])


@pytest.mark.parametrize(
    ("draw", "without", "message"),
    [
        ("plot_predictions", "prediction", "no prediction; measure a classifier, with views=True"),
        ("plot_filters", "filter_mean", "no filter_mean; measure at most 2,000 images, with views=True"),
        ("plot_filters", "layer_sd", "no layer_sd; measure with views=True"),
        ("plot_distances", "distance", "no distance; measure at most 2,000 images"),
    ],
)
def test_what_is_missing_is_said(draw: str, without: str, message: str) -> None:
    """And how to get it."""
    with pytest.raises(dif.InputError, match=message):
        getattr(dif, draw)(explained().drop_vars(without))
    with pytest.raises(dif.InputError, match="dict; expected the Dataset"):
        getattr(dif, draw)({})


def test_a_few_of_many_sets() -> None:
    """A dozen, evenly spread, and the reference, as the figure says; those that are named; each its own."""
    result = of_sets(14, layers=2)
    panels = dif.plot_distances(result)
    assert panels.shape == (2, 13)
    assert [text.get_text() for text in panels[0, 0].figure.texts] == ["13 of 14 sets; sets= chooses others"]
    (chosen,) = dif.plot_distances(result, "layer 1", sets=["set 9", "set 3"])
    assert [ax.get_title() for ax in chosen] == ["set 3", "set 9"]
    rows = np.flatnonzero(result["image_set"].values == "set 9")
    expected = result["distance"].sel(layer="layer 1").values[np.ix_(rows, rows)]
    shown = np.asarray(chosen[1].images[0].get_array())
    assert np.corrcoef(shown.ravel(), expected.ravel())[0, 1] > 0.999999
    other = np.asarray(chosen[0].images[0].get_array())
    assert np.corrcoef(other.ravel(), expected.ravel())[0, 1] < 0.999
    whole = dif.plot_distances(of_sets(3, layers=1))
    assert whole.shape == (1, 3)
    assert whole[0, 0].figure.texts == []
    with pytest.raises(dif.InputError, match="set 77"):
        dif.plot_distances(result, sets="set 77")
