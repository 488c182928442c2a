"""An agent calls another through by-cp's router, in by-framework's own context and worker."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from by_framework import AgentContext, Plugin, PluginManifest
from by_framework.core.extensions import PluginRegistry
from redis.asyncio import Redis

from by_cp import interop
from by_cp.keys import RedisKeys
from by_cp.log.redis.store import RedisStore
from tests.asking import events
from tests.interop.conftest import Start
from tests.interop.test_policies import commands, entries
from tests.interop.ways import SESSION
from tests.waiting import until


class Tracer(Plugin):
    """A plugin that writes into commands, as those for tracing do, and notes what it is told."""

    def __init__(self) -> None:
        super().__init__(PluginManifest("tracer"))
        self.told: list[str] = []
        self.commands: list[Any] = []

    async def register_agent_configs(self, build_context: Any) -> None:
        """It has none."""

    async def on_call_agent_start(self, _: Any, command: Any) -> None:
        """Before a call."""
        self.told.append("start")
        self.commands.append(command)
        command.header.metadata["traceparent"] = "00-1-2-01"

    async def on_call_agent_complete(self, _: Any, command: Any, _result: Any) -> None:
        """After a call that was accepted."""
        self.told.append("complete")
        self.commands.append(command)

    async def on_call_agent_error(self, _: Any, _command: Any, error: Exception) -> None:
        """After one that was not."""
        self.told.append(f"error: {error}")


@pytest.fixture(autouse=True)
def _switched() -> Iterator[None]:
    """By-framework is on by-cp's router in all of these tests."""
    with interop.installed():
        yield


def context_of(redis: Redis, tracer: Tracer) -> Any:
    """The context of an agent whose worker has the plugin."""
    plugins = PluginRegistry()
    plugins.register_bundle(tracer)
    return AgentContext(SESSION, "trace-1", redis, message_id="parent-1", plugin_registry=plugins)


@pytest.mark.parametrize("policy", ["SEND_ANYWAY", "QUEUE_ONLY"])
async def test_what_a_plugin_writes_into_a_call_is_sent(
    policy: str, redis: Redis, theirs: Redis
) -> None:
    """A trace goes on in the agent that is called; by-framework itself loses it when it queues."""
    tracer = Tracer()
    await context_of(theirs, tracer).call_agent("echo", "hello", route_policy=policy)
    if policy == "SEND_ANYWAY":
        [command] = await commands(redis, "echo")
    else:
        [(_, fields)] = await entries(redis, RedisKeys.control_plane_delivery_pending_stream())
        command = json.loads(fields[b"data"])["command_payload"]
    assert command["header"]["metadata"] == {"traceparent": "00-1-2-01"}
    assert tracer.told == ["start", "complete"]
    assert tracer.commands[1].header.metadata == {"traceparent": "00-1-2-01"}


async def test_a_plugin_hears_that_a_call_was_rejected(theirs: Redis) -> None:
    """It may close what it opened when the call began."""
    tracer = Tracer()
    await context_of(theirs, tracer).call_agent("echo", "hello")
    assert tracer.told == ["start", "error: No online worker found for agent_type 'echo'"]


async def test_a_call_that_is_rejected_does_not_leave_its_caller_suspended(
    redis: Redis, theirs: Redis, start: Start
) -> None:
    """Its handler goes on and answers, and the user's stream ends."""

    async def ask(_: Any, context: Any) -> Any:
        told = await context.call_agent("asleep", "hello", route_policy="FAIL_FAST")
        return {"content": told["error"]}

    await start("caller", ask)
    await AgentContext(SESSION, "trace-1", theirs, message_id="user-1").call_agent(
        "caller", "hello", wait_for_reply=False
    )

    async def said() -> list[str]:
        found = await entries(redis, RedisKeys.session_data_stream(SESSION))
        return [json.loads(fields[b"data"])["event_type"] for _, fields in found]

    await until(lambda: _ends_with(said, "appStreamResponse"))
    assert await said() == ["finalAnswer", "appStreamResponse"]


async def test_a_call_can_be_looked_up_accepted_or_rejected(redis: Redis, theirs: Redis) -> None:
    """By-framework does not say what an execution is called; by-cp does, in the task that sent."""
    context = context_of(theirs, Tracer())
    await context.call_agent("echo", "hello", route_policy="SEND_ANYWAY")
    execution_id = interop.last_execution_id()
    assert await events(RedisStore(redis), execution_id) == [
        "Requested",
        "BecameReady",
        "Delivered",
    ]
    await context.call_agent("echo", "hello")
    rejected = interop.last_execution_id()
    assert await events(RedisStore(redis), rejected) == ["Requested", "Rejected"]
    await context.call_agent("", "hello")
    assert interop.last_execution_id() == ""


async def _ends_with(said: Any, event_type: str) -> bool:
    return bool((await said())[-1:] == [event_type])
