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
    Adopt,
    Append,
    Attempt,
    Cancel,
    Configure,
    GiveUp,
    Mature,
    Redrive,
    Release,
    Request,
    Rouse,
    Settle,
    Sweep,
)
from by_cp.log.memory.adopting import adopt
from by_cp.log.memory.ending import deliver, expire, held_of, is_late, reject_held
from by_cp.log.memory.journal import Journal
from by_cp.log.memory.waking import attempt, rouse, settle, wake
from by_cp.projections.agents import DRAINING, PAUSED, RUNNING
from by_cp.statemachine.events import (
    BecameReady,
    Call,
    CircuitHalfOpened,
    Delivered,
    FallbackSet,
    Held,
    Redriven,
    Rejected,
    Requested,
)
from by_cp.statemachine.states import State
from by_cp.statemachine.table import TABLE
from by_cp.vocabulary import (
    FALLBACKS_MAX,
    SENTENCES,
    WAITING,
    WAKING_POLICIES,
    AvailabilityStatus,
    ErrorCode,
    Refusal,
    RoutePolicy,
)


def request(log: Journal, command: Request) -> Receipt:
    """Admit a new execution: deliver, reject, or hold it."""
    verdict = admission.admit(log.facts, command.call)
    call, execution_id, cause = command.call, command.execution_id, command.call_id
    if verdict.half_opens:
        log.record_system(CircuitHalfOpened("", call.agent_type), cause)
    log.record(Requested(execution_id, 0, "", call, verdict.evidence), cause)
    if verdict.code:
        code, reason, retry_after_ms = verdict.code, verdict.reason, verdict.retry_after_ms
        log.record(Rejected(execution_id, 0, "", code, reason, retry_after_ms), cause)
        return Receipt(
            execution_id,
            AvailabilityStatus.REJECT,
            call.agent_type,
            code,
            reason,
            retry_after_ms,
            log.last_position,
        )
    if verdict.how:
        to = verdict.agent_type
        text = command.command.addressed(to if to != call.agent_type else "")
        deliver(log, BecameReady(execution_id, 0, "", verdict.how, to), cause, text)
        status: str = (
            AvailabilityStatus.FALLBACK_TO_OTHER_AGENT_TYPE
            if verdict.how == "FALLBACK"
            else AvailabilityStatus.DELIVER_NOW
        )
        return Receipt(execution_id, status, to, position=log.last_position)
    head = log.record(_held(log, command), cause)
    if verdict.wakes:
        wake(log, head, cause, verdict.permit_until_ms)
    waits = call.policy == RoutePolicy.WAKE_AND_WAIT
    status = WAITING if waits else AvailabilityStatus.QUEUE_PENDING
    return Receipt(execution_id, status, call.agent_type, position=log.last_position)


def _held(log: Journal, command: Request) -> Held:
    """Return the event that holds a command. A waiting caller's time ends with the command's."""
    call, text = command.call, command.command
    deadline_ms = 0
    if call.policy == RoutePolicy.WAKE_AND_WAIT:
        deadline_ms = log.now_ms + call.timeout_ms
        if call.expires_at_ms:
            deadline_ms = min(deadline_ms, call.expires_at_ms)
    return Held(
        command.execution_id,
        *(0, "", text.whole.decode(), len(text.before), len(text.name), deadline_ms),
        *(call.not_before_ms, call.expires_at_ms, _rank(log, call)),
    )


def _rank(log: Journal, call: Call) -> int:
    return log.rank(call.agent_type, call.priority, call.user_code)


def release(log: Journal, command: Release) -> Tally:
    """Deliver held commands, if the agent type has a worker online and nothing stands against it.

    A circuit whose open time is over does not: a worker that is online is all the proof it needs.
    """
    agent_type = command.agent_type
    circuit = admission.circuit_of(log.facts, agent_type)
    mode, _ = admission.mode_of(log.facts, agent_type)
    if circuit.blocked or mode == PAUSED or not log.world.seen(agent_type).online:
        return Tally(skipped=len(command.members))
    delivered = 0
    now_ms = log.now_ms
    for member in command.members:
        found = held_of(log, member.execution_id)
        if found is None or is_late(found[1], now_ms) or member.execution_id in log.world.delayed:
            continue
        execution_id, epoch = member.execution_id, found[0].epoch
        # Whoever waited for a wake got what it was to bring, so the wake succeeded.
        ready = BecameReady(execution_id, 0, "", "ONLINE", agent_type, epoch, by=command.by)
        deliver(log, ready, command.call_id)
        delivered += 1
    return Tally(delivered=delivered, skipped=len(command.members) - delivered)


def sweep(log: Journal, command: Sweep) -> Tally:
    """Expire what is past its time."""
    counts = dict.fromkeys(Tally.__struct_fields__, 0)
    for member in command.members:
        found = held_of(log, member.execution_id)
        if found is None or not is_late(found[1], log.now_ms):
            counts["skipped"] += 1
        else:
            counts[expire(log, found[1], command.call_id, command.by)] += 1
    return Tally(**counts)


