"""The wakes: who waits, and which wake of each group is under way.

A wake group is agent type, tenant and region. Its wakes follow one another; each is named by the
position of the WakeRequested with which its leader signalled the manager. Each attempt of a manager
has an epoch, the position of its WakeAttempted: the fencing token of what the attempt brings.
"""

from __future__ import annotations

from by_cp.projections.rows import ExecutionRow, WakeMemberRow, WakeRow
from by_cp.projections.views import Views
from by_cp.statemachine.events import Event, WakeAttempted, WakeEnded, WakeRequested
from by_cp.statemachine.position import Position, sort_key


def join(views: Views, head: ExecutionRow, event: WakeRequested, position: Position) -> None:
    """Let the execution wait for its group's wake; a leader's wake is named by its own position."""
    head.epoch = event.epoch or position
    head.joined_at = position
    views.wake_members[head.execution_id] = WakeMemberRow(
        head.execution_id, head.group, head.epoch, head.call.priority, position
    )
    if not event.epoch:
        views.wakes[head.group] = WakeRow(
            head.group, position, head.execution_id, event.until_ms, position, 0, position
        )


def attempt(views: Views, head: ExecutionRow, event: WakeAttempted, position: Position) -> None:
    """Pass the claim to a new attempt."""
    row = views.wakes.get(head.group)
    leader = row.leader if row is not None and row.wake == event.wake else head.execution_id
    views.wakes[head.group] = WakeRow(
        head.group, event.wake, leader, event.until_ms, position, event.attempt, position
    )


def end(views: Views, event: WakeEnded, _position: Position) -> None:
    """Free the group's claim, unless a later attempt has it."""
    group = (event.agent_type, event.user_code, event.region)
    row = views.wakes.get(group)
    if row is not None and row.epoch == event.epoch:
        del views.wakes[group]


def leave(views: Views, head: ExecutionRow, _event: Event, _position: Position) -> None:
    """Let the execution wait no more."""
    if head.joined_at:
        head.epoch = ""
        head.joined_at = ""
        del views.wake_members[head.execution_id]


def in_order(views: Views, group: tuple[str, str, str]) -> list[WakeMemberRow]:
    """Return who waits in a group as they will be served: by priority, then by age."""
    rows = [row for row in views.wake_members.values() if row.group == group]
    return sorted(rows, key=lambda row: (-row.priority, sort_key(row.position)))
