"""The circuit view: how often each agent type's wakes failed, and whether calls are let through."""

from __future__ import annotations

from typing import TYPE_CHECKING

from by_cp.projections.rows import CircuitRow, ExecutionRow
from by_cp.statemachine.events import BecameReady, CircuitForced, Event, Failed
from by_cp.statemachine.position import Position

if TYPE_CHECKING:
    from by_cp.projections.views import Views

OPEN = "OPEN"
CLOSED = "CLOSED"


def strike(views: Views, head: ExecutionRow, event: Event, position: Position) -> None:
    """Count a failed wake, once for all who waited for it."""
    if not isinstance(event, Failed) or not event.epoch:
        return
    agent_type = head.call.agent_type
    row = views.circuits.setdefault(agent_type, CircuitRow(agent_type))
    if row.epoch == event.epoch:
        return
    row.failures += 1
    row.epoch = event.epoch
    row.position = position


def heal(views: Views, head: ExecutionRow, event: Event, position: Position) -> None:
    """Forget the failures, when a wake succeeded and there are any."""
    row = views.circuits.get(head.call.agent_type)
    if not isinstance(event, BecameReady) or not event.epoch or row is None or not row.failures:
        return
    row.failures = 0
    row.position = position


def force(views: Views, event: CircuitForced, position: Position) -> None:
    """Set the circuit by hand."""
    row = views.circuits.setdefault(event.agent_type, CircuitRow(event.agent_type))
    row.state = event.state
    row.reason = event.reason
    row.position = position
