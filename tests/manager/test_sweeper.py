"""The sweeper: waiting executions whose caller is gone expire."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from by_cp.log.contract import Store
from by_cp.log.memory import ManualClock, MemoryStore
from by_cp.log.redis.store import RedisStore
from by_cp.manager.sweeper import BATCH, Sweeper
from by_cp.statemachine.events import Rejected
from by_cp.vocabulary import RoutePolicy
from tests.asking import ask, state
from tests.manager.running import running
from tests.waiting import until


@pytest.fixture
def clock() -> ManualClock:
    """A clock that the test moves."""
    return ManualClock()


@pytest.fixture(params=["memory", "redis"])
async def store(request: pytest.FixtureRequest, redis: Redis, clock: ManualClock) -> Store:
    """A store on that clock."""
    return MemoryStore(clock) if request.param == "memory" else RedisStore(redis, clock=clock)


async def test_what_is_due_expires(store: Store, clock: ManualClock) -> None:
    """Only who waited, and only from its deadline on; the history says who did it."""
    waits = await ask(store, "a", RoutePolicy.WAKE_AND_WAIT, timeout_ms=5_000)
    queued = await ask(store, "a", RoutePolicy.WAKE_AND_QUEUE)
    sweeper = Sweeper(store, by="sweeper-1")
    clock.advance(4_999)
    assert await sweeper.run_once() == 0
    clock.advance(1)
    assert await sweeper.run_once() == 1
    assert await state(store, waits.execution_id) == "REJECTED"
    assert await state(store, queued.execution_id) == "WAKING"
    rejected = (await store.history(waits.execution_id))[-1].event
    assert isinstance(rejected, Rejected)
    assert rejected.by == "sweeper-1"
    assert "Timed out" in rejected.reason


async def test_a_backlog_is_swept_without_pauses(store: Store, clock: ManualClock) -> None:
    """More than fits into one pass, of several agent types, is gone before the next interval."""
    for number in range(BATCH + 20):
        await ask(store, f"agent-{number % 3}", RoutePolicy.WAKE_AND_WAIT, timeout_ms=1_000)
    clock.advance(1_000)

    async def nothing_held() -> bool:
        return await store.held_agent_types() == []

    async with running(Sweeper(store, interval_s=3600).run()):
        await until(nothing_held)
