"""The manager in operation: real processes, real signals, a server that comes and goes."""

from __future__ import annotations

import asyncio
import os
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
from by_cp.vocabulary import RoutePolicy
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
    async with Redis.from_url(url) as redis:
        client = GatewayClient(redis_client=redis)
        response = await client.send_message(
            "echo", "s", "hi", route_policy=RoutePolicy.WAKE_AND_WAIT
        )
        return response.success


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
            await until(lambda: failed(manager, 4), 30)
            attempts = len(came)
            status, report = await manager.health()
            assert (status, (await manager.health("/livez"))[0]) == (503, 200)
        failures = sum(loop["failures"] + 1 for loop in report["loops"].values())
        assert attempts <= failures * (RETRIES + 1)
        server = await EmbeddedServer.start(tmp_path / "data")
        await until(manager.is_ready, 20)
        assert await woken(server.url)
        away = [line["loop"] for line in manager.lines("server_away")]
        assert sorted(away) == ["controller", "gate", "heartbeat", "sweeper"]
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
