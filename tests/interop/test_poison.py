"""Each kind of entry that nobody can read, in each stream, and healthy ones before and after it.

One of them is enough to let by-framework's controller crash again and again, or its gate stop.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

import by_framework
import pytest
from by_framework.core.registry import WorkerRegistry
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.redis.store import RedisStore
from by_cp.manager.manager import Manager
from tests.interop.conftest import Start
from tests.interop.providers import StartingStock
from tests.interop.test_observed import WAKEUP, there
from tests.interop.test_policies import PENDING
from tests.interop.ways import ACCEPTED, by_client
from tests.manager.running import running
from tests.waiting import until

HEALTHY: dict[str, Any] = {
    "execution_id": "exec-poison",
    "target_agent_type": "echo",
    "session_id": "s",
    "trace_id": "t",
    "message_id": "m",
    "policy": "WAKE_AND_WAIT",
    "command_payload": {"action_type": "ASK_AGENT", "header": {}, "body": {}},
}

POISON: dict[str, Any] = {
    "not JSON": {"data": "not JSON"},
    "cut short": {"data": json.dumps(HEALTHY)[:-1]},
    "a list": {"data": "[]"},
    "null": {"data": "null"},
    "not UTF-8": {"data": b"\xff\xfe{}"},
    "no data": {"other": "field"},
    "nested beyond reason": {"data": "[" * 5000 + "]" * 5000},
    "priority is a word": {"data": json.dumps(HEALTHY | {"priority": "high"})},
    "metadata is a list": {"data": json.dumps(HEALTHY | {"metadata": ["a"]})},
    "nobody's": {"data": json.dumps(HEALTHY | {"target_agent_type": ""})},
    "a payload that is a number": {"data": json.dumps(HEALTHY | {"command_payload": 7})},
}


@pytest.mark.parametrize("stream", [WAKEUP, PENDING], ids=["wakeup", "pending"])
@pytest.mark.parametrize("kind", POISON)
async def test_poison_is_set_aside_and_all_else_goes_on(
    kind: str, stream: str, redis: Redis, theirs: Redis, start: Start
) -> None:
    """With the reason; a manager that starts later does not meet it again."""
    send = by_client(by_framework.GatewayClient(registry=WorkerRegistry(theirs)))
    assert await send("echo", "before", route_policy="QUEUE_ONLY") == ACCEPTED
    await redis.xadd(stream, POISON[kind])
    provider = StartingStock(start)
    async with running(Manager(redis, provider).run()):
        told = await asyncio.gather(
            send("echo", "waits", route_policy="WAKE_AND_WAIT"),
            send("echo", "queues", route_policy="WAKE_AND_QUEUE"),
        )
        assert [*told] == [ACCEPTED] * 2
        await until(lambda: len(provider.workers["echo"].handled) == 3)
        await until(lambda: there(redis, WAKEUP, 0))
        await until(lambda: there(redis, PENDING, 0))
    assert sorted(provider.workers["echo"].contents()) == ["before", "queues", "waits"]
    [aside] = await RedisStore(redis).quarantined()
    assert aside.reason
    assert aside.stream == stream


@pytest.mark.parametrize("nothing", ["metadata", "priority", "region", "timeout_ms", "user_code"])
async def test_a_null_is_understood(nothing: str, redis: Redis, start: Start) -> None:
    """by-framework's controller crashes on some of them; here they are what is missing."""
    await redis.xadd(WAKEUP, {"data": json.dumps(HEALTHY | {nothing: None})})
    provider = StartingStock(start)
    async with running(Manager(redis, provider).run()):
        result = RedisKeys.control_plane_wakeup_result_stream("exec-poison")
        await until(lambda: there(redis, result, 1))
    assert len(provider.asked) == 1
    assert await RedisStore(redis).quarantined() == []
