"""Where two sets differ: the panel of a pair, and marks above the curves, read back from the axes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.figures import (
    bands_of,
    bars_of,
    legend_entries,
    of_network,
    require_readable,
    require_still,
    texts,
)
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

import differentia as dif
from differentia.output.colours import set_colours
from differentia.output.figures.contrasts import plot_contrast
from differentia.results.contrasts import contrasts_between_sets

RNG = np.random.default_rng(0)
LAYERS = ("input", "conv", "pool", "dense")
DIFFERENT = "corrected p < 0.05"


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def neurons(
    names: tuple[str, ...] = ("noise", "cats", "dogs"), layers: tuple[str, ...] = LAYERS
) -> xr.Dataset:
    arrays = {
        name: {layer: RNG.gamma(1 + place, 1.0, (12, 40)) for layer in layers}
        for place, name in enumerate(names)
    }
    return of_network(dif.measure_responses(arrays, n_units=(10, 30), draws=3, reference=names[0]))


def contrast(
    p: tuple[float, ...] = (0.2, 0.01, 0.05, 0.049), first: str = "cats", second: str = "dogs", **changed: Any
) -> xr.Dataset:
    """Return numbers of which every one is known, as `dif.contrast` returns them."""
    steps = np.arange(1.0, len(p) + 1)
    values = {
        "difference": 0.1 * steps - 0.25,
        "difference_low": 0.1 * steps - 0.35,
        "difference_high": 0.1 * steps - 0.05,
        "ratio": 0.5 * steps,
        "ratio_low": 0.4 * steps,
        "ratio_high": 0.7 * steps,
        "difference_low_simultaneous": 0.1 * steps - 0.45,
        "difference_high_simultaneous": 0.1 * steps + 0.15,
        "ratio_low_simultaneous": 0.3 * steps,
        "ratio_high_simultaneous": 0.9 * steps,
        "statistic": steps,
        "p": np.array(p) / 2,
        "p_corrected": np.array(p),
    } | changed
    return xr.Dataset(
        {name: ("layer", array) for name, array in values.items()},
        coords={"layer": list(LAYERS[: len(p)])},
        attrs={
            "first": first,
            "second": second,
            "n_units": 30,
            "units": "random",
            "confidence": 0.95,
            "paired": 0,
            "corrected_over": "layers",
            "n_tests": len(p),
        },
    )


def above(ax: Axes) -> list[Line2D]:
    """Return the lines and marks that stand above the axes."""
    return [line for line in ax.get_lines() if not line.get_clip_on()]


def rows_of(ax: Axes) -> dict[str, tuple[list[int], list[int]]]:
    """Return, by the text beside it, over which layers a row has its line and at which a mark."""
    ax.figure.canvas.draw()
    middles = {text.get_text(): text.get_window_extent().get_points()[:, 1].mean() for text in ax.texts}
    rows: dict[str, tuple[list[int], list[int]]] = {label: ([], []) for label in middles}
    for artist in above(ax):
        points = np.asarray(artist.get_xydata())
        if len(points):
            height = artist.get_transform().transform(points[:1])[0, 1]
            assert height > ax.get_window_extent().y1
            (label,) = [text for text, middle in middles.items() if abs(middle - height) < 2]
            is_mark = artist.get_marker() == "D"
            x = points[:, 0] if is_mark else points[::3, 0] + 0.5
            rows[label][is_mark].extend(x.astype(int).tolist())
    return rows


@pytest.mark.parametrize("kind", ["plot", "plot_relative"])
def test_marks_stand_where_sets_differ(kind: str) -> None:
    """Below 0.05, not at it; a thin line over what was tested. The order is the one given."""
    given = [contrast(), contrast((0.04, np.nan, 0.9, 0.3), "noise", "cats")]
    ax = getattr(dif, kind)(neurons(), contrasts=given)
    assert rows_of(ax) == {"cats vs dogs": ([0, 1, 2, 3], [1, 3]), "noise vs cats": ([0, 2, 3], [0])}
    assert [text.get_text() for text in ax.texts] == ["noise vs cats", "cats vs dogs"]
    heights = [text.get_window_extent().y0 for text in ax.texts]
    assert heights[0] < heights[1]
    assert legend_entries(ax)[-1] == DIFFERENT
    require_readable(ax.figure)


def test_no_contrast_no_mark() -> None:
    """Nothing stands above the axes, and the legend does not speak of it."""
    ax = dif.plot(neurons())
    assert rows_of(ax) == {}
    assert DIFFERENT not in legend_entries(ax)
    none_differ = dif.plot(neurons(), contrasts=[contrast((0.5, 0.5, 0.5, 1.0))])
    assert rows_of(none_differ) == {"cats vs dogs": ([0, 1, 2, 3], [])}
    require_still(none_differ.figure)


def test_layers_are_matched_by_name() -> None:
    """A contrast may have them in another order, and fewer."""
    given = contrast().isel(layer=[3, 1, 0])
    assert rows_of(dif.plot(neurons(), contrasts=[given])) == {"cats vs dogs": ([0, 1, 3], [1, 3])}
    result = neurons().isel(layer=[3, 2, 1, 0])
    assert rows_of(dif.plot(result, contrasts=[contrast()])) == {"cats vs dogs": ([0, 1, 2, 3], [0, 2])}


def test_marks_have_the_colours_of_both_sets() -> None:
    """The first set's on the left."""
    result = neurons()
    ax = dif.plot(result, contrasts=[contrast()])
    (mark,) = [artist for artist in above(ax) if artist.get_marker() == "D"]
    colours = set_colours(result)
    assert (
        mark.get_fillstyle(),
        to_hex(mark.get_markerfacecolor()),
        to_hex(mark.get_markerfacecoloralt()),
    ) == (
        "left",
        to_hex(colours["cats"]),
        to_hex(colours["dogs"]),
    )


