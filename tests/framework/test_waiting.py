"""How a wait ends: with the outcome, with the caller's time, or with the caller."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from by_cp import AvailabilityResult, AvailabilityRouter, DeliveryIntent, RoutePolicy
from by_cp.adapters import store_of
from by_cp.errors import ServerUnreachable
from by_cp.log.contract import Store
from by_cp.statemachine.events import Rejected
from by_cp.statemachine.states import State
from tests.asking import state
from tests.framework.sending import (
    Way,
    event_names,
    last_event,
    online,
    settle,
    signal,
    taken,
)
from tests.making import make_settle
from tests.waiting import until

TIMED_OUT = "Timed out waiting for worker wakeup for agent_type 'echo'"


def waiting_intent(
    execution_id: str, *, agent_type: str = "echo", timeout_ms: int = 30_000, priority: int = 0
) -> DeliveryIntent:
    """Make the intent of a caller that waits."""
    return DeliveryIntent(
        *(execution_id, "message-1", "session-1", "trace-1", "client", agent_type),
        policy=RoutePolicy.WAKE_AND_WAIT,
        timeout_ms=timeout_ms,
        priority=priority,
    )


@pytest.mark.parametrize("timeout_ms", [0, 1, 30])
async def test_a_caller_whose_time_is_up_is_told_so(
    store: Store, way: Way, timeout_ms: int
) -> None:
    """Nobody wakes: the caller is rejected, and the command is not held any more."""
    sent = await way(
        "echo", route_policy=RoutePolicy.WAKE_AND_WAIT, availability_timeout_ms=timeout_ms
    )

    assert (sent.accepted, sent.error_code) == (False, "AGENT_TYPE_UNAVAILABLE")
    assert sent.error == TIMED_OUT
    assert await state(store, sent.execution_id) == State.REJECTED
    assert await store.held("echo", 10) == []


async def test_who_timed_out_gets_nothing_later(store: Store, way: Way) -> None:
    """A worker that comes too late is not handed what its caller has given up."""
    await way("echo", route_policy=RoutePolicy.WAKE_AND_WAIT, availability_timeout_ms=1)
    wake = await signal(store)
    await online(store, "echo")
    await settle(store, wake)

    assert await taken(store, "echo") == []


async def test_a_cancelled_caller_gives_up(store: Store, way: Way) -> None:
    """Who is cancelled while it waits leaves nothing behind that would be delivered to nobody."""
    sending = asyncio.create_task(way("echo", route_policy=RoutePolicy.WAKE_AND_WAIT))
    execution_id = (await signal(store)).request.execution_id

    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    event = await last_event(store, execution_id)
    assert isinstance(event, Rejected)
    assert event.reason == "The caller of agent_type 'echo' was cancelled while it waited"
    assert await store.held("echo", 10) == []


async def test_a_caller_cancelled_before_its_answer_gives_up_too(store: Store) -> None:
    """Its request may be under way; it is executed or not, but never left waiting."""
    router = AvailabilityRouter(store)
    sending = asyncio.create_task(router.prepare_delivery(waiting_intent("exec-1")))
    await asyncio.sleep(0)  # let it ask; nothing is waited for

    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    assert await state(store, "exec-1") == State.REJECTED


async def test_a_second_cancellation_does_not_stop_the_giving_up(store: Store) -> None:
    """The caller is let go at once, and its command is given up in the background."""
    router = AvailabilityRouter(store)
    sending = asyncio.create_task(router.prepare_delivery(waiting_intent("exec-1")))
    await signal(store)

    sending.cancel()
    await asyncio.sleep(0)  # let it begin to give up
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending

    async def given_up() -> bool:
        return await state(store, "exec-1") == State.REJECTED

    await until(given_up)


async def test_a_timeout_of_the_callers_own_is_a_cancellation(store: Store) -> None:
    """`asyncio.timeout` around a call works as around any other."""
    router = AvailabilityRouter(store)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await router.prepare_delivery(waiting_intent("exec-1"))

    assert await state(store, "exec-1") == State.REJECTED


async def test_a_cancelled_caller_takes_no_other_with_it(store: Store, way: Way) -> None:
    """Of two that wait for one wake, the other still gets its delivery."""
    cancelled = asyncio.create_task(way("echo", route_policy=RoutePolicy.WAKE_AND_WAIT))
    wake = await signal(store)
    other = asyncio.create_task(way("echo", route_policy=RoutePolicy.WAKE_AND_WAIT))

    async def joined() -> bool:
        return len(await store.wake_members(("echo", "", ""), 10)) == 2

    await until(joined)
    cancelled.cancel()
    await asyncio.wait({cancelled})
    await online(store, "echo")
    await settle(store, wake)

    assert (await other).accepted
    assert len(await taken(store, "echo")) == 1


async def test_a_thousand_timeouts_race_a_ready(store: Store) -> None:
    """Each has one outcome, and its caller is told the true one; both outcomes are seen."""
    told: dict[str, bool] = {}
    delivered: list[str] = []
    for agent_type in ("echo", "parrot", "mirror", "canyon"):
        results = await race(store, agent_type)
        told |= {result.execution_id: result.delivered for result in results}
        delivered += [delivery.execution_id for delivery in await taken(store, agent_type)]

    assert len(told) == 1000
    assert set(told.values()) == {True, False}
    assert Counter(delivered) == Counter(name for name in told if told[name])
    assert await store.held_agent_types() == []


async def race(store: Store, agent_type: str) -> list[AvailabilityResult]:
    """Let 250 callers wait, and decide about them while their times run out.

    The first's is up before any decision, and some can wait for theirs; of the others, each may
    time out just when it is decided about.
    """
    router = AvailabilityRouter(store)
    intents = [
        waiting_intent(
            f"exec-{agent_type}-{number}",
            agent_type=agent_type,
            timeout_ms=30_000 if number % 10 == 9 else number,
            priority=-number,
        )
        for number in range(250)
    ]
    callers = [asyncio.create_task(router.prepare_delivery(intent)) for intent in intents]
    await callers[0]
    while await store.held(agent_type, 1):
        for wake in await store.take_signals("manager-1", 10, 5):
            while members := await store.wake_members((agent_type, "", ""), 10):
                await store.execute(make_settle(wake, members, "READY"))
                await asyncio.sleep(0)  # memory answers at once, and would leave no gap
    return await asyncio.gather(*callers)


async def test_a_repeated_call_is_executed_once(store: Store, way: Way) -> None:
    """Who never got the answer sends again, under the same id, and gets that answer."""
    await online(store, "echo")

    first = await way("echo", execution_id="exec-mine")
    second = await way("echo", execution_id="exec-mine")

    assert first == second
    assert first.execution_id == "exec-mine"
    assert len(await taken(store, "echo")) == 1


async def test_a_repeated_call_is_told_what_has_come_of_it(store: Store, way: Way) -> None:
    """It was held the first time, and buried since: the repeated call says so."""
    first = await way("echo", route_policy=RoutePolicy.WAKE_AND_QUEUE, execution_id="exec-mine")
    await settle(store, await signal(store), "FAILED", reason="no machine")

    second = await way("echo", route_policy=RoutePolicy.WAKE_AND_QUEUE, execution_id="exec-mine")

    assert first.accepted
    assert (second.accepted, second.error) == (False, "no machine")


async def test_a_repeated_call_waits_with_the_first(store: Store, way: Way) -> None:
    """Two wait under one id, as after a caller's own retry: one delivery, told to both."""
    wait = {"route_policy": RoutePolicy.WAKE_AND_WAIT, "execution_id": "exec-mine"}
    first = asyncio.create_task(way("echo", **wait))
    wake = await signal(store)
    second = asyncio.create_task(way("echo", **wait))
    await asyncio.sleep(0)  # the second may ask before or after the outcome, it is told the same
    await online(store, "echo")
    await settle(store, wake)

    told = [await first, await second]

    assert [one.accepted for one in told] == [True, True]
    assert len(await taken(store, "echo")) == 1
    assert (await event_names(store, "exec-mine")).count("Delivered") == 1


