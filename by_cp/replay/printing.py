"""A history as a table for people, readable at 80 columns."""

from __future__ import annotations

from rich import box
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from by_cp.replay.history import Row, summary
from by_cp.replay.words import lasting

STYLES = {
    "REQUESTED": "cyan",
    "WAKING": "yellow",
    "READY": "green",
    "DELIVERED": "bold green",
    "FAILED": "red",
    "REJECTED": "bold red",
    "DEADLETTER": "bold red",
}


def table(execution_id: str, history: list[Row]) -> Group:
    """Return the table of a history, with a line about it above."""
    grid = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column("Position\nsince the last", no_wrap=True)
    grid.add_column("Event\nstate", no_wrap=True)
    grid.add_column("Detail", overflow="fold", ratio=1)
    for number, row in enumerate(history):
        since = f"+{lasting(row.since_ms)}" if number else ""
        grid.add_row(
            Text.assemble(row.position, "\n", (since, "dim")),
            Text.assemble((row.event, "bold"), "\n", *_states(row)),
            _detail(row),
        )
    head = Text.assemble((execution_id, "bold"), "\n", summary(history), overflow="fold")
    return Group(head, grid)


def show(execution_id: str, history: list[Row], console: Console | None = None) -> None:
    """Print a history."""
    (console or Console()).print(table(execution_id, history))


def _states(row: Row) -> list[str | tuple[str, str]]:
    before = (row.before, STYLES.get(row.before, "")) if row.before else ("new", "dim")
    return [before, (" → ", "dim"), (row.after, STYLES.get(row.after, ""))]


def _detail(row: Row) -> Text:
    text = Text("\n".join(map(_shown, row.detail)))
    if row.broken:
        broken = Text(f"AGAINST THE LAW: {row.broken}", style="bold white on red")
        text = Text("\n").join([broken, text]) if row.detail else broken
    return text


def _shown(text: str) -> str:
    """Spell out what a terminal would take for an order."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)
