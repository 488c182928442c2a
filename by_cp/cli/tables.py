"""How listings look: one style of table, readable at 80 columns, and what stands in its cells."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from by_cp.replay.durations import lasting
from by_cp.statemachine.position import Position, time_ms

STYLES = {
    "OPEN": "bold red",
    "HALF_OPEN": "yellow",
    "CLOSED": "green",
    "PAUSED": "yellow",
    "DRAINING": "yellow",
    "RUNNING": "green",
    "WAKING": "yellow",
}
"""Words that have a colour wherever they stand in a table."""

ID_LENGTH = 31
"""So long is an execution_id that by-cp makes."""

Cell = str | int | Text


class Column:
    """One column of a table.

    Args:
        title: what stands above it.
        right: its cells are numbers.
        share: its cells may be long, and it gets such a share of the room that is left; what does
            not fit goes on in the next line.
        whole: its cells are for copying: those of the usual length stay on one line.

    """

    def __init__(
        self, title: str, *, right: bool = False, share: int = 0, whole: bool = False
    ) -> None:
        self.title = title
        self.right = right
        self.share = share
        self.whole = whole


def table(columns: Iterable[str | Column], rows: Iterable[Iterable[Cell]]) -> Table:
    """Return a table; its cells are shown as they are, whatever they hold."""
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    shown = [[_shown(cell) for cell in row] for row in rows]
    for number, column in enumerate(columns):
        one = Column(column) if isinstance(column, str) else column
        longest = max((row[number].cell_len for row in shown), default=0)
        grid.add_column(
            one.title,
            justify="right" if one.right else "left",
            no_wrap=not one.share and not (one.whole and longest > ID_LENGTH),
            overflow="fold",
            ratio=one.share or None,
        )
    for row in shown:
        grid.add_row(*row)
    return grid


def lines(pairs: Iterable[tuple[str, Cell]]) -> Table:
    """Return lines, each with a word before it."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for word, cell in pairs:
        grid.add_row(word, _shown(cell))
    return grid


def or_hint(grid: RenderableType, rows: int, hint: str) -> RenderableType:
    """Return a table or, if it has no rows, what to say instead."""
    return grid if rows else Text(hint, style="dim")


def counted(count: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{count:,} {one if count == 1 else many}"


def age(position: Position, now_ms: int) -> str:
    """Return how long ago something was put into the log."""
    return ago(time_ms(position), now_ms)


def ago(moment_ms: int, now_ms: int) -> str:
    """Return how long ago a moment was, in whole seconds if it was more than one."""
    duration_ms = max(0, now_ms - moment_ms)
    return lasting(duration_ms if duration_ms < 1000 else duration_ms // 1000 * 1000)  # noqa: PLR2004


def limit(number: int) -> str:
    """Return a limit; -1 is none."""
    return "-" if number < 0 else f"{number:,}"


def plain(text: str) -> str:
    """Spell out what a terminal would take for an order."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _shown(cell: Cell) -> Text:
    if isinstance(cell, Text):
        return cell
    if isinstance(cell, int):
        return Text(f"{cell:,}")
    return Text(plain(cell), style=STYLES.get(cell, ""))
