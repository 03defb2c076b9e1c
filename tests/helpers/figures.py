"""What the tests of the pictures share: a result of which every unit is known, and what a picture shows."""

from __future__ import annotations

import functools
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection, PolyCollection
from matplotlib.colors import to_hex
from matplotlib.path import Path
from matplotlib.text import Text

import differentia as dif

LAYERS = ("input", "block1_relu1", "block4_pool", "predictions")
MAPS = {"block1_relu1": [3, 5], "block4_pool": [7]}


@functools.cache
def recorded() -> dif.Responses:
    """Return every unit of four layers of the embedded network, and what explains the measure."""
    rng = np.random.default_rng(0)
    sets = {
        "noise": "noise:6",
        "digits": "digits:5",
        "dim_digits": dif.images((rng.integers(0, 90, (4, 32, 32, 1))).astype(np.uint8)),
    }
    return dif.record(
        "digits", sets, units="all", layers=list(LAYERS), maps=MAPS, map_images=(0, 4), batch_size=64
    )


@functools.cache
def explained() -> xr.Dataset:
    """Return the result of what was recorded; a test that changes it copies it first."""
    return dif.measure_responses(recorded())


def of_network(result: xr.Dataset) -> xr.Dataset:
    """Return a result of responses as one of a network, whose layers have an order."""
    return result.assign_coords(layer_kind=("layer", ["Linear"] * result.sizes["layer"]))


def whole(layer: str, name: str) -> np.ndarray:
    """Return a layer's responses to a set, (n_images, *shape)."""
    responses = recorded()
    shape = next(known.shape for known in responses.layers if known.name == layer)
    return np.asarray(responses.values[layer])[responses.sets[name]].astype(np.float64).reshape(-1, *shape)


def shown(ax: Axes) -> np.ndarray:
    """Return the numbers of a panel's heat map."""
    (image,) = ax.get_images()
    array = image.get_array()
    assert array is not None
    return np.asarray(array)


def limits(ax: Axes) -> tuple[float, float]:
    """Return the values at the ends of a heat map's colours."""
    (image,) = ax.get_images()
    lowest, highest = image.get_clim()
    assert lowest is not None
    assert highest is not None
    return lowest, highest


def texts(figure: Any) -> list[Text]:
    """Return every text of a figure that is seen; not those of hidden axes and beyond the end of an axis."""
    beyond: set[Any] = set()
    for ax in figure.findobj(Axes):
        for axis in (ax.xaxis, ax.yaxis):
            if not axis.get_visible():
                beyond |= {*axis.findobj(Text)}
                continue
            lowest, highest = sorted(axis.get_view_interval())
            ticks = axis.get_major_ticks()
            outside = [tick for tick in ticks if not lowest <= tick.get_loc() <= highest]
            beyond |= {label for tick in outside for label in (tick.label1, tick.label2)}
    found = figure.findobj(lambda artist: isinstance(artist, Text) and artist.get_visible())
    return [text for text in found if text.get_text().strip() and text not in beyond]


def corners(text: Text) -> np.ndarray:
    """Return the corners of a text in pixels, (4, 2); those of a slanted text as it stands."""
    angle = np.radians(text.get_rotation())
    if angle % (np.pi / 2) < 1e-9:
        return text.get_window_extent().corners()[[0, 1, 3, 2]]
    assert text.get_rotation_mode() == "anchor"
    slant = text.get_rotation()
    text.set_rotation(0)
    level = text.get_window_extent().corners()[[0, 1, 3, 2]]
    text.set_rotation(slant)
    anchor = text.get_transform().transform(text.get_unitless_position())
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return anchor + (level - anchor) @ turn.T


def overlap(one: np.ndarray, other: np.ndarray, allowed: float) -> bool:
    """Return whether two rectangles share more than so many pixels, in whatever direction one looks."""
    for edges in (one, other):
        for edge in (edges[1] - edges[0], edges[2] - edges[1]):
            along = edge / max(np.linalg.norm(edge), 1e-9)
            first, second = one @ along, other @ along
            if min(first.max(), second.max()) - max(first.min(), second.min()) <= allowed:
                return False
    return True


