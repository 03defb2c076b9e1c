"""What stands in a legend, and where it has room: beside the axes, or below them in columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from differentia.output.figures.labels import LONGEST_LEGEND_LINE, plain, text_width, told_apart, wrapped

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: In points.
LEGEND_SIZE, SMALL_LEGEND_SIZE = 8.0, 7.0

#: In font sizes: what stands between entries, between a mark and its words, and around the legend.
BETWEEN_ENTRIES, AFTER_MARK, AROUND, BEFORE, BETWEEN_COLUMNS, LINE = 0.4, 0.8, 0.4, 0.5, 1.5, 1.2

#: In inches, of a legend that stands beside axes.
HIGHEST = 4.1

#: A name takes no more lines than these, and fewer where there is no room for them.
LINES = (9, 3, 2, 1)


def key(**style: Any) -> Artist:
    """Return what stands in a legend beside words: a line or a mark, or nothing at all."""
    from matplotlib.lines import Line2D

    return Line2D([], [], **{"linestyle": "none", **style})


Groups = Sequence[Mapping[str, "Artist"]]


@dataclass(frozen=True)
class Legend:
    """Marks and what they mean, group by group, laid out beside axes or below them."""

    groups: tuple[tuple[tuple[str, Artist], ...], ...]
    size: float
    #: Of the marks, in font sizes.
    length: float
    columns: int = 1
    #: Below the axes.
    below: bool = False

    @property
    def entries(self) -> list[tuple[str, Artist]]:
        """All entries; beside the axes, a blank one stands between groups."""
        found: list[tuple[str, Artist]] = []
        for group in self.groups:
            if found and group and not self.below:
                found.append(("", key()))
            found += group
        return found

    @property
    def width(self) -> float:
        """Inches."""
        widest = max(text_width(line, self.size) for name, _ in self.entries for line in name.split("\n"))
        column = widest + (self.length + AFTER_MARK) * self.size
        between = (self.columns - 1) * BETWEEN_COLUMNS * self.size
        return (self.columns * column + between + (2 * AROUND + BEFORE) * self.size) / 72

    @property
    def height(self) -> float:
        """Inches."""
        lines = [name.count("\n") + 1 for name, _ in self.entries]
        rows = -(-len(lines) // self.columns)
        columns = [lines[start : start + rows] for start in range(0, len(lines), rows)]
        highest = max(sum(column) * LINE + (len(column) - 1) * BETWEEN_ENTRIES for column in columns)
        return (highest + 2 * AROUND + BEFORE) * self.size / 72

    def draw_at(self, ax: Axes, beneath: float = 0.0, left: float = 0.0) -> None:
        """Draw it right of axes, or so far beneath and left of their corner (inches)."""
        from matplotlib.transforms import ScaledTranslation

        place: dict[str, Any] = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
        if self.below:
            corner = ScaledTranslation(-left, -beneath, ax.figure.dpi_scale_trans)
            place |= {"bbox_to_anchor": (0.0, 0.0), "bbox_transform": ax.transAxes + corner}
        self._draw(ax, place)

    def draw_beside_panels(self, figure: Figure) -> None:
        """Draw it right of all axes of a figure whose layout is solved, or below them."""
        self._draw(figure, {"loc": "outside lower left" if self.below else "outside right upper"})

    def _draw(self, of: Axes | Figure, place: Mapping[str, Any]) -> None:
        names, handles = zip(*self.entries, strict=True)
        of.legend(
            handles,
            [plain(name) for name in names],
            frameon=False,
            ncols=self.columns,
            fontsize=self.size,
            handlelength=self.length,
            handletextpad=AFTER_MARK,
            labelspacing=BETWEEN_ENTRIES,
            borderpad=AROUND,
            borderaxespad=BEFORE,
            columnspacing=BETWEEN_COLUMNS,
            **place,
        )


def laid_out(
    groups: Groups,
    width: float,
    *,
    narrowest: float,
    right: float = 0.0,
    size: float = LEGEND_SIZE,
    length: float = 2.6,
) -> Legend:
    """Return a legend for a figure of so many inches: beside its axes, unless these became too narrow.

    What else stands beside them takes `right`.
    """
    beside = [Legend(shown, size, length) for shown in _shown(groups)]
    for legend in beside:
        if legend.height <= HIGHEST and width - max(legend.width, right) >= narrowest:
            return legend
    entries = sum(map(len, groups))
    below = [
        Legend(legend.groups, min(size, SMALL_LEGEND_SIZE), length, columns, below=True)
        for legend in beside[-2:]
        for columns in range(entries, 0, -1)
    ]
    return next((legend for legend in below if legend.width <= width), below[-1])


def _shown(
    groups: Groups,
) -> Iterator[tuple[tuple[tuple[str, Artist], ...], ...]]:
    """Yield the entries with names on fewer and fewer lines; names that are too long lose their middle."""
    for lines in LINES:
        yield tuple(tuple(zip(_on_lines([*group], lines), group.values(), strict=True)) for group in groups)


def _on_lines(names: Sequence[str], lines: int) -> list[str]:
    """Return names on at most so many lines each, as much of them as has room."""
    longest = lines * LONGEST_LEGEND_LINE
    while lines > 1 and longest > LONGEST_LEGEND_LINE:
        shown = [wrapped(name, LONGEST_LEGEND_LINE) for name in told_apart(names, longest)]
        if all(name.count("\n") < lines for name in shown):
            return shown
        longest -= 5
    return told_apart(names, LONGEST_LEGEND_LINE)
