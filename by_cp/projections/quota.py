"""The quota view: how many commands of each tenant are in flight, and how many may be.

In flight is what by-cp holds for the tenant: charged with `Held`, given back when it is delivered,
rejected or buried. A tenant "" is none, and is not counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from by_cp.projections.rows import ExecutionRow, QuotaRow
from by_cp.statemachine.events import Event, QuotaSet
from by_cp.statemachine.position import Position

if TYPE_CHECKING:
    from by_cp.projections.views import Views


def _row(views: Views, user_code: str) -> QuotaRow:
    return views.quotas.setdefault(user_code, QuotaRow(user_code))


def charge(views: Views, head: ExecutionRow, _event: Event, position: Position) -> None:
    """Count the execution as in flight, once."""
    if head.charged or not head.call.user_code:
        return
    head.charged = True
    row = _row(views, head.call.user_code)
    row.in_flight += 1
    row.position = position


def discharge(views: Views, head: ExecutionRow, _event: Event, position: Position) -> None:
    """Give back what the execution was charged, if anything."""
    if not head.charged:
        return
    head.charged = False
    row = _row(views, head.call.user_code)
    row.in_flight -= 1
    row.position = position


def set_limit(views: Views, event: QuotaSet, position: Position) -> None:
    """Set how many may be in flight."""
    row = _row(views, event.user_code)
    row.limit = event.limit
    row.position = position
