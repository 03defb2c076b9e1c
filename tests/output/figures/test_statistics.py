"""What distances say beside their median as pictures, read back from the axes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.figures import bands_of, legend_entries, of_network, require_readable
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

import differentia as dif
from differentia.output.colours import set_colours
from differentia.output.figures.contrasts import COLOUR
from differentia.output.figures.statistics import UNBIASED_STYLE


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def measured(n: int = 12, shift: float = 0.6) -> xr.Dataset:
    """Return a result of three sets in three layers, in the last of which two lie apart."""
    rng = np.random.default_rng(1)
    sets = {
        name: {
            layer: rng.normal(size=(n, 30)) + (shift if (layer, name) == ("last", "b") else 0.0)
            for layer in ("input", "conv", "last")
        }
        for name in ("a", "b", "rest")
    }
    return of_network(dif.measure_responses(sets, reference="rest"))


def test_dimensionality_of_each_set() -> None:
    """Of the images at hand, and without bias; a line at the most that there can be; by logarithm."""
    result = measured()
    found = dif.statistics(result)
    ax = dif.plot_dimensionality(found)
    for name, colour in set_colours(result).items():
        lines = [line for line in ax.get_lines() if line.get_label() == name]
        assert {to_hex(line.get_color()).upper() for line in lines} == {colour.upper()}
        plain, unbiased = lines
        np.testing.assert_array_equal(plain.get_ydata(), found["dimensionality"].sel(set=name))
        np.testing.assert_array_equal(unbiased.get_ydata(), found["dimensionality_unbiased"].sel(set=name))
        assert unbiased.get_linestyle() == "--"
    (most,) = [line for line in ax.get_lines() if line.get_linestyle() == ":"]
    np.testing.assert_array_equal(most.get_ydata(), [11, 11])
    assert ax.get_yscale() == "log"
    assert [entry for entry in legend_entries(ax) if entry] == [
        *("a", "b", "rest"),
        *("images at hand", "all images of the kind", "most for so many images"),
    ]
    assert UNBIASED_STYLE != "-"
    require_readable(ax.figure)


def test_between_two_sets() -> None:
    """The lines are the numbers; marks are filled where sets are not of one kind; the band is the limits."""
    result = measured()
    found = dif.statistics(result)
    ax = dif.plot_between(found, "b", "a")
    pair = found.isel(pair=0)
    lines = {line.get_label(): np.asarray(line.get_ydata()) for line in ax.get_lines()}
    for name, which in (("a", "within_first"), ("b", "within_second"), ("between", "between")):
        np.testing.assert_array_equal(lines[name], pair[which])
    different = (pair["p_corrected"] < 0.05).values
    assert different.tolist() == [False, False, True]
    for marks, where in zip(ax.collections[-2:], (different, ~different), strict=True):
        np.testing.assert_allclose(np.array(marks.get_offsets())[:, 0], np.flatnonzero(where))
    ((colour, band),) = bands_of(ax).items()
    assert colour.upper() == COLOUR
    reach = [pair["between"] - pair["excess"] + pair[f"excess_{end}"] for end in ("low", "high")]
    np.testing.assert_allclose(band, np.transpose(reach))
    assert "95 %: other images" in legend_entries(ax)
    assert ax.get_title(loc="left") == "a and b"
    assert ax.get_ylim()[0] == 0
    require_readable(ax.figure)


def test_files(tmp_path: Path) -> None:
    """Both are saved where images are enough; fewer images, and many sets, have none."""
    both = {"dimensionality.png", "between.png"}
    assert both <= {path.name for path in dif.save_figures(measured(), tmp_path)}
    dif.save_figures(measured(n=9), tmp_path)
    assert not both & {path.name for path in tmp_path.iterdir()}


def test_recordings_have_no_lines() -> None:
    """Populations have no order; texts name stimuli."""
    result = measured().assign_coords(layer_kind=("layer", ["Recorded"] * 3))
    found = dif.statistics(result)
    for ax in (dif.plot_dimensionality(found), dif.plot_between(found, "a", "b", Figure(figsize=(5, 3)))):
        lines = [line for line in ax.get_lines() if line.get_label() in ("a", "b", "between")]
        assert {line.get_linestyle() for line in lines} == {"None"}
        assert any("stimuli" in entry for entry in legend_entries(ax))


def test_what_can_not_be_drawn() -> None:
    """What is no statistics, sets that are not there, and what is not known."""
    result = measured()
    found = dif.statistics(result)
    with pytest.raises(dif.InputError, match="is not what statistics"):
        dif.plot_dimensionality(result)
    with pytest.raises(dif.InputError, match="unknown set 'c'"):
        dif.plot_between(found, "a", "c")
    with pytest.raises(dif.InputError, match="both sets are 'a'"):
        dif.plot_between(found, "a", "a")
    with pytest.warns(dif.DifferentiaWarning):
        unknown = dif.statistics(result.drop_vars("distance"))
    with pytest.raises(dif.InputError, match=r"no dimensionality to draw\. The statistics are not computed"):
        dif.plot_dimensionality(unknown)
    with pytest.raises(dif.InputError, match="no distances between these sets are known"):
        dif.plot_between(unknown, "a", "b")
