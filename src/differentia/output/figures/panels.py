"""Heat maps in a grid of panels at paper size.

The panels stand at fixed places, since to solve for them takes many seconds where there are hundreds. No
panel is given more columns or rows than it has pixels, so that none is lost when the picture is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float, Int

from differentia.errors import InputError
from differentia.output.figures.labels import (
    BETWEEN_NAMES,
    plain,
    shortened,
    standing_out,
    text_width,
    wrapped,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage

#: In inches: what fits onto A4 and US letter, with margins.
PAGE_WIDTH, PAGE_HEIGHT = 7.2, 9.7

#: In inches: for the numbers of images, and for the colour bar.
LEFT, RIGHT = 0.56, 0.82

#: In inches: between panels, with and without room for the right one's numbers of images.
GAP, SMALL_GAP = 0.3, 0.12

#: In inches: above a panel for one line, and below it for the names of columns and the axis label.
ABOVE, BELOW = 0.17, 0.34

#: In points from the panel: the axis labels, beyond the names of columns and the numbers of images.
BELOW_TICKS, LEFT_OF_TICKS = 12.5, 15.0

#: In inches: below this, text as large as it has to be leaves nothing for data.
NARROWEST_FIGURE = 2.0

#: In inches: of a figure whose width nobody chose, and of others. With more sets than fit, it is wider.
NARROWEST_PANEL, NARROWEST_OF_CHOSEN = 0.5, 0.25

#: In inches: what is lower shows nothing.
LOWEST_PANEL = 0.2

#: In dots per inch.
RESOLUTION = 150

#: In points.
SMALL_TEXT, LARGE_TEXT = 6.0, 8.0

#: In inches: lines of large and of small text, and a bold letter on average.
LINE, SMALL_LINE = 1.25 * LARGE_TEXT / 72, 1.2 * SMALL_TEXT / 72
BOLD_LETTER = 0.7 * LARGE_TEXT / 72

#: In characters: lines of what is said of an axis, and of a colour bar, are no shorter.
SHORTEST_LINE = 14

#: Where every value is the same there is nothing to scale by.
CONSTANT_COLOUR = "#DDDDDD"


def figure_in(given: Any, dpi: float | None = None) -> Figure | None:
    """Return a new figure, or the one that is given; None where axes are given."""
    from matplotlib.figure import Figure

    if given is None:
        import matplotlib.pyplot as plt

        return plt.figure(dpi=dpi)
    return given if isinstance(given, Figure) else None


def asked_width(given: Any) -> float | None:
    """Return the width of a given figure in inches, or None where nobody chose it: it has the usual size."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    if not isinstance(given, Figure):
        return None
    usual = tuple(mpl.rcParams["figure.figsize"])
    width = float(given.get_figwidth())
    return None if (width, given.get_figheight()) == usual else max(width, NARROWEST_FIGURE)


