"""`by-cp cancel`: held commands are taken back."""

from __future__ import annotations

from by_cp.cli.asking import By, Yes, may, who
from by_cp.cli.looking import AsJson, Look, show
from by_cp.cli.running import Url, fail, run, server_url
from by_cp.cli.tables import Column, table
from by_cp.control_plane import ControlPlane
from by_cp.vocabulary import ErrorCode

TOO_LATE = 3
"""Exit code when something was settled before it could be cancelled."""

LIMIT = 1_000_000


def cancel(
    *execution_ids: str,
    agent_type: str | None = None,
    tenant: str | None = None,
    reason: str = "",
    yes: Yes = False,
    by: By = None,
    as_json: AsJson = False,
    url: Url = None,
) -> int:
    """Cancel commands before they are delivered: those that are named, or all that are held.

    Each has exactly one outcome; one that was delivered meanwhile stays delivered.

    Exit codes: 0 cancelled; 3 something was settled before; 1 an error; 2 wrong usage.

    Args:
        execution_ids: Which.
        agent_type: All that is held for this agent type.
        tenant: All that is held for this tenant.
        reason: Why; whoever waits is told.
        yes: Do not ask.
        by: Who.
        as_json: Print one JSON document.
        url: The server.

    """
    filtered = agent_type is not None or tenant is not None
    if bool(execution_ids) == filtered:
        return fail("name executions, or --agent-type or --tenant: one of them", 2)

    async def work() -> int:
        async with ControlPlane.connect(server_url(url)) as plane:
            ids = execution_ids
            if filtered:
                held = await plane.views.pending(agent_type, tenant, LIMIT)
                ids = tuple(row.execution_id for row in held)
                if ids and not may(f"Cancel {len(ids):,} held commands", yes=yes):
                    return fail("nothing was done")
            outcomes = [await plane.operate.cancel(e, reason, who(by)) for e in ids]
        columns = (Column("Execution", folds=True), "State", Column("Why", folds=True))
        cells = ((o.execution_id, o.state, o.reason) for o in outcomes)
        seen = Look(outcomes, table(columns, cells) if outcomes else "Nothing is held.")
        show(seen, as_json=as_json)
        cancelled = all(o.code == ErrorCode.EXECUTION_CANCELLED for o in outcomes)
        return 0 if cancelled else TOO_LATE

    return run(work())
