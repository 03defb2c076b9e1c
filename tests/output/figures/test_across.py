"""Several networks, animals or sessions as a picture, read back from the axes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from helpers.figures import bands_of, legend_entries, require_readable
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

import differentia as dif
from differentia.output.colours import set_colours
from differentia.output.figures.across import STRENGTH, THICK, THIN

SETS = ("noise", "cats")


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def summarised(
    n: int = 5, layers: tuple[str, ...] = ("input", "conv", "dense"), *, groups: tuple[str, ...] = ("all",)
) -> xr.Dataset:
    """Return a summary of `n` networks, made up, which take turns in the groups."""
    rng = np.random.default_rng(0)
    shape = (n, len(SETS), len(layers))
    value = rng.gamma(8.0, 0.1, shape)
    of_result = np.array([groups[place % len(groups)] for place in range(n)])
    parts = [value[of_result == group] for group in groups]
    mean, sd = (np.array([getattr(part, kind)(axis=0) for part in parts]) for kind in ("mean", "std"))
    by_group = {
        "mean": mean,
        "sd": sd,
        "low": mean - sd,
        "high": mean + sd,
        "n_results": np.full_like(mean, n),
    }
    return xr.Dataset(
        {"value": (("result", "set", "layer"), value)}
        | {name: (("group", "set", "layer"), array) for name, array in by_group.items()},
        coords={
            "result": [f"seed {seed}" for seed in range(n)],
            "result_group": ("result", of_result),
            "group": list(groups),
            "set": list(SETS),
            "layer": list(layers),
        },
        attrs={
            "measure": "differentiation",
            "confidence": 0.95,
            "method": "t",
            "reference": "noise",
            "normalize": "layer",
            "metric": "euclidean",
        },
    )


def lines_of(ax: Axes, width: float) -> dict[str, list[Line2D]]:
    """Return the lines of one width by colour."""
    found: dict[str, list[Line2D]] = {}
    for line in ax.get_lines():
        if line.get_linewidth() == width:
            found.setdefault(to_hex(line.get_color()).upper(), []).append(line)
    return found


def test_each_result_and_the_mean() -> None:
    """Thin lines are results, thick ones means; sets have the colours that they have elsewhere."""
    found = summarised()
    ax = dif.plot_across(found)
    colours = set_colours(found)
    assert colours["noise"] != colours["cats"]
    thin, thick = lines_of(ax, THIN), lines_of(ax, THICK)
    for name in SETS:
        each = np.array([line.get_ydata() for line in thin[colours[name]]])
        np.testing.assert_array_equal(each, found["value"].sel(set=name))
        (mean,) = thick[colours[name]]
        np.testing.assert_array_equal(np.asarray(mean.get_ydata()), found["mean"].sel(set=name, group="all"))
        band = bands_of(ax)[colours[name].lower()]
        limits = [found[end].sel(set=name, group="all") for end in ("low", "high")]
        np.testing.assert_allclose(band, np.stack(limits, axis=1))
        assert thin[colours[name]][0].get_alpha() == STRENGTH
    assert legend_entries(ax) == [
        *("noise", "cats", "", "one result", "mean of 5", "", "95 %: mean of all"),
    ]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["input", "conv", "dense"]
    assert ax.get_ylabel() == "Differentiation"
    assert ax.get_ylim()[0] < 0 < float(found["value"].max()) < ax.get_ylim()[1]
    require_readable(ax.figure)


def test_groups_differ_in_their_lines() -> None:
    """Each group has its style, which its results share; a selection leaves the others out."""
    found = summarised(7, groups=("VGG", "ResNet $1"))
    ax = dif.plot_across(found)
    colour = set_colours(found)["cats"]
    first, second = lines_of(ax, THICK)[colour]
    assert first.get_linestyle() != second.get_linestyle()
    thin = [line.get_linestyle() for line in lines_of(ax, THIN)[colour]]
    assert thin == [first.get_linestyle()] * 4 + [second.get_linestyle()] * 3
    assert legend_entries(ax)[2:] == [
        *("", "VGG (4)", "ResNet \\$1 (3)", "", "one result", "mean of each group", "", "95 %: mean of all"),
    ]
    require_readable(ax.figure)
    alone = dif.plot_across(found.sel(group=["VGG"], set=["cats"]))
    assert len(lines_of(alone, THICK)) == 1
    assert len(lines_of(alone, THIN)[colour]) == 4
    assert "mean of 4" in legend_entries(alone)


def test_recordings() -> None:
    """They are called so, in the place of results."""
    ax = dif.plot_across(summarised().assign_attrs(recorded=1))
    assert "one recording" in legend_entries(ax)


def test_relative_values() -> None:
    """The axis says to what."""
    ax = dif.plot_across(summarised().assign_attrs(measure="relative"))
    assert ax.get_ylabel() == "Differentiation / noise"
    unit = summarised().assign_attrs(normalize="none")
    assert dif.plot_across(unit).get_ylabel() == "Differentiation\n(unit of the responses)"


def test_unknown_values_and_wide_intervals() -> None:
    """Where nothing is known nothing is drawn; a band far above all values is cut off."""
    found = summarised()
    nothing = found.copy(data={name: np.full_like(array, np.nan) for name, array in found.items()})
    ax = dif.plot_across(nothing)
    assert not bands_of(ax)
    assert "95 %: mean of all" not in legend_entries(ax)
    wide = found.assign(high=found["high"] + 100)
    assert dif.plot_across(wide).get_ylim()[1] == pytest.approx(2 * float(found["value"].max()))


def test_one_layer_and_long_names() -> None:
    """A layer alone has points and boxes; long names are wrapped, not cut off."""
    one = dif.plot_across(summarised(layers=("V1",)))
    boxes = bands_of(one, whole=True)
    assert all(box[0, 0] < box[0, 1] for box in boxes.values())
    assert {line.get_marker() for line in lines_of(one, THIN)["#7A7A7A"]} == {"."}
    require_readable(one.figure)
    names = tuple(f"a_group_of_a_long_name_{n}" for n in range(3))
    require_readable(dif.plot_across(summarised(6, groups=names)).figure)


def test_given_axes_files_and_errors(tmp_path: Path) -> None:
    """A user's axes and figure are used; a figure is saved; what is no summary is refused."""
    found = summarised()
    ax = Figure().add_subplot()
    assert dif.plot_across(found, ax) is ax
    figure = Figure()
    dif.plot_across(found, figure)
    figure.savefig(tmp_path / "across.png")
    with Image.open(tmp_path / "across.png") as image:
        assert len(np.unique(np.asarray(image.convert("RGB")).reshape(-1, 3), axis=0)) > 50
    assert plt.get_fignums() == []
    with pytest.raises(dif.InputError, match=r"this Dataset is not what across\(results\) returned"):
        dif.plot_across(found.drop_vars("mean"))
