"""`by-cp deadletters`: what could not be delivered."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Group
from rich.text import Text

from by_cp.cli.looking import AsJson, Limit, Look, look_at
from by_cp.cli.running import EXIT_CODES, Url
from by_cp.cli.tables import Column, ago, or_hint, plain, table
from by_cp.control_plane import ControlPlane
from by_cp.deadletters import Filter
from by_cp.log.contract import DeadLetter
from by_cp.replay.history import history
from by_cp.replay.printing import lines as history_lines
from by_cp.replay.terminal import Line, width_of_terminal

AgentType = Annotated[str | None, Parameter(help="Of this agent type alone.")]
Tenant = Annotated[str | None, Parameter(help='Of this tenant alone; "" is those that have none.')]
Reason = Annotated[str, Parameter(help="Whose reason contains this, in whatever case.")]
Since = Annotated[timedelta | None, Parameter(help="Buried within the last, such as 30m or 2h.")]
Until = Annotated[timedelta | None, Parameter(help="Buried before that, such as 10m ago.")]

deadletters = App(
    name="deadletters",
    help="List what could not be delivered; show one with its history.\n\n" + EXIT_CODES,
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

    Exit codes: 0 listed; 1 an error; 2 wrong usage.

    Args:
        agent_type: Of this agent type alone.
        tenant: Of this tenant alone.
        reason: Whose reason contains this.
        since: Buried within the last so long.
        until: Buried before that.
        limit: So many.
        as_json: Print one JSON document.
        url: The server.

    """

    async def look(plane: ControlPlane) -> Look:
        now_ms = await plane.store.now_ms()
        which = filter_of(now_ms, agent_type, tenant, reason, since, until)
        found = await plane.dead_letters.list(which, limit)
        total = await plane.dead_letters.count(which)
        columns = (
            Column("Execution", whole=True),
            Column("Agent type", share=1),
            Column("Tenant", share=1),
            "Buried",
            Column("Reason", share=2),
        )
        grid = table(
            columns,
            (
                (d.execution_id, d.agent_type, d.user_code, ago(d.time_ms, now_ms), d.reason)
                for d in found
            ),
        )
        rest = f"\n{total:,} in all; --limit shows more" if total > len(found) else ""
        shown = or_hint(grid, len(found), "No such dead letter.")
        told = [_told(letter) for letter in found]
        return Look(told, Group(shown, Text(rest, "dim")) if rest else shown)

    return look_at(look, url, as_json=as_json)


@deadletters.command
def show(execution_id: str, *, as_json: AsJson = False, url: Url = None) -> int:
    """Show a dead letter: why, its history, and its command.

    Exit codes: 0 shown; 1 an error; 2 wrong usage.

    Args:
        execution_id: Which.
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
        body = "\n".join(map(plain, pretty.splitlines()))
        return Look(
            told, Group(*map(_line, history_lines(steps, width_of_terminal())), "", Text(body))
        )

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


def _line(line: Line) -> Text:
    return Text.assemble(*line)


def _told(letter: DeadLetter) -> dict[str, Any]:
    return letter._asdict() | {"buried_ms": letter.time_ms}
