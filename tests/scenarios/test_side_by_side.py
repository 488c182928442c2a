"""Wakes run side by side: a slow agent delays no other. Seen by order, not by time."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from by_cp.client import GatewayClient
from by_cp.log.contract import Store
from by_cp.log.redis.store import RedisStore
from by_cp.manager.manager import Manager
from by_cp.vocabulary import RoutePolicy, WakeupDecisionStatus
from by_cp.wire import WakeupDecision, WakeupRequest
from tests.manager.running import running
from tests.waiting import until

WAIT = RoutePolicy.WAKE_AND_WAIT


class Gathering:
    """Counts the wakes that are under way, and lets none end before enough are."""

    def __init__(self, store: Store, enough: int) -> None:
        self._store = store
        self._enough = enough
        self._together = asyncio.Event()
        self.under_way: set[str] = set()
        self.under_way_max = 0

    async def wakeup(self, request: WakeupRequest) -> WakeupDecision:
        """Wait for the others, then bring a worker."""
        agent_type = request.target_agent_type
        self.under_way.add(agent_type)
        self.under_way_max = max(self.under_way_max, len(self.under_way))
        if len(self.under_way) >= self._enough:
            self._together.set()
        await self._together.wait()
        await self._store.announce(f"worker-of-{agent_type}", (agent_type,), 60_000)
        self.under_way.discard(agent_type)
        return WakeupDecision(status=WakeupDecisionStatus.READY)


async def test_a_fast_agent_is_told_while_a_slow_one_still_starts(redis: Redis) -> None:
    """The slow one asked first; the fast one is told all the same, and the slow one later."""
    store, client = RedisStore(redis), GatewayClient(redis_client=redis)
    may_end, begun = asyncio.Event(), asyncio.Event()

    class OneSlow:
        async def wakeup(self, request: WakeupRequest) -> WakeupDecision:
            agent_type = request.target_agent_type
            if agent_type == "slow":
                begun.set()
                await may_end.wait()
            await store.announce(f"worker-of-{agent_type}", (agent_type,), 60_000)
            return WakeupDecision(status=WakeupDecisionStatus.READY)

    async with running(Manager(redis, OneSlow()).run()):
        slow = asyncio.create_task(client.send_message("slow", "s", "hello", route_policy=WAIT))
        await begun.wait()
        fast = await client.send_message("fast", "s", "hello", route_policy=WAIT)
        assert fast.success
        assert not slow.done()
        may_end.set()
        assert (await slow).success


async def test_a_hundred_agents_are_woken_together(redis: Redis) -> None:
    """As many wakes are under way at once as the manager's bound allows, and no more.

    Each takes until 50 are under way: one after another, none would ever end.
    """
    provider = Gathering(RedisStore(redis), enough=50)
    client = GatewayClient(redis_client=redis)
    async with running(Manager(redis, provider, wakes_max=50).run()):
        responses = await asyncio.gather(
            *(
                client.send_message(f"agent-{n}", "s", "hello", route_policy=WAIT)
                for n in range(100)
            )
        )

    assert all(response.success for response in responses)
    assert provider.under_way_max == 50
    assert not provider.under_way


async def test_two_managers_share_the_wakes(redis: Redis, url: str) -> None:
    """With two managers of 25 wakes each, 50 are under way at once."""
    client = GatewayClient(redis_client=redis)
    async with Redis.from_url(url) as other:
        provider = Gathering(RedisStore(redis), enough=50)
        managers = [Manager(r, provider, wakes_max=25) for r in (redis, other)]
        async with running(*(manager.run() for manager in managers)):
            calls = [
                asyncio.create_task(
                    client.send_message(f"agent-{n}", "s", "hello", route_policy=WAIT)
                )
                for n in range(50)
            ]
            await until(lambda: all(call.done() for call in calls))

    assert all(call.result().success for call in calls)
    assert provider.under_way_max == 50
