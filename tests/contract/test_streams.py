"""Streams: wakes that a manager takes, commands that a worker takes, outcomes that callers hear."""

from __future__ import annotations

import asyncio

from by_cp.keys import RedisKeys
from by_cp.log.answers import Outcome
from by_cp.log.contract import Store
from by_cp.statemachine.states import State
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import LEASE_MS, give_up, online, release, request, settle
from tests.making import make_request

QUEUE, WAIT = RoutePolicy.WAKE_AND_QUEUE, RoutePolicy.WAKE_AND_WAIT
PATIENCE_S = 10
"""How long a test waits for what must come, before it fails."""


# --- Wakes ----------------------------------------------------------------------------------------


async def test_a_signal_says_what_a_provider_needs(store: Store) -> None:
    """Whom to wake, for whom, where, and how long there is."""
    command = make_request("exec-1", WAIT, user_code="acme", region="eu", timeout_ms=5_000)
    await store.execute(command)
    [signal] = await store.take_signals("manager-1", 10, 0)
    asked, call = signal.request, command.call
    assert (asked.execution_id, asked.target_agent_type) == ("exec-1", "echo")
    assert (asked.user_code, asked.region, asked.timeout_ms) == ("acme", "eu", 5_000)
    assert (asked.session_id, asked.trace_id, asked.policy) == (
        *(call.session_id, call.trace_id, call.policy),
    )
    assert signal.epoch == (await store.history("exec-1"))[-1].position


async def test_no_two_managers_take_the_same_wake(store: Store) -> None:
    """Each of them is taken once, in order, by whoever comes."""
    for number in range(5):
        await request(store, f"exec-{number}", QUEUE, region=str(number))
    first = await store.take_signals("manager-1", 2, 0)
    second = await store.take_signals("manager-2", 10, 0)
    taken = [signal.request.execution_id for signal in (*first, *second)]
    assert taken == [f"exec-{number}" for number in range(5)]
    assert await store.take_signals("manager-1", 10, 0) == []


async def test_a_wake_that_is_finished_is_gone(store: Store) -> None:
    """Nobody is given it again; new ones come as before."""
    await request(store, "exec-1", QUEUE)
    [signal] = await store.take_signals("manager-1", 10, 0)
    await store.finish_signal(signal)
    await settle(store, "exec-1", "READY")
    await request(store, "exec-2", QUEUE)
    [signal] = await store.take_signals("manager-1", 10, 0)
    assert signal.request.execution_id == "exec-2"


async def test_a_manager_that_waits_is_woken(store: Store) -> None:
    """It need not look again and again."""
    taking = asyncio.create_task(store.take_signals("manager-1", 10, PATIENCE_S * 1000))
    await asyncio.sleep(0)
    await request(store, "exec-1", QUEUE)
    async with asyncio.timeout(PATIENCE_S):
        [signal] = await taking
    assert signal.request.execution_id == "exec-1"


# --- Commands for workers -------------------------------------------------------------------------


async def test_workers_take_what_was_delivered_to_them(store: Store) -> None:
    """The command byte for byte, and by-cp's id for it."""
    command = make_request("exec-1", RoutePolicy.SEND_ANYWAY)
    await store.execute(command)
    await request(store, "exec-2", RoutePolicy.SEND_ANYWAY, agent_type="other")
    [delivery] = await store.take_deliveries(("echo",), "worker-1", 10, 0)
    assert delivery.execution_id == "exec-1"
    assert delivery.data == command.command.whole
    assert delivery.stream == RedisKeys.ctrl_stream("echo")
    await store.acknowledge(delivery)
    assert await store.take_deliveries(("echo",), "worker-1", 10, 0) == []


async def test_no_two_workers_take_the_same_command(store: Store) -> None:
    """They share their agent type's stream."""
    for number in range(4):
        await request(store, f"exec-{number}", RoutePolicy.SEND_ANYWAY)
    first = await store.take_deliveries(("echo",), "worker-1", 1, 0)
    second = await store.take_deliveries(("echo",), "worker-2", 10, 0)
    taken = [delivery.execution_id for delivery in (*first, *second)]
    assert taken == [f"exec-{number}" for number in range(4)]


