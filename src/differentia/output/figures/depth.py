"""A panel of values against depth: its axis of layers, in the order of computation, and its legend."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import cos, radians, sin
from typing import TYPE_CHECKING, Any

from differentia.output.figures.labels import BETWEEN_NAMES, plain, text_width, told_apart
from differentia.output.figures.legends import Groups, Legend, laid_out
from differentia.output.figures.panels import PAGE_HEIGHT, PAGE_WIDTH, asked_width, figure_in

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from differentia.results.subject import Subject

#: Layers beyond this many share their names out: every second, every third, ...
MOST_NAMES = 60

#: In characters: a layer's name, and one that is to be small, as in a figure narrower than `NARROW` (inches).
LONGEST_NAME, LONGEST_SMALL_NAME, NARROW = 32, 22, 5.0

#: In inches: a layer's name on its side, in small and in large letters.
ROOM_FOR_A_NAME, ROOM_FOR_A_LARGE_NAME = 0.125, 0.16

#: In points: names that are longer are not large.
LONGEST_LARGE_NAME = 90.0

#: In points; degrees.
SMALL_NAME, LARGE_NAME, BESIDE_TICK, SLANT = 6.5, 8.0, 7.0, 60.0

#: In points: axis labels, and the numbers of the y axis.
LABEL_SIZE, NUMBER_SIZE = 8.0, 7.0

#: In points: layers closer than this have smaller marks, down to a share of the usual ones.
ROOM_FOR_MARKS, LEAST_SCALE = 10.0, 0.4

#: In points, left of the first layer and right of the last, so that no mark is cut.
ROOM_AT_THE_ENDS = 6.0

#: In inches: axes at least, what stands left of them, and an axis label.
LOWEST_AXES, NARROWEST_AXES, LEFT, AXIS_LABEL = 2.2, 2.3, 0.6, 0.25

#: In inches: what a legend beside a user's axes leaves of their width.
NARROWEST_GIVEN = 1.5

#: How many times as high as all else in the figure axes are: 60 % of its height, and a little.
TIMES_THE_REST = 1.75

#: The highest axes over a legend, by the width of the figure.
HIGHEST_OVER_WIDTH = 0.75

#: In inches, of a figure with a few layers and of each layer, without a legend.
LEAST_WIDTH, LEAST_FOR_LAYERS, OF_A_LAYER = 4.6, 1.6, 0.28


@dataclass(frozen=True)
class LayerNames:
    """The names below an axis: as many as have room, in letters as large as have room."""

    places: tuple[float, ...]
    names: tuple[str, ...]
    size: float
    level: bool

    @property
    def height(self) -> float:
        """Inches below the axes."""
        if self.level:
            return (BESIDE_TICK + 1.2 * self.size) / 72
        slant = radians(SLANT)
        longest = max(text_width(name, self.size) for name in self.names)
        return (BESIDE_TICK + sin(slant) * longest + cos(slant) * self.size) / 72

    @property
    def left(self) -> float:
        """Inches left of the first layer."""
        first = text_width(self.names[0], self.size)
        return (first / 2 if self.level else cos(radians(SLANT)) * first) / 72

    def draw(self, ax: Axes) -> None:
        """Write them below the axes."""
        slanted: dict[str, Any] = {"rotation": SLANT, "ha": "right", "rotation_mode": "anchor"}
        names = [plain(name) for name in self.names]
        ax.set_xticks(self.places, names, fontsize=self.size, **({} if self.level else slanted))


def names_with_room(layers: Sequence[str], room: float, *, small: bool = False) -> LayerNames:
    """Return the names that have room on an axis of so many inches: evenly, with the first and the last."""
    count = len(layers)
    names = told_apart(layers, LONGEST_SMALL_NAME if small else LONGEST_NAME)
    most = max(2, min(MOST_NAMES, int(room / ROOM_FOR_A_NAME)))
    widest = max(text_width(name, LARGE_NAME) for name in names)
    large = room / min(most, count) > ROOM_FOR_A_LARGE_NAME and widest < LONGEST_LARGE_NAME and not small
    size = LARGE_NAME if large else SMALL_NAME
    widest *= size / LARGE_NAME
    if (widest + BETWEEN_NAMES) * count < 72 * room:
        return LayerNames(tuple(range(count)), tuple(names), size, level=True)
    step = -(-count // most)
    shown = sorted({*range(0, count, step), count - 1})
    if len(shown) > 1 and shown[-1] - shown[-2] < step:
        del shown[-2]
    return LayerNames(tuple(shown), tuple(names[place] for place in shown), size, level=False)


@dataclass(frozen=True)
class Surroundings:
    """What is written around axes of curves, and what room is left for them."""

    layers: Sequence[str]
    subject: Subject
    legend: Legend
    #: Inches: how wide the figure is, and how wide the axes will be.
    width: float
    room: float
    #: Which tokens of the layers count, where not all do.
    tokens: str = ""

    @cached_property
    def names(self) -> LayerNames:
        """The layers' names, in the room that the first of them leaves at the left."""
        small = self.width < NARROW
        names = names_with_room(self.layers, self.room, small=small)
        overhang = max(0.0, names.left - LEFT - self.room / len(self.layers) / 2)
        return names_with_room(self.layers, self.room - overhang, small=small)

    @property
    def beneath(self) -> float:
        """Inches that the layers' names and the axis label take below axes."""
        return self.names.height + AXIS_LABEL

    def height(self, above: float, *, least: float = LOWEST_AXES) -> float:
        """Return inches of a figure whose axes take most of it, with so much above the axes."""
        around, below = above + self.beneath, self.legend.height if self.legend.below else 0.0
        with_legend = (
            min(TIMES_THE_REST * (around + below), HIGHEST_OVER_WIDTH * self.width) if below else 0.0
        )
        beside = 0.0 if self.legend.below else self.legend.height - self.beneath
        axes = max(least, TIMES_THE_REST * around, with_legend, beside)
        return min(axes + around + below, PAGE_HEIGHT)

    def name(self, ax: Axes) -> None:
        """Name the layers and their axis."""
        self.names.draw(ax)
        set_ends(ax, len(self.layers), self.room)
        ax.set_xlabel(axis_label(self.subject, self.room, self.tokens), fontsize=LABEL_SIZE)

    def explain(self, ax: Axes) -> None:
        """Say what is what."""
        self.legend.draw_at(ax, beneath=self.beneath, left=LEFT)


