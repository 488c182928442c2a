"""Odd names and payloads: each works to the letter, or is refused with nothing written."""

from __future__ import annotations

import asyncio
import json
from enum import Enum
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from by_cp import AvailabilityRouter, DeliveryIntent, GatewayClient, RoutePolicy
from by_cp.errors import InvalidInput, InvalidName, PayloadTooLarge
from by_cp.keys import RedisKeys
from by_cp.log.contract import Store
from by_cp.log.memory import MemoryStore
from by_cp.names import NAME_LENGTH_MAX, PRIORITY_ABS_MAX, TIMEOUT_MS_MAX
from tests.framework.sending import Way, commands, nothing_written, online, settle, signal, taken

WORKING = [
    "a:b",
    "a::b",
    ":",
    "_",
    "%3A",
    "{tag}",
    "}{",
    "with spaces inside",
    "größe",
    "代理",
    "🙂",
    "a/b\\c\"d'e",
    "*?[x]",
    "x" * NAME_LENGTH_MAX,
]
REFUSED = [
    " outer",
    "outer ",
    "new\nline",
    "nul\x00",
    "\x7f",
    "\u200bzero width",
    "\u202eturned",
    "\ud800",
    "x" * (NAME_LENGTH_MAX + 1),
    "x" * 10_000,
    7,
    b"bytes",
    ["list"],
]
NAMES = ["session_id", "trace_id", "message_id", "user_code", "region", "source"]


def intent(**fields: Any) -> DeliveryIntent:
    """Make an intent that is acceptable but for the given fields."""
    given = {
        "execution_id": "exec-1",
        "message_id": "msg-1",
        "session_id": "session-1",
        "trace_id": "trace-1",
        "source": "client",
        "target_agent_type": "echo",
        "policy": RoutePolicy.SEND_ANYWAY,
        "command_payload": {"action_type": "ASK_AGENT", "header": {}, "body": {"content": "x"}},
    }
    return DeliveryIntent(**(given | fields))


@pytest.mark.parametrize("name", WORKING)
async def test_odd_names_work(store: Store, way: Way, name: str) -> None:
    """Whatever is printable is an agent type, a tenant and a region; it is woken and delivered."""
    sent = await way(name, user_code=name, region=name, route_policy=RoutePolicy.WAKE_AND_QUEUE)
    wake = await signal(store)
    await online(store, name)
    await settle(store, wake)

    (delivery,) = await taken(store, name)
    command = msgspec.json.decode(delivery.data)
    assert delivery.execution_id == sent.execution_id
    assert delivery.stream == RedisKeys.ctrl_stream(name)
    assert command["header"]["target_agent_type"] == name
    assert command["header"]["user_code"] == name
    request = wake.request
    assert (request.target_agent_type, request.user_code, request.region) == (name, name, name)


@pytest.mark.parametrize("name", [*REFUSED, ""])
async def test_other_names_are_refused(store: Store, way: Way, name: Any) -> None:
    """The error names the argument, and nothing was written."""
    with pytest.raises(InvalidName, match="target_agent_type"):
        await way(name, route_policy=RoutePolicy.SEND_ANYWAY)

    assert await nothing_written(store)


@pytest.mark.parametrize("argument", NAMES)
@pytest.mark.parametrize("name", REFUSED)
async def test_every_name_is_checked(argument: str, name: Any) -> None:
    """What goes for an agent type goes for all that stands in keys and ids."""
    store = MemoryStore()

    with pytest.raises(InvalidName, match=argument):
        await AvailabilityRouter(store).prepare_delivery(intent(**{argument: name}))
    assert await nothing_written(store, "echo")


@pytest.mark.parametrize("name", [*REFUSED, ""])
async def test_an_execution_needs_a_name(name: Any) -> None:
    """An execution_id is checked like the others, and is never empty."""
    store = MemoryStore()

    with pytest.raises(InvalidName, match="execution_id"):
        await AvailabilityRouter(store).prepare_delivery(intent(execution_id=name))
    with pytest.raises(InvalidName, match="execution_id"):
        await GatewayClient(redis_client=store).send_message("echo", "s", "x", execution_id=name)
    assert await nothing_written(store, "echo")