async def test_many_callers_wait_on_few_connections(redis: Redis, url: str) -> None:
    """Waiting, timing out and being cancelled take no connection each."""
    async with Redis.from_url(url, max_connections=4) as client:
        router = AvailabilityRouter(client)
        sending = [
            asyncio.create_task(
                router.prepare_delivery(waiting_intent(f"exec-{number}", timeout_ms=200))
            )
            for number in range(100)
        ]

        async def waiting() -> bool:
            return bool(await store_of(redis).held("echo", 1))

        await until(waiting)
        for one in sending[::2]:
            one.cancel()

        told = await asyncio.gather(*sending, return_exceptions=True)

    assert all(isinstance(one, asyncio.CancelledError) for one in told[::2])
    assert [one for one in told[1::2] if isinstance(one, BaseException)] == []
    assert await store_of(redis).held("echo", 100) == []


async def test_a_server_that_is_away_is_an_error_that_says_how_to_repeat() -> None:
    """Whether the command was taken is not known, so the error names the id to repeat it under."""
    away = Redis(unix_socket_path="/nowhere/at.all", retry=Retry(NoBackoff(), 0))
    router = AvailabilityRouter(away)

    with pytest.raises(ServerUnreachable) as caught:
        await router.prepare_delivery(waiting_intent("exec-1", timeout_ms=50))

    assert any("'exec-1'" in note for note in caught.value.__notes__)
    await away.aclose()
