"""`by-cp fallback`: who stands in for whom."""

from __future__ import annotations

from cyclopts import App
from rich.text import Text

from by_cp.cli.asking import By, who
from by_cp.cli.grid import Column
from by_cp.cli.looking import Look, look_at
from by_cp.cli.running import AsJson, Url, help_of_group
from by_cp.cli.tables import explained, marked, or_hint, plain, table
from by_cp.control_plane import ControlPlane
from by_cp.keys import RedisKeys
from by_cp.views import THEIRS

fallback = App(
    name="fallback",
    help=help_of_group(
        "Say which agent type stands in for another.", "fallback set summarizer summarizer-small"
    ),
)


@fallback.default
@fallback.command(name="list", show=False)
def list_(*, as_json: AsJson = False, url: Url = None) -> int:
    """List who stands in for whom.

    With a mark: those that somebody else named at by-framework's key.

    Example: `by-cp fallback`

    Exit codes: 0 listed; 1 an error; 2 wrong usage.

    Args:
        as_json: Print one JSON document.
        url: The server.

    """

    async def look(plane: ControlPlane) -> Look:
        found = await plane.views.fallbacks()
        columns = (Column("Agent type", long=True), Column("Stands in for it", long=True))
        hint = "Nobody stands in. Say who does with `by-cp fallback set AGENT_TYPE SELECTED`."
        told = [one._asdict() for one in found]
        rows = ((one.agent_type, marked(one.selected, one.origin)) for one in found)
        grid = explained(table(columns, rows), (one.origin for one in found))
        return Look(told, or_hint(grid, len(found), hint))

    return look_at(look, url, as_json=as_json)


@fallback.command(name="set")
def set_(
    agent_type: str, selected: str, *, by: By = None, as_json: AsJson = False, url: Url = None
) -> int:
    """Let an agent type stand in for one that is not online.

    Example: `by-cp fallback set summarizer summarizer-small`

    Exit codes: 0 done; 1 an error; 2 wrong usage.

    Args:
        agent_type: The agent type that is stood in for.
        selected: The agent type that stands in; a circle is refused.
        by: Who.
        as_json: Print one JSON document.
        url: The server.

    """
    return _set(agent_type, selected, by, as_json=as_json, url=url)


@fallback.command
def unset(agent_type: str, *, by: By = None, as_json: AsJson = False, url: Url = None) -> int:
    """Let nobody stand in for an agent type any more.

    Example: `by-cp fallback unset summarizer`

    Exit codes: 0 done; 1 an error; 2 wrong usage.

    Args:
        agent_type: The agent type that was stood in for.
        by: Who.
        as_json: Print one JSON document.
        url: The server.

    """
    return _set(agent_type, "", by, as_json=as_json, url=url)


def _set(agent_type: str, selected: str, by: str | None, *, as_json: bool, url: str | None) -> int:
    async def look(plane: ControlPlane) -> Look:
        await plane.operate.set_fallback(agent_type, selected, who(by))
        stands = await plane.views.fallback(agent_type)
        said = f"{plain(stands.selected) or 'Nobody'} stands in for {plain(agent_type)}"
        if stands.origin == THEIRS:
            key = plain(RedisKeys.control_plane_agent_fallback(agent_type))
            said += f": so somebody else wrote at by-framework's key {key}"
        return Look(stands._asdict(), Text(said + "."))

    return look_at(look, url, as_json=as_json)