def mature(log: Journal, command: Mature) -> Tally:
    """Let delayed commands whose time has come be delivered."""
    matured = 0
    for member in command.members:
        not_before_ms = log.world.delayed.get(member.execution_id)
        if not_before_ms is not None and not_before_ms <= log.now_ms:
            del log.world.delayed[member.execution_id]
            matured += 1
    return Tally(progressed=matured, skipped=len(command.members) - matured)


def give_up(log: Journal, command: GiveUp) -> Outcome | Refused:
    """Stop waiting; if it was settled meanwhile, answer what came out."""
    found = held_of(log, command.execution_id)
    if found is not None:
        reject_held(log, found[1], command.call_id, command.reason, "caller")
    return _outcome(log, command.execution_id)


def cancel(log: Journal, command: Cancel) -> Outcome | Refused:
    """Take a held command back; if it was settled meanwhile, answer what came out."""
    found = held_of(log, command.execution_id)
    if found is not None:
        reason = command.reason or SENTENCES["cancelled"]
        code = ErrorCode.EXECUTION_CANCELLED
        event = Rejected(command.execution_id, 0, "", code, reason, by=command.by)
        head, held = found
        log.record(event, command.call_id)
        if not held.deadline_ms:  # whoever waits here is told so
            log.resume_caller(head.call, held.command, reason)
    return _outcome(log, command.execution_id)


def _outcome(log: Journal, execution_id: str) -> Outcome | Refused:
    head = log.head(execution_id)
    if head is None:
        return Refused(Refusal.UNKNOWN, execution_id)
    told = log.world.outcomes.get(execution_id)
    if told is None:
        return Refused(Refusal.ILLEGAL, execution_id, head.state, "Rejected")
    return told


def _redrive_blocked(circuit: str, draining: str | None, quota: str) -> str:
    """Return why an execution cannot be redriven now, or ""; `draining` is why, if it is."""
    if circuit:
        return (
            circuit if circuit == SENTENCES["circuit"] else SENTENCES["redrive_circuit"] % circuit
        )
    if draining is not None:
        return SENTENCES["redrive_draining"] % draining if draining else SENTENCES["draining"]
    return quota


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
    agent_type = head.call.agent_type
    circuit = admission.circuit_of(log.facts, agent_type)
    mode, why = admission.mode_of(log.facts, agent_type)
    quota = admission.quota_of(log.facts, head.call.user_code, rated=False)
    blocked = _redrive_blocked(circuit.blocked, why if mode == DRAINING else None, quota.exceeded)
    if blocked:
        return Refused(Refusal.REDRIVE, execution_id, reason=blocked)

    online = mode == RUNNING and log.world.seen(agent_type).online
    log.record(Redriven(execution_id, 0, "", command.by), cause)
    held = Held(
        *(execution_id, 0, "", buried.command, buried.name_at, buried.name_size),
        rank=_rank(log, head.call),
    )
    head = log.record(held, cause)
    status = AvailabilityStatus.QUEUE_PENDING
    passage = circuit.passage
    if online:
        ready = BecameReady(execution_id, 0, "", "ONLINE", agent_type, by=command.by)
        deliver(log, ready, cause)
        status = AvailabilityStatus.DELIVER_NOW
    elif head.call.policy in WAKING_POLICIES and mode == RUNNING and passage.may_wake:
        if passage.half_opens:
            log.record_system(CircuitHalfOpened("", agent_type), cause)
        wake(log, head, cause, passage.permit_until_ms)
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


def configure(log: Journal, command: Configure) -> Recorded | Refused:
    """Append a system event."""
    event = command.event
    if isinstance(event, FallbackSet) and not _leads_somewhere(log, event):
        reason = SENTENCES["fallback_circle"] % (event.agent_type, event.selected, FALLBACKS_MAX)
        return Refused(Refusal.FALLBACK, "", reason=reason)
    return Recorded(log.record_system(event, command.call_id), 0)


def _leads_somewhere(log: Journal, event: FallbackSet) -> bool:
    """Tell whether the chain of fallbacks from here comes to an end, soon enough."""
    length, name = 0, event.selected
    while name:
        length += 1
        if name == event.agent_type or length > FALLBACKS_MAX:
            return False
        row = log.views.fallbacks.get(name)
        name = row.selected if row else ""
    return True


DECIDERS: dict[type, Callable[[Journal, Any], Any]] = {
    Request: request,
    Adopt: adopt,
    Attempt: attempt,
    Settle: settle,
    Rouse: rouse,
    Mature: mature,
    Release: release,
    Sweep: sweep,
    GiveUp: give_up,
    Cancel: cancel,
    Redrive: redrive,
    Append: append,
    Configure: configure,
}
"""Command -> what decides it."""
