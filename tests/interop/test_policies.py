"""What by-framework's own tests pin of a caller, on a real server, however the caller comes.

Here no manager is needed. Whoever changes over step by step, from by-framework's client as it is to
the switched one to by-cp's, is told the same by each, and finds the same on the server.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.commands import Configure
from by_cp.log.redis.store import RedisStore
from by_cp.statemachine.events import CircuitForced, FallbackSet, QuotaSet
from by_cp.wire import PendingDelivery
from tests.asking import ask
from tests.interop.conftest import Start
from tests.interop.ways import ACCEPTED, Send, Told

PENDING = RedisKeys.control_plane_delivery_pending_stream()


async def entries(redis: Redis, stream: str | bytes) -> Any:
    """What stands in a stream."""
    return await redis.xrange(stream)


async def commands(redis: Redis, agent_type: str) -> list[dict[str, Any]]:
    """What stands in an agent type's control stream."""
    found = await entries(redis, RedisKeys.ctrl_stream(agent_type))
    return [json.loads(fields[b"data"]) for _, fields in found]


async def test_who_is_online_gets_the_command(send: Send, redis: Redis, start: Start) -> None:
    """The default, FAIL_FAST, delivers to a worker that is there."""
    await start("echo")
    assert await send("echo") == ACCEPTED
    assert len(await commands(redis, "echo")) == 1


async def test_fail_fast_fails_at_once(send: Send, redis: Redis) -> None:
    """Nobody is there, so nothing is written for anyone."""
    told = await send("echo")
    assert told.error_code == "AGENT_TYPE_UNAVAILABLE"
    assert told.error == "No online worker found for agent_type 'echo'"
    assert await commands(redis, "echo") == []
    assert await redis.xlen(PENDING) == 0


async def test_send_anyway_skips_the_check(send: Send, redis: Redis) -> None:
    """Nobody is there, and the command is put into the control stream all the same."""
    assert await send("echo", route_policy="SEND_ANYWAY") == ACCEPTED
    [command] = await commands(redis, "echo")
    assert command["header"]["target_agent_type"] == "echo"
    assert command["body"]["content"] == "hello"


async def test_a_wait_that_times_out_dispatches_nothing(send: Send, redis: Redis) -> None:
    """No manager is there to answer."""
    told = await send("echo", route_policy="WAKE_AND_WAIT", availability_timeout_ms=100)
    assert told.error == "Timed out waiting for worker wakeup for agent_type 'echo'"
    assert told.error_code == "AGENT_TYPE_UNAVAILABLE"
    assert await commands(redis, "echo") == []


@pytest.mark.parametrize("policy", ["WAKE_AND_QUEUE", "QUEUE_ONLY"])
async def test_a_queued_command_is_pending(send: Send, policy: str, redis: Redis) -> None:
    """It stands in the pending stream, whole, and not in the control stream."""
    assert await send("echo", route_policy=policy, priority=7) == ACCEPTED
    [(_, fields)] = await entries(redis, PENDING)
    pending = PendingDelivery.from_json(fields[b"data"])
    assert pending.target_agent_type == "echo"
    assert pending.delivery_stream == RedisKeys.ctrl_stream("echo")
    assert pending.priority == 7
    assert pending.command_payload["body"]["content"] == "hello"
    assert await commands(redis, "echo") == []


async def test_an_open_circuit_rejects(send: Send, redis: Redis, start: Start) -> None:
    """Whoever is online: it was opened by hand, in by-framework's key."""
    await start("echo")
    key = RedisKeys.control_plane_agent_circuit("echo")
    await redis.set(key, '{"state":"open","reason":"being mended"}')
    assert await send("echo") == Told(False, "being mended", "AGENT_CIRCUIT_OPEN")  # noqa: FBT003
    assert await commands(redis, "echo") == []


async def test_a_circuit_that_by_cp_opens_rejects(send: Send, redis: Redis, start: Start) -> None:
    """By-framework's client reads it where it always did; and closed it is, too."""
    await start("echo")
    store = RedisStore(redis)
    await store.execute(Configure(event=CircuitForced("", "echo", "OPEN", "being mended")))
    assert (await send("echo")).error_code == "AGENT_CIRCUIT_OPEN"
    await store.execute(Configure(event=CircuitForced("", "echo", "CLOSED")))
    assert await send("echo") == ACCEPTED


async def test_a_used_quota_rejects(send: Send, redis: Redis, start: Start) -> None:
    """Of the tenant that used it, and of nobody else."""
    await start("echo")
    key = RedisKeys.control_plane_user_quota("acme")
    await redis.set(key, '{"available":false,"reason":"unpaid"}')
    told = await send("echo", user_code="acme")
    assert told == Told(False, "unpaid", "TENANT_QUOTA_EXCEEDED")  # noqa: FBT003
    assert await send("echo", user_code="umbrella") == ACCEPTED


async def test_a_quota_that_by_cp_counts_rejects(send: Send, redis: Redis, start: Start) -> None:
    """What is held of a tenant is counted, and by-framework's client reads that it is enough."""
    await start("echo")
    store = RedisStore(redis)
    await store.execute(Configure(event=QuotaSet("", "acme", 1)))
    await ask(store, "asleep", user_code="acme")
    told = await send("echo", user_code="acme")
    assert told.error == "tenant quota exceeded: 1 of 1 in flight"
    assert told.error_code == "TENANT_QUOTA_EXCEEDED"


@pytest.mark.parametrize("by", ["by-cp", "selected_agent_type", "agent_type", "target_agent_type"])
async def test_a_fallback_gets_a_command_in_its_own_name(
    by: str, send: Send, redis: Redis, start: Start
) -> None:
    """The header names the agent type that stands in, in whose stream the command is."""
    await start("spare")
    if by == "by-cp":
        await RedisStore(redis).execute(Configure(event=FallbackSet("", "echo", "spare")))
    else:
        text = f'{{"{by}":"spare"}}'
        await redis.set(RedisKeys.control_plane_agent_fallback("echo"), text)
    assert await send("echo") == ACCEPTED
    [command] = await commands(redis, "spare")
    assert command["header"]["target_agent_type"] == "spare"
    assert await commands(redis, "echo") == []
