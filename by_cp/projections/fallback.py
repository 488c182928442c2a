"""The fallback view: who stands in for an agent type that has no worker online."""

from __future__ import annotations

from by_cp.projections.rows import FallbackRow
from by_cp.projections.views import Views
from by_cp.statemachine.events import FallbackSet
from by_cp.statemachine.position import Position


def set_fallback(views: Views, event: FallbackSet, position: Position) -> None:
    """Set or, with an empty name, take away the fallback."""
    views.fallbacks[event.agent_type] = FallbackRow(event.agent_type, event.selected, position)
