"""Tables as text: as wide as the terminal, in several parts where columns have no room beside each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

#: Of a table that goes into a file or a pipe, so that its layout does not depend on where it is written.
WIDTH_IN_FILES = 200

#: Between two columns.
_GAP = "  "


@dataclass(frozen=True)
class Column:
    """A heading, in the parts between which its line may end, and a cell for each row."""

    heading: Sequence[str]
    cells: Sequence[str]
    #: Texts stand to the left, numbers to the right.
    text: bool = False

    @property
    def of_cells(self) -> int:
        return max(map(_length, self.cells), default=0)

    def fits(self, room: int) -> bool:
        """Whether the heading stands above the cells, in a table so wide; else it has a line of its own."""
        return self._of_heading <= max(self.of_cells, room // 3)

    def width(self, room: int) -> int:
        """Return how wide it is in a table so wide."""
        return max(self.of_cells, self._of_heading) if self.fits(room) else self.of_cells

    @property
    def _of_heading(self) -> int:
        return max(map(_length, self.heading), default=0)

    def padded(self, text: str, width: int) -> str:
        spaces = " " * (width - _length(text))
        return text + spaces if self.text else spaces + text


def table_lines(names: Column, columns: Sequence[Column], width: int) -> Iterator[str]:
    """Yield the lines of a table of named rows, none longer than `width` unless a single name is.

    Columns that have no room beside the others follow in further parts, each with the names. Nothing is cut:
    a name or heading that leaves no room for numbers has a line of its own.
    """
    lengths = [_length(name) for name in (*names.heading, *names.cells)]
    left = width - sum(len(_GAP) + column.width(width) for column in columns)
    room = max(left, width // 3)
    beside = max((length for length in lengths if length <= room), default=0)
    for number, part in enumerate(_parts(columns, width - beside, width)):
        if number:
            yield ""
        yield from (line.rstrip() for line in _part_lines(names, beside, part, width))


def _parts(columns: Sequence[Column], room: int, width: int) -> Iterator[list[Column]]:
    """Yield as many columns at a time as have room."""
    part: list[Column] = []
    taken = 0
    for column in columns:
        needed = len(_GAP) + column.width(width)
        if part and taken + needed > room:
            yield part
            part, taken = [], 0
        part.append(column)
        taken += needed
    yield part


def _part_lines(names: Column, beside: int, columns: Sequence[Column], width: int) -> Iterator[str]:
    widths = [column.width(width) for column in columns]
    for at, column in enumerate(columns):
        if not column.fits(width):
            heading = " ".join(column.heading)
            end = beside + sum(len(_GAP) + each for each in widths[: at + 1])
            yield " " * (end - _length(heading)) + heading
    headings = [column.heading if column.fits(width) else () for column in columns]
    for at in range(-max(map(len, (names.heading, *headings))), 0):
        first, *others = (part[at] if -at <= len(part) else "" for part in (names.heading, *headings))
        yield _line(first.ljust(beside), columns, others, widths)
    yield _GAP.join("\u2500" * each for each in (beside, *widths))
    for row, name in enumerate(names.cells):
        if _length(name) > beside:
            yield name
            name = ""
        cells = [column.cells[row] for column in columns]
        yield _line(name + " " * (beside - _length(name)), columns, cells, widths)


def _line(first: str, columns: Sequence[Column], texts: Sequence[str], widths: Sequence[int]) -> str:
    cells = zip(columns, texts, widths, strict=True)
    return _GAP.join([first, *(column.padded(text, width) for column, text, width in cells)])


def _length(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    from rich.cells import cell_len

    return cell_len(text)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Join a number and what follows it, row by row, so that decimal points and all else stand in line."""
    first, *others = zip(*rows, strict=True)
    split = [text.partition(".") for text in first]
    before = max(len(whole) for whole, _, _ in split)
    columns = [[whole.rjust(before) + point + rest for whole, point, rest in split], *others]
    widths = [max(map(len, column)) for column in columns]
    return [
        " ".join(text.ljust(width) for text, width in zip(row, widths, strict=True) if width)
        for row in zip(*columns, strict=True)
    ]
