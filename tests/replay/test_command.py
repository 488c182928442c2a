"""by-replay, as a real process on a real server."""

from __future__ import annotations

import asyncio
import json
import os
import sys

import pytest
from redis.asyncio import Redis

from by_cp.log.redis.store import RedisStore
from by_cp.vocabulary import RoutePolicy
from tests.asking import ask


async def by_replay(*arguments: str, **env: str) -> tuple[int, str, str]:
    """Run the command; return its exit code, its output and its complaints."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "by_cp.replay.command", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "80", **env},
    )
    output, complaints = await process.communicate()
    return process.returncode or 0, output.decode(), complaints.decode()


async def test_a_rejection_shows_why(redis: Redis, url: str) -> None:
    """The table of a rejected execution fits into 80 columns and has the evidence."""
    receipt = await ask(RedisStore(redis), "poet")
    rejected = await ask(RedisStore(redis), "poet", RoutePolicy.FAIL_FAST)
    code, output, _ = await by_replay(rejected.execution_id, "--url", url)
    assert code == 0
    assert "new → REQUESTED" in output
    assert "circuit CLOSED" in output
    assert "no worker online of 0 registered" in output
    assert "REQUESTED → REJECTED" in output
    assert receipt.execution_id not in output
    assert max(map(len, output.splitlines())) <= 80


async def test_json_is_an_array_of_objects(redis: Redis, url: str) -> None:
    """With --json it is for programs; the URL may come from the environment."""
    receipt = await ask(RedisStore(redis), "poet", user_code="acme")
    code, output, _ = await by_replay(receipt.execution_id, "--json", BY_CP_URL=url)
    assert code == 0
    steps = json.loads(output)
    assert [step["event"] for step in steps] == ["Requested", "Held", "WakeRequested"]
    assert [step["after"] for step in steps] == ["REQUESTED", "REQUESTED", "WAKING"]
    assert steps[0]["fields"]["call"]["user_code"] == "acme"
    assert "command" not in steps[1]["fields"]


async def test_the_payload_comes_when_asked_for(redis: Redis, url: str) -> None:
    """--payload shows the command as it was sent."""
    receipt = await ask(RedisStore(redis), "poet")
    _, output, _ = await by_replay(receipt.execution_id, "--json", "--payload", "--url", url)
    command = json.loads(json.loads(output)[1]["fields"]["command"])
    assert command["body"]["content"] == receipt.execution_id


@pytest.mark.parametrize("execution_id", ["exec-none", "", "\udcff", "a\nb"])
async def test_an_unknown_id_is_one_line(url: str, execution_id: str) -> None:
    """Whatever was typed, the answer is one clear line and exit code 1."""
    code, output, complaint = await by_replay(execution_id, "--url", url)
    assert (code, output) == (1, "")
    assert complaint.startswith("by-replay: ")
    assert complaint.count("\n") == 1


@pytest.mark.parametrize("url", ["redis://:s3cret@localhost:1", "nonsense"])
async def test_no_server_is_one_line(url: str) -> None:
    """A server that is not there, and a URL that is none, give one clear line each."""
    code, _, complaint = await by_replay("exec-1", "--url", url)
    assert code == 1
    assert complaint.count("\n") == 1
    assert "s3cret" not in complaint


async def test_wrong_usage_exits_with_2() -> None:
    """No execution id, or an unknown option, is wrong usage."""
    assert (await by_replay())[0] == 2
    assert (await by_replay("exec-1", "--what"))[0] == 2


async def test_a_reader_that_has_enough_is_no_error(redis: Redis, url: str) -> None:
    """`by-replay … | head -1` ends in silence."""
    receipt = await ask(RedisStore(redis), "poet")
    command = f"{sys.executable} -m by_cp.replay.command {receipt.execution_id} | true"
    process = await asyncio.create_subprocess_shell(
        command, stderr=asyncio.subprocess.PIPE, env={**os.environ, "BY_CP_URL": url}
    )
    _, complaints = await process.communicate()
    assert complaints == b""
