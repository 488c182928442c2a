"""The controller: one wake for all who wait, and nothing believed that cannot be seen."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from by_cp.log.contract import Store
from by_cp.manager.controller import WakeupController
from by_cp.manager.gate import DeliveryGate
from by_cp.statemachine.events import BecameReady, Failed, WakeAttempted, WakeProgressed
from by_cp.vocabulary import RoutePolicy, WakeupDecisionStatus
from by_cp.wire import WakeupDecision, WakeupRequest
from tests.asking import ask, events, request, state
from tests.manager.providers import Answering, Starting, Watching
from tests.manager.running import running
from tests.waiting import until


async def reason_of_failure(store: Store, execution_id: str) -> str:
    """The reason in an execution's Failed event."""
    failures = [e.event for e in await store.history(execution_id) if isinstance(e.event, Failed)]
    return failures[0].reason


async def test_nothing_to_do_is_nothing_done(store: Store) -> None:
    """Without signals run_once returns at once, and asks nobody."""
    provider = Answering({"status": "READY"})
    assert await WakeupController(store, provider).run_once() == 0
    assert provider.asked == []


async def test_one_wake_settles_all_who_wait(store: Store) -> None:
    """250 callers of one group: the provider is asked once, and all are delivered."""
    receipts = [await ask(store, "a") for _ in range(250)]
    provider = Starting(store)
    assert await WakeupController(store, provider).run_once() == 1
    assert len(provider.asked) == 1
    assert {await state(store, r.execution_id) for r in receipts} == {"DELIVERED"}


async def test_the_next_wake_is_a_new_one(store: Store) -> None:
    """An outcome frees the group's claim: who comes later leads a wake of its own."""
    provider = Answering({"status": "FAILED", "reason": "no room"})
    controller = WakeupController(store, provider)
    for _ in range(2):
        receipt = await ask(store, "a")
        assert await controller.run_once() == 1
        assert await state(store, receipt.execution_id) == "DEADLETTER"
    assert len(provider.asked) == 2


async def test_the_request_is_by_frameworks(store: Store) -> None:
    """The provider reads the group, the policy and the correlation id in the request."""
    receipt = await ask(store, "a:b", user_code="u", region="eu", timeout_ms=7_000)
    provider = Starting(store)
    await WakeupController(store, provider).run_once()
    asked = provider.asked[0]
    assert isinstance(asked, WakeupRequest)
    assert (asked.target_agent_type, asked.user_code, asked.region) == ("a:b", "u", "eu")
    assert asked.execution_id == receipt.execution_id
    assert asked.policy == RoutePolicy.WAKE_AND_QUEUE
    assert asked.timeout_ms == 7_000


async def test_ready_counts_once_a_worker_is_online(store: Store) -> None:
    """READY is not believed: nothing is delivered before a worker can be seen."""
    receipt = await ask(store, "a")
    provider = Answering({"status": "READY", "worker_ids": ["invented"]})
    async with running(WakeupController(store, provider).run()):
        await until(lambda: bool(provider.asked))
        assert await state(store, receipt.execution_id) == "WAKING"
        await store.announce("real", ("a",), 60_000)
        await until(lambda: delivered(store, receipt.execution_id))
    ready = (await store.history(receipt.execution_id))[-2].event
    assert isinstance(ready, BecameReady)
    assert ready.worker_ids == ("real",)
    assert ready.how == "WAKE"


async def test_ready_without_any_worker_fails(store: Store) -> None:
    """READY and nobody online until the deadline is a failure, which says so."""
    receipt = await ask(store, "a", timeout_ms=1)
    await WakeupController(store, Answering({"status": "READY"})).run_once()
    assert await state(store, receipt.execution_id) == "DEADLETTER"
    reason = await reason_of_failure(store, receipt.execution_id)
    assert reason == "provider said READY, but no worker came online within 1,000 ms"


