"""Both stores, for tests that hold for any."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.contract import Store
from by_cp.log.memory import MemoryStore
from by_cp.log.redis.store import RedisStore


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, redis: Redis) -> Store:
    """A store that is empty."""
    return MemoryStore() if request.param == "memory" else RedisStore(redis)


async def replies(store: Store, redis: Redis, session_id: str = "session-1") -> list[str]:
    """What workers put into a session's data stream."""
    if isinstance(store, MemoryStore):
        return store.replies.get(session_id, [])
    entries: Any = await redis.xrange(RedisKeys.session_data_stream(session_id))
    return [fields[b"data"].decode() for _, fields in entries]
