"""How listings look: one style of table, readable at 80 columns, and what stands in its cells."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from by_cp.cli.grid import Column, Grid
from by_cp.replay.durations import lasting
from by_cp.statemachine.position import Position, time_ms
from by_cp.views import THEIRS

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

_MARK = "*"

Cell = str | int | Text


def table(columns: Iterable[str | Column], rows: Iterable[Iterable[Cell]]) -> Grid:
    """Return a table; its cells are shown as they are, whatever they hold; an empty one is `-`."""
    return Grid(
        [Column(one) if isinstance(one, str) else one for one in columns],
        [[_shown(cell) for cell in row] for row in rows],
    )


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


def marked(text: str, origin: str) -> Text:
    """Return a cell, with a mark if it does not come from by-cp's log; `explained` says what it is.

    Args:
        text: what it says.
        origin: by-cp or by-framework.

    """
    cell = _shown(text)
    return cell.append(_MARK, style="bold magenta") if origin == THEIRS else cell


def explained(grid: RenderableType, origins: Iterable[str]) -> RenderableType:
    """Return a table, with what the mark means if any of its rows has it."""
    if THEIRS not in origins:
        return grid
    said = f"{_MARK} at by-framework's key, where someone else wrote it; by-cp obeys it"
    return Group(grid, "", Text(said, style="dim"))


def and_more(
    grid: RenderableType, rows: int, limit: int, total: int | None = None
) -> RenderableType:
    """Return a table and, if it may lack some, how many there are and how to see them.

    Args:
        grid: the table.
        rows: how many it has.
        limit: so many rows were asked for.
        total: how many there are; None if only reading them all would tell.

    """
    if rows < limit or rows == total:
        return grid
    more = "--limit shows more" if total is not None else "there may be more, see --limit"
    of_all = f" of {total:,}" if total is not None else ""
    return Group(grid, Text(f"\nthe first {rows:,}{of_all}; {more}", "dim"))


def counted(count: int, one: str, many: str) -> str:
    """Return a number with its noun."""
    return f"{count:,} {one if count == 1 else many}"


def age(position: Position, now_ms: int) -> str:
    """Return how long ago something was put into the log."""
    return ago(time_ms(position), now_ms)


def ago(moment_ms: int, now_ms: int) -> str:
    """Return how long ago a moment was."""
    return about(max(0, now_ms - moment_ms))


def about(duration_ms: int) -> str:
    """Return a duration, in whole seconds if it is more than one."""
    return lasting(duration_ms if duration_ms < 1000 else duration_ms // 1000 * 1000)  # noqa: PLR2004


def limit(number: int) -> str:
    """Return a limit; -1 is none."""
    return "-" if number < 0 else f"{number:,}"


def as_it_is(text: str) -> Text:
    """Return text that is not wrapped, so that it can be copied; the terminal breaks its lines."""
    return Text(text, no_wrap=True, overflow="ignore")


def plain(text: str) -> str:
    """Spell out what a terminal would take for an order."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _shown(cell: Cell) -> Text:
    if isinstance(cell, Text):
        return cell
    if isinstance(cell, int):
        return Text(f"{cell:,}")
    return Text(plain(cell) or "-", style=STYLES.get(cell.partition(",")[0], ""))
