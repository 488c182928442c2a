"""The online check costs the same with one registered worker and with a thousand."""

from __future__ import annotations

import json

import pytest
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.redis.store import RedisStore
from tests.making import make_request


async def register(redis: Redis, agent_type: str, workers: int) -> None:
    """Register workers as by-framework does; none has a lease yet."""
    ids = [f"worker-{n}" for n in range(workers)]
    await redis.sadd(RedisKeys.agent_type_members(agent_type), *ids)


async def lease(redis: Redis, worker_id: str, last_seen: int = 1) -> None:
    """Write a lease as by-framework does."""
    document = json.dumps({"version": 1, "token": None, "last_seen": last_seen})
    await redis.set(RedisKeys.worker_online_lease(worker_id), document, px=600_000)


async def inner_commands(redis: Redis, store: RedisStore, request_id: str) -> int:
    """Count what one request makes the server do, inside its function too."""
    await redis.config_resetstat()
    await store.execute(make_request(request_id))
    stats = await redis.info("commandstats")
    return sum(entry["calls"] for name, entry in stats.items() if name != "cmdstat_info")


@pytest.mark.parametrize("alive", [0, 1])
async def test_a_thousand_registered_workers_cost_what_one_does(redis: Redis, alive: int) -> None:
    """999 dead workers, left behind by crashes, make no check dearer.

    Neither when one lives nor when none does; then a look at all of them is trusted for half a
    second.
    """
    store = RedisStore(redis)
    costs = []
    for agent_type, workers in (("echo", 1000), ("echo", 1)):
        await redis.flushdb()
        await register(redis, agent_type, workers)
        if alive:
            await lease(redis, "worker-0")
        await store.execute(make_request("first"))  # the one that looks at all
        costs.append(await inner_commands(redis, store, "second"))
    assert costs[0] <= costs[1] + 1


async def test_workers_of_by_framework_are_seen(redis: Redis) -> None:
    """A set of ids and a lease each, as by-framework writes them, are all it takes."""
    store = RedisStore(redis)
    await register(redis, "echo", 3)
    assert (await store.execute(make_request("e1"))).receipt.status == "REJECT"

    await lease(redis, "worker-2")

    assert (await store.execute(make_request("e2"))).receipt.status == "DELIVER_NOW"
    await redis.delete(RedisKeys.worker_online_lease("worker-2"))
    assert (await store.execute(make_request("e3"))).receipt.status == "REJECT"


@pytest.mark.parametrize(
    ("value", "online"),
    [
        ('{"version":1,"token":"t","last_seen":1}', True),
        ('{"version":1,"token":"t","last_seen":0}', False),
        ("1", True),
        ("some-token", True),
    ],
)
async def test_what_a_lease_says(redis: Redis, value: str, *, online: bool) -> None:
    """A lease holds once its worker was seen; what an old by-framework wrote holds as it is."""
    store = RedisStore(redis)
    await register(redis, "echo", 1)
    await redis.set(RedisKeys.worker_online_lease("worker-0"), value)
    status = (await store.execute(make_request("e1"))).receipt.status
    assert (status == "DELIVER_NOW") == online
    assert (await store.online("echo") == ("worker-0",)) == online


async def test_a_new_worker_among_a_thousand_dead_is_seen_at_once(redis: Redis) -> None:
    """A worker that registers changes the set, and the set is looked at again."""
    store = RedisStore(redis)
    await register(redis, "echo", 1000)
    assert (await store.execute(make_request("e1"))).receipt.status == "REJECT"

    await redis.sadd(RedisKeys.agent_type_members("echo"), "newcomer")
    await lease(redis, "newcomer")

    assert (await store.execute(make_request("e2"))).receipt.status == "DELIVER_NOW"
