"""What is left on the server once everything is settled: what was there before it, no more."""

from __future__ import annotations

import asyncio
from typing import Any

import by_framework
from by_framework.core.registry import WorkerRegistry
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.redis.store import RETENTION_MS, RedisStore
from by_cp.manager.manager import Manager
from tests.interop.conftest import Start
from tests.interop.providers import StartingStock
from tests.interop.test_observed import WAKEUP, there
from tests.interop.test_policies import PENDING
from tests.interop.ways import ACCEPTED, Send, by_client
from tests.manager.running import running
from tests.waiting import until

GROW = {
    RedisKeys.log(),  # archived and trimmed by its owner
    RedisKeys.ctrl_stream("echo"),  # by-framework's own; its workers acknowledge and remove nothing
}


async def lasting(redis: Redis) -> dict[str, int]:
    """Every key that does not expire by itself, and how much is in it."""
    found = {}
    keys: Any = await redis.keys("*")
    for key in keys:
        if await redis.pttl(key) == -1 and key.decode() not in GROW:
            kind: Any = await redis.type(key)
            count: Any = {
                b"stream": redis.xlen,
                b"zset": redis.zcard,
                b"hash": redis.hlen,
                b"set": redis.scard,
                b"string": redis.strlen,
            }[kind]
            found[key.decode()] = int(await count(key))
    return found


async def round_of(send: Send, name: str, count: int) -> int:
    """Send with all policies; how many of them are handled."""
    for number in range(count):
        for policy in ("WAKE_AND_WAIT", "WAKE_AND_QUEUE", "QUEUE_ONLY", "SEND_ANYWAY"):
            content = f"{name}-{number}-{policy}"
            told = await send("echo", content, route_policy=policy, user_code="acme")
            assert told == ACCEPTED
    return 4 * count


async def test_nothing_is_left_behind(redis: Redis, theirs: Redis, start: Start) -> None:
    """By-framework leaves 5.6 KB of each send that waits, and 2.4 KB of each that is queued."""
    send = by_client(by_framework.GatewayClient(registry=WorkerRegistry(theirs)))
    provider = StartingStock(start)
    handled = 0
    async with running(Manager(redis, provider).run()):
        found: list[dict[str, int]] = []
        for name, count in (("first", 5), ("second", 100)):
            handled += await round_of(send, name, count)
            await until(lambda: _have_handled(provider, handled), 30)  # noqa: B023 - awaited here
            await until(lambda: there(redis, WAKEUP, 0))
            await until(lambda: there(redis, PENDING, 0))
            found.append(await lasting(redis))
    before, after = found
    assert after == before
    assert {name for name, count in after.items() if count} == {
        RedisKeys.control_plane_agent_availability("echo"),
        RedisKeys.view_quota("acme"),
        RedisKeys.managers(),
        RedisKeys.KNOWN_WORKERS,
        RedisKeys.agent_type_members("echo"),
        RedisKeys.worker_declared_agent_types("worker-of-echo"),
    }


async def _have_handled(provider: StartingStock, count: int) -> bool:
    return bool(provider.workers) and len(provider.workers["echo"].handled) == count


async def test_what_was_rejected_or_given_up_leaves_nothing_either(
    redis: Redis, theirs: Redis
) -> None:
    """Nobody came, in time or at all; what expires does so within a week."""
    send = by_client(by_framework.GatewayClient(registry=WorkerRegistry(theirs)))
    store = RedisStore(redis)
    waits: dict[str, Any] = {"route_policy": "WAKE_AND_WAIT", "availability_timeout_ms": 50}
    told = await asyncio.gather(*(send("echo", user_code="acme", **waits) for _ in range(50)))
    assert not any(one.accepted for one in told)
    provider = _Asleep()
    async with running(Manager(redis, provider).run()):
        await until(lambda: there(redis, WAKEUP, 0))
    assert provider.asked == 0
    assert {row.state for row in (await store.views()).executions.values()} == {"REJECTED"}
    left = {name for name, count in (await lasting(redis)).items() if count}
    assert left - {RedisKeys.managers()} == {RedisKeys.view_quota("acme")}
    for key in await redis.keys("*"):
        assert await redis.pttl(key) <= RETENTION_MS


class _Asleep:
    """Would count how often it is asked."""

    asked = 0

    async def wakeup(self, request: Any) -> Any:
        """Count."""
        self.asked += 1
        return {"status": "FAILED", "reason": str(request)}
