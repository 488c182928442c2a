"""The live views: what is held, open, used and paused now. Replay has the same as they once were.

Nothing here is read by looking at everything: each listing follows an index, and a single row is
one read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct

from by_cp.log import breaker
from by_cp.log.contract import Census, Store
from by_cp.log.foreign import Foreign
from by_cp.names import check_int, check_name
from by_cp.projections.agents import RUNNING
from by_cp.projections.circuit import HALF_OPEN, OPEN
from by_cp.projections.rows import (
    NO_LIMIT,
    CircuitPolicyRow,
    CircuitRow,
    ExecutionRow,
    PendingRow,
    QuotaRow,
)
from by_cp.projections.views import Views
from by_cp.statemachine.events import ExecutionEvent
from by_cp.statemachine.position import Position
from by_cp.vocabulary import SENTENCES

LIMIT = 100
"""So many rows are listed, unless one asks for more or fewer."""

LIMIT_MAX = 1_000_000
EXAMINED_MAX = 100_000
"""So many entries of the log are looked at, from its end, for executions that a filter wants."""

_PAGE = 1000


OURS, THEIRS = "by-cp", "by-framework"
"""Where something comes from: by-cp's log, or one of by-framework's keys, where someone else wrote
it, by hand or with a tool. by-cp obeys that, and it lasts until its writer takes it away."""


class Circuit(Struct, frozen=True, kw_only=True):
    """How an agent type's circuit stands."""

    agent_type: str
    state: str
    """CLOSED, OPEN or HALF_OPEN: what the time has made of it."""
    origin: str
    """by-cp or by-framework: who holds it like this."""
    reason: str
    forced: bool
    """Set by hand: it does not act by itself."""
    retry_after_ms: int
    """When calls or probes are let through; -1: not by itself, or they are now."""
    failures: int
    """Failed wakes within the policy's window."""
    probes: int
    """Wakes that probe it now."""
    policy: CircuitPolicyRow
    """When it opens and closes by itself: its own policy, the general one or by-cp's."""


class Quota(Struct, frozen=True, kw_only=True):
    """What a tenant uses and may use. -1 is no limit."""

    user_code: str
    in_flight: int
    in_flight_max: int
    depth_max: int
    rate_count: int
    """So many calls are accepted in each period; 0 is any number."""
    rate_period_ms: int
    rate_burst: int
    used_up: str
    """Why nothing more is accepted, whatever the rate; "" if something is."""
    origin: str
    """by-cp or by-framework: who says so."""


class Agent(Struct, frozen=True, kw_only=True):
    """How an agent type stands."""

    agent_type: str
    mode: str
    """RUNNING, PAUSED or DRAINING."""
    reason: str
    workers: tuple[str, ...]
    """Those that are online."""
    held: int
    depth_max: int
    """So many may be held; -1 is any number."""
    circuit: str
    circuit_origin: str
    """by-cp or by-framework."""
    fallback: str
    """Who stands in for it; "" is nobody."""
    fallback_origin: str
    """by-cp or by-framework."""


class Fallback(NamedTuple):
    """Who stands in for an agent type."""

    agent_type: str
    selected: str
    origin: str
    """by-cp or by-framework: who says so."""


class Status(Struct, frozen=True, kw_only=True):
    """Everything at a glance."""

    managers: list[str]
    agents: list[Agent]
    census: Census
    circuits_open: list[str]


class _Settings(NamedTuple):
    """What is set for agent types, by by-cp's log and by others, and when that was read."""

    views: Views
    foreign: Foreign
    now_ms: int

    def passage(self, agent_type: str) -> breaker.Passage:
        """Tell what by-cp's own circuit lets through."""
        return breaker.passage(self.views, agent_type, self.now_ms)

    def holds_open(self, agent_type: str) -> str:
        """Tell why someone else holds a circuit open that by-cp's log does not; "" if nobody."""
        ours = self.passage(agent_type).state == OPEN
        return "" if ours else self.foreign.circuits.get(agent_type, "")


