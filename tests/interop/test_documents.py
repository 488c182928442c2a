"""What by-cp writes for by-framework to read: its own readers read it, and meet no null.

They crash on a null where they expect an object, a list or a number; `retry_after_ms` may be one.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from by_framework.core.availability import PendingDelivery, WakeupDecision, WakeupRequest
from by_framework.core.protocol.commands import command_from_dict
from redis.asyncio import Redis

import by_cp
from by_cp.keys import RedisKeys
from by_cp.log.commands import Configure
from by_cp.log.redis.store import RedisStore
from by_cp.manager.manager import Manager
from by_cp.statemachine.events import CircuitForced, FallbackSet, QuotaSet
from tests.interop.conftest import Start
from tests.interop.providers import StartingStock
from tests.interop.test_managers import DEAD_LETTERS, RESULTS
from tests.interop.test_observed import WAKEUP, there
from tests.interop.test_policies import PENDING, commands, entries
from tests.interop.ways import SESSION
from tests.manager.running import running
from tests.waiting import until


def nulls(document: Any, place: str = "") -> Iterator[str]:
    """Where a document has a null."""
    if document is None:
        yield place
    elif isinstance(document, dict):
        for name, value in document.items():
            yield from nulls(value, f"{place}.{name}")
    elif isinstance(document, list):
        for value in document:
            yield from nulls(value, f"{place}[]")


async def documents(redis: Redis, stream: str | bytes) -> AsyncIterator[dict[str, Any]]:
    """The documents in a stream; none has a null."""
    for _, fields in await entries(redis, stream):
        document = json.loads(fields[b"data"])
        assert [*nulls(document)] in ([], [".retry_after_ms"])
        yield document


@pytest.fixture(params=[{}, {"user_code": "acme", "region": "eu", "metadata": {"a": [{}]}}])
def rest(request: pytest.FixtureRequest) -> dict[str, Any]:
    """As little as a caller may say, and all of it."""
    return dict(request.param)


async def test_what_waits_can_be_read(redis: Redis, rest: dict[str, Any]) -> None:
    """The request for a wake, and the command that is held."""
    client = by_cp.GatewayClient(redis_client=redis)
    sent = await client.send_message(
        "echo", SESSION, "hello", route_policy="WAKE_AND_QUEUE", **rest
    )
    [request] = [WakeupRequest.from_dict(d) async for d in documents(redis, WAKEUP)]
    [held] = [PendingDelivery.from_dict(d) async for d in documents(redis, PENDING)]
    for found in (request, held):
        assert (found.execution_id, found.target_agent_type) == (sent.execution_id, "echo")
        assert (found.user_code, found.region, found.metadata) == (
            *(rest.get("user_code", ""), rest.get("region", "")),
            rest.get("metadata", {}),
        )
    assert held.delivery_stream == RedisKeys.ctrl_stream("echo")
    assert command_from_dict(held.command_payload).content == "hello"


@pytest.mark.parametrize("status", ["READY", "FAILED"])
async def test_what_came_of_it_can_be_read(
    status: str, redis: Redis, start: Start, rest: dict[str, Any]
) -> None:
    """The decision, the command that was delivered, the dead letter, what resumes the caller."""
    context = by_cp.AgentContext(
        SESSION, "trace-1", redis, current_agent_id="caller", message_id="parent-1"
    )
    asked = {name: value for name, value in rest.items() if name == "metadata"}
    stream = RedisKeys.ctrl_stream("echo") if status == "READY" else DEAD_LETTERS
    async with running(Manager(redis, StartingStock(start, status=status)).run()):
        await context.call_agent("echo", "hello", route_policy="WAKE_AND_QUEUE", **asked)
        await until(lambda: there(redis, stream, 1))
        await context.call_agent("echo", "hello", route_policy="WAKE_AND_WAIT", **asked)
    # What a worker itself answers is not by-cp's to write.
    resumes = [c for c in await commands(redis, "caller") if c["body"]["status"] == "FAILED"]
    for command in [*await commands(redis, "echo"), *resumes]:
        assert [*nulls(command)] == []
        assert command_from_dict(command).header.session_id == SESSION
    for key in await redis.keys(RESULTS):
        async for document in documents(redis, key):
            assert WakeupDecision.from_dict(document).status == status
    assert len(resumes) == (status == "FAILED")
    async for letter in documents(redis, DEAD_LETTERS):
        assert WakeupDecision.from_dict(letter).reason == "the image is gone"
    registry: Any = await redis.hgetall(RedisKeys.session_registry(SESSION))
    for name, value in registry.items():
        assert name.startswith(b"msg_map:") or [*nulls(json.loads(value))] == []


async def test_what_is_set_can_be_read(redis: Redis) -> None:
    """Circuit, quota under both of its names, fallback."""
    store = RedisStore(redis)
    for event in (
        CircuitForced("", "echo", "OPEN"),
        QuotaSet("", "acme", 0),
        FallbackSet("", "echo", "spare"),
    ):
        await store.execute(Configure(event=event))
    for key in (
        RedisKeys.control_plane_agent_circuit("echo"),
        RedisKeys.control_plane_tenant_quota("acme"),
        RedisKeys.control_plane_user_quota("acme"),
        RedisKeys.control_plane_agent_fallback("echo"),
    ):
        assert [*nulls(json.loads(await redis.get(key) or "null"))] == []