def test_real_contrasts() -> None:
    """What `contrasts_between_sets` returns is marked where its numbers say so."""
    common = RNG.normal(size=(4, 40))
    arrays = {
        name: {layer: scale * common[place] + RNG.normal(size=(12, 40)) for place, layer in enumerate(LAYERS)}
        for name, scale in {"noise": 0.0, "cats": 0.0, "dogs": 2.0}.items()
    }
    for of_set in arrays.values():
        of_set["pool"] = RNG.normal(size=(12, 40))
    result = dif.measure_responses(arrays, reference="noise")
    given = contrasts_between_sets(result)
    (found,) = given
    assert rows_of(dif.plot(result, contrasts=given)) == {"cats vs dogs": ([0, 1, 2, 3], [0, 1, 3])}
    plot_contrast(found)


def test_curves_stay_as_they_are() -> None:
    """Marks above the axes do not move the limits of the axes."""
    result = neurons()
    plain, marked = dif.plot(result), dif.plot(result, contrasts=[contrast()] * 3)
    assert plain.get_ylim() == marked.get_ylim()
    assert plain.get_xlim() == marked.get_xlim()
    assert len(above(marked)) == 6
    assert not above(plain)


def test_six_rows_and_long_names_are_readable() -> None:
    """Rows do not touch each other, and long names are shortened, not cut off."""
    names = ("noise", *(f"set {n} of a long name, indeed $a_long_one" for n in range(4)))
    given = [contrast(first=names[1 + n % 4], second=names[1 + (n + 1) % 4]) for n in range(6)]
    ax = dif.plot(neurons(names), contrasts=given)
    require_readable(ax.figure)
    assert ax.get_window_extent().height > 0.3 * ax.figure.bbox.height
    assert ax.figure.bbox.width <= 7.2 * ax.figure.dpi
    assert "\N{HORIZONTAL ELLIPSIS}" in ax.texts[0].get_text()


