"""A stock worker runs, answers, tracks and cancels what by-cp's client sends as if it were its own.

So does it what by-framework's client sends through by-cp's router.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import by_framework
import pytest
from by_framework.core.registry import WorkerRegistry
from redis.asyncio import Redis

import by_cp
from by_cp import interop
from by_cp.keys import RedisKeys
from by_cp.log.redis.store import RedisStore
from by_cp.manager.manager import Manager
from by_cp.operating import Operate
from tests.interop.conftest import Start
from tests.interop.test_policies import commands, entries
from tests.manager.providers import Answering
from tests.manager.running import running
from tests.waiting import until

SESSION = "session-1"


@pytest.fixture(params=["by_cp", "by_framework, switched"])
def client(request: pytest.FixtureRequest, theirs: Redis) -> Any:
    """By-cp's client, or by-framework's on by-cp's router."""
    if request.param == "by_cp":
        yield by_cp.GatewayClient(redis_client=theirs)
    else:
        with interop.installed():
            yield by_framework.GatewayClient(registry=WorkerRegistry(theirs))


@pytest.fixture
def stock(theirs: Redis) -> Any:
    """By-framework's client, which looks and cancels."""
    return by_framework.GatewayClient(registry=WorkerRegistry(theirs))


async def execution(theirs: Redis, message_id: str) -> dict[str, Any]:
    """What by-framework knows of a message."""
    return dict(
        await WorkerRegistry(theirs).get_execution_by_message_id(message_id, session_id=SESSION)
        or {}
    )


def has(theirs: Redis, message_id: str, **fields: Any) -> Callable[[], Any]:
    """Tell whether what by-framework knows of a message is like this by now."""

    async def like_this() -> bool:
        return fields.items() <= (await execution(theirs, message_id)).items()

    return like_this


async def said(redis: Redis) -> list[tuple[str, str]]:
    """What the session's user was told, as (kind, text)."""
    found = []
    for _, fields in await entries(redis, RedisKeys.session_data_stream(SESSION)):
        message = json.loads(fields[b"data"])
        found.append((message["event_type"], message["data"]["choices"][0]["delta"]["content"]))
    return found


async def test_a_message_is_handled_once_and_answered(
    client: Any, redis: Redis, theirs: Redis, start: Start
) -> None:
    """The reply is in the session's data stream, where its user looks."""
    worker = await start("echo")
    sent = await client.send_message("echo", SESSION, "hello", user_code="acme", user_name="Ada")
    await until(has(theirs, sent.message_id, status="COMPLETED"))
    assert worker.contents() == ["hello"]
    header = worker.handled[0].header
    assert (header.message_id, header.trace_id) == (sent.message_id, sent.trace_id)
    assert (header.user_code, header.user_name) == ("acme", "Ada")
    assert await said(redis) == [("finalAnswer", "echo: hello"), ("appStreamResponse", "")]


async def test_its_execution_is_the_one_in_the_log(theirs: Redis, start: Start) -> None:
    """The worker finds it by the message, and keeps there what becomes of it."""
    worker = await start("echo")
    client = by_cp.GatewayClient(redis_client=theirs)
    sent = await client.send_message("echo", SESSION, "hello", parent_message_id="msg-0")
    await until(has(theirs, sent.message_id, status="COMPLETED"))
    known = await execution(theirs, sent.message_id)
    assert known["execution_id"] == sent.execution_id
    assert known["worker_id"] == worker.worker_id
    assert known["parent_message_id"] == "msg-0"
    assert known["source_agent_type"] == "client"
    assert [step["status"] for step in known["timeline"]] == ["QUEUED", "RUNNING", "COMPLETED"]


async def test_what_is_written_down_is_what_by_framework_writes(
    redis: Redis, theirs: Redis, stock: Any
) -> None:
    """Field by field, with the same types; nothing of it is null."""
    ours = by_cp.GatewayClient(redis_client=theirs)
    written = []
    for client in (ours, stock):
        sent = await client.send_message("echo", SESSION, "hello", route_policy="SEND_ANYWAY")
        written.append(await execution(theirs, sent.message_id))
    mine, like = ({name: type(value) for name, value in w.items()} for w in written)
    assert mine == like
    assert 0 < await redis.pttl(RedisKeys.session_registry(SESSION)) <= 7 * 24 * 3600 * 1000


async def test_nothing_is_written_down_of_what_is_rejected(client: Any, redis: Redis) -> None:
    """It has an answer, and no execution."""
    assert not (await client.send_message("echo", SESSION, "hello")).success
    assert not await redis.exists(RedisKeys.session_registry(SESSION))


