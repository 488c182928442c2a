"""What one send costs, in plain XADDs of the same client on the same server, in the same run.

    python benchmarks/sends.py            # by-cp
    pip install by-framework              # Python >= 3.12: then the peer is measured beside it

Absolute times mean nothing on a machine that others use too, so every figure is a ratio to the
XADD measured right before it; each is taken several times, interleaved, and the median printed.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import json
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Any

from redis.asyncio import Redis

from by_cp import interop
from by_cp.client import GatewayClient
from by_cp.embedded import EmbeddedServer
from by_cp.keys import RedisKeys

Send = Callable[[int], Awaitable[Any]]
CONTENT = "x" * 300


async def per_second(send: Send, count: int, concurrency: int) -> float:
    """Return how many sends a second `concurrency` tasks make together."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await send(number)

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(concurrency)))
    return count / (time.perf_counter() - begun)


async def register(redis: Redis, agent_type: str, dead: int) -> None:
    """Let one worker of an agent type be online, and so many be registered but dead."""
    members = RedisKeys.agent_type_members(agent_type)
    await redis.sadd(members, "alive", *(f"dead-{n}" for n in range(dead)))
    lease = json.dumps({"version": 1, "token": None, "last_seen": 1})
    await redis.set(RedisKeys.worker_online_lease("alive"), lease)


def by_cp_sends(redis: Redis) -> dict[str, Send]:
    """Return what is measured of by-cp."""
    client = GatewayClient(redis_client=redis)
    unregistered = GatewayClient(redis_client=redis, registers=False)

    def sending(agent_type: str, policy: str, client: GatewayClient = client) -> Send:
        return lambda _: client.send_message(agent_type, "s1", CONTENT, route_policy=policy)

    return {
        "by-cp  FAIL_FAST, online": sending("one", "FAIL_FAST"),
        "by-cp  FAIL_FAST, online, no registry": sending("one", "FAIL_FAST", unregistered),
        "by-cp  FAIL_FAST, online, 999 dead": sending("many", "FAIL_FAST"),
        "by-cp  FAIL_FAST, rejected": sending("nobody", "FAIL_FAST"),
        "by-cp  QUEUE_ONLY": sending("nobody", "QUEUE_ONLY"),
        "by-cp  WAKE_AND_QUEUE": sending("nobody", "WAKE_AND_QUEUE"),
    }


def peer_sends(redis: Redis, name: str) -> dict[str, Send]:
    """Return what is measured of by-framework."""
    from by_framework.client.client import GatewayClient as Peer
    from by_framework.core.registry import WorkerRegistry

    client = Peer(registry=WorkerRegistry(redis), redis_client=redis)

    def sending(agent_type: str, policy: str) -> Send:
        return lambda _: client.send_message(agent_type, "s1", CONTENT, route_policy=policy)

    return {
        f"{name}  FAIL_FAST, online": sending("one", "FAIL_FAST"),
        f"{name}  WAKE_AND_QUEUE": sending("nobody", "WAKE_AND_QUEUE"),
    }


async def measure(redis: Redis, sends: dict[str, Send], count: int, rounds: int) -> None:
    """Measure and print."""
    for name, send in sends.items():
        figures = []
        for concurrency in (1, 50):
            ratios = []
            for _ in range(rounds):
                xadd = await per_second(
                    lambda _: redis.xadd("plain", {"data": CONTENT}), count, concurrency
                )
                ratios.append(xadd / await per_second(send, count, concurrency))
            figures.append(statistics.median(ratios))
        print(f"{name:38}{figures[0]:>10.1f}{figures[1]:>14.1f}", flush=True)


async def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sends", type=int, default=2000, help="sends in each measurement")
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each")
    options = parser.parse_args()
    async with (
        await EmbeddedServer.start() as server,
        Redis.from_url(server.url) as redis,
    ):
        await redis.config_set("appendonly", "no")  # the same for all that is compared
        version = (await redis.info("server")).get("valkey_version")
        print(f"Valkey {version}, one client process, {CONTENT.__len__()} bytes of content")
        print(f"{'plain XADDs that one send costs':38}{'alone':>10}{'50 at once':>14}")
        await register(redis, "one", 0)
        await register(redis, "many", 999)
        how = (options.sends, options.rounds)
        await measure(redis, by_cp_sends(redis), *how)
        if importlib.util.find_spec("by_framework") is not None:
            await measure(redis, peer_sends(redis, "peer "), *how)
            with interop.installed():
                await measure(redis, peer_sends(redis, "peer, switched"), *how)


if __name__ == "__main__":
    asyncio.run(main())
