"""The store contract over a `MemoryLog`, for asyncio programs and their tests."""

from __future__ import annotations

import asyncio
import copy
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from msgspec import structs

from by_cp.errors import UnknownExecution
from by_cp.keys import RedisKeys
from by_cp.log.answers import Outcome
from by_cp.log.commands import Command, Member
from by_cp.log.contract import (
    Census,
    DeadLetter,
    Delivery,
    Due,
    Entry,
    Quarantined,
    Told,
    WakeSignal,
)
from by_cp.log.foreign import Foreign, understood
from by_cp.log.memory import world
from by_cp.log.memory.log import MemoryLog, system_clock
from by_cp.log.pacing import room
from by_cp.projections import pending, wakes
from by_cp.projections.rows import ExecutionRow, PendingRow, QuotaRow
from by_cp.projections.views import Views
from by_cp.statemachine.events import ExecutionEvent
from by_cp.statemachine.position import BEGINNING, Position, split
from by_cp.wire import WakeupDecision

A = TypeVar("A")


class MemoryStore:
    """A store without a server. `log` is open to tests: its clock, its world, its entries."""

    inbox = "memory"

    def __init__(self, clock: Callable[[], int] = system_clock) -> None:
        self.log = MemoryLog(clock)
        self._changed = asyncio.Event()
        self._signals_taken = 0
        self._in_hand: dict[str, WakeSignal] = {}
        self._beats: dict[str, int] = {}
        self._capacities: dict[str, int] = {}
        self._decisions: list[tuple[Position, WakeupDecision]] = []
        self._deliveries_taken: dict[str, int] = {}
        self.replies: dict[str, list[str]] = {}
        """Session -> what workers answered."""
        self.worker_streams: dict[str, list[world.Delivery]] = {}
        """Worker -> what was sent to it alone."""

    async def execute(self, command: Command[A]) -> A:
        """Execute one command."""
        try:
            return self.log.execute(command)
        finally:
            self._changed.set()

    @contextmanager
    def waiting(self, execution_id: str) -> Iterator[asyncio.Future[Outcome]]:
        """Listen for one execution's outcome."""
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()

        def listen(outcome: Outcome) -> None:
            if outcome.execution_id == execution_id and not future.done():
                future.set_result(outcome)

        self.log.world.listeners.append(listen)
        try:
            yield future
        finally:
            self.log.world.listeners.remove(listen)

    async def history(self, execution_id: str) -> list[Entry]:
        """Return an execution's events."""
        entries = [
            Entry(position, event)
            for position, event in self.log.entries
            if isinstance(event, ExecutionEvent) and event.execution_id == execution_id
        ]
        if not entries:
            raise UnknownExecution(execution_id)
        return entries

    async def read(self, after: Position = BEGINNING, count: int = 1000) -> list[Entry]:
        """Return entries after a position."""
        later = (Entry(p, e) for p, e in self.log.entries if split(p) > split(after))
        return [entry for entry, _ in zip(later, range(count), strict=False)]

    async def views(self) -> Views:
        """Return the views as they are now; what happens later does not change them."""
        return copy.deepcopy(self.log.views)

    async def census(self) -> Census:
        """Count what there is."""
        held = Counter(row.agent_type for row in self.log.views.pending.values())
        return Census(
            len(self.log.entries), dict(sorted(held.items())), len(self.log.views.dead_letters), 0
        )

    async def managers(self) -> list[str]:
        """Return the managers that live."""
        now_ms = self.log.world.clock()
        return sorted(name for name, until_ms in self._beats.items() if until_ms > now_ms)

    async def workers(self) -> dict[str, tuple[str, ...]]:
        """Return the workers that are online."""
        members = self.log.world.members
        return {name: self.log.world.online(name) for name in sorted(members) if members[name]}

    async def settings(self, agent_type: str | None = None) -> Views:
        """Return circuits, policies, agents and fallbacks."""
        views = self.log.views
        found = {
            table: {
                name: row
                for name, row in getattr(views, table).items()
                if agent_type is None or name in ("", agent_type)
            }
            for table in ("circuits", "circuit_policies", "agents", "fallbacks")
        }
        return copy.deepcopy(Views(**found))

    async def quota(self, user_code: str) -> QuotaRow | None:
        """Return one tenant's quota."""
        return copy.deepcopy(self.log.views.quotas.get(user_code))

    async def quotas(self) -> list[QuotaRow]:
        """Return every tenant's quota."""
        return copy.deepcopy(list(self.log.views.quotas.values()))

    async def foreign(self, name: str | None = None) -> Foreign:
        """Return what someone else wrote."""
        documents = self.log.world.documents
        return understood(
            (kind, whose, text)
            for (kind, whose), text in sorted(documents.items())
            if name is None or name == whose
        )

    async def execution(self, execution_id: str) -> ExecutionRow | None:
        """Return an execution's head."""
        return copy.deepcopy(self.log.views.executions.get(execution_id))

    async def pending(
        self, agent_type: str, count: int, *, user_code: str | None = None, payload: bool = False
    ) -> list[PendingRow]:
        """Return what is held for an agent type."""
        delayed = self.log.world.delayed
        rows = [
            row if payload else structs.replace(row, command="")
            for row in pending.in_order(self.log.views, agent_type)
            if user_code in (None, row.user_code)
        ]
        rows.sort(key=lambda row: delayed.get(row.execution_id, 0))
        return rows[:count]

    async def read_back(self, before: Position = "", count: int = 1000) -> list[Entry]:
        """Return entries before a position."""
        earlier = (
            Entry(p, e)
            for p, e in reversed(self.log.entries)
            if not before or split(p) < split(before)
        )
        return [entry for entry, _ in zip(earlier, range(count), strict=False)]

    async def wake_members(self, group: tuple[str, str, str], count: int) -> list[Member]:
        """Return who waits for a group's wake."""
        _, user_code, region = group
        rows = wakes.in_order(self.log.views, group)[:count]
        return [Member(row.execution_id, user_code, region) for row in rows]

    async def held(self, agent_type: str, count: int) -> list[Member]:
        """Return what is held for an agent type."""
        delayed = self.log.world.delayed
        rows = [
            row
            for row in pending.in_order(self.log.views, agent_type)
            if row.execution_id not in delayed
        ]
        return [Member(row.execution_id, row.user_code, row.region) for row in rows[:count]]

    async def held_agent_types(self) -> list[str]:
        """Return the agent types for which anything is held."""
        return sorted({row.agent_type for row in self.log.views.pending.values()})

    async def due(self, count: int) -> list[Due]:
        """Return executions whose deadline has passed."""
        now_ms = self.log.now_ms
        rows = [r for r in self.log.views.pending.values() if 0 < r.due_ms <= now_ms]
        rows.sort(key=lambda row: (row.due_ms, row.execution_id))
        return [_due(row) for row in rows[:count]]

    async def matured(self, count: int) -> list[Due]:
        """Return delayed executions whose time has come."""
        now_ms = self.log.now_ms
        come = [(at, e) for e, at in self.log.world.delayed.items() if at <= now_ms]
        return [_due(self.log.views.pending[e]) for _, e in sorted(come)[:count]]

    async def now_ms(self) -> int:
        """Return the log's time."""
        return self.log.now_ms

    async def room(self, agent_type: str) -> int:
        """Return how many more commands the workers have room for."""
        workers = self.log.world.online(agent_type)
        stream = RedisKeys.ctrl_stream(agent_type)
        sent = len(self.log.world.control_streams.get(agent_type, ()))
        untaken = sent - self._deliveries_taken.get(stream, 0)
        return room((self._capacities.get(w, 0) for w in workers), untaken)

    async def dead_letters(self, after: str = BEGINNING, count: int = 1000) -> list[DeadLetter]:
        """Return buried commands."""
        rows = sorted(self.log.views.dead_letters.values(), key=lambda row: split(row.position))
        later = [row for row in rows if split(row.position) > split(after)]
        return [
            DeadLetter(
                row.position,
                row.execution_id,
                row.agent_type,
                row.user_code,
                self.log.views.executions[row.execution_id].call.region,
                row.reason,
                len(row.command.encode()),
            )
            for row in later[:count]
        ]

    async def quarantined(self, after: str = BEGINNING, count: int = 1000) -> list[Quarantined]:
        """Return nothing: what comes into memory can be read."""
        del after, count
        return []

    async def reinject(self, entry: Quarantined, data: str = "") -> bool:
        """Find nothing to put back."""
        del entry, data
        return False

    async def drop_quarantined(self, entry: Quarantined) -> bool:
        """Find nothing to remove."""
        del entry
        return False

    async def announce(
        self, worker_id: str, agent_types: tuple[str, ...], ttl_ms: int, capacity: int = 0
    ) -> None:
        """Say that a worker is online."""
        self._capacities[worker_id] = capacity
        self.log.world.announce(worker_id, agent_types, ttl_ms)

    async def retire(self, worker_id: str) -> None:
        """Say that a worker is gone."""
        self.log.world.retire(worker_id)

    async def online(self, agent_type: str) -> tuple[str, ...]:
        """Return the workers that are online."""
        return self.log.world.online(agent_type)

    async def take_signals(self, consumer: str, count: int, block_ms: int) -> list[WakeSignal]:
        """Take wakes to do."""
        await self._change(lambda: len(self.log.world.signals) > self._signals_taken, block_ms)
        first = self._signals_taken
        taken = self.log.world.signals[first : first + count]
        self._signals_taken += len(taken)
        return [
            self._hand(WakeSignal(str(first + number), signal.epoch, signal.request(), consumer))
            for number, signal in enumerate(taken)
        ]

    def _hand(self, signal: WakeSignal) -> WakeSignal:
        self._in_hand[signal.entry_id] = signal
        return signal

    async def take_over_signals(self, consumer: str, count: int) -> list[WakeSignal]:
        """Take what managers had whose sign of life has lapsed."""
        now_ms = self.log.world.clock()
        orphaned = [s for s in self._in_hand.values() if self._beats.get(s.consumer, 0) <= now_ms]
        return [
            self._hand(s._replace(consumer=consumer, taken_over_from=s.consumer))
            for s in orphaned[:count]
            if s.consumer != consumer
        ]

    async def finish_signal(self, signal: WakeSignal) -> None:
        """Forget a wake that is done with, unless another manager took it over."""
        found = self._in_hand.get(signal.entry_id)
        if found is not None and found.consumer == signal.consumer:
            del self._in_hand[signal.entry_id]

    async def decide(self, epoch: Position, decision: WakeupDecision) -> None:
        """Tell how an attempt came out."""
        self._decisions.append((epoch, decision))
        self._changed.set()

    async def take_decisions(self, consumer: str, count: int, block_ms: int) -> list[Told]:
        """Take decisions from outside."""
        await self._change(lambda: bool(self._decisions), block_ms)
        taken, self._decisions = self._decisions[:count], self._decisions[count:]
        return [Told("", epoch, decision, consumer) for epoch, decision in taken]

    async def finish_decision(self, told: Told, wrong: str = "") -> None:
        """Nothing: a decision in memory is gone once it is taken."""

    async def beat(self, consumer: str, ttl_ms: int) -> None:
        """Say that a manager lives."""
        self._beats[consumer] = self.log.world.clock() + ttl_ms

    async def resign(self, consumer: str) -> None:
        """Say that a manager is gone."""
        self._beats.pop(consumer, None)

    async def send_to_worker(self, worker_id: str, data: bytes, *, check: bool) -> bool:
        """Deliver a command to one worker."""
        if check and self.log.world.leases.get(worker_id, 0) <= self.log.world.clock():
            return False
        entry = world.Delivery("", data.decode())
        self.worker_streams.setdefault(worker_id, []).append(entry)
        self._changed.set()
        return True

    async def take_deliveries(
        self, agent_types: tuple[str, ...], worker_id: str, count: int, block_ms: int
    ) -> list[Delivery]:
        """Take commands to handle."""
        await self._change(lambda: bool(self._untaken(agent_types, worker_id, 1)), block_ms)
        taken = self._untaken(agent_types, worker_id, count)
        for delivery in taken:
            self._deliveries_taken[delivery.stream] = int(delivery.entry_id) + 1
        return taken

    async def take_over_deliveries(
        self, agent_types: tuple[str, ...], worker_id: str, count: int
    ) -> list[Delivery]:
        """Find nothing: a delivery in memory is gone once it is taken."""
        del agent_types, worker_id, count
        return []

    def _untaken(self, agent_types: tuple[str, ...], worker_id: str, count: int) -> list[Delivery]:
        """Return the next deliveries of some agent types and of one worker."""
        streams = {RedisKeys.worker_ctrl_stream(worker_id): self.worker_streams.get(worker_id)}
        for agent_type in agent_types:
            entries = self.log.world.control_streams.get(agent_type)
            streams[RedisKeys.ctrl_stream(agent_type)] = entries
        found: list[Delivery] = []
        for stream, entries in streams.items():
            first = self._deliveries_taken.get(stream, 0)
            new = (entries or [])[first : first + count - len(found)]
            found += [
                Delivery(str(number), stream, entry.execution_id, entry.command.encode())
                for number, entry in enumerate(new, first)
            ]
        return found

    async def acknowledge(self, delivery: Delivery) -> None:
        """Nothing: a delivery in memory is gone once it is taken."""

    async def reply(self, session_id: str, data: str) -> None:
        """Keep a worker's answer in `replies`."""
        self.replies.setdefault(session_id, []).append(data)

    async def _change(self, ready: Callable[[], bool], block_ms: int) -> None:
        """Wait until something is ready, or for so long."""
        loop = asyncio.get_running_loop()
        end = loop.time() + block_ms / 1000
        while not ready() and (left := end - loop.time()) > 0:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), left)
            except TimeoutError:
                return


def _due(row: PendingRow) -> Due:
    return Due(row.agent_type, Member(row.execution_id, row.user_code, row.region))