async def test_a_worker_of_several_agent_types_reads_them_all(store: Store) -> None:
    """And its own stream, where a command for it alone arrives."""
    await request(store, "exec-1", RoutePolicy.SEND_ANYWAY, agent_type="a:b")
    await request(store, "exec-2", RoutePolicy.SEND_ANYWAY, agent_type="ü")
    assert await store.send_to_worker("worker-1", b"{}", check=False)
    deliveries = await store.take_deliveries(("a:b", "ü"), "worker-1", 10, 0)
    assert {delivery.execution_id for delivery in deliveries} == {"exec-1", "exec-2", ""}
    assert {delivery.stream for delivery in deliveries} == {
        *(RedisKeys.ctrl_stream("a:b"), RedisKeys.ctrl_stream("ü")),
        RedisKeys.worker_ctrl_stream("worker-1"),
    }


async def test_a_worker_that_is_gone_can_be_noticed(store: Store) -> None:
    """With `check`, nothing is written to a worker without a lease."""
    assert not await store.send_to_worker("worker-1", b"{}", check=True)
    await store.announce("worker-1", ("echo",), LEASE_MS)
    assert await store.send_to_worker("worker-1", b"{}", check=True)
    assert len(await store.take_deliveries(("echo",), "worker-1", 10, 0)) == 1


# --- Outcomes for callers -------------------------------------------------------------------------


async def outcome_of(store: Store, execution_id: str, policy: str, status: str) -> Outcome:
    """Wait for a command's outcome, while a manager settles its wake."""
    with store.waiting(execution_id) as future:
        await store.execute(make_request(execution_id, policy, inbox=store.inbox))
        await settle(
            store,
            execution_id,
            status,
            await store.held("echo", 10),
            reason="over budget",
            retry_after_ms=60_000,
            selected="other",
        )
        async with asyncio.timeout(PATIENCE_S):
            return await future


async def test_who_waits_hears_that_it_was_delivered(store: Store) -> None:
    """As soon as it is."""
    outcome = await outcome_of(store, "exec-1", WAIT, "READY")
    assert outcome == Outcome("exec-1", "WAIT_AND_DELIVER", State.DELIVERED, "echo")


async def test_who_waits_hears_who_stood_in(store: Store) -> None:
    """And that somebody did."""
    await online(store, "other")
    outcome = await outcome_of(store, "exec-1", WAIT, "FALLBACK")
    assert (outcome.status, outcome.agent_type) == ("FALLBACK_TO_OTHER_AGENT_TYPE", "other")


async def test_who_waits_hears_why_not(store: Store) -> None:
    """The provider's words, and when it may be worth trying again."""
    outcome = await outcome_of(store, "exec-1", WAIT, "REJECTED")
    assert (outcome.status, outcome.state) == ("REJECT", State.REJECTED)
    assert (outcome.reason, outcome.retry_after_ms) == ("over budget", 60_000)
    outcome = await outcome_of(store, "exec-2", WAIT, "FAILED")
    assert (outcome.status, outcome.state) == ("REJECT", State.DEADLETTER)


async def test_ten_who_wait_all_hear(store: Store) -> None:
    """Over one connection, each its own outcome."""
    ids = [f"exec-{number}" for number in range(10)]

    async def wait(execution_id: str, asked: asyncio.Semaphore) -> Outcome:
        with store.waiting(execution_id) as future:
            await store.execute(make_request(execution_id, WAIT, inbox=store.inbox))
            asked.release()
            return await future

    asked = asyncio.Semaphore(0)
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as callers:
        waiting = [callers.create_task(wait(execution_id, asked)) for execution_id in ids]
        for _ in ids:
            await asked.acquire()
        await online(store)
        await release(store)
    assert [task.result().execution_id for task in waiting] == ids
    assert {task.result().state for task in waiting} == {State.DELIVERED}


async def test_who_gives_up_hears_it_from_the_answer(store: Store) -> None:
    """What the call says is what whoever else listens for it hears, too."""
    with store.waiting("exec-1") as future:
        await store.execute(make_request("exec-1", WAIT, inbox=store.inbox))
        outcome = await give_up(store, "exec-1")
        async with asyncio.timeout(PATIENCE_S):
            assert await future == outcome
