"""Admission: what becomes of a request, in by-framework's order.

Circuit, quota, SEND_ANYWAY, online, configured fallback, policy: the first that applies decides.
What by-framework does not have stands where it disturbs that order least: what has expired comes
first, a pause or a drain comes after the quota, a full queue last.

This is the law in pure Python; the server's Lua says the same (`redis/lua/admission.lua`), and the
differential tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from by_cp.log import breaker, foreign
from by_cp.log.rate import rate_of
from by_cp.projections.agents import DRAINING, PAUSED, RUNNING
from by_cp.projections.circuit import CLOSED, HALF_OPEN, OPEN
from by_cp.projections.rows import NO_LIMIT
from by_cp.projections.views import Views
from by_cp.statemachine.events import Call, Evidence
from by_cp.vocabulary import (
    FALLBACKS_MAX,
    RETRY_HINT_MS,
    SENTENCES,
    WAKING_POLICIES,
    ErrorCode,
    RoutePolicy,
)

FOREIGN = "FOREIGN"
"""Circuit evidence: a key written by hand holds it open."""


class Seen(NamedTuple):
    """What the online check met."""

    online: int
    registered: int


class Facts(NamedTuple):
    """All that admission looks at."""

    views: Views
    now_ms: int
    document: Callable[[str, str], str | None]
    """(kind, name) -> JSON text that someone wrote by hand; kinds: circuit, quota, fallback."""
    seen: Callable[[str], Seen]
    """agent type -> its workers."""
    depth: Callable[[str], int]
    """agent type -> how many commands are held for it."""


class Verdict(NamedTuple):
    """What was decided, and on what evidence."""

    evidence: Evidence
    how: str = ""
    """Not "": deliver now; the `how` of BecameReady."""
    agent_type: str = ""
    code: str = ""
    """Not "": reject."""
    reason: str = ""
    retry_after_ms: int = -1
    wakes: bool = False
    """Of what is held: a wake is asked for."""
    permit_until_ms: int = 0
    half_opens: bool = False
    """The circuit's open time is over, and no event says so yet."""


class Circuit(NamedTuple):
    """An agent type's circuit, as by-cp and whoever writes its key by hand have it."""

    passage: breaker.Passage
    state: str
    blocked: str
    """Why nothing is let through; "" if something is."""


class Quota(NamedTuple):
    """How a tenant stands."""

    used: int = -1
    limit: int = -1
    depth_max: int = NO_LIMIT
    tat_us: int = -1
    exceeded: str = ""
    """Why nothing more is accepted; "" if something is."""
    retry_after_ms: int = -1


def circuit_of(facts: Facts, agent_type: str) -> Circuit:
    """Tell what an agent type's circuit lets through."""
    passage = breaker.passage(facts.views, agent_type, facts.now_ms)
    if passage.state == OPEN:
        return Circuit(passage, OPEN, passage.reason)
    reason = foreign.circuit_reason(facts.document("circuit", agent_type), SENTENCES["circuit"])
    return Circuit(passage, passage.state if reason is None else FOREIGN, reason or "")


def quota_of(facts: Facts, user_code: str, *, rated: bool = True) -> Quota:
    """Tell how many a tenant has in flight, how many it may, and whether that is used up.

    `rated`: its rate counts, too.
    """
    if not user_code:
        return Quota()
    row = facts.views.quotas.get(user_code)
    used, limit, depth_max = (
        (row.used(facts.now_ms), row.limit, row.depth_max) if row else (0, NO_LIMIT, NO_LIMIT)
    )
    stands = Quota(used, limit, depth_max)
    if limit != NO_LIMIT and used >= limit:
        told = SENTENCES["quota_used"] % (used, limit)
        return stands._replace(exceeded=told, retry_after_ms=RETRY_HINT_MS)
    reason = foreign.quota_reason(facts.document("quota", user_code), SENTENCES["quota"])
    if reason:
        return stands._replace(exceeded=reason)
    rate = rate_of(row if rated else None, facts.now_ms)
    if row is not None and rate.retry_after_ms:
        told = SENTENCES["rate_used"] % (row.rate_count, row.rate_period_ms)
        return stands._replace(exceeded=told, retry_after_ms=rate.retry_after_ms)
    return stands._replace(tat_us=rate.tat_us)


def mode_of(facts: Facts, agent_type: str) -> tuple[str, str]:
    """Return whether an agent type is RUNNING, PAUSED or DRAINING, and why."""
    row = facts.views.agents.get(agent_type)
    return (RUNNING, "") if row is None else (row.mode, row.reason)


def fallback_of(facts: Facts, agent_type: str) -> str:
    """Return who stands in for an agent type, or ""."""
    row = facts.views.fallbacks.get(agent_type)
    if row is not None and row.selected:
        return row.selected
    return foreign.fallback_name(facts.document("fallback", agent_type))


def online_fallback(facts: Facts, agent_type: str) -> str:
    """Follow the chain of fallbacks to the first that is online and not paused; "" if none is."""
    met = {agent_type}
    selected = fallback_of(facts, agent_type)
    while selected and selected not in met and len(met) <= FALLBACKS_MAX:
        if mode_of(facts, selected)[0] == RUNNING and facts.seen(selected).online:
            return selected
        met.add(selected)
        selected = fallback_of(facts, selected)
    return ""