def test_contrasts_that_are_not_of_the_result() -> None:
    """The error names the pair and what the result has, and says what to do."""
    result = neurons()
    for draw in (dif.plot, dif.plot_relative):
        with pytest.raises(
            dif.InputError,
            match=r"contrast of 'cats' and 'cows' has the set 'cows', which the result does not have "
            r"\(noise, cats, dogs\); compare the sets of this result: contrast\(result, first, second\)",
        ):
            draw(result, contrasts=[contrast(), contrast(second="cows")])
        with pytest.raises(dif.InputError, match="has the layer 'input', which the result does not have"):
            draw(result.isel(layer=[1, 2, 3]), contrasts=[contrast()])
        with pytest.raises(dif.InputError, match="7 contrasts; at most 6 have room: choose among them"):
            draw(result, contrasts=[contrast()] * 7)
        with pytest.raises(
            dif.InputError, match=r"one Dataset; expected a list of them: contrasts=\[contrast"
        ):
            draw(result, contrasts=contrast())  # type: ignore[arg-type]
        with pytest.raises(
            dif.InputError, match=r"this Dataset is not a contrast; expected what contrast\(.*\) returned"
        ):
            draw(result, contrasts=[result])
        with pytest.raises(dif.InputError, match="this str is not a contrast"):
            draw(result, contrasts=["cats"])  # type: ignore[list-item]
        with pytest.raises(dif.InputError, match="of 7 units; the result's largest number of units is 30"):
            draw(result, contrasts=[contrast().assign_attrs(n_units=7)])
        with pytest.raises(dif.InputError, match="of 'top' units; the results are of random"):
            draw(result, contrasts=[contrast().assign_attrs(units="top")])


@pytest.mark.parametrize(
    ("what", "equal", "sign"), [("difference", 0.0, "\N{MINUS SIGN}"), ("ratio", 1.0, "/")]
)
def test_panel_of_a_pair(what: str, equal: float, sign: str) -> None:
    """Values, their interval, a line where sets do not differ, marks filled where they do, else open."""
    given = contrast((0.2, 0.01, np.nan, 0.05)).assign_attrs(n_units=12_000)
    ax = plot_contrast(given, what=what)
    guide, line = ax.get_lines()
    assert list(np.asarray(guide.get_ydata())) == [equal, equal]
    np.testing.assert_allclose(np.asarray(line.get_ydata()), given[what])
    ((band),) = bands_of(ax).values()
    np.testing.assert_allclose(band, np.stack([given[f"{what}_low"], given[f"{what}_high"]], axis=1))
    ((_, lines),) = bars_of(ax)
    together = [given[f"{what}_{end}_simultaneous"] for end in ("low", "high")]
    np.testing.assert_allclose(lines[:, :, 1], np.stack(together, axis=1))
    filled, opened = ax.collections[-2:]
    value = given[what].values
    np.testing.assert_allclose(np.asarray(filled.get_offsets()), [[1, value[1]]])
    np.testing.assert_allclose(np.asarray(opened.get_offsets()), [[0, value[0]], [3, value[3]]])
    assert to_hex(np.asarray(opened.get_facecolor())[0]) == "#ffffff"
    assert to_hex(np.asarray(filled.get_facecolor())[0]) != "#ffffff"
    assert ax.get_title(loc="left") == f"cats {sign} dogs"
    assert ax.get_ylabel() == f"Differentiation,\ncats {sign} dogs"
    assert [label.get_text() for label in ax.get_xticklabels()] == list(LAYERS)
    assert legend_entries(ax) == [
        "95 %: other images",
        "95 %: all 4 layers together",
        DIFFERENT,
        "corrected p \N{GREATER-THAN OR EQUAL TO} 0.05",
        "with 12,000 units",
    ]
    require_readable(ax.figure)