async def test_most_names_may_be_empty() -> None:
    """by-framework's users leave them out."""
    store = MemoryStore()

    result = await AvailabilityRouter(store).prepare_delivery(intent(**dict.fromkeys(NAMES, "")))

    assert result.delivered


@given(st.text(), st.text())
def test_any_two_texts_are_two_agent_types_or_refused(one: str, other: str) -> None:
    """No name is mistaken for another one, whatever they are made of."""

    async def send() -> None:
        store = MemoryStore()
        router = AvailabilityRouter(store)
        for number, name in enumerate((one, other)):
            asked = intent(execution_id=f"exec-{number}", target_agent_type=name)
            try:
                result = await router.prepare_delivery(asked)
            except InvalidName:
                assert name not in store.log.world.control_streams
            else:
                (command,) = await commands(store, name)
                assert result.stream_name == RedisKeys.ctrl_stream(name)
                assert command["header"]["target_agent_type"] == name
                await store.take_deliveries((name,), "reader", 10, 0)

    if one != other:
        asyncio.run(send())


async def test_members_of_a_text_enum_are_names(store: Store, way: Way) -> None:
    """Agent types are often kept in an enum; it is the value that counts, not `Agent.ECHO`."""

    class Agent(str, Enum):  # noqa: UP042 - its str() is not its value, unlike a StrEnum's
        ECHO = "echo"

    await online(store, "echo")

    sent = await way(Agent.ECHO)

    (delivery,) = await taken(store, "echo")
    assert sent.accepted
    assert msgspec.json.decode(delivery.data)["header"]["target_agent_type"] == "echo"


@pytest.mark.parametrize("policy", ["", "fail_fast", "WAKE", None, 1, [], "FAIL_FAST "])
async def test_an_unknown_policy_is_refused_by_name(way: Way, store: Store, policy: Any) -> None:
    """The error lists the policies that there are."""
    with pytest.raises(InvalidInput, match="FAIL_FAST, SEND_ANYWAY, WAKE_AND_WAIT") as caught:
        await way("echo", route_policy=policy)

    assert "QUEUE_ONLY" in str(caught.value)
    assert await nothing_written(store, "echo")


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("availability_timeout_ms", -1),
        ("availability_timeout_ms", TIMEOUT_MS_MAX + 1),
        ("availability_timeout_ms", 1.5),
        ("availability_timeout_ms", None),
        ("availability_timeout_ms", True),
        ("priority", PRIORITY_ABS_MAX + 1),
        ("priority", -PRIORITY_ABS_MAX - 1),
        ("priority", "high"),
        ("metadata", "text"),
        ("metadata", ["list"]),
        ("extra_payload", "text"),
    ],
)
async def test_other_arguments_are_checked(
    way: Way, store: Store, argument: str, value: Any
) -> None:
    """Numbers out of bounds and objects that are none: an error at once, nothing written."""
    with pytest.raises(InvalidInput):
        await way("echo", route_policy=RoutePolicy.SEND_ANYWAY, **{argument: value})

    assert await nothing_written(store, "echo")


@pytest.mark.parametrize("policy", RoutePolicy)
async def test_payloads_arrive_as_they_were(store: Store, way: Way, policy: str) -> None:
    """Empty lists and objects, big numbers and emoji survive, whichever way they go."""
    payload = {
        "list": [],
        "object": {},
        "nested": [{}, [[]], {"": None}],
        "big": 2**60,
        "bigger": 2**100,
        "small": 1e-300,
        "face": "🙂",
        "slash": "/",
        "control": "\x00\x1f\x7f\u2028",
        "target_agent_type": "not the header's",
    }
    if policy != RoutePolicy.WAKE_AND_QUEUE:
        await online(store, "echo")

    await way("echo", "🙂 /", route_policy=policy, extra_payload=payload, metadata=payload)

    if policy == RoutePolicy.WAKE_AND_QUEUE:
        wake = await signal(store)
        await online(store, "echo")
        await settle(store, wake)
    (delivery,) = await taken(store, "echo")
    command = decoded(delivery.data)
    assert command["body"]["extra_payload"] == payload
    assert command["body"]["content"] == "🙂 /"
    assert command["header"]["metadata"] == payload


