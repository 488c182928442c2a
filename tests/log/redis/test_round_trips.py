"""How much of the server one call needs, counted by the server itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from by_cp.log.redis.store import RedisStore
from by_cp.vocabulary import RoutePolicy
from tests.making import make_request


async def sent_by_clients(
    redis: Redis, client: Redis, act: Callable[[], Awaitable[Any]]
) -> list[str]:
    """Return the commands that came over the network while `act` ran.

    MONITOR marks what a function calls inside as `lua`; that costs no round trip.
    """
    names: list[str] = []
    async with redis.monitor() as monitor:
        await act()
        await client.echo("the end")
        while True:
            seen = await monitor.next_command()
            name = seen["command"].split()[0].upper()
            if name == "ECHO":
                return names
            if seen["client_type"] != "lua":
                names.append(name)


@pytest.mark.parametrize("policy", list(RoutePolicy))
async def test_one_request_is_one_round_trip(redis: Redis, url: str, policy: RoutePolicy) -> None:
    """Whatever the policy, the server is asked once: by FCALL, and by nothing else."""
    async with Redis.from_url(url) as client:
        store = RedisStore(client)
        await store.execute(make_request("warm-up", policy))
        await redis.config_resetstat()

        sent = await sent_by_clients(
            redis, client, lambda: store.execute(make_request("counted", policy))
        )

    assert sent == ["FCALL"]
    assert (await redis.info("commandstats"))["cmdstat_fcall"]["calls"] == 1


async def test_calls_made_together_travel_together(redis: Redis) -> None:
    """A hundred concurrent requests need a handful of reads of the socket, not a hundred."""
    store = RedisStore(redis)
    await store.check()
    before = (await redis.info("stats"))["total_reads_processed"]

    await asyncio.gather(
        *(store.execute(make_request(f"e{n}", RoutePolicy.SEND_ANYWAY)) for n in range(100))
    )

    reads = (await redis.info("stats"))["total_reads_processed"] - before
    assert reads <= 20
