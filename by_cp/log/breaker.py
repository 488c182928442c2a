"""The circuit breaker: what is decided on the circuit view. Pure.

A circuit opens when enough wakes failed within a window, lets a bounded number of wakes probe after
a while, and closes with the first that succeeds (the pattern is Nygard's, *Release It!*, 2007).
What a worker's coming online proves needs no probe: deliveries to a worker that is online close it.
The server's Lua says the same (`redis/lua/breaker.lua`).
"""

from __future__ import annotations

from typing import NamedTuple

from msgspec import convert

from by_cp.projections.circuit import CLOSED, HALF_OPEN, OPEN
from by_cp.projections.rows import CircuitPolicyRow, CircuitRow
from by_cp.projections.views import Views
from by_cp.vocabulary import CIRCUIT_POLICY, OPEN_DOUBLINGS_MAX, SENTENCES

_POLICY = convert({"agent_type": "", **CIRCUIT_POLICY}, CircuitPolicyRow)


class Passage(NamedTuple):
    """Whether a circuit lets calls through now."""

    state: str
    """CLOSED, OPEN or HALF_OPEN: what the time has made of it."""
    reason: str = ""
    """Why: of an open one, for whatever is refused; of a half-open one, for what may not probe."""
    retry_after_ms: int = -1
    permit_until_ms: int = 0
    """Half-open: until when a wake that begins now may probe; 0: no permit is free."""
    half_opens: bool = False
    """The open time is over, and no event says so yet."""

    @property
    def may_wake(self) -> bool:
        """Whether a wake may begin."""
        return self.state == CLOSED or self.permit_until_ms > 0


class Opening(NamedTuple):
    """How a circuit opens by itself."""

    until_ms: int
    failures: int
    """How many wakes failed within the window."""


def policy_of(views: Views, agent_type: str) -> CircuitPolicyRow:
    """Return the policy of an agent type: its own, or the general one, or by-cp's."""
    policies = views.circuit_policies
    return policies.get(agent_type) or policies.get("") or _POLICY


def passage(views: Views, agent_type: str, now_ms: int) -> Passage:
    """Tell what an agent type's circuit lets through."""
    row = views.circuits.get(agent_type)
    if row is None or row.state == CLOSED:
        return Passage(CLOSED)
    if row.forced:
        return Passage(OPEN, row.reason or SENTENCES["circuit"])
    if row.state == OPEN and now_ms < row.until_ms:
        return Passage(OPEN, row.reason or SENTENCES["circuit"], row.until_ms - now_ms)
    policy = policy_of(views, agent_type)
    half_opens = row.state == OPEN
    permits = sorted(until_ms for until_ms in row.permits.values() if until_ms > now_ms)
    if len(permits) < policy.probes_max:
        permit_until_ms = now_ms + policy.probe_ms
        return Passage(HALF_OPEN, permit_until_ms=permit_until_ms, half_opens=half_opens)
    retry_after_ms = permits[0] - now_ms if permits else -1
    return Passage(HALF_OPEN, SENTENCES["probing"], retry_after_ms, half_opens=half_opens)


def opening(views: Views, row: CircuitRow, now_ms: int) -> Opening | None:
    """Tell whether a circuit opens after its latest strike, and until when."""
    policy = policy_of(views, row.agent_type)
    if row.forced or row.state == OPEN or not policy.failures_max:
        return None
    failures = sum(1 for struck_ms in row.struck_ms if struck_ms > now_ms - policy.window_ms)
    if row.state == CLOSED and failures < policy.failures_max:
        return None
    open_ms = policy.open_ms * 2 ** min(row.opens, OPEN_DOUBLINGS_MAX)
    return Opening(now_ms + open_ms, failures)
