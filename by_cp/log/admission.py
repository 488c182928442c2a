"""Admission: what becomes of a request, in by-framework's order.

Circuit, quota, SEND_ANYWAY, online, configured fallback, policy: the first that applies decides.
This is the law in pure Python; the server's Lua says the same (`redis/lua/admission.lua`), and the
differential tests hold the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from by_cp.log import foreign
from by_cp.projections.circuit import CLOSED, OPEN
from by_cp.projections.rows import NO_LIMIT
from by_cp.projections.views import Views
from by_cp.statemachine.events import Call, Evidence
from by_cp.vocabulary import SENTENCES, ErrorCode, RoutePolicy

FOREIGN = "FOREIGN"
"""Circuit evidence: a key written by hand holds it open."""


class Seen(NamedTuple):
    """What the online check met."""

    online: int
    registered: int


class Facts(NamedTuple):
    """All that admission looks at."""

    views: Views
    document: Callable[[str, str], str | None]
    """(kind, name) -> JSON text that someone wrote by hand; kinds: circuit, quota, fallback."""
    seen: Callable[[str], Seen]
    """agent type -> its workers."""


class Verdict(NamedTuple):
    """What was decided, and on what evidence."""

    evidence: Evidence
    how: str = ""
    """Not "": deliver now; the `how` of BecameReady."""
    agent_type: str = ""
    code: str = ""
    """Not "": reject."""
    reason: str = ""


def open_circuit(facts: Facts, agent_type: str) -> tuple[str, str]:
    """Return the circuit's evidence and, when it is open, the reason."""
    row = facts.views.circuits.get(agent_type)
    if row is not None and row.state == OPEN:
        return OPEN, row.reason or SENTENCES["circuit"]
    reason = foreign.circuit_reason(facts.document("circuit", agent_type), SENTENCES["circuit"])
    return (CLOSED, "") if reason is None else (FOREIGN, reason)


def used_quota(facts: Facts, user_code: str) -> tuple[int, int, str]:
    """Return how many are in flight, how many may be, and the reason when that is used up."""
    row = facts.views.quotas.get(user_code)
    used, limit = (row.in_flight, row.limit) if row is not None else (0, NO_LIMIT)
    if limit != NO_LIMIT and used >= limit:
        return used, limit, SENTENCES["quota_used"] % (used, limit)
    reason = foreign.quota_reason(facts.document("quota", user_code), SENTENCES["quota"])
    return used, limit, reason or ""


def fallback_of(facts: Facts, agent_type: str) -> str:
    """Return who stands in for an agent type, or ""."""
    row = facts.views.fallbacks.get(agent_type)
    if row is not None and row.selected:
        return row.selected
    return foreign.fallback_name(facts.document("fallback", agent_type))


def admit(facts: Facts, call: Call) -> Verdict:
    """Decide. A verdict with neither `how` nor `code`: hold it, and wake if the policy says so."""
    circuit, circuit_reason = open_circuit(facts, call.agent_type)
    evidence = Evidence(circuit=circuit)
    if circuit_reason:
        return Verdict(evidence, code=ErrorCode.AGENT_CIRCUIT_OPEN, reason=circuit_reason)

    used = limit = -1
    if call.user_code:
        used, limit, quota_reason = used_quota(facts, call.user_code)
        evidence = Evidence(circuit, used, limit)
        if quota_reason:
            return Verdict(evidence, code=ErrorCode.TENANT_QUOTA_EXCEEDED, reason=quota_reason)

    if call.policy == RoutePolicy.SEND_ANYWAY:
        return Verdict(evidence, how="SEND_ANYWAY", agent_type=call.agent_type)

    seen = facts.seen(call.agent_type)
    evidence = Evidence(circuit, used, limit, seen.online, seen.registered)
    if seen.online:
        return Verdict(evidence, how="ONLINE", agent_type=call.agent_type)

    selected = fallback_of(facts, call.agent_type)
    if selected and facts.seen(selected).online:
        return Verdict(evidence, how="FALLBACK", agent_type=selected)

    if call.policy == RoutePolicy.FAIL_FAST:
        reason = SENTENCES["offline"] % call.agent_type
        return Verdict(evidence, code=ErrorCode.AGENT_TYPE_UNAVAILABLE, reason=reason)
    return Verdict(evidence)
