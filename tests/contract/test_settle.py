"""Settling a wake: what the manager says of it reaches everyone who waits for it."""

from __future__ import annotations

import pytest

from by_cp.log.answers import Tally
from by_cp.log.commands import Member, Settle
from by_cp.log.contract import Store
from by_cp.log.memory import ManualClock
from by_cp.statemachine.events import BecameReady, DeadLettered, Failed, Rejected, WakeProgressed
from by_cp.statemachine.states import State
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import (
    events_of,
    give_up,
    in_flight,
    online,
    request,
    settle,
    state_of,
)
from tests.contract.surroundings import Surroundings
from tests.making import make_request

WAIT, QUEUE = RoutePolicy.WAKE_AND_WAIT, RoutePolicy.WAKE_AND_QUEUE


async def test_ready_delivers_to_all_who_wait(store: Store, around: Surroundings) -> None:
    """Ten callers, one wake: ten deliveries, those who wait and those who queue alike."""
    for number in range(10):
        policy = WAIT if number % 2 else QUEUE
        await request(store, f"exec-{number}", policy, user_code="acme")
    tally = await settle(store, "exec-0", "READY", worker_ids=("worker-1",))
    assert tally == Tally(delivered=10)
    delivered = [execution_id for execution_id, _ in await around.control_stream("echo")]
    assert delivered == [f"exec-{number}" for number in range(10)]
    assert await in_flight(store) == 0
    assert (await store.views()).pending == {}


async def test_ready_keeps_who_made_it_so(store: Store) -> None:
    """The event names the wake and its workers."""
    await request(store, "exec-1", WAIT)
    await settle(store, "exec-1", "READY", worker_ids=("worker-1", "worker-2"))
    wake, ready = (await store.history("exec-1"))[2:4]
    assert isinstance(ready.event, BecameReady)
    assert (ready.event.how, ready.event.agent_type) == ("WAKE", "echo")
    assert (ready.event.epoch, ready.event.by) == (wake.position, "manager")
    assert ready.event.worker_ids == ("worker-1", "worker-2")


async def test_higher_priority_is_served_first(store: Store, around: Surroundings) -> None:
    """Then whoever came earlier."""
    for execution_id, priority in (("low", -5), ("first", 0), ("second", 0), ("high", 9)):
        await request(store, execution_id, QUEUE, priority=priority)
    await settle(store, "low", "READY")
    served = [execution_id for execution_id, _ in await around.control_stream("echo")]
    assert served == ["high", "first", "second", "low"]


@pytest.mark.parametrize("policy", [WAIT, QUEUE])
async def test_failed_buries_the_command_whole(store: Store, policy: RoutePolicy) -> None:
    """Whoever waited is told; the payload can be redriven."""
    command = make_request("exec-1", policy, user_code="acme")
    await store.execute(command)
    assert await settle(store, "exec-1", "FAILED", reason="no image") == Tally(dead_lettered=1)
    assert await events_of(store, "exec-1") == [
        *("Requested", "Held", "WakeRequested", "Failed", "DeadLettered"),
    ]
    buried = (await store.views()).dead_letters["exec-1"]
    assert buried.command == command.command.whole.decode()
    assert buried.reason == "no image"
    assert await in_flight(store) == 0


async def test_rejected_tells_those_who_wait_and_buries_what_nobody_waits_for(
    store: Store,
) -> None:
    """A waiting caller has its command still; one that was queued has only by-cp."""
    await request(store, "waits", WAIT)
    await request(store, "queued", QUEUE)
    tally = await settle(store, "waits", "REJECTED", reason="no budget", retry_after_ms=60_000)
    assert tally == Tally(rejected=1, dead_lettered=1)
    assert await state_of(store, "waits") == State.REJECTED
    assert await state_of(store, "queued") == State.DEADLETTER
    rejected, buried = [entry.event for entry in await store.history("queued")][-2:]
    assert isinstance(rejected, Rejected)
    assert (rejected.reason, rejected.retry_after_ms) == ("no budget", 60_000)
    assert isinstance(buried, DeadLettered)
    assert buried.command, "the rejection had taken it out of pending before"
    assert (await store.views()).dead_letters["queued"].command == buried.command


