"""--follow: a history goes on as it happens, until its execution is settled."""

from __future__ import annotations

import asyncio
import json
import os
import signal

from redis.asyncio import Redis

from by_cp.log.commands import GiveUp
from by_cp.log.redis.store import RedisStore
from by_cp.vocabulary import RoutePolicy
from tests.asking import ask
from tests.replay.replayed import BY_REPLAY, by_replay


async def following(*arguments: str) -> asyncio.subprocess.Process:
    """Start the command."""
    return await asyncio.create_subprocess_exec(
        *(*BY_REPLAY, *arguments, "--follow"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "80"},
    )


async def until_printed(process: asyncio.subprocess.Process, text: str) -> str:
    """Read lines until one has a text."""
    assert process.stdout
    lines = ""
    while text not in lines:
        line = await asyncio.wait_for(process.stdout.readline(), 10)
        assert line, lines
        lines += line.decode()
    return lines


async def test_it_goes_on_until_the_execution_is_settled(redis: Redis, url: str) -> None:
    """What others do in the meantime is not shown; with the last event it ends by itself."""
    store = RedisStore(redis)
    mine = await ask(store, "poet", RoutePolicy.WAKE_AND_WAIT)
    process = await following(mine.execution_id, "--url", url)
    await until_printed(process, "WakeRequested")
    other = await ask(store, "painter", RoutePolicy.FAIL_FAST)
    await store.execute(GiveUp(execution_id=mine.execution_id, reason="no patience"))
    output, complaints = await asyncio.wait_for(process.communicate(), 10)
    assert (process.returncode, complaints) == (0, b"")
    assert "Rejected" in output.decode()
    assert "no patience" in output.decode()
    assert other.execution_id not in output.decode()


async def test_with_json_each_event_is_a_line(redis: Redis, url: str) -> None:
    """An array could not be read before its end; of a settled execution it is all at once."""
    rejected = await ask(RedisStore(redis), "poet", RoutePolicy.FAIL_FAST)
    done = await by_replay(rejected.execution_id, "--follow", "--json", "--url", url)
    events = [json.loads(line)["event"] for line in done.output.splitlines()]
    assert events == ["Requested", "Rejected"]


async def test_ctrl_c_ends_it_quietly(redis: Redis, url: str) -> None:
    """Exit code 130, and not a word."""
    receipt = await ask(RedisStore(redis), "poet")
    process = await following(receipt.execution_id, "--url", url)
    await until_printed(process, "WakeRequested")
    process.send_signal(signal.SIGINT)
    _, complaints = await asyncio.wait_for(process.communicate(), 10)
    assert (process.returncode, complaints) == (130, b"")
