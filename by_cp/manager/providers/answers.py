"""Decisions, as providers make them."""

from __future__ import annotations

from by_cp.wire import WakeupDecision, WakeupRequest


def decision(request: WakeupRequest, status: str, reason: str) -> WakeupDecision:
    """Return a decision about a request."""
    return WakeupDecision(
        execution_id=request.execution_id,
        target_agent_type=request.target_agent_type,
        status=status,
        region=request.region,
        reason=reason,
    )
