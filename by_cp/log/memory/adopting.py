"""Taking what a foreign client wrote into by-cp's streams into the log.

What that client does next is not ours to say. Whoever waits delivers by itself once it hears READY;
so nothing is put into the control stream for it. Whoever went on was told that its command is held;
so it is, and a verdict that would reject it leaves it there for the gate.
"""

from __future__ import annotations

from by_cp.log import admission
from by_cp.log.admission import Verdict
from by_cp.log.answers import Receipt
from by_cp.log.commands import Adopt
from by_cp.log.memory.ending import deliver, expire, is_late, late_reason, reject_held
from by_cp.log.memory.journal import Journal
from by_cp.log.memory.waking import wake
from by_cp.statemachine.events import ADMISSION, BecameReady, CircuitHalfOpened, Held, Requested
from by_cp.vocabulary import WAITING, AvailabilityStatus, ErrorCode, RoutePolicy


def adopt(log: Journal, command: Adopt) -> Receipt:
    """Hold a new execution, and then deliver it, reject it or wake for it."""
    call, execution_id, cause = command.call, command.execution_id, command.call_id
    verdict = admission.admit(log.facts, call)
    if verdict.half_opens:
        log.record_system(CircuitHalfOpened("", call.agent_type), cause)
    log.record(Requested(execution_id, 0, "", call, verdict.evidence), cause)
    log.record(_held(log, command), cause)
    return _decided(log, command, verdict)


def _held(log: Journal, command: Adopt) -> Held:
    call, text = command.call, command.command
    waits = call.policy == RoutePolicy.WAKE_AND_WAIT
    return Held(
        *(command.execution_id, 0, "", text.whole.decode(), len(text.before), len(text.name)),
        deadline_ms=command.written_ms + call.timeout_ms if waits else 0,
        rank=log.rank(call.agent_type, call.priority, call.user_code),
    )


def _decided(log: Journal, command: Adopt, verdict: Verdict) -> Receipt:
    execution_id, cause = command.execution_id, command.call_id
    head, held = log.views.executions[execution_id], log.views.pending[execution_id]
    waits = held.deadline_ms > 0
    status: str = WAITING if waits else AvailabilityStatus.QUEUE_PENDING
    to, code, reason, retry_after_ms = held.agent_type, "", "", -1
    if waits and is_late(held, log.now_ms):
        status, code = AvailabilityStatus.REJECT, ErrorCode.AGENT_TYPE_UNAVAILABLE
        reason = late_reason(held)
        expire(log, held, cause, ADMISSION)
    elif verdict.how:
        status, to = AvailabilityStatus.DELIVER_NOW, verdict.agent_type
        if verdict.how == "FALLBACK":
            status = AvailabilityStatus.FALLBACK_TO_OTHER_AGENT_TYPE
        deliver(log, BecameReady(execution_id, 0, "", verdict.how, to), cause)
    elif waits and verdict.code:
        status, code = AvailabilityStatus.REJECT, verdict.code
        reason, retry_after_ms = verdict.reason, verdict.retry_after_ms
        reject_held(log, held, cause, reason, ADMISSION, retry_after_ms, code)
    elif verdict.wakes:
        wake(log, head, cause, verdict.permit_until_ms)
    return Receipt(execution_id, status, to, code, reason, retry_after_ms, log.last_position)
