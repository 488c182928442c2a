"""`by-cp status`: everything at a glance."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.text import Text

from by_cp.cli.grid import Column
from by_cp.cli.looking import Look, Watch, look_at
from by_cp.cli.running import AsJson, Url
from by_cp.cli.tables import explained, limit, lines, marked, plain, table
from by_cp.control_plane import ControlPlane
from by_cp.urls import without_password
from by_cp.views import Status


def status(*, as_json: AsJson = False, watch: Watch = False, url: Url = None) -> int:
    """Show everything at a glance: who is there, what is held, what failed.

    Example: `by-cp status --watch`

    Exit codes: 0 shown; 1 an error; 2 wrong usage; 130 Ctrl-C.

    Args:
        as_json: Print one JSON document.
        watch: Show it again every second.
        url: The server.

    """
    return look_at(_look, url, as_json=as_json, watch=watch)


async def _look(plane: ControlPlane) -> Look:
    seen = await plane.views.status()
    server = f"{without_password(plane.url)}, {await plane.server_name()}"
    agents = table(
        (
            Column("Agent type", long=True),
            Column("Workers", right=True),
            Column("Held", right=True),
            Column("At most", right=True),
            "Circuit",
            "Mode",
            Column("Fallback", long=True),
        ),
        (
            (
                a.agent_type,
                len(a.workers),
                a.held,
                limit(a.depth_max),
                marked(a.circuit, a.circuit_origin),
                a.mode,
                marked(a.fallback, a.fallback_origin),
            )
            for a in seen.agents
        ),
    )
    hint = Text("No agent type yet: none has had a worker, a held command or a setting.", "dim")
    origins = (origin for a in seen.agents for origin in (a.circuit_origin, a.fallback_origin))
    grid = explained(agents, origins) if seen.agents else hint
    shown = Group(lines(_lines(seen, server)), "", grid)
    return Look({"server": server, **_told(seen)}, shown)


def _lines(seen: Status, server: str) -> list[tuple[str, str | Text]]:
    census = seen.census
    none = Text(
        "none: nothing is woken, and nothing that is held is delivered", style="bold yellow"
    )
    held = sum(census.held.values())
    return [
        ("server", server),
        ("log", f"{census.log_entries:,} entries"),
        ("managers", ", ".join(seen.managers) or none),
        ("held", f"{held:,}"),
        ("dead letters", _count(census.dead_letters, "see `by-cp deadletters`")),
        ("quarantine", _count(census.quarantined, "see `by-cp quarantine`")),
        ("circuits", _open(seen)),
    ]


def _count(count: int, hint: str) -> Text:
    return Text.assemble((f"{count:,}", "bold red"), "  ", (hint, "dim")) if count else Text("0")


def _open(seen: Status) -> Text:
    if not seen.circuits_open:
        return Text("all closed")
    return Text("not closed: " + plain(", ".join(seen.circuits_open)), style="bold red")


def _told(seen: Status) -> dict[str, Any]:
    census = seen.census
    return {
        "log_entries": census.log_entries,
        "managers": seen.managers,
        "held": sum(census.held.values()),
        "dead_letters": census.dead_letters,
        "quarantined": census.quarantined,
        "circuits_open": seen.circuits_open,
        "agents": seen.agents,
    }
