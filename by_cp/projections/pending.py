"""The pending view: which commands are held, for whom, and in which order they will be released."""

from __future__ import annotations

from by_cp.projections.rows import ExecutionRow, PendingRow
from by_cp.projections.views import Views
from by_cp.statemachine.events import Event, Held
from by_cp.statemachine.position import Position, sort_key


def hold(views: Views, head: ExecutionRow, event: Held, position: Position) -> None:
    """Put the command into pending, unless one of this execution is there."""
    if head.held_at:
        return
    head.held_at = position
    views.pending[head.execution_id] = PendingRow(
        execution_id=head.execution_id,
        agent_type=head.call.agent_type,
        user_code=head.call.user_code,
        region=head.call.region,
        priority=head.call.priority,
        command=event.command,
        name_at=event.name_at,
        name_size=event.name_size,
        deadline_ms=event.deadline_ms,
        position=position,
        not_before_ms=event.not_before_ms,
        expires_at_ms=event.expires_at_ms,
        rank=event.rank,
    )


def unhold(views: Views, head: ExecutionRow, _event: Event, _position: Position) -> None:
    """Take the command out of pending, if it is there."""
    if head.held_at:
        head.held_at = ""
        del views.pending[head.execution_id]


def in_order(views: Views, agent_type: str) -> list[PendingRow]:
    """Return what is held for an agent type as it will be released.

    By priority, then fairly between tenants, then by age.
    """
    rows = [row for row in views.pending.values() if row.agent_type == agent_type]
    return sorted(rows, key=lambda row: (-row.priority, row.rank, sort_key(row.position)))
