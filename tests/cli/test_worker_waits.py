"""`by-cp worker` and a server that is away: it is waited for, as the manager does."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from by_cp.embedded import EmbeddedServer
from tests.cli.operating import BY_CP

HANDLER = ("--agent-type", "a", "--handler", "by_cp.cli.demo_agents:shout")


@contextmanager
def _worker(url: str) -> Iterator[subprocess.Popen[str]]:
    """A worker that runs meanwhile, and is killed at the end if it still does."""
    command = (*BY_CP, "worker", *HANDLER, "--log-format", "json", "--url", url)
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


async def _logged(worker: subprocess.Popen[str], event: str) -> list[str]:
    """Return what it logs up to an event, which is awaited."""
    assert worker.stderr is not None
    events: list[str] = []
    while event not in events:
        line = await asyncio.to_thread(worker.stderr.readline)
        assert line, f"it ended with {worker.poll()}: {events}"
        events.append(json.loads(line)["event"])
    return events


async def test_it_may_be_started_before_the_server_and_outlives_it(tmp_path: Path) -> None:
    """It says once that the server is away, and works when it is there, again and again."""
    async with await EmbeddedServer.start(tmp_path) as server:
        url = server.url
    with _worker(url) as worker:
        assert await _logged(worker, "server_away") == ["server_away"]
        for came in ("worker_online", "recovered"):
            async with await EmbeddedServer.start(tmp_path) as server:
                assert server.url == url
                assert "server_away" not in await _logged(worker, came)
            await _logged(worker, "server_away")
        worker.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(worker.wait, 20) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
async def test_it_can_be_stopped_while_it_waits(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    """At once, and in order."""
    with _worker(f"unix://{tmp_path}/nobody.sock") as worker:
        await _logged(worker, "server_away")
        worker.send_signal(number)
        assert await asyncio.to_thread(worker.wait, 20) == code
        assert worker.stderr is not None
        assert "Traceback" not in worker.stderr.read()
