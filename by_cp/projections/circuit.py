"""The circuit view: how often each agent type's wakes failed, and whether calls are let through.

What is decided on it (when it opens, who may probe it) stands in `by_cp.log.breaker`; here is only
what the events say.
"""

from __future__ import annotations

from by_cp.projections.rows import CircuitPolicyRow, CircuitRow, ExecutionRow
from by_cp.projections.views import Views
from by_cp.statemachine.events import (
    BecameReady,
    CircuitClosed,
    CircuitForced,
    CircuitHalfOpened,
    CircuitOpened,
    CircuitPolicySet,
    Event,
    Failed,
    WakeEnded,
    WakeRequested,
)
from by_cp.statemachine.position import Position, time_ms

OPEN = "OPEN"
HALF_OPEN = "HALF_OPEN"
CLOSED = "CLOSED"
AUTO = "AUTO"

STRIKES_MAX = 100
"""So many failures are remembered with their times: no policy may ask for more."""


def strike(views: Views, head: ExecutionRow, event: Event, position: Position) -> None:
    """Count a failed wake, once for all who waited for it."""
    if not isinstance(event, Failed) or not event.epoch:
        return
    row = _row(views, head.call.agent_type)
    if row.epoch == event.epoch:
        return
    row.failures += 1
    row.epoch = event.epoch
    row.struck_ms = (*row.struck_ms, time_ms(position))[-STRIKES_MAX:]
    row.position = position


def heal(views: Views, head: ExecutionRow, event: Event, position: Position) -> None:
    """Forget the failures, when a wake succeeded and there are any."""
    if not isinstance(event, BecameReady) or not event.epoch:
        return
    row = views.circuits.get(head.call.agent_type)
    if row is not None and row.failures:
        row.failures = 0
        row.struck_ms = ()
        row.position = position


def take_permit(views: Views, head: ExecutionRow, event: WakeRequested, position: Position) -> None:
    """Give a wake that probes a half-open circuit its permit."""
    if event.permit_until_ms:
        row = _row(views, head.call.agent_type)
        row.permits[position] = event.permit_until_ms
        row.position = position


def give_permit_back(views: Views, event: WakeEnded, position: Position) -> None:
    """Take the permit of a wake that came out."""
    row = views.circuits.get(event.agent_type)
    if row is not None and row.permits.pop(event.wake, None) is not None:
        row.position = position


def force(views: Views, event: CircuitForced, position: Position) -> None:
    """Set the circuit by hand; with AUTO it is closed, and acts by itself from now on."""
    row = _reset(views, event.agent_type, position)
    row.forced = event.state != AUTO
    row.state = CLOSED if event.state == AUTO else event.state
    row.reason = event.reason


def opened(views: Views, event: CircuitOpened, position: Position) -> None:
    """Open it for a while."""
    row = _row(views, event.agent_type)
    row.state, row.reason, row.until_ms = OPEN, event.reason, event.until_ms
    row.opens += 1
    row.permits = {}
    row.position = position


def half_opened(views: Views, event: CircuitHalfOpened, position: Position) -> None:
    """Let probes through."""
    row = _row(views, event.agent_type)
    row.state = HALF_OPEN
    row.position = position


def closed(views: Views, event: CircuitClosed, position: Position) -> None:
    """Let everything through, and forget what was."""
    row = _reset(views, event.agent_type, position)
    row.state, row.reason = CLOSED, ""


def set_policy(views: Views, event: CircuitPolicySet, position: Position) -> None:
    """Set when it opens and closes by itself."""
    views.circuit_policies[event.agent_type] = CircuitPolicyRow(
        *(event.agent_type, event.failures_max, event.window_ms, event.open_ms),
        *(event.probes_max, event.probe_ms, position),
    )


def _row(views: Views, agent_type: str) -> CircuitRow:
    return views.circuits.setdefault(agent_type, CircuitRow(agent_type))


def _reset(views: Views, agent_type: str, position: Position) -> CircuitRow:
    """Forget failures, permits and times; the last failed epoch stays known."""
    row = _row(views, agent_type)
    row.failures = row.until_ms = row.opens = 0
    row.struck_ms = ()
    row.permits = {}
    row.position = position
    return row
