"""What if the policies had been others: recorded traffic, decided anew. Pure, and changes nothing.

Each recorded request is admitted again, at the time and on the evidence that it had then, under the
policies that are asked about; what the log says of the rest (who was online, what a key by hand
said, how each wake came out) is taken as it was. A shadow of the views follows what would have
been: a request that would have been rejected holds nothing, wakes nothing and strikes nothing; one
that would have been let through, though it was rejected then, is taken to hold its place in flight
until its caller's time is up, because nobody knows how it would have come out.

A policy that is asked about and was in force anyway changes nothing; so does every other one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from msgspec import Struct, field, structs

from by_cp.log import breaker
from by_cp.log.rate import rate_of
from by_cp.projections.circuit import CLOSED, OPEN
from by_cp.projections.folding import apply
from by_cp.projections.rows import NO_LIMIT, CircuitPolicyRow, QuotaRow
from by_cp.projections.views import Views, initial
from by_cp.statemachine.events import (
    ADMISSION,
    BecameReady,
    Call,
    CircuitClosed,
    CircuitHalfOpened,
    CircuitOpened,
    CircuitPolicySet,
    DepthSet,
    Event,
    ExecutionEvent,
    Failed,
    QuotaSet,
    RateSet,
    Rejected,
    Requested,
    TenantDepthSet,
    WakeRequested,
)
from by_cp.statemachine.position import Position, time_ms
from by_cp.vocabulary import SENTENCES, ErrorCode, RoutePolicy

EXAMPLES_MAX = 5
"""So many examples are kept of each kind of difference."""

LET_THROUGH = "let through"
"""What becomes of a request that would not have been rejected; what then, nobody knows."""

_Reason = tuple[str, str]
"""The code of a rejection and its reason; "" is none."""

_HOLDING = frozenset(RoutePolicy) - {RoutePolicy.FAIL_FAST, RoutePolicy.SEND_ANYWAY}
_PROOFS = frozenset({"ONLINE", "WAKE"})
_JUDGED = frozenset(
    {ErrorCode.AGENT_CIRCUIT_OPEN, ErrorCode.TENANT_QUOTA_EXCEEDED, ErrorCode.AGENT_QUEUE_FULL}
)


class Policies(Struct, frozen=True, kw_only=True):
    """The policies that are asked about; what is not given stays as it was."""

    circuit: dict[str, int] = {}
    """Of every agent type: some of failures_max, window_ms, open_ms, probes_max, probe_ms."""
    quotas: dict[str, int] = {}
    """Tenant -> how many may be in flight; -1 is any number."""
    rates: dict[str, tuple[int, int, int]] = {}
    """Tenant -> so many calls, in so many ms, so many at once."""
    depths: dict[str, int] = {}
    """Agent type -> how many commands may be held; -1 is any number."""


class Example(Struct, frozen=True):
    """One request that would have come out otherwise."""

    position: Position
    execution_id: str
    agent_type: str
    user_code: str
    reason: str
    """Why it would be rejected; "" if it would not."""


class Difference(Struct):
    """One kind of difference."""

    was: str
    """`accepted`, or the code of the rejection."""
    would_be: str
    """`let through`, or the code of the rejection."""
    count: int = 0
    examples: list[Example] = field(default_factory=list)


class Report(Struct):
    """What would have come out otherwise."""

    events: int = 0
    requests: int = 0
    circuits_opened: int = 0
    circuits_would_open: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def changed(self) -> int:
        """How many requests would have come out otherwise."""
        return sum(difference.count for difference in self.differences)


class WhatIf:
    """Goes through a log, entry by entry, and sees what other policies would have made of it."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies
        self._shadow: Views = initial()
        self._actual: Views = initial()
        """Only what operators set, as they set it."""
        self._asked: dict[str, tuple[Position, Requested]] = {}
        self._gone: set[str] = set()
        """Executions that would not have been accepted, or not have been rejected."""
        self._depth: Counter[str] = Counter()
        self._changed: set[str] = set()
        """Agent types and tenants of whose requests one would have come out otherwise."""
        self._found: dict[tuple[str, str], Difference] = {}
        self.report = Report()

    def see(self, entries: Iterable[tuple[Position, Event]]) -> None:
        """Go through some entries, in the order of the log."""
        for position, event in entries:
            self.report.events += 1
            if isinstance(event, Requested):
                self._asked[event.execution_id] = (position, event)
            elif isinstance(event, ExecutionEvent):
                self._see_execution(position, event)
            else:
                self._see_system(position, event)

    def finish(self) -> Report:
        """Return the report, the most frequent difference first."""
        found = sorted(self._found.values(), key=lambda d: (-d.count, d.was, d.would_be))
        self.report.differences = found
        return self.report

    # --- What operators set, and what circuits did ------------------------------------------------

    def _see_system(self, position: Position, event: Event) -> None:
        if isinstance(event, CircuitOpened):
            self.report.circuits_opened += 1
        if isinstance(event, (CircuitOpened, CircuitHalfOpened, CircuitClosed)):
            if self._own_circuit(event.agent_type):
                return
            if isinstance(event, CircuitOpened):
                self.report.circuits_would_open += 1
        if isinstance(event, (CircuitPolicySet, QuotaSet, RateSet, DepthSet, TenantDepthSet)):
            apply(self._actual, event, position)
        apply(self._shadow, event, position)

    def _policy_then(self, agent_type: str) -> CircuitPolicyRow:
        return breaker.policy_of(self._actual, agent_type)

    def _own_circuit(self, agent_type: str) -> bool:
        """Tell whether the agent type's circuit acts otherwise than it did."""
        if not self._policies.circuit:
            return False
        then = self._policy_then(agent_type)
        asked = structs.replace(then, **self._policies.circuit)
        return asked != then or agent_type in self._changed

    def _set_circuit(self, agent_type: str) -> None:
        """Let the policy that is asked about be in force for an agent type."""
        asked = structs.replace(self._policy_then(agent_type), **self._policies.circuit)
        row = structs.replace(asked, agent_type=agent_type)
        self._shadow.circuit_policies[agent_type] = row

    # --- Requests, admitted again -----------------------------------------------------------------

    def _see_execution(self, position: Position, event: ExecutionEvent) -> None:
        asked = self._asked.pop(event.execution_id, None)
        if asked is not None:
            self._admit(*asked, event)
        if event.execution_id in self._gone:
            return
        self._follow(position, event)

    def _admit(self, position: Position, request: Requested, next_event: ExecutionEvent) -> None:
        self.report.requests += 1
        self._gone.discard(request.execution_id)  # it has another life
        was = ""
        if isinstance(next_event, Rejected) and next_event.by == ADMISSION:
            was = next_event.code
        code, reason = self._decide(request, time_ms(position), was, next_event.name)
        if bool(code) == bool(was) and code == was:
            self._apply(position, request, request.call.agent_type)
            return
        self._gone.add(request.execution_id)
        self._note(position, request, was, code, reason)
        if not code:
            self._assume(position, request.execution_id, request.call)

    def _decide(self, request: Requested, now_ms: int, was: str, next_event: str) -> _Reason:
        """Return the code and the reason with which it would be rejected, "" if it would not."""
        call = request.call
        if request.evidence.circuit == "FOREIGN" and was == ErrorCode.AGENT_CIRCUIT_OPEN:
            return was, ""
        circuit = self._circuit(call, now_ms, was)
        if circuit[0]:
            return circuit
        quota = self._quota(call, now_ms, was)
        if quota[0]:
            return quota
        depth = self._queue(call, was, next_event)
        if depth[0]:
            return depth
        if next_event == "Held" or was == ErrorCode.AGENT_QUEUE_FULL or _met_nobody(request):
            share = self._share(call, now_ms)
            if share[0]:
                return share
        return ("", "") if was in _JUDGED else (was, "")

    def _circuit(self, call: Call, now_ms: int, was: str) -> _Reason:
        code = ErrorCode.AGENT_CIRCUIT_OPEN
        if not self._own_circuit(call.agent_type):
            return (code, "") if was == code else ("", "")
        self._set_circuit(call.agent_type)
        passage = breaker.passage(self._shadow, call.agent_type, now_ms)
        if passage.half_opens:
            event = CircuitHalfOpened("", call.agent_type)
            apply(self._shadow, event, f"{now_ms}-0")
        wakes = call.policy in (RoutePolicy.WAKE_AND_WAIT, RoutePolicy.WAKE_AND_QUEUE)
        if passage.state == OPEN:
            return code, passage.reason
        return (code, SENTENCES["probing"]) if wakes and not passage.may_wake else ("", "")

    def _quota(self, call: Call, now_ms: int, was: str) -> _Reason:
        code, user_code = ErrorCode.TENANT_QUOTA_EXCEEDED, call.user_code
        actual = self._actual.quotas.get(user_code) or QuotaRow(user_code)
        limit = self._policies.quotas.get(user_code, actual.limit)
        if self._same_quota(user_code):
            return (code, "") if was == code else ("", "")
        used = self._used(user_code, now_ms)
        if limit != NO_LIMIT and used >= limit:
            return code, SENTENCES["quota_used"] % (used, limit)
        return self._rate(call, now_ms)

    def _same_quota(self, user_code: str) -> bool:
        """Tell whether a tenant has the limits that it had, and uses what it used."""
        actual = self._actual.quotas.get(user_code) or QuotaRow(user_code)
        rate_then = (actual.rate_count, actual.rate_period_ms, actual.rate_burst)
        return not user_code or (
            self._policies.quotas.get(user_code, actual.limit) == actual.limit
            and self._policies.rates.get(user_code, rate_then) == rate_then
            and user_code not in self._changed
        )

    def _used(self, user_code: str, now_ms: int) -> int:
        row = self._shadow.quotas.get(user_code)
        return sum(1 for until in (row.leases.values() if row else ()) if not 0 < until <= now_ms)

    def _share(self, call: Call, now_ms: int) -> _Reason:
        """Judge what would be held by how much of the tenant's may be."""
        actual = self._actual.quotas.get(call.user_code)
        if actual is None or actual.depth_max == NO_LIMIT or self._same_quota(call.user_code):
            return "", ""
        used = self._used(call.user_code, now_ms)
        if used < actual.depth_max:
            return "", ""
        reason = SENTENCES["depth_used"] % (used, actual.depth_max)
        return ErrorCode.TENANT_QUOTA_EXCEEDED, reason

    def _rate(self, call: Call, now_ms: int) -> _Reason:
        asked = self._policies.rates.get(call.user_code)
        if asked is None:
            return "", ""
        position = f"{now_ms}-0"
        apply(self._shadow, RateSet("", call.user_code, *asked), position)
        row = self._shadow.quotas[call.user_code]
        rate = rate_of(row, now_ms)
        if rate.retry_after_ms:
            return ErrorCode.TENANT_QUOTA_EXCEEDED, SENTENCES["rate_used"] % asked[:2]
        if rate.tat_us >= 0:
            row.rate_tat_us = rate.tat_us
        return "", ""

    def _queue(self, call: Call, was: str, next_event: str) -> _Reason:
        code, agent_type = ErrorCode.AGENT_QUEUE_FULL, call.agent_type
        actual = self._actual.agents.get(agent_type)
        then = actual.depth_max if actual is not None else NO_LIMIT
        depth_max = self._policies.depths.get(agent_type, then)
        if depth_max == then and agent_type not in self._changed:
            return (code, "") if was == code else ("", "")
        depth = self._depth[agent_type]
        if depth_max != NO_LIMIT and depth >= depth_max and (next_event == "Held" or was == code):
            return code, SENTENCES["queue_full"] % (agent_type, depth, depth_max)
        return "", ""

    def _note(
        self, position: Position, request: Requested, was: str, code: str, reason: str
    ) -> None:
        call = request.call
        self._changed |= {call.agent_type, call.user_code}
        kind = (was or "accepted", code or LET_THROUGH)
        difference = self._found.setdefault(kind, Difference(*kind))
        difference.count += 1
        if len(difference.examples) < EXAMPLES_MAX:
            difference.examples.append(
                Example(position, request.execution_id, call.agent_type, call.user_code, reason)
            )

    def _assume(self, position: Position, execution_id: str, call: Call) -> None:
        """Let a request that was rejected then hold its place until its caller's time is up."""
        if not call.user_code or call.policy not in _HOLDING:
            return
        setting = QuotaSet("", call.user_code, NO_LIMIT)
        if call.user_code not in self._shadow.quotas:
            apply(self._shadow, setting, position)
        until_ms = time_ms(position) + call.timeout_ms
        self._shadow.quotas[call.user_code].leases[execution_id] = until_ms

    # --- What came of them ------------------------------------------------------------------------

    def _follow(self, position: Position, event: ExecutionEvent) -> None:
        """Let the shadow see an event of an execution that would have been just the same."""
        execution_id = event.execution_id
        own = False
        head = self._shadow.executions.get(execution_id)
        agent_type = head.call.agent_type if head is not None else ""
        if self._policies.circuit and agent_type:
            own = self._own_circuit(agent_type)
        if own and isinstance(event, WakeRequested) and not event.epoch:
            permit_until_ms = breaker.passage(
                self._shadow, agent_type, time_ms(position)
            ).permit_until_ms
            event = structs.replace(event, permit_until_ms=permit_until_ms)
        before = self._shadow.circuits.get(agent_type)
        epoch = before.epoch if before is not None else ""
        self._apply(position, event, agent_type)
        if own:
            self._act(position, event, agent_type, epoch)

    def _apply(self, position: Position, event: ExecutionEvent, agent_type: str) -> None:
        """Let the shadow see an event, and count what is held."""
        was_held = event.execution_id in self._shadow.pending
        apply(self._shadow, event, position)
        is_held = event.execution_id in self._shadow.pending
        self._depth[agent_type] += is_held - was_held

    def _act(
        self, position: Position, event: ExecutionEvent, agent_type: str, last_epoch: str
    ) -> None:
        """Let a circuit act as it would have."""
        row = self._shadow.circuits.get(agent_type)
        if row is None or row.forced:
            return
        if isinstance(event, BecameReady) and event.how in _PROOFS and row.state != CLOSED:
            apply(self._shadow, CircuitClosed("", agent_type, ""), position)
        elif isinstance(event, Failed) and event.epoch and event.epoch != last_epoch:
            self._set_circuit(agent_type)
            opening = breaker.opening(self._shadow, row, time_ms(position))
            if opening is not None:
                self.report.circuits_would_open += 1
                opened = CircuitOpened("", agent_type, *opening, event.reason)
                apply(self._shadow, opened, position)


def _met_nobody(request: Requested) -> bool:
    """Tell whether it looked who is online, and nobody was: it was to be held, or rejected."""
    return request.evidence.workers_online == 0 and request.call.policy in _HOLDING


def whatif(entries: Iterable[tuple[Position, Event]], policies: Policies) -> Report:
    """Return what other policies would have made of a whole log."""
    seen = WhatIf(policies)
    seen.see(entries)
    return seen.finish()
