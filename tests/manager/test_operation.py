"""The manager in operation: real processes, real signals, a server that comes and goes."""

from __future__ import annotations

import asyncio
import os
import shlex
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from by_cp.client import GatewayClient
from by_cp.control_plane import RETRIES
from by_cp.embedded import EmbeddedServer
from by_cp.log.redis.store import RedisStore
from by_cp.protocol.responses import SendMessageResponse
from by_cp.vocabulary import RoutePolicy
from tests.processes import runs
from tests.services import ManagerProcess, manager_process
from tests.waiting import until

WORKER = f"echo={sys.executable} -m by_cp.cli worker --handler by_cp.cli.demo_agents:shout"


@asynccontextmanager
async def hanging_up(directory: Path) -> AsyncIterator[list[int]]:
    """Something at the server's socket that hangs up on everyone; whoever came is in the list."""
    came: list[int] = []

    def hang_up(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(len(came))
        writer.close()

    path = directory / "valkey.sock"
    path.unlink(missing_ok=True)
    async with await asyncio.start_unix_server(hang_up, path):
        yield came


async def woken(url: str) -> bool:
    """Tell whether a caller's wake comes to a good end."""
    return (await called(url)).success


async def called(url: str) -> SendMessageResponse:
    """Call the agent, and wait until it is awake."""
    async with Redis.from_url(url) as redis:
        client = GatewayClient(redis_client=redis)
        return await client.send_message("echo", "s", "hi", route_policy=RoutePolicy.WAKE_AND_WAIT)


def waiting_for(gate: Path) -> str:
    """A worker that starts its work when a file is there, and does not heed SIGTERM before."""
    python = f"{sys.executable} -m by_cp.cli worker --handler by_cp.cli.demo_agents:shout"
    trapped = f"trap '' TERM; touch {gate}.trapped"
    script = f"{trapped}; until [ -e {gate} ]; do sleep 0.02; done; trap - TERM; exec {python}"
    return shlex.join(["sh", "-c", script])


async def test_it_is_ready_until_it_is_told_to_stop(url: str, tmp_path: Path) -> None:
    """SIGTERM: exit code 0, and the log says what happened, in order."""
    with manager_process(url, tmp_path / "log") as manager:
        await until(manager.is_ready)
        assert (await manager.health("/livez"))[0] == 200
        assert await manager.ends_after(signal.SIGTERM) == 0
        events = [line["event"] for line in manager.lines()]
        assert events == [
            "no_agents",
            "health_served",
            "manager_started",
            "stopping",
            "manager_stopped",
        ]


async def test_it_lives_through_the_servers_absence(tmp_path: Path) -> None:
    """Killed, away for a while, and back: no crash, few attempts, and work goes on by itself."""
    server = await EmbeddedServer.start(tmp_path / "data")
    with manager_process(server.url, tmp_path / "log", "--worker", WORKER) as manager:
        await until(manager.is_ready)
        os.kill(server.pid, signal.SIGKILL)
        await server.stop()
        async with hanging_up(server.directory) as came:
            await until(lambda: failed(manager, 3), 30)
            attempts = len(came)
            status, report = await manager.health()
            assert (status, (await manager.health("/livez"))[0]) == (503, 200)
        failures = sum(loop["failures"] + 1 for loop in report["loops"].values())
        assert attempts <= failures * (RETRIES + 1)
        server = await EmbeddedServer.start(tmp_path / "data")
        await until(manager.is_ready, 20)
        assert await woken(server.url)
        away = [line["loop"] for line in manager.lines("server_away")]
        assert len(away) == len(set(away))
        assert {"controller", "gate", "heartbeat", "sweeper"} <= set(away)
        assert await manager.ends_after(signal.SIGTERM) == 0
    await server.stop()


async def failed(manager: ManagerProcess, times: int) -> bool:
    """Tell whether every loop has failed so often in a row."""
    _, report = await manager.health()
    return all(loop["failures"] >= times for loop in report["loops"].values())


async def test_it_may_be_started_before_the_server(tmp_path: Path) -> None:
    """It waits, alive and not ready, and begins when the server is there."""
    server = await EmbeddedServer.start(tmp_path / "data")
    await server.stop()
    with manager_process(server.url, tmp_path / "log", "--worker", WORKER) as manager:
        line = await manager.has_logged("server_away")
        assert (line["loop"], line["level"]) == ("connection", "warning")
        assert not await manager.is_ready()
        assert (await manager.health("/livez"))[0] == 200
        server = await EmbeddedServer.start(tmp_path / "data")
        await until(manager.is_ready)
        assert await woken(server.url)
    await server.stop()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_it_can_be_stopped_while_it_waits_for_the_server(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    """There is nothing to hand over; it ends at once."""
    with manager_process("redis://localhost:1", tmp_path / "log") as manager:
        await manager.has_logged("server_away")
        assert await manager.ends_after(number) == code


async def test_wakes_under_way_may_end(url: str, tmp_path: Path) -> None:
    """After SIGTERM it takes no more and is not ready; who waits is told, and then it ends."""
    worker = ("--worker", f"echo={waiting_for(tmp_path / 'gate')}")
    with manager_process(url, tmp_path / "log", *worker) as manager:
        await until(manager.is_ready)
        calling = asyncio.create_task(called(url))
        await manager.has_logged("worker_started")
        manager.process.send_signal(signal.SIGTERM)
        await manager.has_logged("handing_over")
        status, report = await manager.health()
        assert (status, report["problems"]) == (503, ["it is stopping"])
        assert report["wakes_in_flight"] == 1
        assert (await manager.health("/livez"))[0] == 200
        (tmp_path / "gate").touch()
        assert (await calling).success
        assert await manager.ended() == 0
    async with Redis.from_url(url) as redis:
        assert not await redis.keys("byai_gateway:registry:worker:online:*")


async def test_what_is_unfinished_is_handed_over_at_once(url: str, tmp_path: Path) -> None:
    """Nobody waits for the lease to lapse: another manager makes a new attempt, and all is well."""
    never = f"echo={waiting_for(tmp_path / 'never')}"
    hasty = ("--shutdown-grace-s", "0", "--worker-stop-grace-s", "0", "--lease-s", "600")
    with manager_process(url, tmp_path / "one", "--worker", never, *hasty) as one:
        await until(one.is_ready)
        calling = asyncio.create_task(called(url))
        await one.has_logged("worker_started")
        with manager_process(url, tmp_path / "two", "--worker", WORKER) as two:
            await until(two.is_ready)
            assert await one.ends_after(signal.SIGTERM) == 0
            response = await calling
            assert response.success
            assert (await two.has_logged("taken_over"))["wakes"] == 1
            settled = await two.has_logged("wake_settled")
    assert settled["execution_id"] == response.execution_id
    assert (settled["status"], settled["attempt"]) == ("READY", 2)
    async with Redis.from_url(url) as redis:
        history = await RedisStore(redis).history(response.execution_id)
    names = [entry.event.name for entry in history]
    assert (names.count("WakeAttempted"), names.count("Delivered")) == (2, 1)


async def test_a_second_signal_stops_it_at_once(url: str, tmp_path: Path) -> None:
    """It waits for no wake and for no worker that does not heed SIGTERM; nothing is left."""
    never = f"echo={waiting_for(tmp_path / 'never')}"
    patient = ("--shutdown-grace-s", "600", "--worker-stop-grace-s", "600")
    with manager_process(url, tmp_path / "log", "--worker", never, *patient) as manager:
        await until(manager.is_ready)
        calling = asyncio.create_task(called(url))
        worker = (await manager.has_logged("worker_started"))["pid"]
        await until((tmp_path / "never.trapped").exists)

        def told_again() -> bool:
            manager.process.send_signal(signal.SIGTERM)
            return bool(manager.lines("stopping_at_once"))

        await until(told_again)
        assert await manager.ended() == 128 + signal.SIGTERM
    await until(lambda: not runs(worker))
    calling.cancel()
    await asyncio.gather(calling, return_exceptions=True)


async def test_a_signal_that_comes_twice_is_one(url: str, tmp_path: Path) -> None:
    """Ctrl-C reaches the manager, and a wrapper that then stops it, too: it is one stop."""
    worker = ("--worker", f"echo={waiting_for(tmp_path / 'gate')}")
    with manager_process(url, tmp_path / "log", *worker) as manager:
        await until(manager.is_ready)
        calling = asyncio.create_task(called(url))
        await manager.has_logged("worker_started")
        manager.process.send_signal(signal.SIGINT)
        manager.process.send_signal(signal.SIGTERM)
        await manager.has_logged("stopping")
        (tmp_path / "gate").touch()
        assert (await calling).success
        assert await manager.ended() in {0, 130}  # whichever the kernel delivers first
        assert not manager.lines("stopping_at_once")


async def test_it_can_be_stopped_while_the_server_is_away(tmp_path: Path) -> None:
    """SIGTERM is heeded whether the server is there or not."""
    server = await EmbeddedServer.start(tmp_path / "data")
    with manager_process(server.url, tmp_path / "log") as manager:
        await until(manager.is_ready)
        await server.stop()
        await manager.has_logged("server_away")
        assert await manager.ends_after(signal.SIGTERM) == 0
        assert [line["event"] for line in manager.lines()][-1] == "manager_stopped"