class LiveViews:
    """The views as they are now. `ControlPlane` has one.

    Args:
        store: the log.

    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def _settings(self, agent_type: str | None = None) -> _Settings:
        return _Settings(
            *await asyncio.gather(
                self._store.settings(agent_type),
                self._store.foreign(agent_type),
                self._store.now_ms(),
            )
        )

    async def pending(
        self,
        agent_type: str | None = None,
        user_code: str | None = None,
        limit: int = LIMIT,
        *,
        payload: bool = False,
    ) -> list[PendingRow]:
        """Return what is held, as it will be delivered; the delayed last.

        Args:
            agent_type: of this one alone; by default of all, one after another.
            user_code: of this tenant alone; "" is those that have none.
            limit: so many at most.
            payload: read the commands, too; else they are "".

        Raises:
            InvalidInput: a name or the limit is not acceptable.

        """
        check_int("limit", limit, low=1, high=LIMIT_MAX)
        if user_code is not None:
            check_name("user_code", user_code, empty_allowed=True)
        agent_types = await self._store.held_agent_types() if agent_type is None else [agent_type]
        found: list[PendingRow] = []
        for name in agent_types:
            left = limit - len(found)
            if left > 0:
                check_name("agent_type", name)
                found += await self._store.pending(name, left, user_code=user_code, payload=payload)
        return found

    async def circuit(self, agent_type: str) -> Circuit:
        """Return how an agent type's circuit stands; one that was never touched is closed."""
        check_name("agent_type", agent_type)
        seen = await self._settings(agent_type)
        return _circuit(seen, agent_type)

    async def circuits(self) -> list[Circuit]:
        """Return every circuit that has failed, opened, or has a policy of its own."""
        seen = await self._settings()
        named = {*seen.views.circuits, *seen.views.circuit_policies, *seen.foreign.circuits}
        return [_circuit(seen, name) for name in sorted(named - {""})]

    async def quota(self, user_code: str) -> Quota:
        """Return what a tenant uses and may use."""
        check_name("user_code", user_code)
        row, foreign, now_ms = await asyncio.gather(
            self._store.quota(user_code), self._store.foreign(user_code), self._store.now_ms()
        )
        return _quota(row or QuotaRow(user_code), foreign, now_ms)

    async def quotas(self) -> list[Quota]:
        """Return what every tenant uses and may use."""
        rows, foreign, now_ms = await asyncio.gather(
            self._store.quotas(), self._store.foreign(), self._store.now_ms()
        )
        known = {name: QuotaRow(name) for name in foreign.quotas}
        known |= {row.user_code: row for row in rows}
        return [_quota(known[name], foreign, now_ms) for name in sorted(known)]

    async def fallback(self, agent_type: str) -> Fallback:
        """Return who stands in for an agent type."""
        check_name("agent_type", agent_type)
        return _fallback(await self._settings(agent_type), agent_type)

    async def fallbacks(self) -> list[Fallback]:
        """Return who stands in for whom."""
        seen = await self._settings()
        names = sorted({*seen.views.fallbacks, *seen.foreign.fallbacks})
        return [found for found in (_fallback(seen, name) for name in names) if found.selected]

    async def agents(self) -> list[Agent]:
        """Return every agent type that has workers, or for which something is held or set."""
        return (await self.status()).agents

    async def status(self) -> Status:
        """Return everything at a glance."""
        seen, census, workers, managers = await asyncio.gather(
            self._settings(), self._store.census(), self._store.workers(), self._store.managers()
        )
        views, foreign = seen.views, seen.foreign
        names = {*census.held, *workers, *views.circuits, *views.agents, *views.fallbacks}
        names |= {*foreign.circuits, *foreign.fallbacks}
        agents = [
            _agent(seen, name, workers.get(name, ()), census.held.get(name, 0))
            for name in sorted(names - {""})
        ]
        opened = [agent.agent_type for agent in agents if agent.circuit != "CLOSED"]
        return Status(managers=managers, agents=agents, census=census, circuits_open=opened)

    async def execution(self, execution_id: str) -> ExecutionRow | None:
        """Return where an execution stands; None if it is unknown, or settled and forgotten."""
        return await self._store.execution(check_name("execution_id", execution_id))

    async def executions(
        self,
        wanted: Callable[[ExecutionRow], bool] = lambda _row: True,
        limit: int = LIMIT,
    ) -> list[ExecutionRow]:
        """Return executions, the one in which something happened last first.

        Looked for from the end of the log, `EXAMINED_MAX` entries at most.

        Args:
            wanted: only those for which it is true.
            limit: so many at most.

        Raises:
            InvalidInput: the limit is not acceptable.

        """
        check_int("limit", limit, low=1, high=LIMIT_MAX)
        found: list[ExecutionRow] = []
        seen: set[str] = set()
        before: Position = ""
        for _ in range(EXAMINED_MAX // _PAGE):
            entries = await self._store.read_back(before, _PAGE)
            events = (entry.event for entry in entries)
            ids = dict.fromkeys(e.execution_id for e in events if isinstance(e, ExecutionEvent))
            new = [execution_id for execution_id in ids if execution_id not in seen]
            seen.update(new)
            rows = await asyncio.gather(*map(self._store.execution, new))
            found += [row for row in rows if row is not None and wanted(row)]
            if len(entries) < _PAGE or len(found) >= limit:
                break
            before = entries[-1].position
        return found[:limit]


def _circuit(seen: _Settings, agent_type: str) -> Circuit:
    row = seen.views.circuits.get(agent_type) or CircuitRow(agent_type)
    passage = seen.passage(agent_type)
    policy = breaker.policy_of(seen.views, agent_type)
    theirs = seen.holds_open(agent_type)
    waits = not theirs and (passage.state != HALF_OPEN or not passage.permit_until_ms)
    return Circuit(
        agent_type=agent_type,
        state=OPEN if theirs else passage.state,
        origin=THEIRS if theirs else OURS,
        reason=theirs or row.reason or passage.reason,
        forced=row.forced,
        retry_after_ms=passage.retry_after_ms if waits else -1,
        failures=sum(1 for ms in row.struck_ms if ms > seen.now_ms - policy.window_ms),
        probes=sum(1 for until_ms in row.permits.values() if until_ms > seen.now_ms),
        policy=policy,
    )


def _quota(row: QuotaRow, foreign: Foreign, now_ms: int) -> Quota:
    used = row.used(now_ms)
    full = row.limit != NO_LIMIT and used >= row.limit
    ours = SENTENCES["quota_used"] % (used, row.limit) if full else ""
    theirs = foreign.quotas.get(row.user_code, "")
    return Quota(
        user_code=row.user_code,
        in_flight=used,
        in_flight_max=row.limit,
        depth_max=row.depth_max,
        rate_count=row.rate_count,
        rate_period_ms=row.rate_period_ms,
        rate_burst=row.rate_burst,
        used_up=ours or theirs,
        origin=THEIRS if theirs and not ours else OURS,
    )


def _fallback(seen: _Settings, agent_type: str) -> Fallback:
    row = seen.views.fallbacks.get(agent_type)
    if row is not None and row.selected:
        return Fallback(agent_type, row.selected, OURS)
    theirs = seen.foreign.fallbacks.get(agent_type, "")
    return Fallback(agent_type, theirs, THEIRS if theirs else OURS)


def _agent(seen: _Settings, agent_type: str, workers: tuple[str, ...], held: int) -> Agent:
    row, fallback = seen.views.agents.get(agent_type), _fallback(seen, agent_type)
    theirs = seen.holds_open(agent_type)
    return Agent(
        agent_type=agent_type,
        mode=row.mode if row else RUNNING,
        reason=row.reason if row else "",
        workers=workers,
        held=held,
        depth_max=row.depth_max if row else NO_LIMIT,
        circuit=OPEN if theirs else seen.passage(agent_type).state,
        circuit_origin=THEIRS if theirs else OURS,
        fallback=fallback.selected,
        fallback_origin=fallback.origin,
    )
