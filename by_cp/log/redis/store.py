"""The store contract over a Redis or Valkey server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TypeVar

from redis.exceptions import ResponseError

from by_cp.errors import InvalidInput, UnknownExecution
from by_cp.keys import RedisKeys, wake_group
from by_cp.log.commands import Append, Cancel, Command, GiveUp, Member, Redrive, new_call_id
from by_cp.log.contract import (
    Census,
    DeadLetter,
    Delivery,
    Due,
    Entry,
    Quarantined,
    Told,
    WakeSignal,
    Written,
)
from by_cp.log.redis import (
    documents,
    encoding,
    graves,
    heartbeat,
    histories,
    layout,
    listings,
    registry,
    rows,
    streams,
    takeover,
)
from by_cp.log.redis.calls import Caller, server_errors
from by_cp.log.redis.inbox import Inbox
from by_cp.log.redis.written import STREAMS, WrittenReader
from by_cp.names import check_name
from by_cp.registration import status_of
from by_cp.statemachine.events import Requested
from by_cp.statemachine.position import BEGINNING, Position
from by_cp.vocabulary import SESSION_TTL_MS
from by_cp.wire import WakeupDecision, WakeupRequest

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from by_cp.log.answers import Outcome
    from by_cp.log.foreign import Foreign
    from by_cp.projections.rows import ExecutionRow, PendingRow, QuotaRow
    from by_cp.projections.views import Views

A = TypeVar("A")

RETENTION_MS = 7 * 24 * 3600 * 1000
"""How long the head of a settled execution is kept: so long is a repeated request recognised."""

MANAGERS = "by-cp:managers"
"""Consumer group of the managers on the wakeup stream."""

WORKERS = "agent_engines"
"""Consumer group of the workers on the control streams; by-framework's name."""

RESULT_TTL_MS = 300_000
"""How long a result stream is kept for its reader."""


