"""Attempts: each call of a provider has an epoch, and only the latest may say how a wake ends."""

from __future__ import annotations

from by_cp.log.answers import Attempted, Tally
from by_cp.log.commands import Attempt
from by_cp.log.contract import Store
from by_cp.log.memory import ManualClock
from by_cp.statemachine.events import AgentPaused, AgentResumed, WakeAttempted, WakeEnded
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import (
    attempt,
    configure,
    events_of,
    give_up,
    names_of,
    online,
    request,
    rouse,
    settle,
    state_of,
)
from tests.contract.surroundings import Surroundings

WAIT, QUEUE = RoutePolicy.WAKE_AND_WAIT, RoutePolicy.WAKE_AND_QUEUE


async def test_an_attempt_is_an_event_of_who_waits(store: Store) -> None:
    """It says which it is, why it was needed, and whose; its position is the epoch."""
    await request(store, "exec-1", QUEUE)
    first = await attempt(store, "exec-1", by="manager-1")
    second = await attempt(store, "exec-1", reason="manager-1 is gone", by="manager-2")
    told = [e for e in await store.history("exec-1") if isinstance(e.event, WakeAttempted)]
    assert [entry.position for entry in told] == [first.epoch, second.epoch]
    last = told[-1].event
    assert isinstance(last, WakeAttempted)
    assert (last.attempt, last.reason, last.by) == (2, "manager-1 is gone", "manager-2")


async def test_an_earlier_epoch_is_fenced_off(store: Store) -> None:
    """A manager that was thought dead changes nothing, whatever its provider brought."""
    await request(store, "exec-1", QUEUE)
    first = await attempt(store, "exec-1")
    second = await attempt(store, "exec-1")
    entries = await store.read()
    assert await settle(store, "exec-1", "FAILED", epoch=first.epoch) == Tally(skipped=1)
    assert await settle(store, "exec-1", "STARTING", epoch=first.epoch) == Tally(skipped=1)
    assert await store.read() == entries
    assert await settle(store, "exec-1", "READY", epoch=second.epoch) == Tally(delivered=1)


async def test_the_wakes_own_epoch_is_fenced_off_too(store: Store) -> None:
    """From the first attempt on, that a wake was asked for gives no right to end it."""
    await request(store, "exec-1", QUEUE)
    wake = (await store.views()).executions["exec-1"].epoch
    await attempt(store, "exec-1")
    assert await settle(store, "exec-1", "FAILED", epoch=wake) == Tally(skipped=1)


async def test_the_leader_may_be_gone(store: Store) -> None:
    """Whoever waits in the group has the event."""
    await request(store, "leader", WAIT)
    await request(store, "joined", WAIT)
    await give_up(store, "leader")
    assert (await attempt(store, "joined")).attempt == 1
    assert (await events_of(store, "joined"))[-1] == "WakeAttempted"


async def test_a_wake_nobody_waits_for_is_abandoned(store: Store) -> None:
    """The provider is not asked; the group's claim is free for the next."""
    await request(store, "exec-1", WAIT)
    head = (await store.views()).executions["exec-1"]
    await give_up(store, "exec-1")
    command = Attempt(
        agent_type="echo",
        user_code="",
        region="",
        wake=head.epoch,
        members=(),
        lasts_ms=1_000,
    )
    assert await store.execute(command) == Attempted("", why_not="NOBODY")
    ended = (await store.read())[-1].event
    assert isinstance(ended, WakeEnded)
    assert ended.status == "ABANDONED"
    assert (await store.views()).wakes == {}


async def test_a_later_wake_supersedes(store: Store, clock: ManualClock) -> None:
    """A claim that lapsed is the next leader's; the old signal is nobody's any more."""
    await request(store, "exec-1", QUEUE, timeout_ms=1_000)
    clock.advance(1_000)
    await request(store, "exec-2", QUEUE)
    assert (await attempt(store, "exec-1")).why_not == "SUPERSEDED"
    begun = await attempt(store, "exec-2")
    assert await settle(store, "exec-2", "READY", epoch=begun.epoch) == Tally(delivered=2)


async def test_how_a_wake_ended_is_told_once(store: Store) -> None:
    """However many waited, and in however many batches they are told."""
    for number in range(5):
        await request(store, f"exec-{number}", QUEUE)
    begun = await attempt(store, "exec-0")
    group = (await store.views()).executions["exec-0"].group
    while batch := await store.wake_members(group, 2):
        await settle(store, "exec-0", "READY", batch, epoch=begun.epoch)
    assert (await names_of(store)).count("WakeEnded") == 1
    assert (await names_of(store)).count("Delivered") == 5


async def test_who_comes_between_two_batches_leads_a_new_wake(
    store: Store, around: Surroundings
) -> None:
    """The old attempt is over for it, and may not go on: the new wake tells all who are left."""
    for number in range(3):
        await request(store, f"exec-{number}", QUEUE)
    begun = await attempt(store, "exec-0")
    group = (await store.views()).executions["exec-0"].group
    await settle(store, "exec-0", "FAILED", await store.wake_members(group, 1), epoch=begun.epoch)
    await request(store, "late", QUEUE)
    assert len(await around.signals()) == 2
    assert await settle(store, "exec-1", "FAILED", epoch=begun.epoch) == Tally(skipped=3)
    again = await attempt(store, "late")
    assert await settle(store, "late", "READY", epoch=again.epoch) == Tally(delivered=3)


async def test_a_lost_wake_is_asked_for_again(
    store: Store, clock: ManualClock, around: Surroundings
) -> None:
    """Its time is up, a grace has passed, and nothing came: a manager or its memory is gone."""
    await request(store, "exec-1", QUEUE, timeout_ms=10_000)
    await attempt(store, "exec-1")
    clock.advance(34_999)
    assert await rouse(store) == Tally(skipped=1)
    clock.advance(1)
    assert await rouse(store) == Tally(progressed=1)
    assert len(await around.signals()) == 2
    assert await rouse(store) == Tally(skipped=1)


async def test_what_a_pause_held_back_is_woken_for_afterwards(store: Store) -> None:
    """A wake that succeeds meanwhile delivers nothing to a paused agent type."""
    await request(store, "exec-1", QUEUE)
    begun = await attempt(store, "exec-1")
    await configure(store, AgentPaused("", "echo"))
    assert await settle(store, "exec-1", "READY", epoch=begun.epoch) == Tally(skipped=1)
    await request(store, "exec-2", QUEUE)
    assert await state_of(store, "exec-2") == "REQUESTED"
    assert await rouse(store) == Tally(skipped=2)
    await configure(store, AgentResumed("", "echo"))
    assert (await rouse(store)).progressed >= 1
    assert await state_of(store, "exec-2") == "WAKING"


async def test_nobody_is_roused_for_whom_a_worker_is_online(store: Store) -> None:
    """The gate delivers it in a moment."""
    await configure(store, AgentPaused("", "echo"))
    await request(store, "exec-1", QUEUE)
    await configure(store, AgentResumed("", "echo"))
    await online(store)
    assert await rouse(store) == Tally(skipped=1)
