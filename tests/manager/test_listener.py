"""Decisions from outside: told later, for one attempt, believed as far as can be seen."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.commands import Attempt
from by_cp.log.contract import Store
from by_cp.log.redis.store import RedisStore
from by_cp.manager.listener import DecisionListener
from by_cp.statemachine.events import WakeProgressed
from by_cp.wire import WakeupDecision
from tests.asking import ask, events, state


async def attempted(store: Store, agent_type: str = "a") -> tuple[str, str]:
    """Let somebody ask, and an attempt begin; return the execution and the epoch."""
    receipt = await ask(store, agent_type)
    group = (agent_type, "", "")
    claim = (await store.views()).wakes[group]
    begun = await store.execute(
        Attempt(
            agent_type=agent_type,
            user_code="",
            region="",
            wake=claim.wake,
            members=tuple(await store.wake_members(group, 1)),
            lasts_ms=30_000,
        )
    )
    return receipt.execution_id, begun.epoch


async def test_a_failure_that_is_told_later_ends_the_wake(store: Store) -> None:
    """With the reason that was given."""
    execution_id, epoch = await attempted(store)
    await store.decide(epoch, WakeupDecision(execution_id, status="FAILED", reason="no node"))
    assert await DecisionListener(store).run_once() == 1
    assert await state(store, execution_id) == "DEADLETTER"
    assert (await store.views()).dead_letters[execution_id].reason == "no node"


async def test_ready_is_believed_once_a_worker_is_online(store: Store) -> None:
    """Until then it is progress: the wake goes on."""
    execution_id, epoch = await attempted(store)
    ready = WakeupDecision(execution_id, status="READY", reason="pod is up")
    await store.decide(epoch, ready)
    await DecisionListener(store).run_once()
    last = (await store.history(execution_id))[-1].event
    assert isinstance(last, WakeProgressed)
    assert (last.status, last.reason) == ("STARTING", "pod is up")
    await store.announce("w", ("a",), 60_000)
    await store.decide(epoch, ready)
    await DecisionListener(store).run_once()
    assert await state(store, execution_id) == "DELIVERED"


async def test_a_decision_of_an_earlier_epoch_changes_nothing(store: Store) -> None:
    """Whoever tells it has been too slow."""
    execution_id, epoch = await attempted(store)
    await attempted(store)
    await store.decide(epoch, WakeupDecision(execution_id, status="FAILED"))
    before = await events(store, execution_id)
    await DecisionListener(store).run_once()
    assert await events(store, execution_id) == before


@pytest.mark.parametrize(
    ("data", "epoch", "reason"),
    [
        ("not JSON", "1-0", "malformed"),
        ('{"status":"READY"}', "1-0", "execution_id"),
        ('{"execution_id":"exec-1","status":"READY"}', "", "epoch"),
        ('{"execution_id":"exec-1","retry_after_ms":"soon"}', "1-0", "retry_after_ms"),
        ('{"execution_id":"unknown","status":"READY"}', "1-0", "unknown"),
    ],
)
async def test_poison_is_set_aside(redis: Redis, data: str, epoch: str, reason: str) -> None:
    """And the decision behind it is heard."""
    store = RedisStore(redis)
    await redis.xadd(RedisKeys.decisions(), {"data": data, "epoch": epoch})
    execution_id, good = await attempted(store)
    await store.decide(good, WakeupDecision(execution_id, status="FAILED"))
    listener = DecisionListener(store)
    while await listener.run_once():
        pass
    assert await state(store, execution_id) == "DEADLETTER"
    [aside] = await store.quarantined()
    assert reason in aside.reason
    assert aside.stream == RedisKeys.decisions()
    assert await redis.xlen(RedisKeys.decisions()) == 0