def decoded(data: bytes) -> Any:
    """Decode JSON as Python's own decoder does, which keeps big numbers."""
    return json.loads(data)


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        b"bytes",
        {1, 2},
        object(),
        "\ud800",
        {"key": ["\udfff"]},
        {("a", "b"): 1},
    ],
)
@pytest.mark.parametrize("place", ["extra_payload", "metadata"])
async def test_what_is_no_json_is_refused(way: Way, store: Store, place: str, value: Any) -> None:
    """Wherever it stands in the command, the error is the caller's, and nothing was written."""
    arguments: dict[str, Any] = {place: {"x": value}}

    with pytest.raises(InvalidInput):
        await way("echo", route_policy=RoutePolicy.SEND_ANYWAY, **arguments)

    assert await nothing_written(store, "echo")


async def test_a_payload_that_holds_itself_is_refused(way: Way, store: Store) -> None:
    """No end, no JSON."""
    endless: dict[str, Any] = {}
    endless["self"] = endless

    with pytest.raises(InvalidInput):
        await way("echo", route_policy=RoutePolicy.SEND_ANYWAY, extra_payload=endless)

    assert await nothing_written(store, "echo")


@pytest.mark.parametrize("policy", RoutePolicy)
async def test_a_payload_over_the_limit_is_refused(way: Way, store: Store, policy: str) -> None:
    """A mebibyte, unless the caller's limit is another one; nothing was written."""
    with pytest.raises(PayloadTooLarge, match="1,048,576"):
        await way("echo", "x" * 1024 * 1024, route_policy=policy)

    assert await nothing_written(store, "echo")


async def test_the_limit_counts_bytes_and_can_be_set(store: Store) -> None:
    """Exactly the limit passes, one byte more does not; a character may have four."""
    asked = intent()
    await AvailabilityRouter(store).prepare_delivery(asked)
    (delivery,) = await taken(store, "echo")
    size_bytes = len(delivery.data)

    router = AvailabilityRouter(store, max_payload_bytes=size_bytes)
    same_size = await router.prepare_delivery(intent(execution_id="exec-2"))
    four = {"action_type": "ASK_AGENT", "header": {}, "body": {"content": "🙂"}}
    with pytest.raises(PayloadTooLarge) as caught:
        await router.prepare_delivery(intent(execution_id="exec-3", command_payload=four))

    assert same_size.delivered
    assert (caught.value.size_bytes, caught.value.limit_bytes) == (size_bytes + 3, size_bytes)


async def test_metadata_over_the_limit_is_refused() -> None:
    """It stands in the log beside the command, so it is bounded like one."""
    store = MemoryStore()

    with pytest.raises(PayloadTooLarge):
        await AvailabilityRouter(store, max_payload_bytes=1_000).prepare_delivery(
            intent(metadata={"x": "x" * 1_000})
        )
    assert await nothing_written(store, "echo")


@pytest.mark.parametrize("payload", [None, "text", [1], {"header": "text"}, {1: 2}])
async def test_a_command_that_is_no_object_is_refused(payload: Any) -> None:
    """Nor is anything written for it."""
    store = MemoryStore()

    with pytest.raises(InvalidInput):
        await AvailabilityRouter(store).prepare_delivery(intent(command_payload=payload))
    assert await nothing_written(store, "echo")


async def test_the_intent_s_target_wins_over_the_header_s(store: Store) -> None:
    """Stream and header never name two different agent types."""
    payload = {"header": {"target_agent_type": "somebody", "message_id": "m"}, "body": {}}

    await AvailabilityRouter(store).prepare_delivery(intent(command_payload=payload))

    (command,) = await commands(store, "echo")
    assert command["header"] == {"target_agent_type": "echo", "message_id": "m"}


@pytest.mark.parametrize("worker_id", ["new\nline", "x" * 10_000, "\ud800", 7])
async def test_a_worker_s_name_is_checked_too(worker_id: Any) -> None:
    """It stands in a key like the others."""
    store = MemoryStore()

    with pytest.raises(InvalidName, match="target_worker_id"):
        await GatewayClient(redis_client=store).send_message(
            "echo", "s", "x", target_worker_id=worker_id, route_policy=RoutePolicy.SEND_ANYWAY
        )
    assert store.worker_streams == {}
