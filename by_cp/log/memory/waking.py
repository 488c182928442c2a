"""What is decided about wakes: who leads, who joins, which attempt counts, how it came out."""

from __future__ import annotations

from by_cp.log import admission
from by_cp.log.answers import Attempted, Tally
from by_cp.log.commands import Attempt, Rouse, Settle
from by_cp.log.memory.ending import (
    deliver,
    expire,
    fail,
    held_of,
    is_late,
    reject_held,
)
from by_cp.log.memory.journal import Journal
from by_cp.projections.agents import PAUSED, RUNNING
from by_cp.projections.rows import ExecutionRow, PendingRow
from by_cp.statemachine.events import (
    BecameReady,
    CircuitHalfOpened,
    WakeAttempted,
    WakeEnded,
    WakeProgressed,
    WakeRequested,
)
from by_cp.statemachine.states import State
from by_cp.vocabulary import (
    ATTEMPT_MS_MIN,
    ROUSE_GRACE_MS,
    SENTENCES,
    WAKING_POLICIES,
    WakeupDecisionStatus,
)

PROGRESS = frozenset({WakeupDecisionStatus.STARTING, WakeupDecisionStatus.QUEUED})

NOBODY = "NOBODY"
SUPERSEDED = "SUPERSEDED"
ABANDONED = "ABANDONED"


def wake(log: Journal, head: ExecutionRow, cause: str, permit_until_ms: int = 0) -> None:
    """Let a held execution join the wake of its group, or lead a new one."""
    now_ms = log.now_ms
    claim = log.views.wakes.get(head.group)
    if claim is not None and claim.until_ms > now_ms:
        event = WakeRequested(head.execution_id, 0, "", claim.wake, claim.leader)
    else:
        until_ms = now_ms + max(head.call.timeout_ms, ATTEMPT_MS_MIN)
        event = WakeRequested(
            head.execution_id, 0, "", until_ms=until_ms, permit_until_ms=permit_until_ms
        )
    log.record(event, cause)


def attempt(log: Journal, command: Attempt) -> Attempted:
    """Begin an attempt, unless nobody waits or a later wake has the claim."""
    group = (command.agent_type, command.user_code, command.region)
    claim = log.views.wakes.get(group)
    if claim is not None and claim.wake != command.wake:
        return Attempted("", why_not=SUPERSEDED)
    heads = (log.head(member.execution_id) for member in command.members)
    waits = next((head for head in heads if head and _waits_in(head, group)), None)
    if waits is None:
        if claim is not None:
            ended = WakeEnded("", *group, claim.wake, claim.epoch, ABANDONED, "", command.by)
            log.record_system(ended, command.call_id)
        return Attempted("", why_not=NOBODY)
    number = claim.attempt + 1 if claim is not None else 1
    until_ms = log.now_ms + max(command.lasts_ms, ATTEMPT_MS_MIN)
    event = WakeAttempted(
        *(waits.execution_id, 0, "", command.wake, number, until_ms),
        *(command.reason, command.by),
    )
    head = log.record(event, command.call_id)
    return Attempted(head.position, number)


def settle(log: Journal, command: Settle) -> Tally:
    """Apply the decision of a group's latest attempt to those of the members that wait."""
    group = (command.agent_type, command.user_code, command.region)
    claim, ended = log.views.wakes.get(group), log.world.ended.get(group)
    final = command.status not in PROGRESS
    if claim is not None:
        current = claim.epoch == command.epoch
    else:
        current = final and ended is not None and ended.epoch == command.epoch
        current = current and ended is not None and log.now_ms < ended.until_ms
    if not current:
        return Tally(skipped=len(command.members))

    status, reason = command.status, command.reason
    if status == WakeupDecisionStatus.FALLBACK:
        status, reason = _checked_fallback(log, command)
    if final and claim is not None:
        event = WakeEnded("", *group, claim.wake, claim.epoch, status, reason, command.by)
        log.record_system(event, command.call_id)
    mode, _ = admission.mode_of(log.facts, command.agent_type)
    paused = mode == PAUSED and status == WakeupDecisionStatus.READY
    counts = dict.fromkeys(Tally.__struct_fields__, 0)
    for member in command.members:
        found = held_of(log, member.execution_id)
        if paused or found is None or not _waits_in(found[0], group):
            counts["skipped"] += 1
        else:
            counts[_settle_one(log, command, found, status, reason)] += 1
    return Tally(**counts)


