"""`by-cp deadletters`: what could not be delivered."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Group
from rich.text import Text

from by_cp.cli.durations import LastingOrNone
from by_cp.cli.grid import Column
from by_cp.cli.looking import Limit, Look, look_at
from by_cp.cli.running import AsJson, Url, help_of_group
from by_cp.cli.tables import ago, and_more, as_it_is, or_hint, plain, table
from by_cp.control_plane import ControlPlane
from by_cp.deadletters import EVERY, Filter
from by_cp.log.contract import DeadLetter
from by_cp.replay.history import history
from by_cp.replay.printing import lines as history_lines
from by_cp.replay.terminal import Line, width_of_terminal

AgentType = Annotated[str | None, Parameter(help="Of this agent type alone.")]
Tenant = Annotated[str | None, Parameter(help='Of this tenant alone; "" is those that have none.')]
Reason = Annotated[str, Parameter(help="Whose reason contains this, in whatever case.")]
Since = Annotated[
    LastingOrNone, Parameter(help="Buried no longer ago than this, such as 30m or 2h.")
]
Until = Annotated[LastingOrNone, Parameter(help="Buried at least as long ago as this.")]

deadletters = App(
    name="deadletters",
    help=help_of_group(
        "List what could not be delivered; show one with its history.", "deadletters --since 2h"
    ),
)


@deadletters.default
def show_all(
    *,
    agent_type: AgentType = None,
    tenant: Tenant = None,
    reason: Reason = "",
    since: Since = None,
    until: Until = None,
    limit: Limit = 100,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """List dead letters, the oldest first. `by-cp redrive` gives them another life.

    Example: `by-cp deadletters --agent-type summarizer --since 2h`

    Exit codes: 0 listed; 1 an error; 2 wrong usage.

    Args:
        agent_type: Of this agent type alone.
        tenant: Of this tenant alone.
        reason: Whose reason contains this.
        since: Buried no longer ago than this.
        until: Buried at least as long ago as this.
        limit: So many.
        as_json: Print one JSON document.
        url: The server.

    """

    async def look(plane: ControlPlane) -> Look:
        now_ms = await plane.store.now_ms()
        which = filter_of(now_ms, agent_type, tenant, reason, since, until)
        found = await plane.dead_letters.list(which, limit)
        # To count those that a filter means, all would have to be read.
        total = (await plane.store.census()).dead_letters if which == EVERY else None
        columns = (
            Column("Execution", whole=True),
            Column("Agent type", long=True),
            Column("Tenant", long=True),
            "Buried",
            Column("Reason", long=True),
        )
        grid = table(columns, (_cells(letter, now_ms) for letter in found))
        shown = or_hint(grid, len(found), "No such dead letter.")
        told = [_told(letter) for letter in found]
        return Look(told, and_more(shown, len(found), limit, total))

    return look_at(look, url, as_json=as_json)


@deadletters.command
def show(execution_id: str, *, as_json: AsJson = False, url: Url = None) -> int:
    """Show a dead letter: why, its history, and its command.

    Example: `by-cp deadletters show exec-01M87XTK4FYR3CA2EE2AAEC6XK`

    Exit codes: 0 shown; 1 an error; 2 wrong usage.

    Args:
        execution_id: The execution, as `by-cp deadletters` lists it.
        as_json: Print one JSON document.
        url: The server.

    """

    async def look(plane: ControlPlane) -> Look:
        letter = await plane.dead_letters.show(execution_id)
        steps = history(letter.history)
        command = json.loads(letter.command) if letter.command else None
        told = {
            "execution_id": execution_id,
            "state": letter.state,
            "reason": letter.reason,
            "command": command,
            "history": [row.as_json() for row in steps.rows],
        }
        pretty = json.dumps(command, indent=2, ensure_ascii=False) if command else "no command"
        body = as_it_is("\n".join(map(plain, pretty.splitlines())))
        return Look(told, Group(*map(_line, history_lines(steps, width_of_terminal())), "", body))

    return look_at(look, url, as_json=as_json)


def filter_of(
    now_ms: int,
    agent_type: str | None,
    tenant: str | None,
    reason: str,
    since: timedelta | None,
    until: timedelta | None,
) -> Filter:
    """Return which dead letters are meant; times count back from now, on the log's clock."""
    now = datetime.fromtimestamp(now_ms / 1000, UTC)
    return Filter(
        agent_type=agent_type,
        user_code=tenant,
        reason=reason,
        since=None if since is None else now - since,
        until=None if until is None else now - until,
    )


def _cells(letter: DeadLetter, now_ms: int) -> tuple[str, ...]:
    buried = f"{ago(letter.time_ms, now_ms)} ago"
    return (letter.execution_id, letter.agent_type, letter.user_code, buried, letter.reason)


def _line(line: Line) -> Text:
    return Text.assemble(*line)


def _told(letter: DeadLetter) -> dict[str, Any]:
    return letter._asdict() | {"buried_ms": letter.time_ms}