@pytest.mark.parametrize("status", ["STARTING", "QUEUED"])
async def test_progress_is_shown_and_waited_for(store: Store, status: str) -> None:
    """A wake under way is shown to those who wait; it succeeds when a worker comes online."""
    receipt = await ask(store, "a")
    provider = Answering({"status": status, "reason": "3 before you"})
    async with running(WakeupController(store, provider).run()):
        await until(lambda: shown(store, receipt.execution_id))
        await store.announce("w", ("a",), 60_000)
        await until(lambda: delivered(store, receipt.execution_id))
    progress = (await store.history(receipt.execution_id))[4].event
    assert isinstance(progress, WakeProgressed)
    assert (progress.status, progress.reason) == (status, "3 before you")


async def test_a_slow_provider_times_out(store: Store) -> None:
    """The provider has the request's time, and at least a second."""
    receipt = await ask(store, "a", timeout_ms=10)
    provider = Starting(store)
    provider.asleep.add("a")
    began = time.monotonic()
    await WakeupController(store, provider).run_once()
    assert 0.9 < time.monotonic() - began < 5
    reason = await reason_of_failure(store, receipt.execution_id)
    assert reason == "provider timed out: it did not answer within 1,000 ms"


async def test_a_provider_that_raises_fails_the_wake(store: Store) -> None:
    """The reason holds the error; the controller goes on."""
    receipt = await ask(store, "a")
    controller = WakeupController(store, Answering(RuntimeError("no capacity")))
    assert await controller.run_once() == 1
    reason = await reason_of_failure(store, receipt.execution_id)
    assert reason == "provider raised RuntimeError: no capacity"
    await ask(store, "b")
    assert await controller.run_once() == 1


async def test_a_provider_that_raises_may_be_asked_again(store: Store) -> None:
    """With max_attempts it is asked so often, and then the wake has failed."""
    await ask(store, "a")
    provider = Answering(RuntimeError("no capacity"))
    await WakeupController(store, provider, max_attempts=2).run_once()
    assert len(provider.asked) == 2


async def test_each_attempt_is_an_event_with_an_epoch_of_its_own(store: Store) -> None:
    """The provider is told it, to act once for it; the next one says how the last one failed."""
    receipt = await ask(store, "a")
    provider = Answering(RuntimeError("no capacity"))
    await WakeupController(store, provider, max_attempts=2, consumer="manager-1").run_once()
    told = [e for e in await store.history(receipt.execution_id) if e.event.name == "WakeAttempted"]
    assert [request.epoch for request in provider.asked] == [entry.position for entry in told]
    assert [request.attempt for request in provider.asked] == [1, 2]
    last = told[-1].event
    assert isinstance(last, WakeAttempted)
    assert (last.reason, last.by) == ("provider raised RuntimeError: no capacity", "manager-1")


async def test_a_dead_controllers_wake_is_done_by_another(store: Store) -> None:
    """It asks the provider anew, under a new epoch, and whatever the dead one says is too late."""
    receipt = await ask(store, "a")
    dead = Starting(store)
    dead.may_start.clear()
    first = WakeupController(store, dead, consumer="dead")
    hanging = asyncio.create_task(first.run_once())
    await until(lambda: bool(dead.asked))
    await store.resign("dead")
    second = Starting(store)
    assert await WakeupController(store, second, consumer="alive").run_once() == 1
    assert await events(store, receipt.execution_id) == [
        *("Requested", "Held", "WakeRequested", "WakeAttempted", "WakeAttempted"),
        *("BecameReady", "Delivered"),
    ]
    attempt = (await store.history(receipt.execution_id))[4].event
    assert isinstance(attempt, WakeAttempted)
    assert (attempt.attempt, attempt.reason) == (2, "manager dead is gone")
    dead.may_start.set()
    entries = await store.read()
    await hanging
    assert await store.read() == entries


