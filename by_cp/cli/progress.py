"""How long work shows itself: how much is done, how fast, and how long it will take."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


@contextmanager
def progress(
    what: str, total: int | None, unit: str, *, shown: bool = True
) -> Iterator[Callable[[int], None]]:
    """Show a bar on stderr meanwhile, if that is a terminal; give what is to be told of progress.

    Args:
        what: is being done.
        total: how much there is; None if nobody knows.
        unit: of what, in the plural.
        shown: not, if false.

    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        _Done(unit),
        TimeRemainingColumn(compact=True),
    )
    hidden = not shown or not console.is_terminal or console.is_dumb_terminal
    bars = Progress(*columns, console=console, transient=True, disable=hidden)
    try:  # Ctrl-C may come while the bar starts: its cursor is to be given back then, too
        bars.start()
        task = bars.add_task(what, total=total)

        def advance(done: int) -> None:
            bars.advance(task, done)

        yield advance
    finally:
        bars.stop()


class _Done(ProgressColumn):
    """How much is done, of how much, and how fast."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self._unit = unit

    def render(self, task: Task) -> Text:
        """Return it as text."""
        total = f" of {task.total:,.0f}" if task.total is not None else ""
        speed = f", {task.speed:,.0f}/s" if task.speed else ""
        return Text(f"{task.completed:,.0f}{total} {self._unit}{speed}")