@dataclass(frozen=True)
class Grid:
    """Panels on a page, in inches."""

    rows: int
    #: Above each column.
    names: tuple[str, ...]
    #: Of a panel, at most, with one line of `label` below.
    height: float
    #: What the first column's panels say of their columns.
    label: str = ""
    #: Whether panels are as wide as high.
    square: bool = False
    #: Left free below each row but the last, and between columns.
    below: float = BELOW
    gap: float = GAP
    #: Of the figure, where it was asked for; only panels that would become too narrow make it wider.
    width: float | None = None
    #: Said at the top of the figure.
    note: str = ""

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, len(self.names)

    @property
    def panel(self) -> tuple[float, float]:
        """The width and height of a panel."""
        columns = len(self.names)
        narrowest = NARROWEST_PANEL if self.width is None else NARROWEST_OF_CHOSEN
        whole = self.width or PAGE_WIDTH
        width = max(narrowest, (whole - LEFT - RIGHT - self.gap * (columns - 1)) / columns)
        height = max(LOWEST_PANEL, self.height - self.more_below)
        side = min(width, height)
        return (side, side) if self.square else (width, height)

    @property
    def more_below(self) -> float:
        """What further lines of the label need below each row."""
        longest = self.label and _shared_label(self.label, 1000, PEAK)
        return SMALL_LINE * _in_lines(longest, (self.width or PAGE_WIDTH) - LEFT).count("\n")

    @property
    def titles(self) -> list[str]:
        """The names, on as many lines as they need beside each other."""
        width = max(4, int((self.panel[0] + self.gap - BETWEEN_NAMES / 72) / BOLD_LETTER))
        return [wrapped(name, width, 4) if name else "" for name in self.names]

    @property
    def size(self) -> tuple[float, float]:
        """The width and height of the figure."""
        rows, columns = self.shape
        width, height = self.panel
        top = max(title.count("\n") + 1 if title else 0 for title in self.titles) * LINE
        top += LINE if self.note else 0.0
        return (
            max(LEFT + columns * width + (columns - 1) * self.gap + RIGHT, self.width or 0.0),
            top + rows * (ABOVE + height + self.more_below) + (rows - 1) * self.below + BELOW,
        )

    def axes(self, given: Any) -> np.ndarray:
        """Return a user's axes as (rows, columns), or new ones in a figure, which is made to fit."""
        rows, columns = self.shape
        figure = figure_in(given, RESOLUTION)
        axes = np.asarray(given, dtype=object) if figure is None else np.empty(self.shape, dtype=object)
        if axes.size != rows * columns:
            raise InputError(
                f"axes= has the shape {axes.shape}; expected {self.shape}: "
                f"plt.subplots({rows}, {columns}) gives them"
            )
        if figure is not None:
            figure.set_size_inches(self.size)
            if self.note:
                at = LEFT / self.size[0], 1 - SMALL_LINE / self.size[1]
                figure.text(*at, self.note, fontsize=SMALL_TEXT)
            width, height = self.panel
            whole = np.tile(self.size, 2)
            for row, column in np.ndindex(self.shape):
                left = LEFT + column * (width + self.gap)
                pitch = ABOVE + height + self.more_below + self.below
                bottom = BELOW + self.more_below + (rows - 1 - row) * pitch
                axes[row, column] = figure.add_axes((left, bottom, width, height) / whole)
        return axes.reshape(self.shape)

    def headed_axes(self, given: Any, colours: Mapping[str, str]) -> np.ndarray:
        """Return `axes`, with each column's name above it in its colour, as is a bar over each panel."""
        axes = self.axes(given)
        for name, title, column in zip(self.names, self.titles, axes.T, strict=True):
            head: dict[str, Any] = {"fontsize": LARGE_TEXT, "fontweight": "bold", "y": 1.0, "pad": 72 * ABOVE}
            column[0].set_title(plain(title), color=colours[name], **head)
            for ax in column:
                mark_set(ax, colours[name])
        return axes

    def head_row(self, ax: Axes, name: str, about: str = "") -> None:
        """Write a layer's name above a row's first panel, and what else there is to say of it."""
        letters = int(72 * (self.size[0] - LEFT) / text_width("n", SMALL_TEXT + 0.5))
        text = f"{shortened(name, letters - len(about) - 2)}  {about}".rstrip()
        write_above(ax, text, SMALL_TEXT + 0.5)


def write_above(ax: Axes, text: str, size: float, *, middle: bool = False) -> None:
    """Write a line of text above a panel, at its left or in its middle."""
    x, ha = (0.5, "center") if middle else (0, "left")
    write_beside(ax, text, (x, 1), (0, 3), size, ha=ha)


def write_beside(
    ax: Axes, text: str, at: tuple[float, float], offset: tuple[float, float], size: float, **style: Any
) -> None:
    """Write a line of text at a share of a panel's width and height, and an offset in points."""
    between: dict[str, Any] = {"xycoords": "axes fraction", "textcoords": "offset points"}
    ax.annotate(plain(text), at, offset, fontsize=size, **between, **style)


def mark_set(ax: Axes, colour: str) -> None:
    """Draw a bar of a set's colour over a panel."""
    ax.spines[["left", "right", "bottom"]].set_linewidth(0.5)
    ax.spines["top"].set(color=colour, linewidth=2.5)


@dataclass(frozen=True)
class Scale:
    """What the colours of heat maps say: values from `lowest` to `highest`, those beyond as the ends."""

    lowest: float
    highest: float
    label: str
    colours: str = "viridis"
    #: At which ends there may be values beyond, as Matplotlib's colour bars have it.
    extend: str = "both"


@dataclass(frozen=True)
class Sharing:
    """What is shown of neighbouring columns that share a pixel."""

    #: As the axis label says it.
    words: str
    #: Returns it, given a matrix and the first column of each group.
    reduce: Callable[[Float[np.ndarray, "row column"], Int[np.ndarray, " group"]], np.ndarray]


