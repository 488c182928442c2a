"""Delays, expiries, cancellations: nothing is delivered too early, too late or against a wish."""

from __future__ import annotations

import pytest
from msgspec import structs

from by_cp.errors import IllegalTransition, UnknownExecution
from by_cp.log.answers import Receipt, Tally
from by_cp.log.contract import Store
from by_cp.log.memory import ManualClock
from by_cp.statemachine.states import State
from by_cp.vocabulary import ErrorCode, RoutePolicy
from tests.contract.acting import (
    attempt,
    cancel,
    events_of,
    in_flight,
    mature,
    online,
    release,
    request,
    rouse,
    settle,
    state_of,
    sweep,
)
from tests.contract.surroundings import Surroundings
from tests.making import make_request

QUEUE, QUEUE_ONLY, WAIT = (
    RoutePolicy.WAKE_AND_QUEUE,
    RoutePolicy.QUEUE_ONLY,
    RoutePolicy.WAKE_AND_WAIT,
)


async def ask(store: Store, execution_id: str, policy: str = QUEUE_ONLY, **times: int) -> Receipt:
    """Ask for a delivery within some time."""
    made = make_request(execution_id, policy, user_code="acme")
    call = structs.replace(made.call, **times)
    return (await store.execute(structs.replace(made, call=call))).receipt


async def test_a_delayed_command_waits_though_a_worker_is_online(
    store: Store, clock: ManualClock
) -> None:
    """Until its time; then it is released like any other."""
    await online(store)
    receipt = await ask(store, "exec-1", not_before_ms=clock() + 1_000)
    assert receipt.status == "QUEUE_PENDING"
    assert await store.held("echo", 10) == []
    clock.advance(999)
    assert await store.matured(10) == []
    clock.advance(1)
    assert await mature(store) == Tally(progressed=1)
    assert await mature(store) == Tally()
    assert await release(store) == Tally(delivered=1)


async def test_a_delayed_command_wakes_nobody_before_its_time(
    store: Store, clock: ManualClock, around: Surroundings
) -> None:
    """The wake is asked for when it could be delivered."""
    await ask(store, "exec-1", QUEUE, not_before_ms=clock() + 1_000)
    assert await around.signals() == []
    clock.advance(1_000)
    await mature(store)
    assert await rouse(store) == Tally(progressed=1)
    assert len(await around.signals()) == 1


async def test_an_expired_command_is_buried_with_its_payload(
    store: Store, clock: ManualClock
) -> None:
    """Nobody waits for it, so it is not dropped either."""
    await ask(store, "exec-1", expires_at_ms=clock() + 1_000)
    clock.advance(1_000)
    await online(store)
    assert await release(store) == Tally(skipped=1)
    assert await sweep(store) == Tally(dead_lettered=1)
    buried = (await store.views()).dead_letters["exec-1"]
    assert '"content":"exec-1"' in buried.command
    assert buried.reason == "the command has expired"
    assert await in_flight(store) == 0


async def test_a_wake_that_comes_too_late_delivers_nothing(
    store: Store, clock: ManualClock
) -> None:
    """READY or not: whoever waited has given up by then."""
    await ask(store, "waits", WAIT, timeout_ms=5_000)
    await ask(store, "queued", QUEUE, expires_at_ms=clock() + 5_000)
    begun = await attempt(store, "waits")
    clock.advance(5_000)
    tally = await settle(store, "waits", "READY", epoch=begun.epoch)
    assert tally == Tally(rejected=1, dead_lettered=1)


async def test_what_has_expired_is_not_accepted(store: Store, clock: ManualClock) -> None:
    """Not even if somebody is online."""
    await online(store)
    receipt = await ask(store, "exec-1", RoutePolicy.FAIL_FAST, expires_at_ms=clock())
    assert receipt.code == ErrorCode.COMMAND_EXPIRED


@pytest.mark.parametrize("policy", [WAIT, QUEUE, QUEUE_ONLY])
async def test_a_held_command_can_be_cancelled(store: Store, policy: str) -> None:
    """It is delivered to nobody, counts no more, and whoever waits is told."""
    await ask(store, "exec-1", policy)
    outcome = await cancel(store, "exec-1", "changed my mind")
    assert (outcome.state, outcome.code) == (State.REJECTED, ErrorCode.EXECUTION_CANCELLED)
    assert outcome.reason == "changed my mind"
    assert await store.held("echo", 10) == []
    assert await in_flight(store) == 0
    assert (await events_of(store, "exec-1"))[-1] == "Rejected"


async def test_cancelled_twice_is_cancelled_once(store: Store) -> None:
    """Another one who cancels hears what the first one did."""
    await ask(store, "exec-1")
    first = await cancel(store, "exec-1", "first")
    assert await cancel(store, "exec-1", "second") == first


async def test_what_was_delivered_cannot_be_cancelled(store: Store) -> None:
    """Whoever tries is told what became of it."""
    await ask(store, "exec-1")
    await online(store)
    await release(store)
    assert (await cancel(store, "exec-1")).state == State.DELIVERED
    await request(store, "exec-2", RoutePolicy.FAIL_FAST)
    with pytest.raises(IllegalTransition):
        await cancel(store, "exec-2")
    with pytest.raises(UnknownExecution):
        await cancel(store, "never")
    assert await state_of(store, "exec-2") == State.DELIVERED
