"""`by-cp pause`: an agent type is left alone for a while."""

from __future__ import annotations

from rich.text import Text

from by_cp.cli.asking import By, who
from by_cp.cli.looking import Look, look_at
from by_cp.cli.running import AsJson, Url
from by_cp.cli.tables import plain
from by_cp.control_plane import ControlPlane


def pause(
    agent_type: str,
    *,
    reason: str = "",
    by: By = None,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Pause an agent type: hold what can be held, deliver nothing.

    Nobody is woken for it until `by-cp resume`.

    Example: `by-cp pause summarizer --reason upgrade`

    Exit codes: 0 done; 1 an error; 2 wrong usage.

    Args:
        agent_type: The agent type.
        reason: Why; `by-cp status --json` tells it.
        by: Who.
        as_json: Print one JSON document.
        url: The server.

    """

    async def look(plane: ControlPlane) -> Look:
        position = await plane.operate.pause(agent_type, reason, who(by))
        held = (await plane.store.census()).held.get(agent_type, 0)
        told = {"agent_type": agent_type, "mode": "PAUSED", "held": held, "position": position}
        return Look(told, Text(f"{plain(agent_type)} is paused; {held:,} held for it."))

    return look_at(look, url, as_json=as_json)