def require_readable(figure: Any) -> None:
    """Fail where a text is cut off, small, or covers another: what a reader would stumble over."""
    figure.draw_without_rendering()
    width, height = figure.bbox.size
    # boxes are larger than their letters, by the same share of a point at every resolution
    allowed = 2.0 * max(1.0, figure.dpi / 100)
    found = []
    for text in texts(figure):
        box, label = text.get_window_extent(), text.get_text()
        assert float(text.get_fontsize()) >= 6, label
        assert box.x0 >= -1, label
        assert box.y0 >= -1, label
        assert box.x1 <= width + 1, label
        assert box.y1 <= height + 1, label
        found.append((box.x0, box.x1, corners(text), label))
    found.sort(key=lambda one: one[:2])
    for at, (_, right, one, label) in enumerate(found):
        for left, _, other, its in found[at + 1 :]:
            if left >= right - 1:
                break
            assert not overlap(one, other, allowed), (label, its)


def require_still(figure: Any) -> None:
    """Fail where axes move when a figure is drawn again, as a notebook does, or one that saves it twice."""
    places = []
    for _ in range(2):
        figure.draw_without_rendering()
        places.append([ax.get_position().bounds for ax in figure.axes])
    before, after = places
    np.testing.assert_allclose(after, before, atol=1e-3)


def legend_entries(of: Axes | Any) -> list[str]:
    """Return what the legend of a panel, or of a figure with several, says."""
    (legend,) = [of.get_legend()] if isinstance(of, Axes) else of.legends
    assert legend is not None
    return [text.get_text() for text in legend.get_texts()]


def bands_of(ax: Axes, *, whole: bool = False) -> dict[str, np.ndarray]:
    """Return the filled bands by colour: lower and upper limit at each place, (place, 2).

    With `whole`, each of the stretches that gaps leave: first place, last place, lowest and highest limit.
    """
    found = {}
    for band in ax.collections:
        if isinstance(band, PolyCollection):
            outlines = [np.asarray(path.vertices) for path in band.get_paths()]
            if whole:
                ends = [
                    (outline[:, 0].min(), outline[:, 0].max(), outline[:, 1].min(), outline[:, 1].max())
                    for outline in outlines
                ]
                found[_hex(band.get_facecolor())] = np.array(ends)
            else:
                points = np.concatenate(outlines)
                at = [points[points[:, 0] == place, 1] for place in np.unique(points[:, 0])]
                found[_hex(band.get_facecolor())] = np.array([(y.min(), y.max()) for y in at])
    return found


def bars_of(ax: Axes) -> list[tuple[str, np.ndarray]]:
    """Return each group of upright bars: its colour, and their ends, (bar, 2, 2)."""
    groups = [group for group in ax.collections if isinstance(group, LineCollection)]
    return [(_hex(group.get_color()), np.array(group.get_segments())) for group in groups]


def open_marks_of(ax: Axes) -> list[tuple[str, np.ndarray]]:
    """Return each group of open marks: its colour, and where they stand, (mark, 2)."""
    return _white_marks_of(ax, crossed=False)


def crossed_marks_of(ax: Axes) -> list[tuple[str, np.ndarray]]:
    """Return each group of crossed circles: its colour, and where they stand, (mark, 2)."""
    return _white_marks_of(ax, crossed=True)


def _white_marks_of(ax: Axes, *, crossed: bool) -> list[tuple[str, np.ndarray]]:
    groups = [group for group in ax.collections if isinstance(group, PathCollection)]
    for group in groups:
        assert _hex(group.get_facecolor()) == "#ffffff"
    # A cross adds two lines, each of which begins anew.
    lines = [int((np.asarray(group.get_paths()[0].codes) == Path.MOVETO).sum()) for group in groups]
    return [
        (_hex(group.get_edgecolor()), np.asarray(group.get_offsets()))
        for group, number in zip(groups, lines, strict=True)
        if (number > 1) == crossed
    ]


def _hex(colours: Any) -> str:
    """Return the first of a collection's colours."""
    return to_hex(np.asarray(colours)[0])


def apart(labels: list[Text]) -> bool:
    """Return whether texts side by side do not overlap."""
    boxes = [label.get_window_extent() for label in labels]
    return all(left.x1 <= right.x0 for left, right in pairwise(boxes))
