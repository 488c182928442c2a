"""`by-cp drain`: an agent type works off what it has."""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from by_cp.cli.asking import By, who
from by_cp.cli.durations import LastingOrNone
from by_cp.cli.looking import Look, show
from by_cp.cli.running import AsJson, Url, fail, run, server_url
from by_cp.cli.tables import plain
from by_cp.control_plane import ControlPlane

POLL_S = 0.25


def drain(
    agent_type: str,
    *,
    wait: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    timeout: LastingOrNone = None,
    reason: str = "",
    by: By = None,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Drain an agent type: deliver what is held, accept nothing new.

    It goes on until `by-cp resume`.

    Example: `by-cp drain summarizer --wait --timeout 10m`

    Exit codes: 0 done; 1 an error, or the timeout passed; 2 wrong usage; 130 Ctrl-C (it goes on
    draining).

    Args:
        agent_type: The agent type.
        wait: Wait until nothing is held any more.
        timeout: Wait so long at most, such as 10m.
        reason: Why; callers are told.
        by: Who.
        as_json: Print one JSON document.
        url: The server.

    """

    async def work() -> int:
        async with ControlPlane.connect(server_url(url)) as plane:
            position = await plane.operate.drain(agent_type, reason, who(by))
            seconds = timeout.total_seconds() if timeout else None
            try:
                async with asyncio.timeout(seconds):
                    held = await _wait(plane, agent_type, wait=wait, shown=not as_json)
            except TimeoutError:
                return fail(f"{plain(agent_type)} is being drained, but is not empty yet")
        told = {"agent_type": agent_type, "mode": "DRAINING", "held": held, "position": position}
        said = f"{held:,} still held for it" if held else "nothing is held for it"
        show(Look(told, Text(f"{plain(agent_type)} is being drained; {said}.")), as_json=as_json)
        return 0

    return run(work())


async def _wait(plane: ControlPlane, agent_type: str, *, wait: bool, shown: bool) -> int:
    """Return how many are held: once, or when it is none."""
    console = Console(stderr=True, quiet=not shown)
    with console.status("draining …") as status:
        while True:
            held = (await plane.store.census()).held.get(agent_type, 0)
            if not held or not wait:
                return held
            status.update(f"draining: {held:,} held")
            await asyncio.sleep(POLL_S)