async def test_a_stop_hands_over_what_is_under_way(store: Store) -> None:
    """After its grace; another controller need not wait until the lease lapses."""
    receipt = await ask(store, "a")
    slow = Starting(store)
    slow.may_start.clear()
    controller = WakeupController(store, slow)
    running_one = asyncio.create_task(controller.run())
    await until(lambda: bool(slow.asked))
    controller.stop(grace_s=0)
    await asyncio.wait_for(running_one, 10)
    assert controller.wakes_in_flight == 0
    assert await WakeupController(store, Starting(store)).run_once() == 1
    assert await delivered(store, receipt.execution_id)


async def test_a_stop_lets_wakes_come_out_within_its_grace(store: Store) -> None:
    """Nothing new is taken meanwhile."""
    receipt = await ask(store, "a")
    slow = Starting(store)
    slow.may_start.clear()
    controller = WakeupController(store, slow)
    running_one = asyncio.create_task(controller.run())
    await until(lambda: bool(slow.asked))
    controller.stop(grace_s=30)
    slow.may_start.set()
    await asyncio.wait_for(running_one, 10)
    assert await delivered(store, receipt.execution_id)


async def test_rejected_is_handed_on(store: Store) -> None:
    """REJECTED ends in REJECTED for one who waits; its reason and retry_after_ms are told."""
    waiting = request("a", RoutePolicy.WAKE_AND_WAIT, inbox=store.inbox)
    with store.waiting(waiting.execution_id) as outcome:
        await store.execute(waiting)
        answer = {"status": "REJECTED", "reason": "not for you", "retry_after_ms": 5_000}
        await WakeupController(store, Answering(answer)).run_once()
        told = await asyncio.wait_for(outcome, 5)
    assert (told.status, told.reason, told.retry_after_ms) == ("REJECT", "not for you", 5_000)


async def test_fallback_is_handed_on(store: Store) -> None:
    """FALLBACK delivers to the agent type that the provider selected."""
    await store.announce("w", ("b",), 60_000)
    receipt = await ask(store, "a")
    decision = WakeupDecision(status=WakeupDecisionStatus.FALLBACK, selected_agent_type="b")
    await WakeupController(store, Answering(decision)).run_once()
    assert await state(store, receipt.execution_id) == "DELIVERED"
    assert len(await store.take_deliveries(("b",), "w", 10, 0)) == 1


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        ({"status": "SLEEPY"}, "unknown status 'SLEEPY'"),
        ({}, "has no status"),
        (None, "answered with NoneType"),
        ("READY", "answered with str"),
        ({"status": "READY", "worker_ids": 7}, "worker_ids must be a list"),
        ({"status": "FALLBACK", "selected_agent_type": "\n"}, "selected_agent_type"),
        ({"status": "REJECTED", "retry_after_ms": "soon"}, "must be an int"),
        ({"status": "REJECTED", "retry_after_ms": float("inf")}, "infinity"),
        ({"status": "FAILED", "reason": "\ud800"}, "?"),
        ({"status": "FAILED", "reason": "x" * 1_000_000}, "x…"),
    ],
)
async def test_a_malformed_decision_fails_the_wake(store: Store, answer: Any, part: str) -> None:
    """Whatever a provider answers, the wake ends, with a reason that helps to mend it."""
    receipt = await ask(store, "a")
    await WakeupController(store, Answering(answer)).run_once()
    assert await state(store, receipt.execution_id) == "DEADLETTER"
    assert part in await reason_of_failure(store, receipt.execution_id)


async def test_a_wake_for_nobody_asks_nobody(store: Store) -> None:
    """When all who waited are served, the provider is spared and the claim is freed."""
    receipt = await ask(store, "a")
    await store.announce("w", ("a",), 60_000)
    assert await DeliveryGate(store).dispatch_ready("a") == 1
    await store.retire("w")
    provider = Starting(store)
    controller = WakeupController(store, provider)
    assert await controller.run_once() == 1
    assert provider.asked == []
    assert await state(store, receipt.execution_id) == "DELIVERED"
    await ask(store, "a")
    assert await controller.run_once() == 1
    assert len(provider.asked) == 1


