"""Deadlines: whoever waits is told in time, by the sweeper or by giving up; once, and truly."""

from __future__ import annotations

import pytest

from by_cp.errors import IllegalTransition, UnknownExecution
from by_cp.log.answers import Outcome, Tally
from by_cp.log.commands import Append, Member, Sweep
from by_cp.log.contract import Due, Store
from by_cp.log.memory import ManualClock
from by_cp.statemachine.events import BecameReady, Rejected
from by_cp.statemachine.states import State
from by_cp.vocabulary import ErrorCode, RoutePolicy
from tests.contract.acting import (
    events_of,
    give_up,
    in_flight,
    online,
    release,
    request,
    settle,
    state_of,
    sweep,
)
from tests.contract.surroundings import Surroundings

WAIT, QUEUE = RoutePolicy.WAKE_AND_WAIT, RoutePolicy.WAKE_AND_QUEUE


# --- The sweeper ----------------------------------------------------------------------------------


async def test_what_is_past_its_deadline_is_rejected(store: Store, clock: ManualClock) -> None:
    """A caller that died while it waited leaves nothing behind."""
    await request(store, "exec-1", WAIT, timeout_ms=1_000, user_code="acme")
    clock.advance(1_000)
    assert await sweep(store) == Tally(rejected=1)
    event = (await store.history("exec-1"))[-1].event
    assert isinstance(event, Rejected)
    assert event.reason == "Timed out waiting for worker wakeup for agent_type 'echo'"
    assert event.by == "sweeper"
    assert await in_flight(store) == 0
    assert await store.due(10) == []


async def test_due_lists_the_longest_overdue_first(store: Store, clock: ManualClock) -> None:
    """A sweeper that cannot keep up begins with those who waited longest."""
    for timeout_ms in (3, 1, 2, 5):
        await request(store, f"exec-{timeout_ms}", WAIT, timeout_ms=timeout_ms, region="eu")
    clock.advance(3)
    expected = [Due("echo", Member(f"exec-{ms}", "", "eu")) for ms in (1, 2, 3)]
    assert await store.due(10) == expected
    assert await store.due(2) == expected[:2]


async def test_a_deadline_is_a_moment(store: Store, clock: ManualClock) -> None:
    """A millisecond before, nothing is due; at it, it is."""
    await request(store, "exec-1", WAIT, timeout_ms=1_000)
    clock.advance(999)
    assert await store.due(10) == []
    clock.advance(1)
    assert len(await store.due(10)) == 1


async def test_what_is_queued_has_no_deadline(store: Store, clock: ManualClock) -> None:
    """Nobody waits for it; its time never comes."""
    await request(store, "exec-1", QUEUE, timeout_ms=1)
    await request(store, "exec-2", RoutePolicy.QUEUE_ONLY, timeout_ms=1)
    clock.advance(10**9)
    assert await store.due(10) == []


async def test_sweeping_touches_only_what_is_due(store: Store, clock: ManualClock) -> None:
    """What the sweeper was told may be old news: delivered meanwhile, or never with a deadline."""
    await request(store, "due", WAIT, timeout_ms=1, region="1")
    await request(store, "delivered", WAIT, timeout_ms=1, region="2")
    await settle(store, "delivered", "READY")
    await request(store, "early", WAIT, timeout_ms=60_000, region="3")
    await request(store, "queued", QUEUE, region="4")
    clock.advance(1)
    regions = {"due": "1", "delivered": "2", "early": "3", "queued": "4", "never": ""}
    members = tuple(Member(name, "", region) for name, region in regions.items())
    command = Sweep(agent_type="echo", members=members, by="sweeper")
    assert await store.execute(command) == Tally(rejected=1, skipped=4)


# --- Giving up ------------------------------------------------------------------------------------


async def test_giving_up_takes_the_command_back(store: Store) -> None:
    """It will not arrive later: nobody is there any more for its answer."""
    await request(store, "exec-1", WAIT, user_code="acme")
    outcome = await give_up(store, "exec-1", "too slow")
    assert outcome == Outcome(
        *("exec-1", "REJECT", State.REJECTED, "echo"),
        *(ErrorCode.AGENT_TYPE_UNAVAILABLE, "too slow"),
    )
    assert (await store.views()).pending == {}
    assert await in_flight(store) == 0
    await online(store)
    assert await release(store) == Tally()


async def test_giving_up_after_ready_tells_the_truth(store: Store, around: Surroundings) -> None:
    """READY came first: the command was delivered, and the caller who gave up hears that."""
    await request(store, "exec-1", WAIT)
    await settle(store, "exec-1", "READY")
    outcome = await give_up(store, "exec-1")
    assert (outcome.status, outcome.state) == ("WAIT_AND_DELIVER", State.DELIVERED)
    assert len(await around.control_stream("echo")) == 1


async def test_ready_after_giving_up_delivers_nothing(store: Store, around: Surroundings) -> None:
    """The other way round: the caller was told no, and no it is."""
    await request(store, "exec-1", WAIT)
    members = [Member("exec-1")]
    head = (await store.views()).executions["exec-1"]
    await give_up(store, "exec-1")
    assert await store.wake_members(head.group, 10) == []
    assert await settle(store, "exec-1", "READY", members) == Tally(skipped=1)
    assert await around.control_stream("echo") == []


@pytest.mark.parametrize("status", ["FAILED", "REJECTED"])
async def test_giving_up_after_a_failure_tells_that(store: Store, status: str) -> None:
    """Whatever came out first is what is told."""
    await request(store, "exec-1", WAIT)
    await settle(store, "exec-1", status, reason="no image")
    outcome = await give_up(store, "exec-1")
    assert (outcome.status, outcome.reason) == ("REJECT", "no image")


async def test_giving_up_what_is_queued_buries_it(store: Store) -> None:
    """It was accepted, so it is not dropped, even if somebody thinks better of it."""
    await request(store, "exec-1", QUEUE)
    await give_up(store, "exec-1", "changed my mind")
    assert await events_of(store, "exec-1") == [
        *("Requested", "Held", "WakeRequested", "Rejected", "DeadLettered"),
    ]
    assert (await store.views()).dead_letters["exec-1"].reason == "changed my mind"


async def test_what_was_answered_at_once_cannot_be_given_up(store: Store) -> None:
    """There is nothing to wait for, and no outcome beside the answer."""
    await request(store, "exec-1", RoutePolicy.FAIL_FAST)
    with pytest.raises(IllegalTransition) as caught:
        await give_up(store, "exec-1")
    assert (caught.value.state, caught.value.event) == ("REJECTED", "Rejected")


async def test_what_is_ready_cannot_be_given_up(store: Store) -> None:
    """A command that a repair left READY is about to be delivered; nothing was told yet."""
    await request(store, "exec-1", WAIT)
    await store.execute(Append(event=BecameReady("exec-1", 0, "", "WAKE", "echo")))
    with pytest.raises(IllegalTransition, match="'exec-1' is READY"):
        await give_up(store, "exec-1")
    assert await state_of(store, "exec-1") == State.READY


async def test_nobody_can_give_up_what_never_was(store: Store) -> None:
    """A mistyped id is said to be unknown."""
    with pytest.raises(UnknownExecution, match="'exec-9'"):
        await give_up(store, "exec-9")
