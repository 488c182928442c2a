"""Wakes, end to end: callers on one side, a manager on the other, a real server between."""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis

from by_cp.client import GatewayClient
from by_cp.keys import RedisKeys
from by_cp.log.commands import GiveUp
from by_cp.log.redis.store import RedisStore
from by_cp.manager.manager import Manager
from by_cp.manager.provider import WakeupProvider
from by_cp.router import AvailabilityRouter
from by_cp.vocabulary import AvailabilityStatus, ErrorCode, RoutePolicy
from by_cp.wire import DeliveryIntent
from tests.making import make_request, make_settle
from tests.manager.providers import Starting
from tests.waiting import until


@asynccontextmanager
async def managed(redis: Redis, provider: WakeupProvider) -> AsyncIterator[None]:
    """A manager that runs meanwhile."""
    running = asyncio.create_task(Manager(redis, provider).run())
    try:
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def delivered(redis: Redis, agent_type: str) -> list[str]:
    """Return the contents of an agent type's control stream, in order."""
    entries: Any = await redis.xrange(RedisKeys.ctrl_stream(agent_type))
    return [json.loads(fields[b"data"])["body"]["content"] for _, fields in entries]


async def test_ten_callers_wait_for_one_wake_and_all_are_told(redis: Redis) -> None:
    """Ten WAKE_AND_WAIT callers of one sleeping agent: one wake, ten READY, ten deliveries."""
    provider = Starting(RedisStore(redis))
    client = GatewayClient(redis_client=redis)
    async with managed(redis, provider):
        responses = await asyncio.gather(
            *(
                client.send_message("echo", "s1", f"m{n}", route_policy=RoutePolicy.WAKE_AND_WAIT)
                for n in range(10)
            )
        )

    assert [response.error for response in responses if not response.success] == []
    assert len(provider.asked) == 1
    assert sorted(await delivered(redis, "echo")) == [f"m{n}" for n in range(10)]
    store = RedisStore(redis)
    for response in responses:
        names = [entry.event.name for entry in await store.history(response.execution_id)]
        assert names[-2:] == ["BecameReady", "Delivered"]


async def test_three_hundred_queued_commands_are_delivered_once_by_priority(redis: Redis) -> None:
    """300 WAKE_AND_QUEUE in a row: each delivered once, the higher priority first, then the older.

    There is no ceiling: what is behind the first hundred is reached as well.
    """
    priorities = [random.Random(7).randrange(3) for _ in range(300)]
    client = GatewayClient(redis_client=redis)
    for n, priority in enumerate(priorities):
        response = await client.send_message(
            "echo", "s1", f"m{n}", route_policy=RoutePolicy.WAKE_AND_QUEUE, priority=priority
        )
        assert response.success

    async with managed(redis, Starting(RedisStore(redis))):

        async def all_there() -> bool:
            return len(await delivered(redis, "echo")) >= 300

        await until(all_there, 30)

    in_order = sorted(range(300), key=lambda n: (-priorities[n], n))
    assert await delivered(redis, "echo") == [f"m{n}" for n in in_order]
    assert await redis.xlen(RedisKeys.control_plane_delivery_pending_stream()) == 0


async def test_a_timeout_racing_a_ready_has_one_true_outcome(redis: Redis, url: str) -> None:
    """1,000 callers whose time is up just as the manager says READY.

    Each is told exactly what the log says, delivered or not; both come out.
    """
    router = AvailabilityRouter(redis)
    chance = random.Random(11)

    async def call(n: int) -> tuple[str, bool]:
        result = await router.prepare_delivery(
            DeliveryIntent(
                execution_id=f"race-{n}",
                message_id="",
                session_id="s1",
                trace_id="",
                source="client",
                target_agent_type=f"agent-{n % 20}",
                policy=RoutePolicy.WAKE_AND_WAIT,
                timeout_ms=chance.randrange(100, 600),
                command_payload={"body": {"content": f"race-{n}"}},
            )
        )
        if not result.delivered:
            assert result.status == AvailabilityStatus.REJECT
            assert result.error_code == ErrorCode.AGENT_TYPE_UNAVAILABLE
            assert "Timed out" in result.error
        return f"race-{n}", result.delivered

    async with Redis.from_url(url) as manager_redis:
        manager = RedisStore(manager_redis)

        async def settle_all(calls: asyncio.Future[list[tuple[str, bool]]]) -> None:
            signals = []
            while not calls.done():
                signals += await manager.take_signals("m", 100, 10)
                for signal in signals:
                    group = (signal.request.target_agent_type, "", "")
                    members = await manager.wake_members(group, 3)
                    await manager.execute(make_settle(signal, members, "READY"))

        calls = asyncio.gather(*(call(n) for n in range(1000)))
        settling = asyncio.create_task(settle_all(calls))
        told = dict(await calls)
        await settling

    contents: Counter[str] = Counter()
    for number in range(20):
        contents.update(await delivered(redis, f"agent-{number}"))
    assert set(contents.values()) == {1}
    assert {execution_id for execution_id, was in told.items() if was} == set(contents)
    assert 0 < len(contents) < 1000
    store = RedisStore(redis)
    for execution_id, was_delivered in told.items():
        last = (await store.history(execution_id))[-1].event.name
        assert last == ("Delivered" if was_delivered else "Rejected")


async def test_giving_up_after_a_delivery_is_told_the_delivery(redis: Redis) -> None:
    """The loser of a race learns the true outcome, however late it asks."""
    store = RedisStore(redis)
    await store.execute(make_request("e1", RoutePolicy.WAKE_AND_WAIT, inbox=store.inbox))
    [signal] = await store.take_signals("m", 1, 0)
    members = await store.wake_members(("echo", "", ""), 1)
    await store.execute(make_settle(signal, members, "READY"))

    outcome = await store.execute(GiveUp(execution_id="e1", reason="too late"))

    assert outcome.status == AvailabilityStatus.WAIT_AND_DELIVER
    assert outcome.state == "DELIVERED"