async def test_a_worker_that_came_by_itself_is_enough(store: Store) -> None:
    """With a worker online already, the provider is not asked to start another."""
    receipt = await ask(store, "a")
    await store.announce("w", ("a",), 60_000)
    provider = Starting(store)
    await WakeupController(store, provider).run_once()
    assert provider.asked == []
    assert await state(store, receipt.execution_id) == "DELIVERED"


async def test_a_slow_agent_delays_no_other(store: Store) -> None:
    """Wakes of different groups run side by side."""
    slow = await ask(store, "slow")
    fast = await ask(store, "fast")
    provider = Starting(store)
    provider.asleep.add("slow")
    async with running(WakeupController(store, provider).run()):
        await until(lambda: delivered(store, fast.execution_id))
        assert await state(store, slow.execution_id) == "WAKING"


async def test_the_number_of_wakes_at_once_is_bounded(store: Store) -> None:
    """With room for two, a third wake waits until one is done."""
    for name in "abc":
        await ask(store, name)
    provider = Starting(store)
    provider.may_start.clear()
    async with running(WakeupController(store, provider, parallel_max=2).run()):
        await until(lambda: len(provider.asked) == 2)
        # The third is still there for others.
        assert len(await store.take_signals("another", 10, 0)) == 1


async def test_two_controllers_share_the_wakes(store: Store) -> None:
    """Each wake is done by one of them, once."""
    providers = [Starting(store), Starting(store)]
    receipts = [await ask(store, f"agent-{n}") for n in range(20)]
    controllers = [WakeupController(store, provider, parallel_max=3) for provider in providers]
    async with running(*(controller.run() for controller in controllers)):
        for receipt in receipts:
            await until(lambda r=receipt: delivered(store, r.execution_id))  # type: ignore[misc]
    asked = [r.target_agent_type for provider in providers for r in provider.asked]
    assert sorted(asked) == sorted({f"agent-{n}" for n in range(20)})


async def test_a_watchful_provider_ends_a_hopeless_wake(store: Store) -> None:
    """What was STARTING and then died fails at once, not at the deadline."""
    receipt = await ask(store, "a", timeout_ms=600_000)
    provider = Watching({"status": "FAILED", "reason": "exited with code 3"})
    async with running(WakeupController(store, provider).run()):
        await until(lambda: shown(store, receipt.execution_id))
        provider.may_tell.set()
        await until(lambda: ended(store, receipt.execution_id))
    assert await reason_of_failure(store, receipt.execution_id) == "exited with code 3"


async def test_a_watch_that_raises_fails_the_wake(store: Store) -> None:
    """An error while watching is a failure with a reason, too."""
    receipt = await ask(store, "a", timeout_ms=600_000)
    provider = Watching(ValueError("lost it"))
    provider.may_tell.set()
    await WakeupController(store, provider).run_once()
    reason = await reason_of_failure(store, receipt.execution_id)
    assert reason == "provider raised ValueError: lost it"


async def test_a_cancelled_controller_ends(store: Store) -> None:
    """Cancelling run() in the middle of a wake ends it, and the wake stays undone."""
    receipt = await ask(store, "a")
    provider = Starting(store)
    provider.asleep.add("a")
    async with running(WakeupController(store, provider).run()):
        await until(lambda: bool(provider.asked))
    undone = ["Requested", "Held", "WakeRequested", "WakeAttempted"]
    assert await events(store, receipt.execution_id) == undone


async def delivered(store: Store, execution_id: str) -> bool:
    """Tell whether an execution is DELIVERED."""
    return await state(store, execution_id) == "DELIVERED"


async def ended(store: Store, execution_id: str) -> bool:
    """Tell whether an execution is in the dead letters."""
    return await state(store, execution_id) == "DEADLETTER"


async def shown(store: Store, execution_id: str) -> bool:
    """Tell whether progress was shown."""
    return "WakeProgressed" in await events(store, execution_id)