def test_panel_of_unknown_and_of_one() -> None:
    """NaN leaves gaps; one layer has a mark and a box; units that are not counted are not in the legend."""
    unknown = np.full(4, np.nan)
    everything: dict[str, Any] = {
        f"{what}{limit}": unknown
        for what in ("difference", "ratio")
        for limit in ("", "_low", "_high", "_low_simultaneous", "_high_simultaneous")
    }
    ax = plot_contrast(contrast((np.nan,) * 4, **everything))
    assert not bands_of(ax)
    assert not any(len(np.asarray(marks.get_offsets())) for marks in ax.collections)
    one = plot_contrast(contrast((0.01,)).assign_attrs(units="all", n_units=12_000))
    ((x_low, x_high, lowest, highest),) = next(iter(bands_of(one, whole=True).values()))
    assert x_low < x_high
    assert (lowest, highest) == pytest.approx((-0.25, 0.05))
    assert "with 12,000 units" not in legend_entries(one)
    sketch = plot_contrast(contrast((0.01,)).assign_attrs(units="sketch", n_units=12_000))
    assert "with 12,000 sums" in legend_entries(sketch)
    assert not [entry for entry in legend_entries(sketch) if "together" in entry]
    require_readable(one.figure)


def test_what_p_is_corrected_for() -> None:
    """The number of layers, or of layers and pairs, and whether images are paired, is said."""
    of_pairs = contrast().assign_attrs(corrected_over="layers and pairs of sets", n_tests=1200, paired=1)
    ax = plot_contrast(of_pairs)
    assert "95 %: all 1,200 layers and\npairs of sets together" in legend_entries(ax)
    assert "images are paired" in legend_entries(ax)
    assert "images are paired" not in legend_entries(plot_contrast(contrast()))
    require_readable(ax.figure)


def test_limits_without_end_are_not_drawn() -> None:
    """A ratio of what may be nothing has no upper limit; the others keep theirs."""
    steps = np.arange(1.0, 5.0)
    endless = np.array([np.inf, 2.0, 3.0, 4.0])
    ax = plot_contrast(
        contrast(ratio_high_simultaneous=endless, ratio_low_simultaneous=0.3 * steps), what="ratio"
    )
    ((_, lines),) = bars_of(ax)
    assert len(lines) == 3
    require_readable(ax.figure)


def test_ratios_are_as_far_from_one_as_their_inverses() -> None:
    """Their axis is logarithmic, with plain numbers; that of differences is not."""
    assert plot_contrast(contrast()).get_yscale() == "linear"
    for spread, expected in ((1.2, {"1", "0.9"}), (4.0, {"0.5", "1", "2"}), (1000.0, {"1", "0.01", "1000"})):
        ratios = {
            f"ratio{limit}": np.array([1 / spread, 1.0, 1.0, spread])
            for limit in ("", "_low", "_high", "_low_simultaneous", "_high_simultaneous")
        }
        options: dict[str, Any] = ratios
        ax = plot_contrast(contrast(**options), what="ratio")
        ax.figure.canvas.draw()
        low, high = ax.get_ylim()
        assert low * high == pytest.approx(1.0)
        assert expected <= {label.get_text() for label in ax.get_yticklabels()}
        require_readable(ax.figure)


def test_panel_in_given_axes_and_errors() -> None:
    """A user's axes are used; what is no contrast, and an unknown quantity, are refused."""
    ax = Figure().add_subplot()
    assert plot_contrast(contrast(), ax) is ax
    assert plt.get_fignums() == []
    with pytest.raises(dif.InputError, match=r"unknown what 'ratios'\. Did you mean 'ratio'"):
        plot_contrast(contrast(), what="ratios")
    with pytest.raises(dif.InputError, match="this Dataset is not a contrast"):
        plot_contrast(contrast().drop_vars("ratio_low"))
    with pytest.raises(dif.InputError, match="this Dataset is not a contrast"):
        plot_contrast(neurons())
    with pytest.raises(dif.InputError, match="this NoneType is not a contrast"):
        plot_contrast(None)  # type: ignore[arg-type]


def test_long_names_in_a_panel() -> None:
    """The title is shortened; nothing is outside of the picture."""
    ax = plot_contrast(contrast(first="$ " + "word " * 30, second="x" * 90))
    require_readable(ax.figure)
    pairs = [text.get_text() for text in texts(ax.figure) if "xx" in text.get_text()]
    assert len(pairs) == 2  # above the axes, and at the y axis
    assert all("\N{MINUS SIGN}" in pair and "word" in pair and len(pair) < 80 for pair in pairs)