def _checked_fallback(log: Journal, command: Settle) -> tuple[str, str]:
    """Believe in a fallback only if it is online."""
    selected = command.selected
    if not selected:
        return WakeupDecisionStatus.FAILED, SENTENCES["fallback_empty"]
    if not log.world.seen(selected).online:
        return WakeupDecisionStatus.FAILED, SENTENCES["fallback_offline"] % selected
    return WakeupDecisionStatus.FALLBACK, command.reason


def _settle_one(
    log: Journal, command: Settle, found: tuple[ExecutionRow, PendingRow], status: str, reason: str
) -> str:
    """Settle one member; return the field of the tally that counts it."""
    head, held = found
    execution_id, cause, by = head.execution_id, command.call_id, command.by
    agent_type = head.call.agent_type
    match status:
        case WakeupDecisionStatus.READY | WakeupDecisionStatus.FALLBACK:
            if is_late(held, log.now_ms):
                return expire(log, held, cause, by)
            fallback = status == WakeupDecisionStatus.FALLBACK
            to = command.selected if fallback else agent_type
            how = "FALLBACK" if fallback else "WAKE"
            ready = BecameReady(execution_id, 0, "", how, to, command.epoch, command.worker_ids, by)
            deliver(log, ready, cause)
            return "delivered"
        case WakeupDecisionStatus.STARTING | WakeupDecisionStatus.QUEUED:
            log.record(WakeProgressed(execution_id, 0, "", status, reason, by), cause)
            return "progressed"
        case WakeupDecisionStatus.REJECTED:
            told = reason or SENTENCES["rejected"] % agent_type
            return reject_held(log, held, cause, told, by, command.retry_after_ms)
        case _:
            told = reason or SENTENCES["failed"] % agent_type
            fail(log, head, cause, told, command.epoch, by)
            return "dead_lettered"


def rouse(log: Journal, command: Rouse) -> Tally:
    """Ask for wakes for those held commands that wait for none, though their policy says so."""
    agent_type = command.agent_type
    count = len(command.members)
    mode, _ = admission.mode_of(log.facts, agent_type)
    circuit = admission.circuit_of(log.facts, agent_type)
    if mode != RUNNING or circuit.blocked or log.world.seen(agent_type).online:
        return Tally(skipped=count)
    half_opens = circuit.passage.half_opens
    roused = 0
    for member in command.members:
        found = held_of(log, member.execution_id)
        if found is None or not _needs_wake(log, *found):
            continue
        passage = admission.circuit_of(log.facts, agent_type).passage
        claim = log.views.wakes.get(found[0].group)
        leads = claim is None or claim.until_ms <= log.now_ms
        if leads and not passage.may_wake:
            continue
        if half_opens:
            log.record_system(CircuitHalfOpened("", agent_type), command.call_id)
            half_opens = False
        wake(log, found[0], command.call_id, passage.permit_until_ms)
        roused += 1
    return Tally(progressed=roused, skipped=count - roused)


def _needs_wake(log: Journal, head: ExecutionRow, held: PendingRow) -> bool:
    """Tell whether a held command should wait for a wake and waits for none, or for a lost one."""
    now_ms = log.now_ms
    if head.call.policy not in WAKING_POLICIES or is_late(held, now_ms):
        return False
    if head.execution_id in log.world.delayed:
        return False
    if head.state == State.REQUESTED:
        return True
    claim, ended = log.views.wakes.get(head.group), log.world.ended.get(head.group)
    if claim is not None:
        return claim.until_ms + ROUSE_GRACE_MS <= now_ms
    return ended is None or ended.until_ms <= now_ms


def _waits_in(head: ExecutionRow, group: tuple[str, str, str]) -> bool:
    return head.state == State.WAKING and head.group == group
