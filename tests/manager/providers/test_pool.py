"""How many worker processes run: a warm minimum, more where there is a backlog, none in vain."""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import signal
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from redis.asyncio import Redis

from by_cp.log.redis.store import RedisStore
from by_cp.manager.manager import Manager
from by_cp.manager.providers.backlog import held_in
from by_cp.manager.providers.process import ProcessProvider
from by_cp.manager.providers.spec import WorkerSpec
from tests.asking import ask, state
from tests.manager.providers.starting import SLEEPER, pid_in, script, wake_of
from tests.manager.running import running
from tests.processes import marked
from tests.waiting import until
from tests.worker.conftest import replies


async def test_a_warm_minimum_is_kept(tmp_path: Path) -> None:
    """From the start on, and again when some of it dies; it ends with the provider."""
    spec = WorkerSpec(command=SLEEPER, env={"MARK": str(tmp_path)}, processes_max=2, warm_min=2)
    provider = ProcessProvider({"a": spec}, url="redis://x")
    async with provider, running(provider.run()):
        await until(lambda: len(marked(str(tmp_path))) == 2)
        killed = min(marked(str(tmp_path)))
        os.kill(killed, signal.SIGKILL)
        await until(lambda: len(marked(str(tmp_path)) - {killed}) == 2)
        woken = pid_in(await provider.wakeup(wake_of("a")))
        assert woken != killed
        await until(lambda: woken in marked(str(tmp_path)))
    assert marked(str(tmp_path)) == set()


async def test_a_warm_process_is_not_told_to_end_when_idle(tmp_path: Path) -> None:
    """Or it would be ended and started for ever; one that a wake started is told."""
    show = (
        "import os, time; print(os.environ.get('BY_CP_IDLE_EXIT_S'), flush=True); time.sleep(600)"
    )
    warm = WorkerSpec(command=script(show), warm_min=1, idle_exit_s=5)
    woken = WorkerSpec(command=script(show), idle_exit_s=5)
    specs = {"warm": warm, "woken": woken}
    env = {"BY_CP_IDLE_EXIT_S": "7"}  # the manager's own is none of theirs
    provider = ProcessProvider(specs, url="redis://x", log_directory=tmp_path, env=env)
    async with provider, running(provider.run()):
        await provider.wakeup(wake_of("woken"))

        def shown() -> dict[str, str]:
            return {p.name.split("-")[0]: p.read_text() for p in tmp_path.iterdir()}

        await until(lambda: shown() == {"warm": "None\n", "woken": "5\n"})


async def test_a_warm_process_that_fails_at_its_start_is_started_less_and_less(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The pauses grow: it is no loop that burns a processor."""
    caplog.set_level(logging.INFO, "by_cp.manager")

    def starts_s() -> list[float]:
        return [line.created for line in caplog.records if "worker_started" in line.getMessage()]

    spec = WorkerSpec(command=["false"], warm_min=1)
    provider = ProcessProvider({"a": spec}, url="redis://x")
    async with provider, running(provider.run()):
        await until(lambda: len(starts_s()) == 4)
    pauses_s = [later - earlier for earlier, later in pairwise(starts_s())]
    assert all(pause_s >= 0.1 * 2**n for n, pause_s in enumerate(pauses_s)), pauses_s


async def test_a_backlog_starts_more_processes(tmp_path: Path) -> None:
    """One for each so many commands that wait, up to the maximum; asked again it starts no more."""
    waiting = {"a": 0}
    asked = 0

    async def backlog(agent_type: str) -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        return waiting[agent_type]

    mark = str(tmp_path)
    spec = WorkerSpec(command=SLEEPER, env={"MARK": mark}, processes_max=3, backlog_per_process=10)
    provider = ProcessProvider({"a": spec}, url="redis://x", backlog=backlog, backlog_interval_s=0)
    async with provider, running(provider.run()):
        waiting["a"] = 11
        await provider.wakeup(wake_of("a"))
        await until(lambda: len(marked(mark)) == 2)
        waiting["a"] = 1_000
        await until(lambda: len(marked(mark)) == 3)
        before = asked
        await until(lambda: asked > before + 10)
        # A process that is just being replaced by its program shows no environment for a moment.
        await until(lambda: len(marked(mark)) == 3)
        assert len(marked(mark)) <= 3


async def test_a_backlog_alone_wakes_nobody(tmp_path: Path) -> None:
    """What is held for an agent type that is asleep (QUEUE_ONLY) is no reason to start a worker."""
    asked: Counter[str] = Counter()

    async def backlog(agent_type: str) -> int:
        asked[agent_type] += 1
        await asyncio.sleep(0)
        return 1_000

    def spec(agent_type: str) -> WorkerSpec:
        return WorkerSpec(command=SLEEPER, env={"MARK": f"{tmp_path}{agent_type}"}, processes_max=3)

    specs = {"asleep": spec("asleep"), "awake": spec("awake")}
    provider = ProcessProvider(specs, url="redis://x", backlog=backlog, backlog_interval_s=0)
    async with provider, running(provider.run()):
        await provider.wakeup(wake_of("awake"))
        await until(lambda: asked["awake"] > 10)
        assert marked(f"{tmp_path}asleep") == set()
    assert asked["asleep"] == 0


async def test_the_backlog_in_a_store_is_what_is_held(redis: Redis) -> None:
    """Commands that wait for a worker, of that agent type only."""
    store = RedisStore(redis)
    for agent_type in ("a", "a", "b"):
        await ask(store, agent_type)
    backlog = held_in(store)
    assert [await backlog(agent_type) for agent_type in ("a", "b", "c")] == [2, 1, 0]


async def test_idle_workers_end_and_are_woken_again(redis: Redis, url: str, tmp_path: Path) -> None:
    """Scaled to zero, by real workers that leave by themselves.

    A wake that meets one on its way out waits for the next.
    """
    store = RedisStore(redis)
    command = [sys.executable, "-m", "by_cp.cli", "worker"]
    command += ["--handler", "by_cp.cli.demo_agents:shout"]
    spec = WorkerSpec(command=command, env={"MARK": str(tmp_path)}, idle_exit_s=0.1)

    async def delivered(execution_id: str) -> bool:
        reached = await state(store, execution_id)
        assert reached != "DEADLETTER"
        return reached == "DELIVERED"

    async def offline() -> bool:
        return not await store.online("a")

    provider = ProcessProvider({"a": spec}, url=url, log_directory=tmp_path)
    async with provider, running(Manager(store, provider).run()):
        for _ in range(2):
            receipt = await ask(store, "a")
            await until(functools.partial(delivered, receipt.execution_id))
            await until(offline)
            assert marked(str(tmp_path)), "it lingers, to see what is on its way to it"
        await until(lambda: not marked(str(tmp_path)))
        assert len(await replies(store, redis)) == 4