def _means(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    counts = np.diff([*starts, values.shape[1]])
    return np.add.reduceat(values, starts, axis=1) / counts


#: Where many respond a little, and where a single one stands out.
MEAN = Sharing("their mean", _means)
PEAK = Sharing("the highest", partial(np.maximum.reduceat, axis=1))


def _shared_label(label: str, count: int, sharing: Sharing) -> str:
    """Return a label that says how many neighbours share a pixel."""
    return f"{label}: {count} neighbours share a pixel, which shows {sharing.words}"


def _in_lines(text: str, length: float) -> str:
    """Return small text on lines of some length in inches."""
    # letters are narrower than an n on average
    return wrapped(text, max(SHORTEST_LINE, int(1.15 * 72 * length / text_width("n", SMALL_TEXT))))


def draw_heat_map(
    ax: Axes,
    values: Float[np.ndarray, "row column"],
    scale: Scale,
    *,
    rows: str,
    columns: str,
    sharing: Sharing = MEAN,
    square: bool = False,
    numbered: bool = True,
) -> AxesImage | None:
    """Draw a matrix, neighbours put together where there are not enough pixels; None if none is finite.

    The first and the last of its rows are `numbered`; columns have no names as yet.
    """
    if not np.isfinite(values).any():
        ax.set_facecolor(CONSTANT_COLOUR)
        hide(ax.xaxis, ax.yaxis)
        ax.text(0.5, 0.5, "constant", transform=ax.transAxes, ha="center", va="center", fontsize=SMALL_TEXT)
        return None
    box = ax.get_window_extent()
    shown, to_a_column = thinned(values, int(box.width), sharing)
    across, to_a_row = thinned(shown.T, int(box.height), sharing)
    shown = across.T
    height, width = values.shape
    image = ax.imshow(
        shown,
        cmap=scale.colours,
        vmin=scale.lowest,
        vmax=scale.highest,
        aspect="equal" if square else "auto",
        interpolation="nearest",
        extent=(-0.5, shown.shape[1] * to_a_column - 0.5, shown.shape[0] * to_a_row - 0.5, -0.5),
    )
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    ax.tick_params(labelsize=SMALL_TEXT, length=2, width=0.5, pad=1.5)
    if columns and to_a_column > 1:
        columns = _shared_label(columns, to_a_column, sharing)
    if to_a_row > 1:
        whole = f"{rows}, {to_a_row} to a pixel".lstrip(", ")
        has_room = text_width(whole, SMALL_TEXT) < 72 * (box.height / ax.figure.dpi + ABOVE)
        rows = whole if has_room else f"{rows},\n{to_a_row} / pixel".lstrip(",\n")
    if columns:
        room = (ax.figure.bbox.width - box.x0) / ax.figure.dpi
        ax.set_xlabel(plain(_in_lines(columns, room)), loc="left", fontsize=SMALL_TEXT)
    along, start = "center", 0.5
    if numbered or rows:
        ax.set_yticks(sorted({0, height - 1}) if numbered else [])
        length = max(text_width(line, SMALL_TEXT) for line in rows.split("\n"))
        if length > 72 * box.height / ax.figure.dpi:  # upwards from the bottom
            along, start = "left", 0.0
        ax.set_ylabel(plain(rows), fontsize=SMALL_TEXT, ha=along)
    else:
        hide(ax.yaxis)
    # At fixed places, since to look for free ones takes a third of the time of drawing.
    ax.xaxis.set_label_coords(0, -BELOW_TICKS * ax.figure.dpi / 72 / box.height)
    ax.yaxis.set_label_coords(-LEFT_OF_TICKS * ax.figure.dpi / 72 / box.width, start)
    return image


def hide(*axes: Axis) -> None:
    """Leave out all that is written at an axis, which takes most of the time of drawing a panel."""
    for axis in axes:
        axis.set_visible(False)


def thinned(
    values: Float[np.ndarray, "row column"], most: int, sharing: Sharing
) -> tuple[Float[np.ndarray, "row shown"], int]:
    """Return a matrix with `most` columns or fewer, and how many neighbours each of them stands for."""
    columns = values.shape[1]
    share = -(-columns // max(1, most))
    return (values, 1) if share == 1 else (sharing.reduce(values, np.arange(0, columns, share)), share)


def name_columns(
    ax: Axes, scores: Float[np.ndarray, " n"], names: Sequence[str], *, most: int, few: int = 0
) -> None:
    """Name `most` columns with the highest scores, as far as there is room; all where there are but few."""
    width = 72 * ax.get_window_extent().width / ax.figure.dpi
    places = standing_out(scores, names, width=width, size=SMALL_TEXT, most=most)
    if len(names) <= few and max(text_width(name, SMALL_TEXT) for name in names) < width / len(names):
        places = list(range(len(names)))
    ax.set_xticks(places, [plain(names[place]) for place in places])


def add_colour_bar(ax: Axes, image: AxesImage, scale: Scale, *, down_to: Axes | None = None) -> None:
    """Say right of a panel, and of those below it, what the colours are."""
    box = ax.get_window_extent()
    down = max(0.0, box.y0 - down_to.get_window_extent().y0) if down_to is not None else 0.0
    width, height = (72 * pixels / ax.figure.dpi for pixels in (box.width, box.height + down))
    beside = ax.inset_axes((1 + 6 / width, -down / box.height, 6 / width, 1 + down / box.height))
    bar = ax.figure.colorbar(image, cax=beside, extend=scale.extend)
    bar.ax.tick_params(labelsize=SMALL_TEXT, length=2, width=0.5, pad=1.5)
    bar.ax.locator_params(nbins=min(4, max(1, int(height / LARGE_TEXT))))
    bar.outline.set_linewidth(0.5)
    bar.set_label(plain(_in_lines(scale.label, height / 72)), fontsize=SMALL_TEXT, labelpad=2)
