"""The availability view: how the last wake of each agent type stands.

A row changes once a wake and state, however many executions wait for that wake.
"""

from __future__ import annotations

from by_cp.projections.rows import AvailabilityRow, ExecutionRow
from by_cp.projections.views import Views
from by_cp.statemachine.events import BecameReady, Event, Failed, WakeRequested
from by_cp.statemachine.position import Position


def _note(views: Views, agent_type: str, state: str, epoch: str, position: Position) -> None:
    row = views.availability.get(agent_type)
    if row is not None and (row.state, row.epoch) == (state, epoch):
        return
    views.availability[agent_type] = AvailabilityRow(agent_type, state, epoch, position)


def waking(views: Views, head: ExecutionRow, event: WakeRequested, position: Position) -> None:
    """Note that a wake began; those who merely join one change nothing."""
    if not event.epoch:
        _note(views, head.call.agent_type, "WAKING", position, position)


def ready(views: Views, head: ExecutionRow, event: Event, position: Position) -> None:
    """Note that a wake succeeded."""
    if isinstance(event, BecameReady) and event.epoch:
        _note(views, head.call.agent_type, "READY", event.epoch, position)


def failed(views: Views, head: ExecutionRow, event: Event, position: Position) -> None:
    """Note that a wake failed."""
    if isinstance(event, Failed) and event.epoch:
        _note(views, head.call.agent_type, "FAILED", event.epoch, position)
