"""BaiYing messages, against the wire form written out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from by_cp import (
    BaiYingMessage,
    BaiYingMessageRole,
    ByaiAgentContext,
    ByaiGatewayClient,
    MessageContent,
    MessageFile,
    Resource,
    RoutePolicy,
)
from by_cp.errors import InvalidInput
from by_cp.log.contract import Store
from by_cp.protocol.byai import deserialize_byai_content, serialize_byai_content
from tests.framework.sending import commands

MESSAGE = BaiYingMessage(
    BaiYingMessageRole.USER,
    MessageContent(
        "look",
        files=[MessageFile(7, "https://files/7", "pdf", "report.pdf")],
        resources=[Resource("r-1", "Sales", "table", resourceMetaData={"rows": 2**60})],
    ),
)
WIRE = {
    "role": "user",
    "content": {
        "text": "look",
        "files": [
            {
                "fileId": 7,
                "fileUrl": "https://files/7",
                "fileType": "pdf",
                "fileName": "report.pdf",
            }
        ],
        "resources": [
            {
                "resourceId": "r-1",
                "resourceName": "Sales",
                "resourceType": "table",
                "id": "",
                "path": "",
                "resourceDesc": "",
                "resourceMetaData": {"rows": 2**60},
            }
        ],
    },
}
PLAIN = BaiYingMessage(BaiYingMessageRole.RESPONSE_TO_SUB_AGENT, "done")
PLAIN_WIRE = {"role": "response-to-sub-agent", "content": "done"}

PAIRS: list[tuple[Any, Any]] = [
    ("hello", "hello"),
    (MESSAGE, [WIRE]),
    (PLAIN, [PLAIN_WIRE]),
    ([MESSAGE, PLAIN], [WIRE, PLAIN_WIRE]),
    (
        BaiYingMessage(BaiYingMessageRole.TOOL_CALL, MessageContent("x")),
        [{"role": "tool-call", "content": {"text": "x", "files": [], "resources": []}}],
    ),
]


@pytest.mark.parametrize(("content", "wire"), PAIRS)
def test_content_has_the_wire_form_and_comes_back(content: Any, wire: Any) -> None:
    """A lone message is a list of one on the wire, and a lone message again."""
    assert serialize_byai_content(content) == wire
    assert deserialize_byai_content(wire) == content


def test_what_is_in_wire_form_already_stays() -> None:
    """Objects may stand among messages."""
    assert serialize_byai_content([PLAIN_WIRE, PLAIN]) == [PLAIN_WIRE, PLAIN_WIRE]


def test_nothing_of_a_resource_is_null_on_the_wire() -> None:
    """The type allows None, other languages' readers do not."""
    resource = Resource("r-1", "n", "t", None, None, None, None)
    (wire,) = serialize_byai_content(
        BaiYingMessage(BaiYingMessageRole.USER, MessageContent("x", resources=[resource]))
    )

    assert wire["content"]["resources"] == [
        {
            "resourceId": "r-1",
            "resourceName": "n",
            "resourceType": "t",
            "id": "",
            "path": "",
            "resourceDesc": "",
            "resourceMetaData": {},
        }
    ]


@pytest.mark.parametrize("content", [[], [{"text": "no role"}], [1], 7, None])
def test_other_content_is_left_alone(content: Any) -> None:
    """What holds no messages is returned as it is."""
    assert deserialize_byai_content(content) == content


def test_unknown_fields_are_ignored() -> None:
    """A newer sender's file has more fields than ours."""
    file = {"fileId": 1, "fileUrl": "u", "fileType": "t", "fileName": "n", "fileSize": 3}
    wire = [{"role": "user", "content": {"text": "x", "files": [file]}, "name": "new"}]

    message = deserialize_byai_content(wire)

    assert message.content.files == [MessageFile(1, "u", "t", "n")]


@pytest.mark.parametrize(
    "wire",
    [
        [{"role": "nobody", "content": "x"}],
        [{"role": None, "content": "x"}],
        [{"role": "user", "content": {"files": [{"fileId": 1}]}}],
        [{"role": "user", "content": {"files": [7]}}],
        [{"role": "user", "content": {"files": 7}}],
        [{"role": "user", "content": {"resources": {"resourceId": "r"}}}],
    ],
)
def test_broken_messages_are_refused(wire: Any) -> None:
    """The error is by-cp's, whatever is broken."""
    with pytest.raises(InvalidInput):
        deserialize_byai_content(wire)


def test_a_role_may_be_written_as_text() -> None:
    """by-framework's users pass either; an unknown one is refused before it is sent."""
    message = BaiYingMessage("user", "x")  # type: ignore[arg-type]
    assert serialize_byai_content(message) == [{"role": "user", "content": "x"}]

    with pytest.raises(InvalidInput):
        serialize_byai_content(BaiYingMessage("nobody", "x"))  # type: ignore[arg-type]


@pytest.mark.parametrize(("content", "wire"), PAIRS)
async def test_both_facades_send_the_wire_form(store: Store, content: Any, wire: Any) -> None:
    """A message arrives alike, whether a client or an agent sent it."""
    client = ByaiGatewayClient(redis_client=store)
    context = ByaiAgentContext("session-1", "trace-1", store)
    await client.send_message("echo", "s", content, route_policy=RoutePolicy.SEND_ANYWAY)
    await context.call_agent("echo", content, route_policy=RoutePolicy.SEND_ANYWAY)

    bodies = [command["body"]["content"] for command in await commands(store, "echo")]

    assert bodies == [wire, wire]