@pytest.mark.parametrize("status", ["FAILED", "REJECTED"])
async def test_a_decision_without_reason_gets_one(store: Store, status: str) -> None:
    """Nobody is left with an empty sentence."""
    await request(store, "exec-1", QUEUE)
    await settle(store, "exec-1", status)
    reason = (await store.views()).dead_letters["exec-1"].reason
    assert reason == f"Wakeup {status.lower()} for agent_type 'echo'"


@pytest.mark.parametrize("status", ["STARTING", "QUEUED"])
async def test_progress_is_noted_and_settles_nothing(
    store: Store, around: Surroundings, status: str
) -> None:
    """Those who wait go on waiting, and the next request joins the same wake."""
    await request(store, "exec-1", WAIT)
    assert await settle(store, "exec-1", status, reason="pulling") == Tally(progressed=1)
    event = (await store.history("exec-1"))[-1].event
    assert isinstance(event, WakeProgressed)
    assert (event.status, event.reason, event.by) == (status, "pulling", "manager")
    assert await state_of(store, "exec-1") == State.WAKING
    await request(store, "exec-2", WAIT)
    assert len(await around.signals()) == 1


async def test_fallback_decision_delivers_to_who_stands_in(
    store: Store, around: Surroundings
) -> None:
    """The command is readdressed, and nothing else in it is touched."""
    await online(store, "a/b")
    command = make_request("exec-1", WAIT)
    await store.execute(command)
    assert await settle(store, "exec-1", "FALLBACK", selected="a/b") == Tally(delivered=1)
    assert await around.control_stream("a/b") == [("exec-1", command.command.addressed("a/b"))]


@pytest.mark.parametrize(
    ("selected", "reason"),
    [
        ("", "the decision names no fallback"),
        ("nobody", "the fallback 'nobody' has no online worker"),
    ],
)
async def test_fallback_to_nobody_is_a_failure(store: Store, selected: str, reason: str) -> None:
    """A command is never written where nobody reads it because a decision said so."""
    await request(store, "exec-1", WAIT)
    assert await settle(store, "exec-1", "FALLBACK", selected=selected) == Tally(dead_lettered=1)
    assert (await store.views()).dead_letters["exec-1"].reason == reason


async def test_a_final_decision_frees_the_claim(store: Store, around: Surroundings) -> None:
    """Whoever comes after it leads a new wake, at once."""
    await request(store, "exec-1", QUEUE)
    await settle(store, "exec-1", "FAILED")
    await request(store, "exec-2", QUEUE)
    assert [asked.execution_id for _, asked in await around.signals()] == ["exec-1", "exec-2"]


async def test_a_late_decision_of_an_old_wake_changes_nothing(
    store: Store, clock: ManualClock
) -> None:
    """Its epoch is the fencing token: a manager that was thought dead cannot settle the next."""
    await request(store, "exec-1", WAIT, timeout_ms=1_000)
    old = (await store.views()).executions["exec-1"].epoch
    clock.advance(1_000)
    await request(store, "exec-2", WAIT)
    entries = await store.read()
    late = Settle(
        agent_type="echo",
        user_code="",
        region="",
        epoch=old,
        status="FAILED",
        members=(Member("exec-2"), Member("never")),
    )
    assert await store.execute(late) == Tally(skipped=2)
    assert await store.read() == entries
    assert await settle(store, "exec-2", "READY") == Tally(delivered=1, rejected=1)


async def test_a_late_decision_frees_no_newer_claim(
    store: Store, clock: ManualClock, around: Surroundings
) -> None:
    """The claim belongs to the newer wake: those who come join it."""
    await request(store, "exec-1", WAIT, timeout_ms=1_000)
    old = (await store.views()).executions["exec-1"].epoch
    clock.advance(1_000)
    await request(store, "exec-2", WAIT)
    await settle(store, "exec-1", "FAILED", epoch=old)
    await request(store, "exec-3", WAIT)
    assert [asked.execution_id for _, asked in await around.signals()] == ["exec-1", "exec-2"]


