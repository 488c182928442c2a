"""by-framework's schema v2: a process whose environment asks for it uses its keys, no others."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from by_cp.errors import InvalidInput
from by_cp.keys import schema_of

ROOT = Path(__file__).parent.parent

KEYS_OF_V2 = {
    "ctrl_stream": "ctrl:agent_type:x",
    "worker_ctrl_stream": "ctrl:worker:{x}",
    "session_data_stream": "session:{x}:data_stream",
    "session_registry": "session:{x}:registry",
    "agent_type_members": "registry:agent_type:{x}:workers",
    "worker_declared_agent_types": "registry:worker:{x}:agent_types",
    "worker_online_lease": "registry:worker:{x}:online",
    "control_plane_wakeup_result_stream": "control_plane:mgmt:wakeup:result:x",
    "control_plane_agent_circuit": "control_plane:circuit:agent_type:x",
    "control_plane_user_quota": "control_plane:quota:user:x",
    "log": "control_plane:log",
}

LIFE = """
import asyncio, sys
from by_cp import ControlPlane
from by_cp.keys import RedisKeys
from by_cp.wire import PendingDelivery
from tests.manager.providers import Starting
from tests.waiting import until

async def handle(command):
    return "hello"

async def live():
    async with ControlPlane.connect(sys.argv[1]) as plane:
        held = PendingDelivery("exec-1", "msg-1", "s", "t", "echo",
            RedisKeys.ctrl_stream("echo"), {"action_type": "ASK_AGENT", "header": {
            "message_id": "msg-1", "session_id": "s", "trace_id": "t"}, "body": {}}, "acme")
        await plane.redis.xadd(
            RedisKeys.control_plane_delivery_pending_stream(), held.to_redis_payload())
        manager = asyncio.create_task(plane.manager(Starting(plane.store)).run())
        sent = await plane.client.send_message(
            "echo", "s", "hello", user_code="acme", route_policy="WAKE_AND_WAIT")
        assert sent.success, sent
        worker = asyncio.create_task(plane.worker("echo", handle).run())
        async def answered():
            return len([r for r in await plane.replies("s") if r["event_type"] == "finalAnswer"])
        await until(lambda: two(answered))
        for task in (worker, manager):
            task.cancel()
        await asyncio.gather(worker, manager, return_exceptions=True)

async def two(answered):
    return await answered() == 2

asyncio.run(live())
"""


def in_v2(code: str, *arguments: str) -> str:
    """Run a program in an environment of schema v2; what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "REDIS_KEY_SCHEMA_VERSION": "v2", "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("environment", "schema"),
    [
        ({}, "v1"),
        ({"REDIS_KEY_SCHEMA_VERSION": "v2"}, "v2"),
        ({"REDIS_CLUSTER_HOST": "there"}, "v2"),
        ({"REDIS_CLUSTER_HOST": "there", "REDIS_KEY_SCHEMA_VERSION": "v1"}, "v1"),
    ],
)
def test_the_environment_says_which(environment: dict[str, str], schema: str) -> None:
    """By by-framework's own rule, so that one setting serves both."""
    assert schema_of(environment) == schema


def test_an_unknown_schema_is_refused() -> None:
    """Before anything is written under the wrong keys."""
    with pytest.raises(InvalidInput, match="must be v1 or v2, not 'v3'"):
        schema_of({"REDIS_KEY_SCHEMA_VERSION": "v3"})


def test_its_keys_are_spelled_as_by_framework_does() -> None:
    """The braces are literal: they are a cluster's hash tags."""
    code = (
        "import json; from by_cp.keys import RedisKeys as K;"
        f"names = {[*KEYS_OF_V2]!r};"
        "print(json.dumps([getattr(K, n)(*'x' * (n != 'log')) for n in names]))"
    )
    assert json.loads(in_v2(code)) == [f"byai_gateway:v2:{key}" for key in KEYS_OF_V2.values()]


async def test_everything_happens_below_its_prefix(redis: Redis, url: str) -> None:
    """A send, a wake, a worker, a reply, and a foreign client's command: no key of schema v1."""
    await asyncio.to_thread(in_v2, LIFE, url)
    keys: Any = await redis.keys("*")
    assert [key for key in keys if not key.startswith(b"byai_gateway:v2:")] == []
    registry = await redis.hgetall("byai_gateway:v2:session:{s}:registry")
    assert len(registry) == 2
