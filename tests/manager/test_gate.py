"""The gate: what is held is delivered as soon as a worker is online, once, by priority."""

from __future__ import annotations

import asyncio

import pytest
from msgspec import structs
from redis.asyncio import Redis

from by_cp.log.commands import Configure
from by_cp.log.contract import Store
from by_cp.log.memory import ManualClock, MemoryStore
from by_cp.log.pacing import AHEAD
from by_cp.manager.gate import BATCH, DeliveryGate
from by_cp.statemachine.events import AgentPaused, AgentResumed, BecameReady, CircuitForced
from by_cp.vocabulary import RoutePolicy
from tests.asking import ask, events, request, state
from tests.manager.running import running
from tests.waiting import until

MANY = 3 * BATCH + 7


async def taken(store: Store, agent_type: str, count: int = 1_000) -> list[str]:
    """The executions whose commands stand in an agent type's control stream."""
    deliveries = await store.take_deliveries((agent_type,), "taker", count, 0)
    return [delivery.execution_id for delivery in deliveries]


async def test_nothing_is_released_while_nobody_is_online(store: Store) -> None:
    """A held command stays held; the look itself leaves no trace in its history."""
    receipt = await ask(store, "a", RoutePolicy.QUEUE_ONLY)
    assert await DeliveryGate(store).run_once() == 0
    assert await DeliveryGate(store).dispatch_ready("a") == 0
    assert await events(store, receipt.execution_id) == ["Requested", "Held"]


async def test_all_that_is_held_is_delivered_once(store: Store) -> None:
    """More than one batch, by priority and then by age; a second pass finds nothing."""
    low = [await ask(store, "a", RoutePolicy.QUEUE_ONLY, priority=1) for _ in range(MANY)]
    high = await ask(store, "a", RoutePolicy.QUEUE_ONLY, priority=5)
    await store.announce("w", ("a",), 60_000, MANY)
    gate = DeliveryGate(store)
    assert await gate.dispatch_ready("a") == MANY + 1
    assert await gate.dispatch_ready("a") == 0
    order = [receipt.execution_id for receipt in (high, *low)]
    assert await taken(store, "a") == order


async def test_a_release_says_how_and_by_whom(store: Store) -> None:
    """The history of a released command names the gate."""
    receipt = await ask(store, "a", RoutePolicy.QUEUE_ONLY)
    await store.announce("w", ("a",), 60_000)
    await DeliveryGate(store, by="gate-1").run_once()
    ready = (await store.history(receipt.execution_id))[2].event
    assert isinstance(ready, BecameReady)
    assert (ready.how, ready.by) == ("ONLINE", "gate-1")


async def test_dispatch_ready_takes_an_execution_as_in_by_framework(store: Store) -> None:
    """by-framework names the execution whose wake is ready: its agent type is meant."""
    receipt = await ask(store, "a", RoutePolicy.QUEUE_ONLY)
    await ask(store, "other", RoutePolicy.QUEUE_ONLY)
    await store.announce("w", ("a", "other"), 60_000)
    assert await DeliveryGate(store).dispatch_ready(receipt.execution_id) == 1
    assert await state(store, receipt.execution_id) == "DELIVERED"
    assert await DeliveryGate(store).dispatch_ready("exec-unknown") == 0


async def test_two_gates_deliver_each_command_once(store: Store) -> None:
    """Gates that work on the same commands at the same time get in nobody's way."""
    for _ in range(MANY):
        await ask(store, "a", RoutePolicy.QUEUE_ONLY)
    await store.announce("w", ("a",), 60_000, MANY)
    gates = [DeliveryGate(store) for _ in range(4)]
    released = await asyncio.gather(*(gate.dispatch_ready("a") for gate in gates))
    found = await taken(store, "a")
    assert sum(released) == len(found) == len(set(found)) == MANY


