"""A server with something of everything in its log, and what looks at its rows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis.asyncio import Redis

from by_cp.adapters import live_rows_at, raw_log_at
from by_cp.log.live import LiveRows
from by_cp.log.rawlog import RawLog
from by_cp.log.redis.store import RedisStore
from tests.contract.test_reading import something_of_everything


@pytest.fixture
async def store(redis: Redis) -> RedisStore:
    """A store in whose log there is something of everything."""
    store = RedisStore(redis)
    await something_of_everything(store)
    return store


@pytest.fixture
def live(url: str) -> Iterator[LiveRows]:
    """Its rows."""
    rows = live_rows_at(url)
    yield rows
    rows.close()


@pytest.fixture
def log(url: str) -> Iterator[RawLog]:
    """Its log."""
    found = raw_log_at(url)
    yield found
    found.close()
