"""Windows over time as a picture, read back from the axes."""

from __future__ import annotations

from collections.abc import Iterator

import matplotlib.pyplot as plt
import numpy as np
import pytest
from helpers.figures import legend_entries, require_readable
from helpers.windowed import windowed
from matplotlib.figure import Figure

import differentia as dif
from differentia.output.colours import REFERENCE_COLOUR, set_colours
from differentia.results.time_courses import time_courses

TRIALS = {"natural": [0.0, 20.0, 40.0], "scrambled": [10.0, 30.0, 50.0], "rest": [100.0]}
LASTING = {"natural": 6.0, "scrambled": 6.0, "rest": 12.0}


@pytest.fixture(autouse=True)
def _close_figures() -> Iterator[None]:
    yield
    plt.close("all")


def test_a_panel_for_each_area() -> None:
    """Lines are the courses, bands their errors, in the colours that sets have everywhere."""
    result = windowed(TRIALS, LASTING, reference="rest")
    found, colours = time_courses(result), set_colours(result)
    panels = dif.plot_time_courses(result)
    assert [ax.get_title(loc="left") for ax in panels] == ["VISp", "VISl"]
    for at, ax in enumerate(panels):
        lines = {line.get_label(): line for line in ax.get_lines()}
        assert [*lines] == [*TRIALS]
        for name, line in lines.items():
            np.testing.assert_allclose(line.get_ydata(), found.of_sets[name].values[:, at])
            np.testing.assert_allclose(line.get_xdata(), found.of_sets[name].times)
            assert line.get_color() == colours[name]
        assert (lines["rest"].get_color(), lines["rest"].get_linestyle()) == (REFERENCE_COLOUR.figure, "--")
        assert len(ax.collections) == 2
        assert ax.get_ylim()[0] == 0
    course = found.of_sets["natural"]
    (path,) = panels[1].collections[0].get_paths()
    assert path.vertices[:, 1].max() == pytest.approx((course.values + course.error)[:, 1].max())
    assert panels[-1].get_xlabel() == "Seconds after the onset of a trial"
    entries = legend_entries(panels[0].figure)
    assert {"natural", "scrambled", "rest, mean", "\N{PLUS-MINUS SIGN} 1 SE over trials"} <= {*entries}


def test_through_the_recording() -> None:
    """Without trials that repeat there is no mean and no band."""
    result = windowed({"a": [0.0], "b": [100.0]}, {"a": 8.0, "b": 8.0}, ("VISp",))
    (ax,) = dif.plot_time_courses(result, sets="b")
    (line,) = ax.get_lines()
    assert line.get_xdata()[0] == 101.0
    assert not ax.collections
    assert ax.get_xlabel() == "Seconds of the recording"
    assert "SE" not in " ".join(legend_entries(ax.figure))


@pytest.mark.parametrize(("n_areas", "millimetres"), [(1, None), (3, 85), (10, 180)])
def test_readable(n_areas: int, millimetres: float | None) -> None:
    """With one area and with ten, and as wide as a journal's column."""
    figure = Figure() if millimetres is None else Figure(figsize=(millimetres / 25.4, 1.0))
    areas = [f"area {at}" for at in range(n_areas)]
    panels = dif.plot_time_courses(windowed(TRIALS, LASTING, areas, reference="rest"), figure)
    assert len(panels) == n_areas
    require_readable(figure)


def test_axes_of_the_user() -> None:
    """As many as there are areas; an unknown set is named."""
    result = windowed(TRIALS, LASTING)
    axes = plt.subplots(2, 1)[1]
    assert dif.plot_time_courses(result, axes)[1] is axes[1]
    with pytest.raises(dif.InputError, match="axes= holds 1 axes; expected 2, one for each area: VISp, VISl"):
        dif.plot_time_courses(result, plt.subplots()[1])
    with pytest.raises(dif.InputError, match="unknown set 'naturl'"):
        dif.plot_time_courses(result, sets="naturl")