async def test_a_claim_lapses_when_its_leader_has_waited_long_enough(
    store: Store, clock: ManualClock, around: Surroundings
) -> None:
    """A manager that died with the wake blocks nobody for longer than its leader would wait."""
    await request(store, "exec-1", WAIT, timeout_ms=5_000)
    clock.advance(4_999)
    await request(store, "exec-2", WAIT)
    assert len(await around.signals()) == 1
    clock.advance(1)
    await request(store, "exec-3", WAIT)
    assert [asked.execution_id for _, asked in await around.signals()] == ["exec-1", "exec-3"]


async def test_a_claim_holds_for_a_second_at_least(
    store: Store, clock: ManualClock, around: Surroundings
) -> None:
    """However impatient its leader, the wake has some time to happen."""
    await request(store, "exec-1", WAIT, timeout_ms=1)
    clock.advance(999)
    await request(store, "exec-2", WAIT)
    assert len(await around.signals()) == 1
    clock.advance(1)
    await request(store, "exec-3", WAIT)
    assert len(await around.signals()) == 2


async def test_a_leader_that_gave_up_leaves_the_wake_to_the_others(store: Store) -> None:
    """The wake is the group's, not its leader's."""
    await request(store, "exec-1", WAIT)
    await request(store, "exec-2", WAIT)
    await give_up(store, "exec-1")
    members = await store.wake_members(("echo", "", ""), 10)
    assert [member.execution_id for member in members] == ["exec-2"]
    assert await settle(store, "exec-2", "READY") == Tally(delivered=1)


async def test_a_wake_can_be_settled_in_batches(store: Store) -> None:
    """The first batch frees the claim; the rest still wait for the epoch and are told, too."""
    for number in range(5):
        await request(store, f"exec-{number}", WAIT)
    head = (await store.views()).executions["exec-0"]
    tallies = []
    while batch := await store.wake_members(head.group, 2):
        tallies.append(await settle(store, batch[0].execution_id, "READY", batch))
    assert tallies == [Tally(delivered=2), Tally(delivered=2), Tally(delivered=1)]


async def test_a_failed_wake_is_one_strike_however_many_waited(store: Store) -> None:
    """The circuit counts wakes, not commands."""
    for number in range(3):
        await request(store, f"exec-{number}", QUEUE)
    await settle(store, "exec-0", "FAILED")
    await request(store, "exec-3", QUEUE)
    await settle(store, "exec-3", "FAILED")
    assert (await store.views()).circuits["echo"].failures == 2
    await request(store, "exec-4", QUEUE)
    await settle(store, "exec-4", "READY")
    assert (await store.views()).circuits["echo"].failures == 0


async def test_availability_says_how_the_last_wake_stands(store: Store) -> None:
    """WAKING, then READY or FAILED, with the wake's epoch."""
    states = []
    for number, status in enumerate(("READY", "FAILED")):
        execution_id = f"exec-{number}"
        await request(store, execution_id, QUEUE)
        states.append((await store.views()).availability["echo"].state)
        await settle(store, execution_id, status)
        states.append((await store.views()).availability["echo"].state)
    assert states == ["WAKING", "READY", "WAKING", "FAILED"]


async def test_failed_keeps_its_wake_and_its_author(store: Store) -> None:
    """Who reads the log sees which wake it was and who said so."""
    await request(store, "exec-1", QUEUE)
    wake = (await store.history("exec-1"))[-1]
    await settle(store, "exec-1", "FAILED", reason="no image")
    failed = (await store.history("exec-1"))[-2].event
    assert isinstance(failed, Failed)
    assert (failed.epoch, failed.by, failed.reason) == (wake.position, "manager", "no image")
