"""Releasing: held commands go out when a worker is online, whoever woke it."""

from __future__ import annotations

import pytest

from by_cp.log.answers import Tally
from by_cp.log.commands import Member, Release
from by_cp.log.contract import Store
from by_cp.log.memory import ManualClock
from by_cp.statemachine.events import BecameReady, WakeRequested
from by_cp.statemachine.states import State
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import (
    force_circuit,
    in_flight,
    online,
    release,
    request,
    settle,
    state_of,
)
from tests.contract.surroundings import Surroundings

HOLDING = [RoutePolicy.WAKE_AND_WAIT, RoutePolicy.WAKE_AND_QUEUE, RoutePolicy.QUEUE_ONLY]


@pytest.mark.parametrize("policy", HOLDING)
async def test_what_is_held_goes_out_when_a_worker_comes(store: Store, policy: RoutePolicy) -> None:
    """Whether it waits for a wake or for nobody in particular."""
    await request(store, "exec-1", policy, user_code="acme")
    await online(store)
    assert await release(store) == Tally(delivered=1)
    assert await state_of(store, "exec-1") == State.DELIVERED
    assert await in_flight(store) == 0
    history = await store.history("exec-1")
    ready = history[-2].event
    assert isinstance(ready, BecameReady)
    assert (ready.how, ready.by) == ("ONLINE", "gate")
    # Who waited for a wake got what it was to bring: the wake succeeded.
    woken = [entry.position for entry in history if isinstance(entry.event, WakeRequested)]
    assert [ready.epoch] == (woken or [""])


async def test_by_priority_then_by_age(store: Store, around: Surroundings) -> None:
    """The listing has the order; the release keeps it."""
    for execution_id, priority in (("low", -1), ("first", 0), ("second", 0), ("high", 1)):
        await request(store, execution_id, RoutePolicy.QUEUE_ONLY, priority=priority)
    await online(store)
    await release(store, count=2)
    await release(store, count=2)
    served = [execution_id for execution_id, _ in await around.control_stream("echo")]
    assert served == ["high", "first", "second", "low"]


async def test_three_hundred_in_a_row(store: Store, around: Surroundings) -> None:
    """There is no ceiling: each is delivered, once."""
    for number in range(300):
        await request(store, f"exec-{number:03}", RoutePolicy.WAKE_AND_QUEUE, priority=number % 3)
    await online(store)
    while await store.held("echo", 1):
        await release(store, count=100)
    served = [execution_id for execution_id, _ in await around.control_stream("echo")]
    by_priority = sorted(range(300), key=lambda number: (-(number % 3), number))
    assert served == [f"exec-{number:03}" for number in by_priority]


async def test_nobody_online_nothing_released(store: Store) -> None:
    """Held is held until somebody is there."""
    await request(store, "exec-1", RoutePolicy.QUEUE_ONLY)
    entries = await store.read()
    assert await release(store) == Tally(skipped=1)
    assert await store.read() == entries


async def test_open_circuit_releases_nothing(store: Store, around: Surroundings) -> None:
    """By-cp's own or a hand-written one: what is behind it stays behind it."""
    await request(store, "exec-1", RoutePolicy.QUEUE_ONLY)
    await online(store)
    await force_circuit(store, "OPEN")
    assert await release(store) == Tally(skipped=1)
    await force_circuit(store, "CLOSED")
    await around.write_by_hand("circuit", "echo", '{"state":"OPEN"}')
    assert await release(store) == Tally(skipped=1)
    await around.write_by_hand("circuit", "echo", None)
    assert await release(store) == Tally(delivered=1)


async def test_a_quota_holds_nothing_back(store: Store, around: Surroundings) -> None:
    """It was passed on the way in; what was accepted is delivered."""
    await request(store, "exec-1", RoutePolicy.QUEUE_ONLY, user_code="acme")
    await around.write_by_hand("quota", "acme", '{"available":false}')
    await online(store)
    assert await release(store) == Tally(delivered=1)


async def test_what_is_past_its_deadline_is_not_delivered(store: Store, clock: ManualClock) -> None:
    """Its caller was told, or will be, that it took too long; then it must not arrive after all."""
    await request(store, "exec-1", RoutePolicy.WAKE_AND_WAIT, timeout_ms=1_000)
    await online(store)
    clock.advance(1_000)
    assert await release(store) == Tally(skipped=1)


async def test_only_what_is_held_is_released(store: Store) -> None:
    """Delivered, buried, never heard of, or named twice: nothing goes out a second time."""
    for execution_id in ("delivered", "buried", "held"):
        await request(store, execution_id, RoutePolicy.WAKE_AND_QUEUE, region=execution_id)
    await settle(store, "delivered", "READY")
    await settle(store, "buried", "FAILED")
    await online(store)
    names = ("delivered", "buried", "held", "held", "never")
    members = tuple(Member(name, "", name) for name in names)
    command = Release(agent_type="echo", members=members)
    assert await store.execute(command) == Tally(delivered=1, skipped=4)


async def test_a_released_command_waits_for_no_wake(store: Store) -> None:
    """The wake that was under way finds nobody, and that is all right."""
    await request(store, "exec-1", RoutePolicy.WAKE_AND_QUEUE)
    head = (await store.views()).executions["exec-1"]
    await online(store)
    await release(store)
    assert await store.wake_members(head.group, 10) == []