def admit(facts: Facts, call: Call) -> Verdict:
    """Decide. A verdict with neither `how` nor `code`: hold it, and wake if it says so."""
    if 0 < call.expires_at_ms <= facts.now_ms:
        return Verdict(Evidence(), code=ErrorCode.COMMAND_EXPIRED, reason=SENTENCES["expired"])
    circuit = circuit_of(facts, call.agent_type)
    seen: dict[str, Any] = {"circuit": circuit.state}
    verdict = _decided(facts, call, circuit, seen)
    if verdict.code:
        seen.pop("rate_tat_us", None)
    return verdict._replace(evidence=Evidence(**seen), half_opens=circuit.passage.half_opens)


def _decided(facts: Facts, call: Call, circuit: Circuit, seen: dict[str, Any]) -> Verdict:
    """Go from rung to rung; what is looked at goes into `seen`."""
    if circuit.blocked:
        retry_after_ms = circuit.passage.retry_after_ms if circuit.state == OPEN else -1
        return _rejected(ErrorCode.AGENT_CIRCUIT_OPEN, circuit.blocked, retry_after_ms)
    quota = quota_of(facts, call.user_code)
    seen |= {"quota_used": quota.used, "quota_limit": quota.limit, "rate_tat_us": quota.tat_us}
    if quota.exceeded:
        return _rejected(ErrorCode.TENANT_QUOTA_EXCEEDED, quota.exceeded, quota.retry_after_ms)
    mode, why = mode_of(facts, call.agent_type)
    if mode != RUNNING:
        seen["maintenance"] = mode
    if call.not_before_ms > facts.now_ms and mode != DRAINING:
        return _held(facts, call, quota, seen)
    blind = call.policy == RoutePolicy.SEND_ANYWAY and circuit.state == CLOSED
    if mode == RUNNING and blind:
        return Verdict(Evidence(), how="SEND_ANYWAY", agent_type=call.agent_type)
    if mode == RUNNING:
        workers = facts.seen(call.agent_type)
        seen |= {"workers_online": workers.online, "workers_registered": workers.registered}
        if workers.online:
            return Verdict(Evidence(), how="ONLINE", agent_type=call.agent_type)
    if selected := online_fallback(facts, call.agent_type):
        return Verdict(Evidence(), how="FALLBACK", agent_type=selected)
    return _nobody_there(facts, call, circuit, quota, mode, why, seen)


def _nobody_there(
    facts: Facts,
    call: Call,
    circuit: Circuit,
    quota: Quota,
    mode: str,
    why: str,
    seen: dict[str, Any],
) -> Verdict:
    """Nobody may have it now: what does its policy say?"""
    cannot_wait = call.policy in (RoutePolicy.FAIL_FAST, RoutePolicy.SEND_ANYWAY)
    if mode == DRAINING:
        return _rejected(ErrorCode.AGENT_DRAINING, why or SENTENCES["draining"])
    if mode == PAUSED and cannot_wait:
        return _rejected(ErrorCode.AGENT_PAUSED, why or SENTENCES["paused"])
    if call.policy == RoutePolicy.FAIL_FAST:
        reason = SENTENCES["offline"] % call.agent_type
        return _rejected(ErrorCode.AGENT_TYPE_UNAVAILABLE, reason)
    wakes = mode == RUNNING and call.policy in WAKING_POLICIES
    if circuit.state == HALF_OPEN and (
        call.policy == RoutePolicy.SEND_ANYWAY or (wakes and not circuit.passage.may_wake)
    ):
        passage = circuit.passage
        reason = SENTENCES["probing"]
        return _rejected(ErrorCode.AGENT_CIRCUIT_OPEN, reason, passage.retry_after_ms)
    held = _held(facts, call, quota, seen)
    if held.code:
        return held
    return held._replace(wakes=wakes, permit_until_ms=circuit.passage.permit_until_ms)


def _held(facts: Facts, call: Call, quota: Quota, seen: dict[str, Any]) -> Verdict:
    """Hold it, unless there is no room."""
    row = facts.views.agents.get(call.agent_type)
    if row is not None and row.depth_max != NO_LIMIT:
        depth = facts.depth(call.agent_type)
        seen |= {"depth": depth, "depth_max": row.depth_max}
        if depth >= row.depth_max:
            reason = SENTENCES["queue_full"] % (call.agent_type, depth, row.depth_max)
            return _rejected(ErrorCode.AGENT_QUEUE_FULL, reason, RETRY_HINT_MS)
    if quota.depth_max != NO_LIMIT and quota.used >= quota.depth_max:
        reason = SENTENCES["depth_used"] % (quota.used, quota.depth_max)
        return _rejected(ErrorCode.TENANT_QUOTA_EXCEEDED, reason, RETRY_HINT_MS)
    return Verdict(Evidence())


def _rejected(code: str, reason: str, retry_after_ms: int = -1) -> Verdict:
    return Verdict(Evidence(), code=code, reason=reason, retry_after_ms=retry_after_ms)
