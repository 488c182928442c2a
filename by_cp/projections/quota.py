"""The quota view: how many commands of each tenant are in flight, how many may be, and how often.

In flight is what by-cp holds for the tenant: leased with `Held`, given back when it is delivered,
rejected or buried, and by itself when it is due. A tenant "" is none, and is not counted.
"""

from __future__ import annotations

from by_cp.projections.rows import ExecutionRow, QuotaRow
from by_cp.projections.views import Views
from by_cp.statemachine.events import (
    Event,
    Held,
    QuotaSet,
    RateSet,
    Requested,
    TenantDepthSet,
)
from by_cp.statemachine.position import Position


def _row(views: Views, user_code: str) -> QuotaRow:
    return views.quotas.setdefault(user_code, QuotaRow(user_code))


def pay(views: Views, head: ExecutionRow, event: Event, position: Position) -> None:
    """Charge the call to the tenant's rate, if it was: admission worked out the sum."""
    if isinstance(event, Requested) and event.evidence.rate_tat_us >= 0:
        row = _row(views, head.call.user_code)
        row.rate_tat_us = event.evidence.rate_tat_us
        row.position = position


def charge(views: Views, head: ExecutionRow, event: Held, position: Position) -> None:
    """Lease the execution a place in flight, until it is settled or due."""
    if head.charged or not head.call.user_code:
        return
    head.charged = True
    row = _row(views, head.call.user_code)
    row.leases[head.execution_id] = event.due_ms
    row.in_flight = len(row.leases)
    row.position = position


def discharge(views: Views, head: ExecutionRow, _event: Event, position: Position) -> None:
    """Give back what the execution was leased, if anything."""
    if not head.charged:
        return
    head.charged = False
    row = _row(views, head.call.user_code)
    row.leases.pop(head.execution_id, None)
    row.in_flight = len(row.leases)
    row.position = position


def set_limit(views: Views, event: QuotaSet, position: Position) -> None:
    """Set how many may be in flight."""
    row = _row(views, event.user_code)
    row.limit = event.limit
    row.position = position


def set_rate(views: Views, event: RateSet, position: Position) -> None:
    """Set how often the tenant may call."""
    row = _row(views, event.user_code)
    row.rate_count, row.rate_period_ms = event.count, event.period_ms
    row.rate_burst = event.burst
    row.position = position


def set_depth(views: Views, event: TenantDepthSet, position: Position) -> None:
    """Limit how much may be held for the tenant."""
    row = _row(views, event.user_code)
    row.depth_max = event.depth_max
    row.position = position
