"""The wake members view: who waits for which wake.

A wake group is agent type, tenant and region. Its wakes follow one another; each has an epoch, the
position of the WakeRequested with which its leader signalled the manager.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from by_cp.projections.rows import ExecutionRow, WakeMemberRow
from by_cp.statemachine.events import Event, WakeRequested
from by_cp.statemachine.position import Position, sort_key

if TYPE_CHECKING:
    from by_cp.projections.views import Views


def join(views: Views, head: ExecutionRow, event: WakeRequested, position: Position) -> None:
    """Let the execution wait for its group's wake; a leader's epoch is its event's own position."""
    head.epoch = event.epoch or position
    head.joined_at = position
    views.wake_members[head.execution_id] = WakeMemberRow(
        head.execution_id, head.group, head.epoch, head.call.priority, position
    )


def leave(views: Views, head: ExecutionRow, _event: Event, _position: Position) -> None:
    """Let the execution wait no more."""
    head.epoch = ""
    head.joined_at = ""
    views.wake_members.pop(head.execution_id, None)


def in_order(views: Views, group: tuple[str, str, str], epoch: Position) -> list[WakeMemberRow]:
    """Return who waits for a wake as they will be served: by priority, then by age."""
    rows = [row for row in views.wake_members.values() if row.group == group and row.epoch == epoch]
    return sorted(rows, key=lambda row: (-row.priority, sort_key(row.position)))
