"""How executions end: delivered, with what it says of the circuit; rejected; failed; buried."""

from __future__ import annotations

from by_cp.log import breaker
from by_cp.log.memory.journal import Journal
from by_cp.projections.circuit import CLOSED
from by_cp.projections.rows import ExecutionRow, PendingRow
from by_cp.statemachine.events import (
    BecameReady,
    CircuitClosed,
    CircuitOpened,
    DeadLettered,
    Delivered,
    Failed,
    Rejected,
)
from by_cp.statemachine.states import State
from by_cp.vocabulary import SENTENCES, ErrorCode

HELD_STATES = frozenset({State.REQUESTED, State.WAKING})

PROOFS = frozenset({"ONLINE", "WAKE"})
"""Ways of becoming ready that prove that the agent type itself can be reached."""


def held_of(log: Journal, execution_id: str) -> tuple[ExecutionRow, PendingRow] | None:
    """Return the head and the held command of an execution that can still be settled."""
    head = log.head(execution_id)
    held = log.views.pending.get(execution_id)
    if head is None or held is None or head.state not in HELD_STATES:
        return None
    return head, held


def is_late(held: PendingRow, now_ms: int) -> bool:
    """Tell whether a held command's time is up."""
    return 0 < held.due_ms <= now_ms


def late_reason(held: PendingRow) -> str:
    """Say that it is."""
    if held.deadline_ms:
        return SENTENCES["timeout"] % held.agent_type
    return SENTENCES["expired"]


def deliver(log: Journal, ready: BecameReady, cause: str, command: str = "") -> None:
    """Make an execution ready and deliver it; that may close the circuit.

    `command` is what is delivered when the execution was never held.
    """
    head = log.record(ready, cause)
    delivered = Delivered(ready.execution_id, 0, "", ready.agent_type, _is_handed_over(log, head))
    log.record(delivered, cause, command)
    row = log.views.circuits.get(head.call.agent_type)
    if ready.how in PROOFS and row is not None and row.state != CLOSED and not row.forced:
        how = SENTENCES["healed"] % ready.how
        log.record_system(CircuitClosed("", row.agent_type, how), cause)


def _is_handed_over(log: Journal, head: ExecutionRow) -> bool:
    """Tell whether the caller, a foreign client that waits, delivers by itself."""
    held = log.views.pending.get(head.execution_id)
    return held is not None and held.deadline_ms > 0 and bool(head.call.origin)


def fail(log: Journal, head: ExecutionRow, cause: str, reason: str, epoch: str, by: str) -> None:
    """Let an execution fail, and bury it; that may open the circuit."""
    agent_type = head.call.agent_type
    before = log.views.circuits.get(agent_type)
    struck = epoch and (before is None or before.epoch != epoch)
    log.record(Failed(head.execution_id, 0, "", reason, epoch, by), cause)
    log.record(DeadLettered(head.execution_id, 0, "", reason, by), cause)
    if struck:
        opening = breaker.opening(log.views, log.views.circuits[agent_type], log.now_ms)
        if opening:
            until_ms, failures = opening
            log.record_system(CircuitOpened("", agent_type, until_ms, failures, reason), cause)


def reject_held(
    log: Journal,
    held: PendingRow,
    cause: str,
    reason: str,
    by: str,
    retry_after_ms: int = -1,
    code: str = ErrorCode.AGENT_TYPE_UNAVAILABLE,
) -> str:
    """Reject a held command: a waiting caller is told; what nobody waits for is buried.

    Returns the field of the tally that counts it.
    """
    execution_id = held.execution_id
    log.record(Rejected(execution_id, 0, "", code, reason, retry_after_ms, by), cause)
    if held.deadline_ms:
        return "rejected"
    log.record(
        DeadLettered(execution_id, 0, "", reason, by, held.command, held.name_at, held.name_size),
        cause,
    )
    return "dead_lettered"


def expire(log: Journal, held: PendingRow, cause: str, by: str) -> str:
    """Reject a held command whose time is up."""
    code = ErrorCode.AGENT_TYPE_UNAVAILABLE if held.deadline_ms else ErrorCode.COMMAND_EXPIRED
    return reject_held(log, held, cause, late_reason(held), by, code=code)
