"""The agents view: what operators paused or drain, and how much may be held for each agent type."""

from __future__ import annotations

from by_cp.projections.rows import AgentRow
from by_cp.projections.views import Views
from by_cp.statemachine.events import AgentDraining, AgentPaused, AgentResumed, DepthSet
from by_cp.statemachine.position import Position

RUNNING = "RUNNING"
PAUSED = "PAUSED"
DRAINING = "DRAINING"


def _row(views: Views, agent_type: str, position: Position) -> AgentRow:
    row = views.agents.setdefault(agent_type, AgentRow(agent_type))
    row.position = position
    return row


def pause(views: Views, event: AgentPaused, position: Position) -> None:
    """Hold what can be held; wake and deliver nothing."""
    row = _row(views, event.agent_type, position)
    row.mode, row.reason = PAUSED, event.reason


def drain(views: Views, event: AgentDraining, position: Position) -> None:
    """Deliver what is held; accept nothing new."""
    row = _row(views, event.agent_type, position)
    row.mode, row.reason = DRAINING, event.reason


def resume(views: Views, event: AgentResumed, position: Position) -> None:
    """End a pause or a drain."""
    row = _row(views, event.agent_type, position)
    row.mode, row.reason = RUNNING, ""


def set_depth(views: Views, event: DepthSet, position: Position) -> None:
    """Limit how much may be held for the agent type."""
    _row(views, event.agent_type, position).depth_max = event.depth_max
