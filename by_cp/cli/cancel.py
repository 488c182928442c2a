"""`by-cp cancel`: held commands are taken back."""

from __future__ import annotations

from functools import partial

from msgspec import structs

from by_cp.cli.asking import By, Yes, may, who
from by_cp.cli.bulk import STOPPED, to_each
from by_cp.cli.grid import Column
from by_cp.cli.looking import Look, show
from by_cp.cli.progress import progress
from by_cp.cli.running import AsJson, Url, fail, run, server_url
from by_cp.cli.tables import counted, table
from by_cp.control_plane import ControlPlane
from by_cp.errors import TransitionError
from by_cp.log.answers import Outcome
from by_cp.vocabulary import ErrorCode

TOO_LATE = 3
"""Exit code when something was settled before it could be cancelled."""

LIMIT = 1_000_000
SHOWN_MAX = 50
"""So many are shown to people one by one; `--json` has all."""


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
    """Cancel held commands before they are delivered: one, or many.

    Each has exactly one outcome; one that was delivered meanwhile stays delivered. Many are counted
    first and asked for. Interrupted with Ctrl-C, it tells what it has done; the rest stays held.

    Example: `by-cp cancel --tenant acme --reason 'ordered twice'`

    Exit codes: 0 cancelled; 3 something was settled before; 1 an error; 2 wrong usage; 130 Ctrl-C.

    Args:
        execution_ids: The executions, as `by-cp pending` lists them.
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
                if ids and not await may(
                    f"Cancel {counted(len(ids), 'held command', 'held commands')}", yes=yes
                ):
                    return fail("nothing was done")
            outcomes: list[Outcome] = []
            one = partial(_one, plane, reason=reason, by=who(by))
            try:
                with progress("cancelling", len(ids), "commands", shown=not as_json) as advance:
                    await to_each(ids, one, outcomes, advance)
            except STOPPED:
                show(_look(outcomes, left=len(ids) - len(outcomes)), as_json=as_json)
                raise
        show(_look(outcomes), as_json=as_json)
        if any(not outcome.status for outcome in outcomes):
            return 1
        return 0 if all(map(_is_cancelled, outcomes)) else TOO_LATE

    return run(work())


async def _one(plane: ControlPlane, execution_id: str, reason: str, by: str) -> Outcome:
    """Cancel one. What cannot be cancelled at all has no status, and says why."""
    try:
        return await plane.operate.cancel(execution_id, reason, by)
    except TransitionError as error:
        return Outcome(execution_id, "", "-", "", reason=str(error))


def _look(outcomes: list[Outcome], left: int = 0) -> Look:
    told = [structs.asdict(outcome) for outcome in outcomes]
    if left:
        count = sum(map(_is_cancelled, outcomes))
        return Look(told, f"Interrupted: {count:,} cancelled, {left:,} left as they were.")
    if not outcomes:
        return Look(told, "Nothing is held.")
    if len(outcomes) > SHOWN_MAX:
        count = sum(map(_is_cancelled, outcomes))
        rest = f"; {len(outcomes) - count:,} were settled before" if count < len(outcomes) else ""
        return Look(told, f"{count:,} cancelled{rest}.")
    columns = (Column("Execution", whole=True), "State", Column("Why", long=True))
    return Look(told, table(columns, ((o.execution_id, o.state, o.reason) for o in outcomes)))


def _is_cancelled(outcome: Outcome) -> bool:
    return outcome.code == ErrorCode.EXECUTION_CANCELLED
