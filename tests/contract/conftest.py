"""Every test of the contract runs against every store. A new store is added here."""

from __future__ import annotations

import pytest

from by_cp.log.contract import Store
from by_cp.log.memory import ManualClock, MemoryStore
from by_cp.log.redis.store import RedisStore
from tests.contract.surroundings import AroundMemory, AroundRedis, Surroundings


@pytest.fixture
def clock() -> ManualClock:
    """The only clock of the stores."""
    return ManualClock()


@pytest.fixture(params=["memory", "redis"])
def around(request: pytest.FixtureRequest, clock: ManualClock) -> Surroundings:
    """A store with an empty log, and what is around it."""
    if request.param == "memory":
        return AroundMemory(MemoryStore(clock))
    redis = request.getfixturevalue("redis")
    return AroundRedis(RedisStore(redis, clock=clock), redis)


@pytest.fixture
def store(around: Surroundings) -> Store:
    """A store with an empty log."""
    return around.store
