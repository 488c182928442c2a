"""Both stores, and every way in which a caller can send."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from by_cp.adapters import store_of
from by_cp.log.contract import Store
from by_cp.log.memory import MemoryStore
from tests.framework.sending import WAYS, Way


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, redis: Redis) -> Store:
    """A store that is empty."""
    return MemoryStore() if request.param == "memory" else store_of(redis)


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest, store: Store) -> Way:
    """A way to send over the store."""
    return WAYS[request.param](store)
