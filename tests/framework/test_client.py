"""What is the client's own: interceptors, one worker, and the answer."""

from __future__ import annotations

import inspect
import time
from typing import Any

import msgspec
import pytest

from by_cp import ByaiGatewayClient, GatewayClient, RoutePolicy
from by_cp.errors import ExecutionConflict, InvalidInput
from by_cp.keys import RedisKeys
from by_cp.log.contract import Store
from by_cp.log.memory import MemoryStore
from tests.framework.sending import commands, nothing_written, online


class Signing:
    """An interceptor that adds to the metadata and notes what it saw."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.seen: list[dict[str, Any]] = []

    def before_send(self, params: dict[str, Any]) -> dict[str, Any]:
        """Sign."""
        self.seen.append(dict(params))
        params["metadata"]["signed"] = [*params["metadata"].get("signed", ()), self.name]
        return params


async def test_the_whole_command_on_the_wire(store: Store) -> None:
    """A worker finds every argument where by-framework puts it."""
    await online(store, "echo")
    client = GatewayClient(redis_client=store)

    await client.send_message(
        "echo",
        "session-1",
        [{"text": "hello"}],
        user_code="acme",
        user_name="Ada L.",
        parent_message_id="msg-0",
        message_id="msg-1",
        trace_id="trace-1",
        extra_payload={"wait_for_reply": True, "depth": 2},
        metadata={"a": 1},
    )

    assert await commands(store, "echo") == [
        {
            "action_type": "ASK_AGENT",
            "header": {
                "message_id": "msg-1",
                "session_id": "session-1",
                "trace_id": "trace-1",
                "source_agent_type": "",
                "target_agent_type": "echo",
                "parent_message_id": "msg-0",
                "task_group_id": "",
                "user_code": "acme",
                "user_name": "Ada L.",
                "metadata": {"a": 1},
            },
            "body": {
                "content": [{"text": "hello"}],
                "wait_for_reply": True,
                "extra_payload": {"depth": 2},
            },
        }
    ]


async def test_a_resume_is_sent_as_one(store: Store) -> None:
    """The action type makes another command."""
    await online(store, "echo")

    await GatewayClient(redis_client=store).send_message(
        "echo", "s", "", action_type="RESUME", extra_payload={"status": "COMPLETED"}
    )

    (command,) = await commands(store, "echo")
    assert command["action_type"] == "RESUME"
    assert command["body"] == {"content": "", "status": "COMPLETED", "reply_data": None}


async def test_an_answer_is_complete(store: Store) -> None:
    """Accepted or not, the ids are there, and the time."""
    client = GatewayClient(redis_client=store)
    before_ms = time.time_ns() // 1_000_000

    rejected = await client.send_message("echo", "s", "x", message_id="msg-1", trace_id="t-1")
    accepted = await client.send_message("echo", "s", "x", route_policy=RoutePolicy.QUEUE_ONLY)

    assert (rejected.success, rejected.status) == (False, "FAILED")
    assert (rejected.message_id, rejected.trace_id) == ("msg-1", "t-1")
    assert rejected.execution_id != accepted.execution_id
    assert (accepted.success, accepted.status) == (True, "QUEUED")
    assert (accepted.error, accepted.error_code) == ("", "")
    assert accepted.message_id.startswith("msg-")
    assert accepted.timestamp >= rejected.timestamp >= before_ms


async def test_interceptors_change_what_is_sent_in_order(store: Store) -> None:
    """Each sees what the one before it made, and none of it is the caller's own object."""
    await online(store, "echo")
    first, second = Signing("first"), Signing("second")
    client = GatewayClient(redis_client=store, interceptors=[first])
    client.add_interceptor(second)
    metadata = {"mine": True}

    await client.send_message("echo", "s", "x", metadata=metadata, user_name="Ada")

    (command,) = await commands(store, "echo")
    assert command["header"]["metadata"] == {"mine": True, "signed": ["first", "second"]}
    assert metadata == {"mine": True}
    assert first.seen == [
        {
            "target_agent_type": "echo",
            "session_id": "s",
            "user_code": "",
            "user_name": "Ada",
            "content": "x",
            "action_type": "ASK_AGENT",
            "parent_message_id": "",
            "extra_payload": {},
            "metadata": first.seen[0]["metadata"],
        }
    ]


async def test_an_interceptor_may_send_elsewhere(store: Store) -> None:
    """What it returns counts, for the route as for the header."""

    class Elsewhere:
        def before_send(self, params: dict[str, Any]) -> dict[str, Any]:
            return params | {"target_agent_type": "parrot"}

    await online(store, "parrot")
    client = GatewayClient(redis_client=store, interceptors=[Elsewhere()])

    assert (await client.send_message("echo", "s", "x")).success
    (command,) = await commands(store, "parrot")
    assert command["header"]["target_agent_type"] == "parrot"


