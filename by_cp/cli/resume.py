"""`by-cp resume`: the end of a pause or a drain."""

from __future__ import annotations

from rich.text import Text

from by_cp.cli.asking import By, who
from by_cp.cli.looking import Look, look_at
from by_cp.cli.running import AsJson, Url
from by_cp.cli.tables import plain
from by_cp.control_plane import ControlPlane


def resume(agent_type: str, *, by: By = None, as_json: AsJson = False, url: Url = None) -> int:
    """End a pause or a drain of an agent type.

    What is held is woken for and delivered again.

    Example: `by-cp resume summarizer`

    Exit codes: 0 done; 1 an error; 2 wrong usage.

    Args:
        agent_type: The agent type.
        by: Who.
        as_json: Print one JSON document.
        url: The server.

    """

    async def look(plane: ControlPlane) -> Look:
        position = await plane.operate.resume(agent_type, who(by))
        held = (await plane.store.census()).held.get(agent_type, 0)
        told = {"agent_type": agent_type, "mode": "RUNNING", "held": held, "position": position}
        return Look(told, Text(f"{plain(agent_type)} runs again; {held:,} held for it."))

    return look_at(look, url, as_json=as_json)
