"""Heads are looked at ahead of whoever compares them, and none is lost by that."""

from __future__ import annotations

from contextlib import closing

import pytest
from redis.asyncio import Redis

from by_cp.adapters import live_rows_at
from by_cp.log.redis.store import RedisStore
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import request

IDS = [f"exec-{number}" for number in range(7)]
BATCHES = [IDS[:3], IDS[3:6], ["unknown"], IDS[6:]]


@pytest.fixture(autouse=True)
async def _held(redis: Redis) -> None:
    """Seven commands are held."""
    store = RedisStore(redis)
    for execution_id in IDS:
        await request(store, execution_id, RoutePolicy.QUEUE_ONLY)


def test_each_batch_is_given_with_its_heads(url: str) -> None:
    """In order; an execution without a head has an empty line."""
    with closing(live_rows_at(url)) as live:
        found = list(live.heads(BATCHES))
    assert [one.execution_ids for one in found] == BATCHES
    lines = [line for one in found for line in one.lines]
    assert [line.split(b" ")[:2] for line in lines] == [
        *[[b"REQUESTED", b"2"]] * 6,
        [b""],
        [b"REQUESTED", b"2"],
    ]


async def test_a_connection_that_breaks_loses_no_batch(url: str, redis: Redis) -> None:
    """What was on its way is asked for again."""
    with closing(live_rows_at(url)) as live:
        whole = list(live.heads(BATCHES))
        coming = live.heads(BATCHES)
        found = [next(coming)]
        await redis.client_kill_filter(_type="normal", skipme=True)
        assert found + list(coming) == whole


async def test_a_server_that_has_lost_its_functions_is_given_them(url: str, redis: Redis) -> None:
    """Whether before the first look or between two."""
    with closing(live_rows_at(url)) as live:
        whole = list(live.heads(BATCHES))
        await redis.function_flush()
        coming = live.heads(BATCHES)
        found = [next(coming)]
        await redis.function_flush()
        assert found + list(coming) == whole