@pytest.mark.parametrize("returned", [None, {}, "params"])
async def test_an_interceptor_that_returns_nothing_is_named(returned: Any) -> None:
    """The usual mistake, a forgotten `return`, is told as such; nothing is sent."""

    class Forgetful:
        def before_send(self, params: dict[str, Any]) -> dict[str, Any]:
            params["content"] = "changed"
            return returned  # type: ignore[no-any-return]

    store = MemoryStore()
    client = GatewayClient(redis_client=store, interceptors=[Forgetful()])

    with pytest.raises(TypeError, match="Forgetful"):
        await client.send_message("echo", "s", "x")
    assert await nothing_written(store, "echo")


async def test_one_worker_gets_what_is_sent_to_it(store: Store) -> None:
    """It stands in the worker's own stream, not in its agent type's, and not in the log."""
    await online(store, "echo")
    client = GatewayClient(redis_client=store)

    sent = await client.send_message("echo", "s", "x", target_worker_id="worker-of-echo")

    assert sent.success
    assert (sent.target_worker_id, sent.execution_id) == ("worker-of-echo", "")
    assert await nothing_written(store, "echo")
    (delivery,) = await store.take_deliveries((), "worker-of-echo", 10, 0)
    assert delivery.stream == RedisKeys.worker_ctrl_stream("worker-of-echo")
    assert msgspec.json.decode(delivery.data)["body"]["content"] == "x"


@pytest.mark.parametrize("policy", RoutePolicy)
async def test_a_worker_that_is_not_online_gets_nothing(store: Store, policy: str) -> None:
    """Unless the caller says to send anyway."""
    anyway = policy == RoutePolicy.SEND_ANYWAY
    client = GatewayClient(redis_client=store)

    sent = await client.send_message(
        "echo", "s", "x", target_worker_id="worker-9", route_policy=policy
    )

    assert sent.success is anyway
    assert len(await store.take_deliveries((), "worker-9", 10, 0)) == anyway
    assert sent.target_worker_id == "worker-9"
    if not anyway:
        assert sent.error_code == "WORKER_NOT_ONLINE"
        assert sent.error == "Target worker 'worker-9' is not online or not registered"


async def test_one_worker_and_an_execution_id_exclude_each_other() -> None:
    """What is not in the log cannot be repeated safely, so it is not promised."""
    store = MemoryStore()
    client = GatewayClient(redis_client=store)

    with pytest.raises(InvalidInput, match="not in the log"):
        await client.send_message(
            "echo", "s", "x", target_worker_id="worker-1", execution_id="exec-1"
        )


async def test_an_execution_id_names_one_message(store: Store) -> None:
    """Another message under the same id is refused; the same one is not sent twice."""
    await online(store, "echo")
    client = GatewayClient(redis_client=store)
    await client.send_message("echo", "s", "x", execution_id="exec-1")

    with pytest.raises(ExecutionConflict):
        await client.send_message("echo", "s", "y", execution_id="exec-1")

    assert len(await commands(store, "echo")) == 1


async def test_a_registry_may_bring_the_client(store: Store) -> None:
    """by-framework's users pass a registry that carries their client."""

    class Registry:
        redis = store

    sent = await GatewayClient(Registry()).send_message(
        "echo", "s", "x", route_policy=RoutePolicy.QUEUE_ONLY
    )

    assert sent.success


def test_the_signature_is_by_framework_s() -> None:
    """Changing an import is enough: names, order and defaults; only the last three are new."""
    expected = {
        "target_agent_type": inspect.Parameter.empty,
        "session_id": inspect.Parameter.empty,
        "content": inspect.Parameter.empty,
        "user_code": "",
        "user_name": "",
        "action_type": "ASK_AGENT",
        "parent_message_id": "",
        "message_id": None,
        "trace_id": None,
        "extra_payload": None,
        "metadata": None,
        "target_worker_id": None,
        "route_policy": "FAIL_FAST",
        "availability_timeout_ms": 30_000,
        "region": None,
        "priority": 0,
        "execution_id": None,
        "not_before_ms": 0,
        "expires_at_ms": 0,
    }
    for kind in (GatewayClient, ByaiGatewayClient):
        parameters = inspect.signature(kind.send_message).parameters
        defaults = {name: p.default for name, p in parameters.items() if name != "self"}
        assert defaults == expected
        assert list(defaults) == list(expected)
