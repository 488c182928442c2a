"""An agent that calls another is never left suspended, whatever becomes of the wake.

The calling agent runs in a stock worker, with by-framework's own context: as it is, with by-cp's
manager on the same server, or switched to by-cp's router.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import by_framework
import pytest
from by_framework.core.registry import WorkerRegistry
from redis.asyncio import Redis

from by_cp import interop
from by_cp.keys import RedisKeys
from by_cp.log.commands import Redrive
from by_cp.log.redis.store import RedisStore
from by_cp.manager.manager import Manager
from by_cp.operating import Operate
from tests.interop.conftest import Start
from tests.interop.providers import StartingStock
from tests.interop.stock import Handler
from tests.interop.test_policies import entries
from tests.interop.test_stock_worker import SESSION, has, said
from tests.manager.running import running
from tests.waiting import until


@pytest.fixture(params=["stock", "switched"], autouse=True)
def router(request: pytest.FixtureRequest) -> Iterator[str]:
    """By-framework's own router, or by-cp's in its place."""
    with interop.installed() if request.param == "switched" else nullcontext():
        yield request.param


def calling(policy: str) -> Handler:
    """An agent that asks another, and says what came of it."""

    async def handle(command: Any, context: Any) -> Any:
        if command.action_type == "RESUME":
            reply = command.content or command.reply_data["error"]
            return {"content": f"{command.status}: {reply}"}
        told = await context.call_agent("helper", "help", route_policy=policy)
        if told["status"] == "FAILED":
            return {"content": f"FAILED: {told['error']}"}
        return {"status": "WAITING_AGENT"}

    return handle


async def ask(theirs: Redis, policy: str) -> str:
    """Let a user ask the calling agent; return the message's id.

    Whoever goes on is suspended by then: a stock worker does not bear to be resumed before that.
    """
    client = by_framework.GatewayClient(registry=WorkerRegistry(theirs))
    sent = await client.send_message("caller", SESSION, "hello")
    assert sent.success
    if policy != "WAKE_AND_WAIT":
        await until(has(theirs, sent.message_id, status="WAITING_AGENT"))
    return str(sent.message_id)


@pytest.mark.parametrize("policy", ["WAKE_AND_WAIT", "WAKE_AND_QUEUE"])
async def test_a_wake_that_succeeds_brings_the_reply(
    policy: str, redis: Redis, theirs: Redis, start: Start
) -> None:
    """The helper is started, handles the call once, and its reply resumes the caller."""
    await start("caller", calling(policy))
    provider = StartingStock(start)
    message_id = await ask(theirs, policy)
    async with running(Manager(redis, provider).run()):
        await until(has(theirs, message_id, status="COMPLETED"))
    assert provider.workers["helper"].contents() == ["help"]
    assert ("finalAnswer", "COMPLETED: echo: help") in await said(redis)


@pytest.mark.parametrize("policy", ["WAKE_AND_WAIT", "WAKE_AND_QUEUE"])
async def test_a_wake_that_fails_is_told_to_the_caller(
    policy: str, router: str, redis: Redis, theirs: Redis, start: Start
) -> None:
    """By its call's answer, or by what resumes it; and its user gets an answer.

    The end of the user's stream comes, too, but where by-framework 0.2.1 itself, as it is, believes
    a call suspended that was rejected.
    """
    await start("caller", calling(policy))
    message_id = await ask(theirs, policy)
    async with running(Manager(redis, StartingStock(start, status="FAILED")).run()):
        await until(has(theirs, message_id, status="COMPLETED"))
    answer, end = ("finalAnswer", "FAILED: the image is gone"), ("appStreamResponse", "")
    ends = router == "switched" or policy == "WAKE_AND_QUEUE"
    assert await said(redis) == ([answer, end] if ends else [answer])


async def test_a_held_call_that_is_cancelled_is_told_to_the_caller(
    redis: Redis, theirs: Redis, start: Start
) -> None:
    """By what resumes it: nobody will ever reply."""
    await start("caller", calling("QUEUE_ONLY"))
    store = RedisStore(redis)
    message_id = await ask(theirs, "QUEUE_ONLY")
    async with running(Manager(redis, StartingStock(start)).run()):
        await until(lambda: _is_held(store, "helper"))
        [member] = await store.held("helper", 1)
        await Operate(store).cancel(member.execution_id, "no need")
        await until(has(theirs, message_id, status="COMPLETED"))
    assert ("finalAnswer", "FAILED: no need") in await said(redis)


async def _is_held(store: RedisStore, agent_type: str) -> bool:
    return bool(await store.held(agent_type, 1))


async def test_a_dead_letter_that_is_redriven_is_handled_and_resumes_nobody(
    redis: Redis, theirs: Redis, start: Start
) -> None:
    """Its caller was told that it failed, and is done; the late reply finds nobody."""
    caller = await start("caller", calling("WAKE_AND_QUEUE"))
    message_id = await ask(theirs, "WAKE_AND_QUEUE")
    async with running(Manager(redis, StartingStock(start, status="FAILED")).run()):
        await until(has(theirs, message_id, status="COMPLETED"))
    store = RedisStore(redis)
    [buried] = (await store.views()).dead_letters
    helper = await start("helper")
    await store.execute(Redrive(execution_id=buried, by="operator"))
    await until(lambda: _taken(redis, "caller", 3))
    assert helper.contents() == ["help"]
    assert [resume.status for resume in caller.resumes()] == ["FAILED"]


async def _taken(redis: Redis, agent_type: str, count: int) -> bool:
    """Tell whether so many commands were written for an agent type, and its workers took them."""
    stream = RedisKeys.ctrl_stream(agent_type)
    [group] = await redis.xinfo_groups(stream)
    there = await entries(redis, stream)
    return len(there) == count and bool(group["last-delivered-id"] == there[-1][0])
