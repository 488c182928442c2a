"""`by-cp pending`: what is held."""

from __future__ import annotations

from typing import Any

from by_cp.cli.grid import Column
from by_cp.cli.looking import Limit, Look, Watch, look_at
from by_cp.cli.running import AsJson, Url
from by_cp.cli.tables import about, age, and_more, or_hint, table
from by_cp.control_plane import ControlPlane
from by_cp.projections.rows import PendingRow
from by_cp.statemachine.position import time_ms


def pending(
    *,
    agent_type: str | None = None,
    tenant: str | None = None,
    limit: Limit = 100,
    as_json: AsJson = False,
    watch: Watch = False,
    url: Url = None,
) -> int:
    """List the commands that are held, the next to be delivered first.

    Those that are delayed come last.

    Example: `by-cp pending --agent-type summarizer --watch`

    Exit codes: 0 listed; 1 an error; 2 wrong usage; 130 Ctrl-C.

    Args:
        agent_type: Of this agent type alone.
        tenant: Of this tenant alone; "" is those that have none.
        limit: So many.
        as_json: Print one JSON document.
        watch: Show it again every second.
        url: The server.

    """

    async def look(plane: ControlPlane) -> Look:
        rows = await plane.views.pending(agent_type, tenant, limit)
        now_ms = await plane.store.now_ms()
        columns = (
            Column("Execution", whole=True),
            Column("Agent type", long=True),
            Column("Tenant", long=True),
            Column("Prio", right=True),
            "Held for",
            "Timing",
        )
        grid = table(columns, (_cells(row, now_ms) for row in rows))
        shown = or_hint(grid, len(rows), "Nothing is held.")
        held = (await plane.store.census()).held
        total = sum(held.values()) if agent_type is None else held.get(agent_type, 0)
        of_tenant = None if tenant is not None else total
        return Look([_told(row) for row in rows], and_more(shown, len(rows), limit, of_tenant))

    return look_at(look, url, as_json=as_json, watch=watch)


def _cells(row: PendingRow, now_ms: int) -> tuple[str | int, ...]:
    held_for, timing = age(row.position, now_ms), _timing(row, now_ms)
    return (row.execution_id, row.agent_type, row.user_code, row.priority, held_for, timing)


def _timing(row: PendingRow, now_ms: int) -> str:
    if row.not_before_ms > now_ms:
        return f"delayed {about(row.not_before_ms - now_ms)}"
    if not row.due_ms:
        return "-"
    return f"expires in {about(row.due_ms - now_ms)}" if row.due_ms > now_ms else "expired"


def _told(row: PendingRow) -> dict[str, Any]:
    return {
        "execution_id": row.execution_id,
        "agent_type": row.agent_type,
        "user_code": row.user_code,
        "region": row.region,
        "priority": row.priority,
        "held_since_ms": time_ms(row.position),
        "due_ms": row.due_ms,
        "not_before_ms": row.not_before_ms,
        "position": row.position,
    }
