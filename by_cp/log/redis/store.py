"""The store contract over a Redis or Valkey server."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from redis.exceptions import RedisError, ResponseError

from by_cp.errors import InvalidInput, UnknownExecution
from by_cp.keys import RedisKeys, wake_group
from by_cp.log.commands import Append, Command, GiveUp, Member, Redrive, new_call_id
from by_cp.log.contract import Delivery, Due, Entry, WakeSignal
from by_cp.log.redis import encoding, histories, layout, registry, rows, streams
from by_cp.log.redis.calls import Caller, server_error
from by_cp.log.redis.inbox import Inbox
from by_cp.statemachine.events import Requested
from by_cp.statemachine.position import BEGINNING, Position
from by_cp.wire import WakeupRequest

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from by_cp.log.answers import Outcome
    from by_cp.projections.views import Views

A = TypeVar("A")

RETENTION_MS = 7 * 24 * 3600 * 1000
"""How long the head of a settled execution is kept: so long is a repeated request recognised."""

SESSION_TTL_MS = 7 * 24 * 3600 * 1000
"""How long a session's answers are kept after the last one, as by-framework keeps them."""

MANAGERS = "by-cp:managers"
"""Consumer group of the managers on the wakeup stream."""

WORKERS = "agent_engines"
"""Consumer group of the workers on the control streams; by-framework's name."""

QUARANTINE_LENGTH_MAX = 10_000

log = logging.getLogger(__name__)


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
        elif isinstance(command, (GiveUp, Redrive)):
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

    async def wake_members(
        self, group: tuple[str, str, str], epoch: Position, count: int
    ) -> list[Member]:
        """Return who waits for a wake."""
        return await histories.members(
            self._caller, RedisKeys.wake_members(wake_group(*group)), count, epoch
        )

    async def held(self, agent_type: str, count: int) -> list[Member]:
        """Return what is held for an agent type."""
        return await histories.members(self._caller, RedisKeys.pending_index(agent_type), count)

    async def held_agent_types(self) -> list[str]:
        """Return the agent types for which anything is held."""
        names = await self._caller.command("HKEYS", RedisKeys.pending_depth())
        return sorted(name.decode() for name in names)

    async def due(self, count: int) -> list[Due]:
        """Return executions whose deadline has passed."""
        now_ms = self._clock() if self._clock is not None else await self._server_ms()
        return await histories.due(self._caller, now_ms, count)

    async def _server_ms(self) -> int:
        seconds, microseconds = await self._caller.command("TIME")
        return int(seconds) * 1000 + int(microseconds) // 1000

    async def announce(self, worker_id: str, agent_types: tuple[str, ...], ttl_ms: int) -> None:
        """Say that a worker is online."""
        await registry.announce(self._caller, worker_id, agent_types, ttl_ms)

    async def retire(self, worker_id: str) -> None:
        """Say that a worker is gone."""
        await registry.retire(self._caller, worker_id)

    async def online(self, agent_type: str) -> tuple[str, ...]:
        """Return the workers that are online."""
        return await registry.online(self._caller, agent_type)

    async def take_signals(self, consumer: str, count: int, block_ms: int) -> list[WakeSignal]:
        """Take wakes to do; what is no WakeupRequest is set aside, with the reason."""
        stream = RedisKeys.control_plane_wakeup_stream()
        taken: list[WakeSignal] = []
        for entry in await self._take(MANAGERS, consumer, (stream,), count, block_ms):
            try:
                request = WakeupRequest.from_json(entry.fields.get(b"data", b""))
                epoch = entry.fields.get(b"epoch", b"").decode()
            except (InvalidInput, UnicodeDecodeError) as error:
                await self._quarantine(entry, str(error))
            else:
                taken.append(WakeSignal(entry.entry_id, epoch, request))
        return taken

    async def finish_signal(self, signal: WakeSignal) -> None:
        """Say that a wake is done with."""
        await self._drop(RedisKeys.control_plane_wakeup_stream(), MANAGERS, signal.entry_id)

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
        return [
            Delivery(
                entry.entry_id,
                entry.stream,
                entry.fields.get(b"execution_id", b"").decode(errors="replace"),
                entry.fields.get(b"data", b""),
            )
            for entry in await self._take(WORKERS, worker_id, keys, count, block_ms)
        ]

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

    async def _take(
        self, group: str, consumer: str, keys: tuple[str, ...], count: int, block_ms: int
    ) -> list[streams.StreamEntry]:
        block_ms = streams.block_ms_within(self._client, block_ms)
        async with _errors():
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

    async def _quarantine(self, entry: streams.StreamEntry, reason: str) -> None:
        log.warning("set aside stream=%s entry=%s reason=%s", entry.stream, entry.entry_id, reason)
        fields = {**entry.fields, b"from": entry.stream.encode(), b"reason": reason.encode()}
        await self._caller.command(
            *("XADD", RedisKeys.quarantine(), "MAXLEN", "~", QUARANTINE_LENGTH_MAX, "*"),
            *(part for pair in fields.items() for part in pair),
        )
        await self._drop(entry.stream, MANAGERS, entry.entry_id)


@asynccontextmanager
async def _errors() -> AsyncIterator[None]:
    """Turn the client library's errors into by-cp's."""
    try:
        yield
    except (RedisError, OSError) as error:
        raise server_error(error) from error
