"""A store and what is around it: what others write and read there, past the store's contract."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, cast

import msgspec
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.contract import Store
from by_cp.log.memory import MemoryStore
from by_cp.log.redis.store import RedisStore
from by_cp.wire import WakeupRequest

DOCUMENT_KEYS: dict[str, Callable[[str], str]] = {
    "circuit": RedisKeys.control_plane_agent_circuit,
    "quota": RedisKeys.control_plane_tenant_quota,
    "fallback": RedisKeys.control_plane_agent_fallback,
}
"""What may be written by hand, and where."""


class Surroundings(Protocol):
    """What tests do and see around a store."""

    @property
    def store(self) -> Store:
        """The store."""
        ...

    async def write_by_hand(self, kind: str, name: str, text: str | None) -> None:
        """Write, or with None remove, a circuit, quota or fallback as an operator may."""
        ...

    async def control_stream(self, agent_type: str) -> list[tuple[str, str]]:
        """Return (execution_id, command) of all that stands in a control stream."""
        ...

    async def signals(self) -> list[tuple[str, WakeupRequest]]:
        """Return (epoch, request) of all wakes that the manager was asked for."""
        ...


class AroundMemory:
    """What is around the store in memory: its world."""

    def __init__(self, store: MemoryStore) -> None:
        self.store: Store = store
        self._world = store.log.world

    async def write_by_hand(self, kind: str, name: str, text: str | None) -> None:
        """Put it into the world's documents."""
        if text is None:
            self._world.documents.pop((kind, name), None)
        else:
            self._world.documents[kind, name] = text

    async def control_stream(self, agent_type: str) -> list[tuple[str, str]]:
        """Look into the world's streams."""
        return [
            (d.execution_id, d.command) for d in self._world.control_streams.get(agent_type, ())
        ]

    async def signals(self) -> list[tuple[str, WakeupRequest]]:
        """Look at the world's signals."""
        return [(signal.epoch, signal.request()) for signal in self._world.signals]


class AroundRedis:
    """What is around the store on a server: the keys that by-framework knows."""

    def __init__(self, store: RedisStore, redis: Redis) -> None:
        self.store: Store = store
        self._redis = redis

    async def write_by_hand(self, kind: str, name: str, text: str | None) -> None:
        """Write the key."""
        key = DOCUMENT_KEYS[kind](name)
        if text is None:
            await self._redis.delete(key)
        else:
            await self._redis.set(key, text)

    async def control_stream(self, agent_type: str) -> list[tuple[str, str]]:
        """Read the stream."""
        fields = await self._fields(RedisKeys.ctrl_stream(agent_type))
        return [
            (entry.get(b"execution_id", b"").decode(), entry[b"data"].decode()) for entry in fields
        ]

    async def signals(self) -> list[tuple[str, WakeupRequest]]:
        """Read the wakeup stream."""
        fields = await self._fields(RedisKeys.control_plane_wakeup_stream())
        return [
            (entry[b"epoch"].decode(), WakeupRequest.from_dict(msgspec.json.decode(entry[b"data"])))
            for entry in fields
        ]

    async def _fields(self, stream: str) -> list[dict[bytes, bytes]]:
        entries = cast("list[tuple[bytes, dict[bytes, bytes]]]", await self._xrange(stream))
        return [fields for _, fields in entries]

    async def _xrange(self, stream: str) -> Any:
        return await self._redis.xrange(stream)
