"""What heads lead to: histories without a search."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.redis.heads import Heads
from by_cp.log.redis.store import RedisStore
from by_cp.vocabulary import RoutePolicy
from tests.asking import ask


@pytest.fixture
def heads(url: str) -> Iterator[Heads]:
    """The heads on the server."""
    with closing(Heads(url)) as made:
        yield made


async def test_a_head_leads_to_its_events(redis: Redis, heads: Heads) -> None:
    """The same as the store reads, and none of another execution."""
    store = RedisStore(redis)
    receipt = await ask(store, "poet")
    await ask(store, "poet")
    found = heads.history(receipt.execution_id)
    assert found == (await store.history(receipt.execution_id), [])


async def test_without_a_head_there_is_nothing(redis: Redis, heads: Heads) -> None:
    """Whether it expired or never was: somebody must search."""
    receipt = await ask(RedisStore(redis), "poet")
    await redis.delete(RedisKeys.head(receipt.execution_id))
    assert heads.history(receipt.execution_id) is None
    assert heads.history("never was") is None


async def test_what_was_trimmed_is_named(redis: Redis, heads: Heads) -> None:
    """The positions of the events that are elsewhere now."""
    store = RedisStore(redis)
    receipt = await ask(store, "poet")
    whole = await store.history(receipt.execution_id)
    await redis.xtrim(RedisKeys.log(), maxlen=1, approximate=False)
    found = heads.history(receipt.execution_id)
    assert found == (whole[-1:], [position for position, _ in whole[:-1]])


async def test_what_is_appended_comes(redis: Redis, heads: Heads) -> None:
    """In order, from the position on; now and then nothing, so that whoever waits can give up."""
    store = RedisStore(redis)
    await ask(store, "poet")
    last = (await store.read())[-1].position
    rejected = await ask(store, "poet", RoutePolicy.FAIL_FAST)
    pages = heads.follow(last)
    assert next(pages) == await store.history(rejected.execution_id)
    assert next(pages) == []
