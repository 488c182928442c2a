"""A table that fits its terminal, however long a name is, and cuts nothing off.

Numbers and words have the room that they need; what may be long shares the rest. What would take
too many lines there stands below its row instead, with its title before it: the last column first,
the first column never.
"""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

GAP = 2
"""So many spaces stand between columns."""

INDENT = 4
LINES_MAX = 2
"""So many lines may a cell take in its column."""

FOLDED_MIN = 16
"""A narrower column is not for cells of several lines."""


class Column:
    """One column of a table.

    Args:
        title: what stands above it.
        right: its cells are numbers.
        long: its cells may be long: they go on in the next line, or stand below their row.
        whole: its cells are for copying: no other column takes their room, and they stay on one
            line unless the terminal is too narrow even for them alone.

    """

    def __init__(
        self, title: str, *, right: bool = False, long: bool = False, whole: bool = False
    ) -> None:
        self.title = title
        self.right = right
        self.long = long
        self.whole = whole


class Grid:
    """A table, for a console to print.

    Args:
        columns: its columns; the first says whose row it is.
        rows: a cell for each column.

    """

    def __init__(self, columns: Sequence[Column], rows: Sequence[Sequence[Text]]) -> None:
        self._columns = columns
        self._rows = rows

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Give its lines."""
        widths = self._layout(options.max_width)
        titles = [Text(self._columns[n].title, style="bold") for n in widths]
        yield from self._lines(console, widths, titles)
        yield Text("─" * (sum(widths.values()) + GAP * (len(widths) - 1)))
        for row in self._rows:
            yield from self._lines(console, widths, [row[n] for n in widths])
            for number, column in enumerate(self._columns):
                if number not in widths and row[number].plain not in ("", "-"):
                    yield from _below(console, column.title, row[number], options.max_width)

    def _lines(self, console: Console, widths: dict[int, int], cells: list[Text]) -> RenderResult:
        """Give a row's lines: as many as its longest cell has."""
        columns = [
            list(cell.wrap(console, width, overflow="fold"))
            for cell, width in zip(cells, widths.values(), strict=True)
        ]
        for number in range(max(map(len, columns))):
            line = Text()
            for column, (index, width) in zip(columns, widths.items(), strict=True):
                part = column[number].copy() if number < len(column) else Text()
                part.rstrip()
                part.align("right" if self._columns[index].right else "left", width)
                line.append_text(part).append(" " * GAP)
            line.rstrip()
            yield line

    def _layout(self, width: int) -> dict[int, int]:
        """Return the columns that stand beside one another, each with its width."""
        beside = list(range(len(self._columns)))
        while True:
            widths = self._widths(beside, width)
            movable = [number for number in beside[1:] if self._columns[number].long]
            if not movable or not any(self._is_tight(*one) for one in widths.items()):
                return widths
            beside.remove(movable[-1])

    def _widths(self, beside: list[int], width: int) -> dict[int, int]:
        """Share the room out: first to what is short or whole, then evenly to what is long."""
        needed = {number: self._longest(number, width) for number in beside}
        room = width - GAP * (len(beside) - 1)
        widths = {}
        open_ended = [n for n in beside if self._columns[n].long or self._columns[n].whole]
        for number in beside:
            if number not in open_ended:
                widths[number] = needed[number]
                room -= needed[number]
        order = sorted(open_ended, key=lambda n: (not self._columns[n].whole, needed[n]))
        for place, number in enumerate(order):
            share = room if self._columns[number].whole else room // (len(order) - place)
            widths[number] = max(1, min(needed[number], share))
            room -= widths[number]
        return {number: widths[number] for number in beside}

    def _longest(self, number: int, width: int) -> int:
        column = self._columns[number]
        lengths = [row[number].cell_len for row in self._rows]
        if column.whole and any(length > width for length in lengths):
            lengths = [length for length in lengths if length <= width]
        return max([len(column.title), *lengths])

    def _is_tight(self, number: int, width: int) -> bool:
        column = self._columns[number]
        if not column.long:
            return False
        room = width * LINES_MAX if width >= FOLDED_MIN else width
        return len(column.title) > width or any(row[number].cell_len > room for row in self._rows)


def _below(console: Console, title: str, cell: Text, width: int) -> RenderResult:
    text = Text.assemble((f"{title[:1].lower()}{title[1:]}: ", "dim"), cell)
    for line in text.wrap(console, max(1, width - INDENT), overflow="fold"):
        line.rstrip()
        yield Text(" " * INDENT).append_text(line)
