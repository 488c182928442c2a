"""What each command decides: the checks, and then the events.

Every function here checks all it has to before it records anything, as the server's functions must
(a Lua error rolls nothing back). The server's counterparts stand in `by_cp/log/redis/lua`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from by_cp.log import admission
from by_cp.log.answers import Outcome, Receipt, Recorded, Refused, Tally
from by_cp.log.commands import (
    Append,
    Configure,
    GiveUp,
    Redrive,
    Release,
    Request,
    Settle,
    Sweep,
)
from by_cp.log.memory.journal import Journal
from by_cp.projections.rows import ExecutionRow
from by_cp.statemachine.events import (
    BecameReady,
    DeadLettered,
    Delivered,
    Failed,
    Held,
    Redriven,
    Rejected,
    Requested,
    WakeProgressed,
    WakeRequested,
)
from by_cp.statemachine.states import State
from by_cp.statemachine.table import TABLE
from by_cp.vocabulary import (
    SENTENCES,
    WAITING,
    AvailabilityStatus,
    ErrorCode,
    Refusal,
    RoutePolicy,
    WakeupDecisionStatus,
)

CLAIM_MS_MIN = 1_000
"""A wake's claim holds at least this long, however short its leader waits."""

WAKING_POLICIES = frozenset({RoutePolicy.WAKE_AND_WAIT, RoutePolicy.WAKE_AND_QUEUE})
HELD_STATES = frozenset({State.REQUESTED, State.WAKING})


def request(log: Journal, command: Request) -> Receipt:
    """Admit a new execution: deliver, reject, or hold it."""
    verdict = admission.admit(log.facts, command.call)
    call, execution_id, cause = command.call, command.execution_id, command.call_id
    log.record(Requested(execution_id, 0, "", call, verdict.evidence), cause)
    if verdict.code:
        log.record(Rejected(execution_id, 0, "", verdict.code, verdict.reason), cause)
        return Receipt(
            execution_id,
            AvailabilityStatus.REJECT,
            call.agent_type,
            verdict.code,
            verdict.reason,
            position=log.last_position,
        )
    if verdict.how:
        to = verdict.agent_type
        text = command.command.addressed(to if to != call.agent_type else "")
        log.record(BecameReady(execution_id, 0, "", verdict.how, to), cause)
        log.record(Delivered(execution_id, 0, "", to), cause, text)
        status: str = (
            AvailabilityStatus.FALLBACK_TO_OTHER_AGENT_TYPE
            if verdict.how == "FALLBACK"
            else AvailabilityStatus.DELIVER_NOW
        )
        return Receipt(execution_id, status, to, position=log.last_position)
    waits = call.policy == RoutePolicy.WAKE_AND_WAIT
    deadline_ms = log.now_ms + call.timeout_ms if waits else 0
    name_at, name_size = len(command.command.before), len(command.command.name)
    whole = command.command.whole.decode()
    head = log.record(Held(execution_id, 0, "", whole, name_at, name_size, deadline_ms), cause)
    if call.policy in WAKING_POLICIES:
        _wake(log, head, cause)
    status = WAITING if waits else AvailabilityStatus.QUEUE_PENDING
    return Receipt(execution_id, status, call.agent_type, position=log.last_position)


def _wake(log: Journal, head: ExecutionRow, cause: str) -> None:
    """Let a held execution join the wake of its group, or lead a new one."""
    now_ms = log.now_ms
    claim = log.world.claims.get(head.group)
    if claim is not None and claim.until_ms > now_ms:
        event = WakeRequested(head.execution_id, 0, "", claim.epoch, claim.leader)
    else:
        until_ms = now_ms + max(head.call.timeout_ms, CLAIM_MS_MIN)
        event = WakeRequested(head.execution_id, 0, "", until_ms=until_ms)
    log.record(event, cause)


