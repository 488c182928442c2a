"""Quotas under real processes: never exceeded by even one, and given back by the dead."""

from __future__ import annotations

import asyncio
import sys
from subprocess import PIPE, Popen

from redis.asyncio import Redis

from by_cp.client import GatewayClient
from by_cp.log.commands import Configure
from by_cp.log.contract import Entry
from by_cp.log.redis.store import RedisStore
from by_cp.statemachine.events import Held, QuotaSet
from by_cp.statemachine.position import BEGINNING
from by_cp.testing.invariants import in_flight_within_limits, views_are_the_fold
from by_cp.vocabulary import ErrorCode, RoutePolicy
from tests.waiting import until

LIMIT = 5
PROCESSES = 16
SENDS = 20


def hammer(url: str, name: str, sends: int, timeout_ms: int) -> Popen[bytes]:
    """Start a process that hammers."""
    given = (url, name, str(sends), str(timeout_ms))
    return Popen([sys.executable, "-m", "tests.scenarios.hammer", *given], stdout=PIPE)


async def limited(redis: Redis) -> RedisStore:
    """A store in which the tenant has a quota."""
    store = RedisStore(redis)
    await store.execute(Configure(event=QuotaSet("", "acme", LIMIT)))
    return store


async def whole_log(store: RedisStore) -> list[Entry]:
    """All of it."""
    entries: list[Entry] = []
    while page := await store.read(entries[-1].position if entries else BEGINNING, 5_000):
        entries += page
    return entries


async def test_sixteen_processes_never_exceed_a_quota_by_even_one(redis: Redis, url: str) -> None:
    """Replayed, the log shows at no position more in flight than the limit, and often as many."""
    store = await limited(redis)
    processes = [hammer(url, f"process-{n}", SENDS, 40) for n in range(PROCESSES)]
    outputs = await asyncio.gather(*(asyncio.to_thread(p.communicate) for p in processes))

    entries, views = await whole_log(store), await store.views()
    in_flight_within_limits(entries)
    views_are_the_fold(entries, views)
    refused = sum(int(output) for output, _ in outputs)
    held = sum(isinstance(event, Held) for _, event in entries)
    assert held + refused == PROCESSES * SENDS
    assert held > LIMIT
    assert refused > LIMIT
    assert views.quotas["acme"].in_flight == 0


async def test_what_a_killed_process_had_in_flight_comes_back(redis: Redis, url: str) -> None:
    """Nobody gives up for it. Its leases lapse with its callers' deadlines, without a manager."""
    store, client = await limited(redis), GatewayClient(redis_client=redis)

    async def ask() -> str:
        response = await client.send_message(
            *("nobody", "session", "hello"),
            user_code="acme",
            route_policy=RoutePolicy.QUEUE_ONLY,
        )
        return response.error_code

    async def in_flight() -> int:
        return (await store.views()).quotas["acme"].in_flight

    for _ in range(LIMIT - 3):
        assert await ask() == ""
    process = hammer(url, "victim", 3, 1_500)

    async def all_taken() -> bool:
        return await in_flight() == LIMIT

    await until(all_taken)
    process.kill()
    process.communicate()
    assert await ask() == ErrorCode.TENANT_QUOTA_EXCEEDED

    async def admitted() -> bool:
        return await ask() == ""

    await until(admitted)
    in_flight_within_limits(await whole_log(store))
