"""Both stores, for tests that hold for any."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from by_cp.log.contract import Store
from by_cp.log.memory import MemoryStore
from by_cp.log.redis.store import RedisStore


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, redis: Redis) -> Store:
    """A store that is empty."""
    return MemoryStore() if request.param == "memory" else RedisStore(redis)