def settle(log: Journal, command: Settle) -> Tally:
    """Apply a wake's decision to those of the members that wait for its epoch."""
    status, selected, reason = command.status, command.selected, command.reason
    group = (command.agent_type, command.user_code, command.region)
    stands_in = bool(selected) and log.world.seen(selected).online
    if status == WakeupDecisionStatus.FALLBACK and not stands_in:
        status = WakeupDecisionStatus.FAILED
        key = "fallback_offline" if selected else "fallback_empty"
        reason = SENTENCES[key] % selected if selected else SENTENCES[key]
    final = status not in (WakeupDecisionStatus.STARTING, WakeupDecisionStatus.QUEUED)
    claim = log.world.claims.get(group)
    if final and claim is not None and claim.epoch == command.epoch:
        del log.world.claims[group]

    counts = dict.fromkeys(Tally.__struct_fields__, 0)
    for member in command.members:
        head = log.head(member.execution_id)
        if head is None or head.state != State.WAKING or head.epoch != command.epoch:
            counts["skipped"] += 1
            continue
        counts[_settle_one(log, command, head, status, reason)] += 1
    return Tally(**counts)


def _settle_one(log: Journal, command: Settle, head: ExecutionRow, status: str, reason: str) -> str:
    """Settle one member; return the field of the tally that counts it."""
    execution_id, cause, by = head.execution_id, command.call_id, command.by
    agent_type = head.call.agent_type
    match status:
        case WakeupDecisionStatus.READY | WakeupDecisionStatus.FALLBACK:
            fallback = status == WakeupDecisionStatus.FALLBACK
            to = command.selected if fallback else agent_type
            how = "FALLBACK" if fallback else "WAKE"
            ready = BecameReady(execution_id, 0, "", how, to, command.epoch, command.worker_ids, by)
            log.record(ready, cause)
            log.record(Delivered(execution_id, 0, "", to), cause)
            return "delivered"
        case WakeupDecisionStatus.STARTING | WakeupDecisionStatus.QUEUED:
            log.record(WakeProgressed(execution_id, 0, "", status, reason, by), cause)
            return "progressed"
        case WakeupDecisionStatus.REJECTED:
            told = reason or SENTENCES["rejected"] % agent_type
            return _reject_held(log, head, cause, told, by, command.retry_after_ms)
        case _:
            told = reason or SENTENCES["failed"] % agent_type
            log.record(Failed(execution_id, 0, "", told, command.epoch, by), cause)
            log.record(DeadLettered(execution_id, 0, "", told, by), cause)
            return "dead_lettered"


def _reject_held(
    log: Journal, head: ExecutionRow, cause: str, reason: str, by: str, retry_after_ms: int = -1
) -> str:
    """Reject a held command: a waiting caller is told; what nobody waits for is buried."""
    held = log.views.pending[head.execution_id]
    execution_id, code = head.execution_id, ErrorCode.AGENT_TYPE_UNAVAILABLE
    log.record(Rejected(execution_id, 0, "", code, reason, retry_after_ms, by), cause)
    if held.deadline_ms:
        return "rejected"
    log.record(
        DeadLettered(execution_id, 0, "", reason, by, held.command, held.name_at, held.name_size),
        cause,
    )
    return "dead_lettered"


def release(log: Journal, command: Release) -> Tally:
    """Deliver held commands, if the agent type has a worker online and no open circuit."""
    agent_type = command.agent_type
    _, blocked = admission.open_circuit(log.facts, agent_type)
    if blocked or not log.world.seen(agent_type).online:
        return Tally(skipped=len(command.members))
    delivered = 0
    now_ms = log.now_ms
    for member in command.members:
        head = log.head(member.execution_id)
        held = log.views.pending.get(member.execution_id)
        late = held is not None and 0 < held.deadline_ms <= now_ms
        if head is None or held is None or late or head.state not in HELD_STATES:
            continue
        execution_id, cause = head.execution_id, command.call_id
        # Whoever waited for a wake got what it was to bring, so the wake succeeded.
        ready = BecameReady(execution_id, 0, "", "ONLINE", agent_type, head.epoch, by=command.by)
        log.record(ready, cause)
        log.record(Delivered(execution_id, 0, "", agent_type), cause)
        delivered += 1
    return Tally(delivered=delivered, skipped=len(command.members) - delivered)


