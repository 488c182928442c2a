"""What by-framework's own tests pin of its manager side, however the caller comes.

A by-cp manager runs; its provider starts stock workers.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any

from by_framework.core.availability import WakeupDecision
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.redis.store import RedisStore
from by_cp.manager.manager import Manager
from tests.interop.conftest import Start
from tests.interop.providers import StartingStock
from tests.interop.test_policies import commands, entries
from tests.interop.ways import ACCEPTED, Send
from tests.manager.running import running
from tests.waiting import until

RESULTS = RedisKeys.control_plane_wakeup_result_stream("*")
DEAD_LETTERS = RedisKeys.control_plane_deadletter_stream()


async def decisions(redis: Redis) -> list[WakeupDecision]:
    """What was said on all result streams, as by-framework reads it."""
    found = []
    for key in await redis.keys(RESULTS):
        for _, fields in await entries(redis, key):
            found.append(WakeupDecision.from_dict(json.loads(fields[b"data"])))
    return found


async def test_who_waits_is_delivered_once_the_agent_is_ready(
    send: Send, redis: Redis, start: Start
) -> None:
    """And the worker that was started for it handles it."""
    provider = StartingStock(start)
    async with running(Manager(redis, provider).run()):
        assert await send("echo", "one", route_policy="WAKE_AND_WAIT") == ACCEPTED
        await until(lambda: provider.workers["echo"].contents() == ["one"])
    assert len(await commands(redis, "echo")) == 1


async def test_who_waits_is_told_ready_in_by_frameworks_words(
    send: Send, redis: Redis, start: Start
) -> None:
    """On the result stream of its execution, where by-framework's client looks."""
    async with running(Manager(redis, StartingStock(start)).run()):
        await send("echo", route_policy="WAKE_AND_WAIT")
        [decision] = await decisions(redis)
    assert decision.status == "READY"
    assert decision.worker_ids == ["worker-of-echo"]
    key = RedisKeys.control_plane_wakeup_result_stream(decision.execution_id)
    assert await redis.exists(key)


async def test_what_is_queued_is_delivered_once_the_agent_is_ready(
    send: Send, redis: Redis, start: Start
) -> None:
    """The caller went on long ago; nothing of it is left pending."""
    provider = StartingStock(start)
    assert await send("echo", "one", route_policy="WAKE_AND_QUEUE") == ACCEPTED
    async with running(Manager(redis, provider).run()):
        await until(lambda: bool(provider.workers) and provider.workers["echo"].handled != [])
    assert provider.workers["echo"].contents() == ["one"]
    assert await entries(redis, RedisKeys.control_plane_delivery_pending_stream()) == []
    assert await entries(redis, RedisKeys.control_plane_wakeup_stream()) == []


async def test_one_wake_serves_all_who_wait_for_it(send: Send, redis: Redis, start: Start) -> None:
    """The provider is asked once, and ten of ten are told; by-framework tells one of ten."""
    provider = StartingStock(start)
    async with running(Manager(redis, provider).run()):
        told = await asyncio.gather(
            *(send("echo", f"m{n}", route_policy="WAKE_AND_WAIT") for n in range(10))
        )
    assert told == [ACCEPTED] * 10
    assert len(provider.asked) == 1
    assert len(await commands(redis, "echo")) == 10


async def test_a_quota_at_the_specified_key_holds_for_who_waits(
    send: Send, redis: Redis, start: Start
) -> None:
    """By-framework's client does not look there, but its request comes to a manager, which does."""
    await redis.set(RedisKeys.control_plane_tenant_quota("acme"), '{"available":false}')
    provider = StartingStock(start)
    async with running(Manager(redis, provider).run()):
        told = await send("echo", user_code="acme", route_policy="WAKE_AND_WAIT")
    assert told.error == "tenant quota exceeded"
    assert provider.asked == []
    assert await commands(redis, "echo") == []


async def test_a_provider_that_raises_is_asked_again(
    send: Send, redis: Redis, start: Start
) -> None:
    """As often as the manager's owner allows."""
    provider = StartingStock(start, raises=2)
    async with running(Manager(redis, provider, attempts_max=3).run()):
        assert await send("echo", route_policy="WAKE_AND_WAIT") == ACCEPTED
    assert len(provider.asked) == 3


async def test_a_wake_that_fails_is_told_to_who_waits(
    send: Send, redis: Redis, start: Start
) -> None:
    """With the provider's reason, and by-framework's code."""
    async with running(Manager(redis, StartingStock(start, status="FAILED")).run()):
        told = await send("echo", route_policy="WAKE_AND_WAIT")
    assert not told.accepted
    assert told.error == "the image is gone"
    assert told.error_code == "AGENT_TYPE_UNAVAILABLE"
    assert await commands(redis, "echo") == []


async def test_a_command_whose_wake_failed_is_a_dead_letter(
    send: Send, redis: Redis, start: Start
) -> None:
    """The command is in it, so that it can be redriven; by-framework buries the decision only."""
    async with running(Manager(redis, StartingStock(start, status="FAILED")).run()):
        await send("echo", "one", route_policy="WAKE_AND_QUEUE")
        await until(lambda: _any_entry(redis, DEAD_LETTERS))
    [(_, fields)] = await entries(redis, DEAD_LETTERS)
    letter = json.loads(fields[b"data"])
    assert WakeupDecision.from_dict(letter).reason == "the image is gone"
    assert letter["command_payload"]["body"]["content"] == "one"


async def test_the_gate_releases_what_is_for_the_agent_that_is_ready(
    send: Send, redis: Redis, start: Start
) -> None:
    """And nothing else."""
    await send("echo", "one", route_policy="QUEUE_ONLY")
    await send("other", "two", route_policy="QUEUE_ONLY")
    await start("echo")
    async with running(Manager(redis, StartingStock(start)).run()):
        await until(lambda: _any_entry(redis, RedisKeys.ctrl_stream("echo")))
    assert await commands(redis, "other") == []
    assert len(await RedisStore(redis).held("other", 10)) == 1


async def test_what_is_urgent_is_delivered_first(send: Send, redis: Redis, start: Start) -> None:
    """Then what is older."""
    for content, priority in [("low", 1), ("high", 9), ("middle", 5), ("low, later", 1)]:
        await send("echo", content, route_policy="QUEUE_ONLY", priority=priority)
    await start("echo")
    async with running(Manager(redis, StartingStock(start)).run()):
        await until(lambda: _entries_there(redis, RedisKeys.ctrl_stream("echo"), 4))
    contents = [command["body"]["content"] for command in await commands(redis, "echo")]
    assert contents == ["high", "middle", "low", "low, later"]


async def _any_entry(redis: Redis, stream: str) -> bool:
    return await _entries_there(redis, stream, 1)


async def _entries_there(redis: Redis, stream: str, count: int) -> bool:
    found: Any = await redis.xlen(stream)
    return bool(found >= count)