def panel_in(
    given: Axes | Figure | None,
    layers: Sequence[str],
    subject: Subject,
    groups: Groups,
    *,
    above: Callable[[Legend], float] = lambda _: 0.0,
    right: float = 0.0,
    length: float = 2.6,
) -> tuple[Axes, Surroundings]:
    """Return a user's axes, or those of a figure made high enough, and what is to be written around them.

    In inches, `above` says what else is above the axes, and `right` what is beside them with the legend.
    """
    if (figure := figure_in(given)) is None:
        ax: Axes = given  # type: ignore[assignment]
        width = axes_width(ax)
        legend = laid_out(groups, width, narrowest=NARROWEST_GIVEN, length=length)
        return ax, Surroundings(layers, subject, legend, width, width)
    around = surroundings_in(figure, layers, subject, groups, right=right, length=length)
    figure.set_size_inches(around.width, around.height(above(around.legend)))
    figure.set_layout_engine("constrained")
    return figure.add_subplot(), around


def surroundings_in(
    figure: Figure,
    layers: Sequence[str],
    subject: Subject,
    groups: Groups,
    *,
    right: float = 0.0,
    length: float = 2.6,
) -> Surroundings:
    """Return what is to be written around the axes of a figure, of the width asked for, or that fits."""
    asked = asked_width(figure)
    narrowest = LEFT + NARROWEST_AXES
    legend = laid_out(groups, asked or PAGE_WIDTH, narrowest=narrowest, right=right, length=length)
    beside = 0.0 if legend.below else max(legend.width, right)
    usual = max(LEAST_WIDTH, LEAST_FOR_LAYERS + OF_A_LAYER * len(layers)) + beside
    width = asked or min(PAGE_WIDTH, usual)
    return Surroundings(layers, subject, legend, width, width - LEFT - beside)


def axes_width(ax: Axes) -> float:
    """Return inches, as the axes stand before a layout is solved."""
    return float(ax.get_position().width * ax.figure.bbox.width / ax.figure.dpi)


def axes_height(ax: Axes) -> float:
    """Return inches, as the axes stand before a layout is solved."""
    return float(ax.get_position().height * ax.figure.bbox.height / ax.figure.dpi)


def mark_scale(room: float, layers: float) -> float:
    """Return by how much marks are made smaller where so many layers stand close (inches)."""
    return min(1.0, max(LEAST_SCALE, 72 * room / layers / ROOM_FOR_MARKS))


def rule(ax: Axes) -> None:
    """Draw lines across the panel at the numbers of its y axis, and leave the frame open."""
    ax.grid(axis="y", color="#E5E5E5", linewidth=0.6)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(axis="y", labelsize=NUMBER_SIZE)


def set_ends(ax: Axes, n_layers: int, room: float) -> None:
    """Let an axis of so many inches end where the marks of the first and the last layer are whole."""
    end = max(0.5, ROOM_AT_THE_ENDS * n_layers / (72 * room))
    ax.set_xlim(-end, n_layers - 1 + end)


def axis_label(subject: Subject, room: float, tokens: str = "") -> str:
    """Return what the x axis has, as far as there is room (inches); populations have no order."""
    place = subject.place.one.capitalize()
    if subject.recorded:
        return place
    ordered = f"{place}, in the order of computation"
    which = tokens.partition(" of ")[0] if tokens else ""
    labels = [f"{ordered} ({tokens})", f"{place} ({tokens})", f"{place} ({which})"] if tokens else [ordered]
    fitting = (label for label in labels if text_width(label, LABEL_SIZE) <= 72 * room)
    return next(fitting, place)