async def test_a_running_message_is_cancelled(
    client: Any, stock: Any, theirs: Redis, start: Start
) -> None:
    """By by-framework's own `cancel_task`, which finds its worker."""
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def work(_: Any, context: Any) -> Any:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    await start("echo", work)
    sent = await client.send_message("echo", SESSION, "hello")
    await asyncio.wait_for(begun.wait(), 10)
    await until(has(theirs, sent.message_id, status="RUNNING"))
    told = await stock.cancel_task(sent.message_id, SESSION, "changed my mind")
    assert told.success
    await asyncio.wait_for(cancelled.wait(), 10)
    await until(has(theirs, sent.message_id, status="CANCELLED"))


async def test_a_held_message_that_is_taken_back_is_handled_by_nobody(
    client: Any, redis: Redis, theirs: Redis, start: Start
) -> None:
    """By by-cp's `cancel`: the worker that comes later gets the next one."""
    await client.send_message("echo", SESSION, "no", route_policy="QUEUE_ONLY")
    store = RedisStore(redis)
    [held] = (await store.views()).pending
    await Operate(store).cancel(held)
    await client.send_message("echo", SESSION, "yes", route_policy="QUEUE_ONLY")
    worker = await start("echo")
    async with running(Manager(redis, Answering({"status": "READY"})).run()):
        await until(lambda: worker.contents() == ["yes"])
    assert len(await commands(redis, "echo")) == 1


async def test_a_held_message_that_is_cancelled_there_is_not_run(
    client: Any, stock: Any, redis: Redis, theirs: Redis, start: Start
) -> None:
    """By by-framework's own `cancel_task`: its worker refuses it, and goes on with the next.

    It is the same with by-framework's own gate. Whoever wants to know it rejected uses by-cp's
    `cancel`.
    """
    sent = await client.send_message("echo", SESSION, "no", route_policy="QUEUE_ONLY")
    told = await stock.cancel_task(sent.message_id, SESSION, "changed my mind")
    assert told.success
    worker = await start("echo")
    async with running(Manager(redis, Answering({"status": "READY"})).run()):
        await until(lambda: _is_delivered(redis))
        await client.send_message("echo", SESSION, "yes")
        await until(lambda: worker.contents() == ["yes"])


async def _is_delivered(redis: Redis) -> bool:
    return len(await commands(redis, "echo")) == 1


async def test_an_answer_to_a_question_resumes_who_asked(
    client: Any, redis: Redis, theirs: Redis, start: Start
) -> None:
    """The message that is answered keeps its execution, whose state the worker needs to go on."""

    async def ask(command: Any, context: Any) -> Any:
        if command.action_type == "RESUME":
            return {"content": f"you said {command.content}"}
        return await context.ask_user("yes or no?")

    worker = await start("echo", ask)
    sent = await client.send_message("echo", SESSION, "hello")
    await until(has(theirs, sent.message_id, status="WAITING_USER"))
    before = await execution(theirs, sent.message_id)
    await client.send_message(
        "echo", SESSION, "yes", action_type="RESUME", message_id=sent.message_id
    )
    await until(lambda: len(worker.resumes()) == 1)
    await until(has(theirs, sent.message_id, status="COMPLETED"))
    assert (await execution(theirs, sent.message_id))["execution_id"] == before["execution_id"]
    assert ("finalAnswer", "you said yes") in await said(redis)


async def test_a_fallback_is_written_down_as_the_target(
    client: Any, redis: Redis, theirs: Redis, start: Start
) -> None:
    """So whoever looks it up finds who handles it."""
    await start("spare")
    key = RedisKeys.control_plane_agent_fallback("echo")
    await redis.set(key, '{"selected_agent_type":"spare"}')
    sent = await client.send_message("echo", SESSION, "hello")
    await until(has(theirs, sent.message_id, status="COMPLETED", target_agent_type="spare"))
    assert len(await commands(redis, "spare")) == 1


async def test_a_session_with_something_else_in_its_place_stops_nothing(
    client: Any, redis: Redis, start: Start
) -> None:
    """The registry is for looking things up; a message is delivered without it, too."""
    worker = await start("echo")
    await redis.set(RedisKeys.session_registry(SESSION), "mine")
    assert (await client.send_message("echo", SESSION, "hello")).success
    assert len(await commands(redis, "echo")) == 1
    assert worker.agent_type == "echo"
