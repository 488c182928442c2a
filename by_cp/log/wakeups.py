"""What a provider is asked, made from what the log knows of an execution."""

from __future__ import annotations

import msgspec

from by_cp.statemachine.events import Call
from by_cp.statemachine.position import Position
from by_cp.wire import WakeupRequest


def wakeup_request(
    execution_id: str, call: Call, epoch: Position = "", attempt: int = 1
) -> WakeupRequest:
    """Return the request of an execution that waits, in an attempt of its wake."""
    return WakeupRequest(
        execution_id=execution_id,
        target_agent_type=call.agent_type,
        session_id=call.session_id,
        trace_id=call.trace_id,
        message_id=call.message_id,
        source=call.source,
        policy=call.policy,
        timeout_ms=call.timeout_ms,
        user_code=call.user_code,
        region=call.region,
        priority=call.priority,
        metadata=msgspec.json.decode(call.metadata),
        epoch=epoch,
        attempt=attempt,
    )
