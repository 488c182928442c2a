"""A circuit's whole life, on the log's clock: callers, a manager and a provider that fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from redis.asyncio import Redis

from by_cp.client import GatewayClient
from by_cp.log.commands import Configure
from by_cp.log.contract import Entry, Store
from by_cp.log.memory import ManualClock, MemoryStore
from by_cp.log.redis.store import RedisStore
from by_cp.manager.controller import WakeupController
from by_cp.protocol.responses import SendMessageResponse
from by_cp.statemachine.events import CircuitPolicySet, SystemEvent
from by_cp.testing.invariants import probes_are_few, views_are_the_fold
from by_cp.vocabulary import ErrorCode, RoutePolicy, WakeupDecisionStatus
from tests.manager.providers import Answering, Starting

OPEN_MS, PROBE_MS, PROBES = 30_000, 10_000, 2
FAILURES = 3
QUEUE = RoutePolicy.WAKE_AND_QUEUE
FAILED = {"status": WakeupDecisionStatus.FAILED, "reason": "no image"}


@pytest.fixture
def clock() -> ManualClock:
    """The only clock of the log."""
    return ManualClock()


@pytest.fixture(params=["memory", "redis"])
async def stores(
    request: pytest.FixtureRequest, clock: ManualClock, redis: Redis, url: str
) -> AsyncIterator[list[Store]]:
    """What several processes have of one log: in memory the store itself, else clients of it."""
    if request.param == "memory":
        yield [MemoryStore(clock)] * 4
        return
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Redis.from_url(url)) for _ in range(4)]
        yield [RedisStore(client, clock=clock) for client in clients]


async def ask(store: Store, region: str) -> SendMessageResponse:
    """Ask for the agent; each region is a wake of its own."""
    client = GatewayClient(redis_client=store)
    return await client.send_message("echo", "s", "hello", route_policy=QUEUE, region=region)


async def whole_log(store: Store) -> list[Entry]:
    """All of it."""
    return await store.read(count=10_000)


async def circuit_events(store: Store) -> list[str]:
    """What happened to the circuit."""
    return [
        event.name
        for _, event in await whole_log(store)
        if isinstance(event, SystemEvent) and event.name.startswith("Circuit")
    ][1:]


async def opened(stores: list[Store]) -> None:
    """Let the circuit open by itself, through wakes that fail."""
    policy = CircuitPolicySet("", "echo", FAILURES, 60_000, OPEN_MS, PROBES, PROBE_MS)
    await stores[0].execute(Configure(event=policy))
    controller = WakeupController(stores[0], Answering(FAILED))
    for number in range(FAILURES):
        assert (await ask(stores[number % 4], f"region-{number}")).success
        assert await controller.run_once() == 1


async def test_it_opens_half_opens_and_closes_by_itself(
    stores: list[Store], clock: ManualClock
) -> None:
    """Every process sees each change with its next call; nobody sets anything."""
    await opened(stores)
    for store in stores:
        response = await ask(store, "eu")
        assert response.error_code == ErrorCode.AGENT_CIRCUIT_OPEN
        assert response.retry_after_ms == OPEN_MS

    clock.advance(OPEN_MS)
    assert (await ask(stores[1], "eu")).success
    provider = Starting(stores[2])
    assert await WakeupController(stores[2], provider).run_once() == 1

    for store in stores:
        assert (await ask(store, "eu")).success
    assert await circuit_events(stores[3]) == [
        "CircuitOpened",
        "CircuitHalfOpened",
        "CircuitClosed",
    ]
    views_are_the_fold(await whole_log(stores[0]), await stores[0].views())


async def test_however_many_ask_at_once_few_probe(stores: list[Store], clock: ManualClock) -> None:
    """Of 200 callers in four processes, just after the open time, as many wake as may."""
    await opened(stores)
    clock.advance(OPEN_MS)
    responses = await asyncio.gather(*(ask(stores[n % 4], f"again-{n}") for n in range(200)))

    assert sum(response.success for response in responses) == PROBES
    refused = {response.error_code for response in responses if not response.success}
    assert refused == {ErrorCode.AGENT_CIRCUIT_OPEN}
    provider = Answering(FAILED)
    controllers = [WakeupController(store, provider) for store in stores[:2]]
    await asyncio.gather(*(controller.run_once() for controller in controllers))
    assert len(provider.asked) == PROBES
    probes_are_few(await whole_log(stores[0]))


async def test_a_probe_that_hangs_gives_its_permit_back(
    stores: list[Store], clock: ManualClock
) -> None:
    """Its manager is stuck or dead. After the probe's time the next one may try."""
    await opened(stores)
    clock.advance(OPEN_MS)
    for number in range(PROBES):
        assert (await ask(stores[0], f"hangs-{number}")).success
    clock.advance(PROBE_MS - 1)
    assert (await ask(stores[1], "eu")).error_code == ErrorCode.AGENT_CIRCUIT_OPEN
    clock.advance(1)
    assert (await ask(stores[2], "eu")).success
    probes_are_few(await whole_log(stores[0]))
