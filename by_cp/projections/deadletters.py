"""The dead letters view: what could not be delivered, with its payload and the reason."""

from __future__ import annotations

from by_cp.projections.rows import DeadLetterRow, ExecutionRow
from by_cp.projections.views import Views
from by_cp.statemachine.events import DeadLettered, Event
from by_cp.statemachine.position import Position


def bury(views: Views, head: ExecutionRow, event: DeadLettered, position: Position) -> None:
    """Move the command into the dead letters: from the event, or else from pending.

    A rejection takes the command out of pending before it can be buried; then the event has it.
    """
    held = event if event.command else views.pending.get(head.execution_id)
    views.dead_letters[head.execution_id] = DeadLetterRow(
        execution_id=head.execution_id,
        agent_type=head.call.agent_type,
        user_code=head.call.user_code,
        reason=event.reason,
        command=held.command if held else "",
        name_at=held.name_at if held else 0,
        name_size=held.name_size if held else 0,
        position=position,
    )


def exhume(views: Views, head: ExecutionRow, _event: Event, _position: Position) -> None:
    """Take the command out of the dead letters: it has another life, and an outcome to come."""
    views.dead_letters.pop(head.execution_id, None)
