"""`by-cp export`: the log as a SQLite file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, TimeElapsedColumn

from by_cp.cli.running import Url, run, server_url
from by_cp.control_plane import ControlPlane
from by_cp.log.contract import Entry
from by_cp.replay.sqlite import PAGE, Export


def export(file: Path, *, url: Url = None) -> int:
    """Export the log into a SQLite file; a second export adds what is new.

    Args:
        file: The file; it is made if it is not there.
        url: The server.

    """

    async def work() -> int:
        async with ControlPlane.connect(server_url(url)) as plane:
            to = Export(file)
            console = Console(stderr=True)
            try:
                with Progress(
                    "exporting", MofNCompleteColumn(), TimeElapsedColumn(), console=console
                ) as progress:
                    task = progress.add_task("events", total=None)
                    async for entries in _pages(plane, to.last_position):
                        to.add(entries)
                        progress.advance(task, len(entries))
            finally:
                to.close()
        return 0

    return run(work())


async def _pages(plane: ControlPlane, after: str) -> AsyncIterator[list[Entry]]:
    while entries := await plane.store.read(after, PAGE):
        yield entries
        after = entries[-1].position
