"""`by-cp views`, as a script runs it: real processes, real exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.redis.store import RedisStore
from tests.contract.test_reading import something_of_everything


def views(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    command = [sys.executable, "-m", "by_cp.cli", "views", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def told(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    """Return the JSON object that it printed."""
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.fixture
async def store(redis: Redis) -> RedisStore:
    """A store in whose log there is something of everything."""
    store = RedisStore(redis)
    await something_of_everything(store)
    return store


async def test_verify_says_what_differs(store: RedisStore, redis: Redis, url: str) -> None:
    """Exit code 1, the row, what it must be and what it is; 0 when nothing differs."""
    done = views("verify", "--json", "--url", url)
    assert (done.returncode, told(done)["ok"]) == (0, True)
    await redis.hset(RedisKeys.view_quota("acme"), "l", "6")
    done = views("verify", "--json", "--url", url)
    assert done.returncode == 1
    [difference] = told(done)["differences"]
    assert (difference["view"], difference["key"]) == ("quotas", "acme")
    assert difference["fields"] == {"l": ["5", "6"]}
    done = views("verify", "--url", url)
    assert "differs: quotas 'acme': limit is '6', must be '5'" in done.stderr
    assert await store.read()


async def test_rebuild_says_what_it_put_right(store: RedisStore, redis: Redis, url: str) -> None:
    """Exit code 0, the row, what it was; the second time there is nothing to do."""
    await redis.hset(RedisKeys.view_quota("acme"), "l", "6")
    done = views("rebuild", "--url", url)
    assert done.returncode == 0, done.stderr
    assert "put right: quotas 'acme': limit was '6', must be '5'" in done.stderr
    done = views("rebuild", "--json", "--url", url)
    assert (done.returncode, told(done)["changed"]) == (0, [])
    assert (await store.views()).quotas["acme"].limit == 5


async def test_a_snapshot_is_written_checked_and_gone_on_from(
    store: RedisStore, url: str, tmp_path: Path
) -> None:
    """Three commands, one file."""
    file = str(tmp_path / "views.snapshot")
    done = views("snapshot", file, "--json", "--url", url)
    assert done.returncode == 0, done.stderr
    entries = len(await store.read())
    assert told(done)["events"] == entries
    again = views("snapshot", file, "--check", "--json", "--url", url)
    assert (again.returncode, told(again)["sha256"]) == (0, told(done)["sha256"])
    verified = views("verify", "--from-snapshot", file, "--json", "--url", url)
    assert (verified.returncode, told(verified)["events"]) == (0, 0)
