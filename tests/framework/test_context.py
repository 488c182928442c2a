"""What is the context's own: the reply's way back, suspension, and the answer."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from by_cp import AgentContext, ByaiAgentContext, RoutePolicy
from by_cp.errors import InvalidInput
from by_cp.log.commands import Configure
from by_cp.log.contract import Store
from by_cp.log.memory import MemoryStore
from by_cp.statemachine.events import FallbackSet
from tests.framework.sending import commands, nothing_written, online


def context(store: Store, **rest: Any) -> AgentContext:
    """Make the context of an agent that handles a message."""
    return AgentContext(
        "session-1",
        "trace-1",
        store,
        current_agent_id="caller",
        message_id="msg-1",
        parent_message_id="msg-0",
        user_code="acme",
        user_name="Ada",
        **rest,
    )


async def test_the_whole_command_on_the_wire(store: Store) -> None:
    """The call continues the session, the trace and the chain of messages of what is handled."""
    await online(store, "echo")

    result = await context(store).call_agent(
        "echo", "hello", extra_payload={"depth": 2, "wait_for_reply": False}, metadata={"a": 1}
    )

    assert await commands(store, "echo") == [
        {
            "action_type": "ASK_AGENT",
            "header": {
                "message_id": result["message_id"],
                "session_id": "session-1",
                "trace_id": "trace-1",
                "source_agent_type": "caller",
                "target_agent_type": "echo",
                "parent_message_id": "msg-1",
                "task_group_id": "",
                "user_code": "acme",
                "user_name": "Ada",
                "metadata": {"a": 1},
            },
            "body": {"content": "hello", "wait_for_reply": True, "extra_payload": {"depth": 2}},
        }
    ]
    assert result == {
        "status": "QUEUED",
        "message_id": result["message_id"],
        "parent_message_id": "msg-1",
        "target_agent_type": "echo",
        "execution_id": result["execution_id"],
    }


async def test_who_waits_for_no_reply_is_not_its_source(store: Store) -> None:
    """Without a source nobody is resumed: the other agent answers in the caller's place."""
    await online(store, "echo")
    caller = context(store)

    await caller.call_agent("echo", "hello", wait_for_reply=False)

    (command,) = await commands(store, "echo")
    assert command["header"]["source_agent_type"] == ""
    assert command["body"]["wait_for_reply"] is False
    assert (caller.is_suspended, caller.permission_transferred) == (False, True)


async def test_a_call_that_was_accepted_suspends(store: Store) -> None:
    """Held is accepted, too: the reply will come."""
    caller = context(store)

    await caller.call_agent("echo", "hello", route_policy=RoutePolicy.QUEUE_ONLY)

    assert (caller.is_suspended, caller.permission_transferred) == (True, False)


@pytest.mark.parametrize("wait_for_reply", [True, False])
async def test_a_call_that_failed_leaves_the_caller_as_it_was(
    store: Store, *, wait_for_reply: bool
) -> None:
    """Nobody will answer, so nothing is waited for: by-framework leaves its caller suspended."""
    caller = context(store)

    result = await caller.call_agent("echo", "hello", wait_for_reply=wait_for_reply)

    assert (caller.is_suspended, caller.permission_transferred) == (False, False)
    assert result["status"] == "FAILED"
    assert result["error"] == "No online worker found for agent_type 'echo'"
    assert result["error_code"] == "AGENT_TYPE_UNAVAILABLE"
    assert result["retry_after_ms"] is None


async def test_a_call_that_was_refused_leaves_the_caller_as_it_was() -> None:
    """Nor does an argument that is not acceptable suspend anyone."""
    store = MemoryStore()
    caller = context(store)

    with pytest.raises(InvalidInput):
        await caller.call_agent("echo", "", route_policy=RoutePolicy.SEND_ANYWAY)

    assert (caller.is_suspended, caller.permission_transferred) == (False, False)
    assert await nothing_written(store, "echo")


async def test_an_accepted_call_stays_accepted_after_a_failed_one(store: Store) -> None:
    """A second call that fails does not wake up who waits for the first."""
    await online(store, "echo")
    caller = context(store)

    await caller.call_agent("echo", "hello")
    await caller.call_agent("nobody", "hello")

    assert caller.is_suspended


async def test_the_answer_names_the_fallback(store: Store) -> None:
    """Who got the command is who the answer names."""
    await online(store, "parrot")
    await store.execute(Configure(event=FallbackSet("", "echo", "parrot")))

    result = await context(store).call_agent("echo", "hello")

    assert result["target_agent_type"] == "parrot"


async def test_a_repeated_call_is_sent_once(store: Store) -> None:
    """A handler that is run again after a crash calls on with the same id."""
    await online(store, "echo")

    first = await context(store).call_agent("echo", "hello", execution_id="exec-1")
    second = await context(store).call_agent("echo", "hello", execution_id="exec-1")

    assert first == second
    assert len(await commands(store, "echo")) == 1


@pytest.mark.parametrize("content", [7, {"text": "x"}, ["x"], None])
async def test_content_without_a_codec_is_wire_content(content: Any) -> None:
    """An agent's own objects need a codec, and the error says so."""
    with pytest.raises(InvalidInput, match="content_codec"):
        await context(MemoryStore()).call_agent("echo", content)


async def test_a_content_codec_makes_the_wire_content(store: Store) -> None:
    """With one, whatever it takes may be sent."""

    class Shouting:
        def serialize(self, content: Any) -> str:
            return str(content).upper()

        def deserialize(self, content: Any) -> Any:
            return content

    await online(store, "echo")

    await context(store, content_codec=Shouting()).call_agent("echo", 1.5j)

    (command,) = await commands(store, "echo")
    assert command["body"]["content"] == "1.5J"


def test_message_ids_can_be_made_ahead() -> None:
    """As in by-framework, an agent may name its message before it sends it."""
    caller = context(MemoryStore())

    assert caller.generate_message_id() != caller.generate_message_id()


def test_the_signature_is_by_framework_s() -> None:
    """Changing an import is enough: names, order and defaults; only the last three are new."""
    expected = {
        "target_agent_type": inspect.Parameter.empty,
        "content": inspect.Parameter.empty,
        "extra_payload": None,
        "wait_for_reply": True,
        "metadata": None,
        "message_id": None,
        "parent_message_id": None,
        "route_policy": "FAIL_FAST",
        "availability_timeout_ms": 30_000,
        "region": None,
        "priority": 0,
        "execution_id": None,
        "not_before_ms": 0,
        "expires_at_ms": 0,
    }
    for kind in (AgentContext, ByaiAgentContext):
        parameters = inspect.signature(kind.call_agent).parameters
        defaults = {name: p.default for name, p in parameters.items() if name != "self"}
        assert defaults == expected
        assert list(defaults) == list(expected)