async def test_an_open_circuit_holds_everything_back(store: Store) -> None:
    """Under an open circuit the gate delivers nothing, and ends its pass."""
    await ask(store, "a", RoutePolicy.QUEUE_ONLY)
    await store.announce("w", ("a",), 60_000)
    await store.execute(Configure(event=CircuitForced("", "a", "OPEN")))
    assert await DeliveryGate(store).run_once() == 0
    await store.execute(Configure(event=CircuitForced("", "a", "CLOSED")))
    assert await DeliveryGate(store).run_once() == 1


async def test_late_ones_in_front_hold_nobody_up() -> None:
    """A whole batch past its deadline is expired, and what stands behind it is delivered."""
    clock = ManualClock()
    store = MemoryStore(clock)
    for _ in range(BATCH + 1):
        await ask(store, "a", RoutePolicy.WAKE_AND_WAIT, priority=9, timeout_ms=5_000)
    queued = await ask(store, "a", RoutePolicy.QUEUE_ONLY)
    clock.advance(6_000)
    await store.announce("w", ("a",), 60_000)
    assert await DeliveryGate(store).run_once() == 1
    assert await state(store, queued.execution_id) == "DELIVERED"
    assert await store.held("a", 1) == []


async def test_no_more_is_delivered_than_there_is_room_for(store: Store) -> None:
    """What is still held keeps its order; when the worker has taken some, the next ones follow."""
    for _ in range(20):
        await ask(store, "a", RoutePolicy.QUEUE_ONLY)
    await store.announce("taker", ("a",), 60_000, 3)
    gate = DeliveryGate(store)
    assert await gate.run_once() == AHEAD * 3
    assert await gate.run_once() == 0
    for delivery in await store.take_deliveries(("a",), "taker", 2, 0):
        await store.acknowledge(delivery)
    assert await gate.run_once() == 2


async def test_a_delayed_command_is_delivered_in_its_time() -> None:
    """Whoever is online has to wait for it."""
    clock = ManualClock()
    store = MemoryStore(clock)
    later = request("a", RoutePolicy.QUEUE_ONLY)
    call = structs.replace(later.call, not_before_ms=clock() + 5_000)
    await store.execute(structs.replace(later, call=call))
    await store.announce("w", ("a",), 60_000)
    assert await DeliveryGate(store).run_once() == 0
    clock.advance(5_000)
    assert await DeliveryGate(store).run_once() == 1


async def test_what_a_pause_held_back_is_woken_for(store: Store) -> None:
    """The gate asks for the wake that nobody asked for during the pause, however much is held."""
    await store.execute(Configure(event=AgentPaused("", "a")))
    receipts = [await ask(store, "a") for _ in range(MANY)]
    await DeliveryGate(store).run_once()
    assert await state(store, receipts[0].execution_id) == "REQUESTED"
    await store.execute(Configure(event=AgentResumed("", "a")))
    await DeliveryGate(store).run_once()
    reached = {await state(store, receipt.execution_id) for receipt in receipts}
    assert reached == {"WAKING"}
    assert len(await store.take_signals("manager", 10, 0)) == 1


@pytest.mark.parametrize("agent_types", [1, 40])
async def test_a_running_gate_serves_every_agent_type(store: Store, agent_types: int) -> None:
    """Each is served when its worker comes online, whatever becomes of the others."""
    names = [f"agent:{number}" for number in range(agent_types)]
    receipts = [await ask(store, name, RoutePolicy.QUEUE_ONLY) for name in names]
    await ask(store, "never", RoutePolicy.QUEUE_ONLY)

    async def all_delivered() -> bool:
        reached = [await state(store, receipt.execution_id) for receipt in receipts]
        return set(reached) == {"DELIVERED"}

    async with running(DeliveryGate(store, interval_s=0.01).run()):
        await store.announce("w", tuple(names), 60_000)
        await until(all_delivered)
    assert await store.held_agent_types() == ["never"]


async def test_a_store_is_made_of_a_client(redis: Redis) -> None:
    """The gate takes a client of redis.asyncio, as by-framework's does."""
    assert await DeliveryGate(redis).run_once() == 0