class RedisStore:
    """The log on a server. Made of the client that a program has already; it closes nothing.

    Args:
        client: of `redis.asyncio`, any settings.
        retention_ms: how long heads of settled executions are kept.
        clock: only for tests and simulations: the time, in ms, instead of the server's.

    """

    def __init__(
        self,
        client: Redis,
        *,
        retention_ms: int = RETENTION_MS,
        clock: Callable[[], int] | None = None,
    ) -> None:
        self._client = client
        self._caller = Caller(client)
        self._inbox = Inbox(client)
        self._retention_ms = retention_ms
        self._clock = clock

    @property
    def inbox(self) -> str:
        """Name of this process's inbox."""
        return self._inbox.name

    async def check(self) -> None:
        """Make sure that the server is there and can do what by-cp needs.

        Raises:
            ServerUnreachable: it is not there.
            ServerUnsupported: it is too old, or forbids functions.

        """
        await self._caller.load()

    async def execute(self, command: Command[A]) -> A:
        """Execute one command: one call, one round trip."""
        known: encoding.Known | None = None
        if isinstance(command, Append) and isinstance(command.event, Requested):
            known = encoding.Known(command.event.call, "")
        elif isinstance(command, Append):
            known = await self._known(command.event.execution_id)
        elif isinstance(command, Redrive) and command.buried is not None:
            known = encoding.known_of(command.buried)
        elif isinstance(command, (GiveUp, Cancel, Redrive)):
            known = await self._known(command.execution_id)
        call = encoding.encode(command, known)
        now = "" if self._clock is None else str(self._clock())
        reply = await self._caller.call(
            call.keys, (call.command, now, call.call_id, self._retention_ms, *call.arguments)
        )
        answer: A = encoding.decode(command, reply)
        return answer

    async def _known(self, execution_id: str) -> encoding.Known | None:
        """Read what a command's keys depend on.

        It never changes, so no race comes of it; only the inbox may, and then the one who waits
        there learns the outcome when its time is up.
        """
        found = await histories.call_of(self._caller, execution_id)
        return None if found is None else encoding.Known(*found)

    def waiting(self, execution_id: str) -> AbstractContextManager[asyncio.Future[Outcome]]:
        """Listen for one execution's outcome."""
        return self._inbox.waiting(execution_id)

    async def history(self, execution_id: str) -> list[Entry]:
        """Return an execution's events."""
        entries = await histories.history(self._caller, execution_id)
        if not entries:
            raise UnknownExecution(execution_id)
        return entries

    async def read(self, after: Position = BEGINNING, count: int = 1000) -> list[Entry]:
        """Return entries after a position."""
        return await histories.page(self._caller, after, count)

    async def views(self) -> Views:
        """Return the live views."""
        return await rows.live_views(self._caller)

    async def census(self) -> Census:
        """Count what there is."""
        return await listings.census(self._caller)

    async def managers(self) -> list[str]:
        """Return the managers that live."""
        return await heartbeat.alive(self._caller)

    async def workers(self) -> dict[str, tuple[str, ...]]:
        """Return the workers that are online."""
        return await listings.workers(self._caller)

    async def settings(self, agent_type: str | None = None) -> Views:
        """Return circuits, policies, agents and fallbacks."""
        return await listings.settings(self._caller, agent_type)

    async def quota(self, user_code: str) -> QuotaRow | None:
        """Return one tenant's quota."""
        return await listings.quota(self._caller, user_code)

    async def quotas(self) -> list[QuotaRow]:
        """Return every tenant's quota."""
        return await listings.tenants(self._caller)

    async def foreign(self, name: str | None = None) -> Foreign:
        """Return what someone else wrote."""
        return await documents.foreign(self._caller, name)

    async def execution(self, execution_id: str) -> ExecutionRow | None:
        """Return an execution's head."""
        return await listings.execution(self._caller, execution_id)

    async def pending(
        self, agent_type: str, count: int, *, user_code: str | None = None, payload: bool = False
    ) -> list[PendingRow]:
        """Return what is held for an agent type."""
        return await listings.pending(
            self._caller, agent_type, count, user_code=user_code, payload=payload
        )

    async def read_back(self, before: Position = "", count: int = 1000) -> list[Entry]:
        """Return entries before a position."""
        return await histories.page_back(self._caller, before, count)

    async def wake_members(self, group: tuple[str, str, str], count: int) -> list[Member]:
        """Return who waits for a group's wake."""
        key = RedisKeys.wake_members(wake_group(*group))
        return await histories.members(self._caller, key, count)

    async def held(self, agent_type: str, count: int) -> list[Member]:
        """Return what is held for an agent type."""
        return await histories.members(self._caller, RedisKeys.pending_index(agent_type), count)

    async def held_agent_types(self) -> list[str]:
        """Return the agent types for which anything is held."""
        names = await self._caller.command("HKEYS", RedisKeys.pending_depth())
        return sorted(name.decode() for name in names)

    async def due(self, count: int) -> list[Due]:
        """Return executions whose time is up."""
        return await histories.due(self._caller, RedisKeys.deadlines(), await self.now_ms(), count)

    async def matured(self, count: int) -> list[Due]:
        """Return delayed executions whose time has come."""
        return await histories.due(self._caller, RedisKeys.delayed(), await self.now_ms(), count)

    async def now_ms(self) -> int:
        """Return the server's time."""
        if self._clock is not None:
            return self._clock()
        seconds, microseconds = await self._caller.command("TIME")
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def room(self, agent_type: str) -> int:
        """Return how many more commands the workers have room for."""
        return await registry.room_of(self._caller, agent_type, WORKERS)

    async def dead_letters(self, after: str = BEGINNING, count: int = 1000) -> list[DeadLetter]:
        """Return buried commands."""
        return await graves.dead_letters(self._caller, after, count)

    async def quarantined(self, after: str = BEGINNING, count: int = 1000) -> list[Quarantined]:
        """Return entries that could not be read."""
        return await graves.quarantined(self._caller, after, count)

    async def reinject(self, entry: Quarantined, data: str = "") -> bool:
        """Put a quarantined entry back where it stood."""
        return await graves.requite(self._caller, entry, "reinject", data)

    async def drop_quarantined(self, entry: Quarantined) -> bool:
        """Remove a quarantined entry."""
        return await graves.requite(self._caller, entry, "drop")

    async def announce(
        self, worker_id: str, agent_types: tuple[str, ...], ttl_ms: int, capacity: int = 0
    ) -> None:
        """Say that a worker is online."""
        await registry.announce(self._caller, worker_id, agent_types, ttl_ms, capacity)

    async def retire(self, worker_id: str) -> None:
        """Say that a worker is gone."""
        await registry.retire(self._caller, worker_id, WORKERS)

    async def online(self, agent_type: str) -> tuple[str, ...]:
        """Return the workers that are online."""
        return await registry.online(self._caller, agent_type)

    async def take_signals(self, consumer: str, count: int, block_ms: int) -> list[WakeSignal]:
        """Take wakes to do; what is no WakeupRequest is set aside, with the reason."""
        stream = RedisKeys.control_plane_wakeup_stream()
        entries = await self._take(MANAGERS, consumer, (stream,), count, block_ms)
        return await self._signals(entries, consumer)

    async def take_over_signals(self, consumer: str, count: int) -> list[WakeSignal]:
        """Take what managers had whose sign of life has lapsed."""
        stream = RedisKeys.control_plane_wakeup_stream()
        signals: list[WakeSignal] = []
        for gone, entries in await self._left_behind(stream, consumer, count):
            signals += await self._signals(entries, consumer, gone)
        return signals

    async def _left_behind(
        self, stream: str, consumer: str, count: int
    ) -> list[tuple[str, list[streams.StreamEntry]]]:
        """Take over what managers had of a stream that are gone."""
        left = []
        for gone in await takeover.holders(self._caller, stream, MANAGERS, consumer):
            entries = await takeover.take_over(
                self._caller, stream, MANAGERS, gone, consumer, RedisKeys.manager(gone), count
            )
            left.append((gone, entries))
        return left

    async def _signals(
        self, entries: list[streams.StreamEntry], consumer: str, gone: str = ""
    ) -> list[WakeSignal]:
        taken: list[WakeSignal] = []
        for entry in entries:
            epoch = entry.fields.get(b"epoch")
            if epoch is None:  # a foreign client's: it is left for those who adopt it
                await self._caller.command("XACK", entry.stream, MANAGERS, entry.entry_id)
                continue
            try:
                request = WakeupRequest.from_json(entry.fields.get(b"data", b""))
                check_name("target_agent_type", request.target_agent_type)
                signal = WakeSignal(entry.entry_id, epoch.decode(), request, consumer, gone)
            except (InvalidInput, UnicodeDecodeError) as error:
                await graves.quarantine(self._caller, entry, MANAGERS, str(error))
            else:
                taken.append(signal)
        return taken

    async def finish_signal(self, signal: WakeSignal) -> None:
        """Say that a wake is done with."""
        stream = RedisKeys.control_plane_wakeup_stream()
        await self._finish(stream, signal.consumer, signal.entry_id)

    async def _finish(self, stream: str, consumer: str, entry_id: str) -> None:
        call_id = new_call_id()
        await self._caller.call(
            layout.keys_of_stream(stream, call_id),
            ("finish", "", call_id, 0, MANAGERS, consumer, entry_id),
        )

    async def decide(self, epoch: Position, decision: WakeupDecision) -> None:
        """Tell how an attempt came out."""
        data = decision.to_redis_payload()["data"]
        await self._caller.command("XADD", RedisKeys.decisions(), "*", "data", data, "epoch", epoch)

    async def take_decisions(self, consumer: str, count: int, block_ms: int) -> list[Told]:
        """Take decisions from outside; what is none is set aside, with the reason."""
        stream = RedisKeys.decisions()
        left = await self._left_behind(stream, consumer, count)
        entries = [entry for _, some in left for entry in some]
        if not entries:
            entries = await self._take(MANAGERS, consumer, (stream,), count, block_ms)
        taken: list[Told] = []
        for entry in entries:
            try:
                decision = WakeupDecision.from_json(entry.fields.get(b"data", b""))
                check_name("execution_id", decision.execution_id)
                epoch = check_name("epoch", entry.fields.get(b"epoch", b"").decode())
            except (InvalidInput, UnicodeDecodeError) as error:
                await graves.quarantine(self._caller, entry, MANAGERS, str(error))
            else:
                taken.append(Told(entry.entry_id, epoch, decision, consumer))
        return taken

    async def finish_decision(self, told: Told, wrong: str = "") -> None:
        """Say that a decision is done with, or set it aside."""
        stream = RedisKeys.decisions()
        if not wrong:
            await self._finish(stream, told.consumer, told.entry_id)
            return
        data = told.decision.to_redis_payload()["data"].encode()
        fields = {b"data": data, b"epoch": told.epoch.encode()}
        entry = streams.StreamEntry(stream, told.entry_id, fields)
        await graves.quarantine(self._caller, entry, MANAGERS, wrong)

    async def beat(self, consumer: str, ttl_ms: int) -> None:
        """Say that a manager lives."""
        await heartbeat.beat(self._caller, consumer, ttl_ms)

    async def resign(self, consumer: str) -> None:
        """Say that a manager is gone."""
        await heartbeat.resign(self._caller, consumer)

    async def send_to_worker(self, worker_id: str, data: bytes, *, check: bool) -> bool:
        """Deliver a command to one worker; False if its lease is gone."""
        call_id = new_call_id()
        reply = await self._caller.call(
            layout.keys_of_worker(worker_id, call_id),
            ("send_to_worker", "", call_id, self._retention_ms, data, "1" if check else ""),
        )
        return bool(encoding.decode_recorded(reply).position)

    async def take_deliveries(
        self, agent_types: tuple[str, ...], worker_id: str, count: int, block_ms: int
    ) -> list[Delivery]:
        """Take commands to handle."""
        keys = (
            *(RedisKeys.ctrl_stream(agent_type) for agent_type in agent_types),
            RedisKeys.worker_ctrl_stream(worker_id),
        )
        entries = await self._take(WORKERS, worker_id, keys, count, block_ms)
        return [_delivery(entry) for entry in entries]

    async def take_over_deliveries(
        self, agent_types: tuple[str, ...], worker_id: str, count: int
    ) -> list[Delivery]:
        """Take what workers left that died; only of workers whose lease shows that they did."""
        taken: list[Delivery] = []
        for agent_type in agent_types:
            stream = RedisKeys.ctrl_stream(agent_type)
            registered = await registry.registered(self._caller, agent_type)
            for gone in await takeover.holders(self._caller, stream, WORKERS, worker_id):
                if gone in registered:
                    lease = RedisKeys.worker_online_lease(gone)
                    entries = await takeover.take_over(
                        self._caller, stream, WORKERS, gone, worker_id, lease, count
                    )
                    taken += map(_delivery, entries)
        return taken

    async def acknowledge(self, delivery: Delivery) -> None:
        """Say that a command was handled."""
        await self._drop(delivery.stream, WORKERS, delivery.entry_id)

    async def reply(self, session_id: str, data: str) -> None:
        """Put a worker's answer into a session's data stream."""
        stream = RedisKeys.session_data_stream(session_id)
        await asyncio.gather(
            self._caller.command("XADD", stream, "*", "data", data),
            self._caller.command("PEXPIRE", stream, SESSION_TTL_MS),
        )

    def written(self) -> WrittenReader:
        """Return a reader of what foreign clients write."""
        return WrittenReader(self._client)

    async def set_aside(self, entry: Written, reason: str) -> bool:
        """Move an entry into quarantine."""
        found = streams.StreamEntry(STREAMS[entry.stream], entry.entry_id, {b"data": entry.data})
        return await graves.set_aside(self._caller, found, reason)

    async def registered_status(self, session_id: str, execution_id: str) -> str | None:
        """Return how an execution stands in its session's registry."""
        key = RedisKeys.session_registry(session_id)
        text = await self._caller.command("HGET", key, f"exec:{execution_id}")
        return None if text is None else status_of(text)

    async def show(self, decision: WakeupDecision) -> None:
        """Put a decision into the result stream of its execution."""
        stream = RedisKeys.control_plane_wakeup_result_stream(decision.execution_id)
        await asyncio.gather(
            self._caller.command("XADD", stream, "*", "data", decision.to_redis_payload()["data"]),
            self._caller.command("PEXPIRE", stream, RESULT_TTL_MS),
        )

    async def _take(
        self, group: str, consumer: str, keys: tuple[str, ...], count: int, block_ms: int
    ) -> list[streams.StreamEntry]:
        block_ms = streams.block_ms_within(self._client, block_ms)
        with server_errors():
            try:
                return await streams.read_group(
                    self._client, group, consumer, keys, count, block_ms
                )
            except ResponseError as error:
                if "NOGROUP" not in str(error):
                    raise
            for key in keys:
                await self._make_group(key, group)
            return await streams.read_group(self._client, group, consumer, keys, count, block_ms)

    async def _make_group(self, key: str, group: str) -> None:
        try:
            await self._client.xgroup_create(key, group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _drop(self, key: str, group: str, entry_id: str) -> None:
        await asyncio.gather(
            self._caller.command("XACK", key, group, entry_id),
            self._caller.command("XDEL", key, entry_id),
        )


def _delivery(entry: streams.StreamEntry) -> Delivery:
    return Delivery(
        entry.entry_id,
        entry.stream,
        entry.fields.get(b"execution_id", b"").decode(errors="replace"),
        entry.fields.get(b"data", b""),
    )
