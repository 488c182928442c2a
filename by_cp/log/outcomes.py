"""What whoever waits is told, made from the event that settles the execution."""

from __future__ import annotations

from by_cp.log.answers import Outcome
from by_cp.statemachine.events import Call, DeadLettered, Delivered, ExecutionEvent, Rejected
from by_cp.statemachine.states import State
from by_cp.vocabulary import AvailabilityStatus, ErrorCode


def outcome_of(call: Call, event: ExecutionEvent) -> Outcome:
    """Return the outcome that a Delivered, Rejected or DeadLettered event is to its caller."""
    match event:
        case Delivered():
            status = (
                AvailabilityStatus.WAIT_AND_DELIVER
                if event.agent_type == call.agent_type
                else AvailabilityStatus.FALLBACK_TO_OTHER_AGENT_TYPE
            )
            return Outcome(event.execution_id, status, State.DELIVERED, event.agent_type)
        case Rejected():
            return Outcome(
                event.execution_id,
                AvailabilityStatus.REJECT,
                State.REJECTED,
                call.agent_type,
                event.code,
                event.reason,
                event.retry_after_ms,
            )
        case DeadLettered():
            return Outcome(
                event.execution_id,
                AvailabilityStatus.REJECT,
                State.DEADLETTER,
                call.agent_type,
                ErrorCode.AGENT_TYPE_UNAVAILABLE,
                event.reason,
            )
        case _:
            raise ValueError(f"{event.name} settles nothing")
