"""What by-framework's Java port writes, and does otherwise than the Python one."""

from __future__ import annotations

import json
from typing import Any

from redis.asyncio import Redis

from by_cp.keys import PREFIX, RedisKeys
from by_cp.log.redis.store import RedisStore
from by_cp.manager.manager import Manager
from tests.asking import state
from tests.manager.providers import Answering, Starting
from tests.manager.running import running
from tests.waiting import until

REQUEST = {
    "execution_id": "exec-1",
    "target_agent_type": "echo",
    "session_id": "s",
    "trace_id": "t",
    "message_id": "msg-1",
    "source": "client",
    "policy": "WAKE_AND_WAIT",
    "timeout_ms": "30000",
    "tenant_id": "acme",
    "user_code": None,
    "region": "",
    "priority": "5",
    "metadata": {},
    "command_payload": {"action_type": "ASK_AGENT", "header": {"message_id": "msg-1"}, "body": {}},
    "status": "PENDING",
    "error_code": "ERR_AGENT_TYPE_UNAVAILABLE",
    "requested_at": 1_700_000_000_000,
}
"""With numbers as texts, a tenant under its other name, and fields that no other port has."""


async def answered(redis: Redis) -> dict[str, Any]:
    """Wait for what is said where the client listens."""
    key = RedisKeys.control_plane_wakeup_result_stream("exec-1")

    async def is_there() -> bool:
        return bool(await redis.exists(key))

    await until(is_there)
    found: Any = await redis.xrange(key)
    [(_, fields)] = found
    return dict(json.loads(fields[b"data"]))


async def test_its_request_is_served(redis: Redis) -> None:
    """Though a claim of its own, with nothing for what is empty, has an hour to live."""
    await redis.set(f"{PREFIX}wakeup:dedupe:echo:acme:", "exec-0", ex=3600)
    await redis.xadd(RedisKeys.control_plane_wakeup_stream(), {"data": json.dumps(REQUEST)})
    store = RedisStore(redis)
    async with running(Manager(redis, Starting(store)).run()):
        assert (await answered(redis))["status"] == "READY"
        await until(lambda: _is_delivered(store))
    row = (await store.views()).executions["exec-1"]
    call = row.call
    assert (call.user_code, call.priority, call.timeout_ms) == ("acme", 5, 30_000)


async def test_its_provider_may_answer_in_its_way(redis: Redis) -> None:
    """A code among the fields, workers as one text, a number as a text."""
    await redis.xadd(RedisKeys.control_plane_wakeup_stream(), {"data": json.dumps(REQUEST)})
    said = {
        "status": "REJECTED",
        "error_code": "ERR_AGENT_TYPE_UNAVAILABLE",
        "reason": "no image",
        "worker_ids": "w-1, w-2",
        "retry_after_ms": "500",
    }
    async with running(Manager(redis, Answering(said)).run()):
        told = await answered(redis)
    assert (told["status"], told["reason"]) == ("REJECTED", "no image")


async def _is_delivered(store: RedisStore) -> bool:
    return await state(store, "exec-1") == "DELIVERED"