def sweep(log: Journal, command: Sweep) -> Tally:
    """Expire what is past its deadline."""
    now_ms = log.now_ms
    rejected = 0
    for member in command.members:
        head = log.head(member.execution_id)
        held = log.views.pending.get(member.execution_id)
        if head is None or held is None or head.state not in HELD_STATES:
            continue
        if not 0 < held.deadline_ms <= now_ms:
            continue
        reason = SENTENCES["timeout"] % head.call.agent_type
        _reject_held(log, head, command.call_id, reason, command.by)
        rejected += 1
    return Tally(rejected=rejected, skipped=len(command.members) - rejected)


def give_up(log: Journal, command: GiveUp) -> Outcome | Refused:
    """Stop waiting; if it was settled meanwhile, answer what came out."""
    head = log.head(command.execution_id)
    if head is None:
        return Refused(Refusal.UNKNOWN, command.execution_id)
    if head.state in HELD_STATES and head.held_at:
        _reject_held(log, head, command.call_id, command.reason, "caller")
    told = log.world.outcomes.get(command.execution_id)
    if told is None:
        return Refused(Refusal.ILLEGAL, command.execution_id, head.state, "Rejected")
    return told


def redrive(log: Journal, command: Redrive) -> Receipt | Refused:
    """Give a dead letter another life."""
    execution_id, cause = command.execution_id, command.call_id
    head = log.head(execution_id)
    if head is None:
        return Refused(Refusal.UNKNOWN, execution_id)
    if head.state != State.DEADLETTER:
        return Refused(Refusal.ILLEGAL, execution_id, head.state, "Redriven")
    buried = log.views.dead_letters[execution_id]
    if not buried.command:
        return Refused(Refusal.NOTHING, execution_id)
    agent_type, user_code = head.call.agent_type, head.call.user_code
    _, blocked = admission.open_circuit(log.facts, agent_type)
    if not blocked and user_code:
        *_, blocked = admission.used_quota(log.facts, user_code)
    if blocked:
        return Refused(Refusal.REDRIVE, execution_id, reason=blocked)

    online = log.world.seen(agent_type).online
    log.record(Redriven(execution_id, 0, "", command.by), cause)
    held = Held(execution_id, 0, "", buried.command, buried.name_at, buried.name_size)
    head = log.record(held, cause)
    status = AvailabilityStatus.QUEUE_PENDING
    if online:
        ready = BecameReady(execution_id, 0, "", "ONLINE", agent_type, by=command.by)
        log.record(ready, cause)
        log.record(Delivered(execution_id, 0, "", agent_type), cause)
        status = AvailabilityStatus.DELIVER_NOW
    elif head.call.policy in WAKING_POLICIES:
        _wake(log, head, cause)
    return Receipt(execution_id, status, agent_type, position=log.last_position)


def append(log: Journal, command: Append) -> Recorded | Refused:
    """Append one event, guarded by the table, the version and what its effects need."""
    event = command.event
    head = log.head(event.execution_id)
    state = head.state if head is not None else None
    version = head.version if head is not None else 0
    if command.expected_version not in (-1, version):
        return Refused(
            Refusal.VERSION, event.execution_id, expected=command.expected_version, actual=version
        )
    if (state, event.name) not in TABLE:
        return Refused(Refusal.ILLEGAL, event.execution_id, state or "", event.name)
    if isinstance(event, Delivered) and event.execution_id not in log.views.pending:
        return Refused(Refusal.NOTHING, event.execution_id)
    head = log.record(event, command.call_id)
    return Recorded(log.last_position, head.version)


def configure(log: Journal, command: Configure) -> Recorded:
    """Append a system event."""
    return Recorded(log.record_system(command.event, command.call_id), 0)


DECIDERS: dict[type, Callable[[Journal, Any], Any]] = {
    Request: request,
    Settle: settle,
    Release: release,
    Sweep: sweep,
    GiveUp: give_up,
    Redrive: redrive,
    Append: append,
    Configure: configure,
}
"""Command -> what decides it."""
