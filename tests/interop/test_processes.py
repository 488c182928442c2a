"""Everything in a process of its own: a stock client here, by-cp managers, stock workers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import by_framework
from by_framework.core.registry import WorkerRegistry
from redis.asyncio import Redis

from by_cp.control_plane import ControlPlane
from by_cp.keys import RedisKeys
from by_cp.log.redis.store import RedisStore
from tests.interop.stock_process import HANDLED, HANG
from tests.interop.test_observed import BY_CP, WAKEUP, there
from tests.interop.test_policies import PENDING
from tests.interop.ways import ACCEPTED, by_client
from tests.manager.running import running
from tests.waiting import until

ROOT = Path(__file__).parents[2]


@contextmanager
def manager(url: str, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a manager that starts stock workers of `echo`."""
    worker = f"echo={sys.executable} -m tests.interop.stock_process {url} echo"
    process = subprocess.Popen(
        (*BY_CP, "manager", "--url", url, "--worker", worker),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


async def test_two_managers_start_one_worker_that_handles_everything_once(
    redis: Redis, theirs: Redis, url: str, tmp_path: Path
) -> None:
    """Ten who wait are told, five who queue are served; by-framework serves one of each."""
    send = by_client(by_framework.GatewayClient(registry=WorkerRegistry(theirs)))
    store = RedisStore(redis)
    with manager(url, tmp_path), manager(url, tmp_path):
        await until(lambda: _are_there(store, 2), 30)
        told = await asyncio.gather(
            *(send("echo", f"wait-{n}", route_policy="WAKE_AND_WAIT") for n in range(10)),
            *(send("echo", f"queue-{n}", route_policy="WAKE_AND_QUEUE") for n in range(5)),
        )
        assert told == [ACCEPTED] * 15
        await until(lambda: _handled(redis, 15), 30)
        await until(lambda: there(redis, PENDING, 0))
        await until(lambda: there(redis, WAKEUP, 0))
    found: Any = await redis.lrange(HANDLED, 0, -1)
    processes, contents = zip(*(line.decode().split() for line in found), strict=True)
    assert len({*processes}) == 1
    assert sorted(contents) == sorted(
        [f"wait-{n}" for n in range(10)] + [f"queue-{n}" for n in range(5)]
    )
    assert await redis.xlen(RedisKeys.control_plane_deadletter_stream()) == 0


async def test_what_a_killed_stock_worker_had_taken_goes_to_by_cps_worker(
    redis: Redis, theirs: Redis, url: str, tmp_path: Path
) -> None:
    """They are one group; among stock workers it stays unacknowledged for ever."""
    send = by_client(by_framework.GatewayClient(registry=WorkerRegistry(theirs)))
    process = subprocess.Popen(
        (sys.executable, "-m", "tests.interop.stock_process", url, "echo"),
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        stderr=subprocess.DEVNULL,
    )
    try:
        await until(lambda: _is_online(redis), 30)
        assert await send("echo", HANG) == ACCEPTED
        await until(lambda: _handled(redis, 1))
    finally:
        process.kill()
        process.wait()
    await redis.delete(RedisKeys.worker_online_lease("worker-of-echo"))  # as if its time had passed
    handled: list[str] = []

    async def handle(command: Any) -> str:
        handled.append(command["body"]["content"])
        return "done"

    async with ControlPlane.connect(url) as plane, running(plane.worker("echo", handle).run()):
        await until(lambda: handled == [HANG], 30)


async def _is_online(redis: Redis) -> bool:
    return bool(await RedisStore(redis).online("echo"))


async def _are_there(store: RedisStore, count: int) -> bool:
    return len(await store.managers()) == count


async def _handled(redis: Redis, count: int) -> bool:
    found: Any = await redis.llen(HANDLED)
    return bool(found >= count)
