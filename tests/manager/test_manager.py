"""The manager: its parts together, through a server that goes away, and many of it at once."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
from pathlib import Path

import pytest
from redis.asyncio import Redis

from by_cp.embedded import EmbeddedServer
from by_cp.log.contract import Store
from by_cp.log.redis.store import RedisStore
from by_cp.manager.manager import Manager
from by_cp.vocabulary import RoutePolicy
from tests.asking import ask, state
from tests.manager.providers import Answering, Starting, Supervising
from tests.manager.running import running
from tests.waiting import until


async def test_it_wakes_delivers_and_expires(store: Store) -> None:
    """One manager does all three: a wake, a release and a deadline."""
    woken = await ask(store, "woken")
    queued = await ask(store, "queued", RoutePolicy.QUEUE_ONLY)
    late = await ask(store, "late", RoutePolicy.WAKE_AND_WAIT, timeout_ms=300)
    provider = Starting(store)
    provider.asleep.add("late")
    await store.announce("w", ("queued",), 60_000)

    async def done() -> bool:
        reached = [await state(store, r.execution_id) for r in (woken, queued, late)]
        return reached == ["DELIVERED", "DELIVERED", "REJECTED"]

    async with running(Manager(store, provider).run()):
        await until(done)


async def test_it_runs_what_a_provider_does_between_wakes(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    """If that raises it is run again after a pause, and if it returns it is done; wakes go on."""

    async def act() -> None:
        await asyncio.sleep(0)

    async def fault() -> None:
        raise ZeroDivisionError

    provider = Supervising(fault, act)
    receipt = await ask(store, "a")
    async with running(Manager(store, provider).run()):
        await until(lambda: provider.runs == 2)
        await until(lambda: buried(store, receipt.execution_id))
    assert "ZeroDivisionError" in caplog.text
    assert provider.runs == 2


async def test_three_managers_do_each_thing_once(store: Store) -> None:
    """Replicas share the work: every command is delivered once, every wake is done once."""
    providers = [Starting(store) for _ in range(3)]
    receipts = [await ask(store, f"agent-{number % 30}") for number in range(300)]

    async def done() -> bool:
        return await store.held_agent_types() == []

    async with running(*(Manager(store, provider).run() for provider in providers)):
        await until(done, 30)
    assert {await state(store, receipt.execution_id) for receipt in receipts} == {"DELIVERED"}
    asked = [r.target_agent_type for provider in providers for r in provider.asked]
    assert len(asked) == len(set(asked))
    names = tuple(f"agent-{number}" for number in range(30))
    deliveries = await store.take_deliveries(names, "taker", 1_000, 0)
    assert sorted(d.execution_id for d in deliveries) == sorted(r.execution_id for r in receipts)


async def test_it_lives_through_a_server_that_goes_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed and started again, the server finds its manager at work; each loop complains once."""
    caplog.set_level(logging.INFO, logger="by_cp.manager")
    server = await EmbeddedServer.start(tmp_path)
    async with Redis.from_url(server.url, retry=None) as client:
        store = RedisStore(client)
        manager = Manager(store, Answering({"status": "FAILED"}))
        loops = {loop.what for loop in manager.loops}
        async with running(manager.run()):
            first = await ask(store, "a")
            await until(lambda: buried(store, first.execution_id))
            os.kill(server.pid, signal.SIGKILL)
            await until(lambda: loops <= {*loops_that(caplog, "server_away")})
            await server.stop()
            server = await EmbeddedServer.start(tmp_path)
            second = await ask(store, "a")
            await until(lambda: buried(store, second.execution_id), 20)
            await until(lambda: loops <= {*loops_that(caplog, "recovered")}, 20)
    complaints = loops_that(caplog, "server_away")
    assert len(complaints) == len(set(complaints))
    await server.stop()


async def buried(store: Store, execution_id: str) -> bool:
    """Tell whether an execution is in the dead letters."""
    return await state(store, execution_id) == "DEADLETTER"


def loops_that(caplog: pytest.LogCaptureFixture, event: str) -> list[str]:
    """Which loops have logged an event, as often as they have."""
    return re.findall(rf"{event} loop=(\w+)", caplog.text)
