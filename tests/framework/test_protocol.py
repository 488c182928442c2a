"""Commands and headers, against the wire form written out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from by_cp.errors import InvalidInput
from by_cp.protocol import (
    AskAgentCommand,
    ExecutionStatus,
    MessageHeader,
    ResumeCommand,
    SendMessageResponse,
    command_from_dict,
    command_of,
)

HEADER = {
    "message_id": "msg-1",
    "session_id": "session-1",
    "trace_id": "trace-1",
    "source_agent_type": "",
    "target_agent_type": "echo",
    "parent_message_id": "",
    "task_group_id": "",
    "user_code": "",
    "user_name": "",
    "metadata": {},
}


def header() -> MessageHeader:
    """Make the header that `HEADER` shows."""
    return MessageHeader("msg-1", "session-1", "trace-1", target_agent_type="echo")


def test_a_question_on_the_wire() -> None:
    """What is absent is empty, never null; an empty extra_payload is not there at all."""
    command = AskAgentCommand(header(), "hello")

    assert command.to_dict() == {
        "action_type": "ASK_AGENT",
        "header": HEADER,
        "body": {"content": "hello", "wait_for_reply": False},
    }
    assert list(command.to_dict()["header"]) == list(HEADER)


def test_a_question_with_everything_on_the_wire() -> None:
    """`wait_for_reply` comes in the extra payload and stands beside it."""
    content = [{"role": "user", "content": "hello"}]
    extra = {"wait_for_reply": True, "depth": 2}

    assert command_of("ASK_AGENT", header(), content, extra).to_dict() == {
        "action_type": "ASK_AGENT",
        "header": HEADER,
        "body": {
            "content": [{"role": "user", "content": "hello"}],
            "wait_for_reply": True,
            "extra_payload": {"depth": 2},
        },
    }


def test_a_resume_on_the_wire() -> None:
    """Status and reply come in the extra payload; a reply may be null."""
    extra = {"status": "COMPLETED", "reply_data": {"answer": 42}, "depth": 2}

    assert command_of("RESUME", header(), "", extra).to_dict() == {
        "action_type": "RESUME",
        "header": HEADER,
        "body": {
            "content": "",
            "status": "COMPLETED",
            "reply_data": {"answer": 42},
            "extra_payload": {"depth": 2},
        },
    }
    assert command_of("RESUME", header(), "go on", {}).to_dict()["body"] == {
        "content": "go on",
        "status": "",
        "reply_data": None,
    }


def test_the_caller_s_payload_is_not_changed() -> None:
    """What is taken out of the extra payload is taken out of a copy."""
    extra = {"status": "COMPLETED", "depth": 2}

    command_of("RESUME", header(), "", extra)

    assert extra == {"status": "COMPLETED", "depth": 2}


@pytest.mark.parametrize("content", ["", " \n", [], (), None])
def test_a_question_needs_content(content: Any) -> None:
    """An empty question is refused when it is made."""
    with pytest.raises(InvalidInput, match="content must not be empty"):
        command_of("ASK_AGENT", header(), content, {})


@pytest.mark.parametrize("content", ["", [], None])
def test_a_resume_needs_a_status_or_content(content: Any) -> None:
    """A resume that says nothing is refused."""
    with pytest.raises(InvalidInput, match="status or content"):
        command_of("RESUME", header(), content, {"status": None})


@pytest.mark.parametrize("action_type", ["", "ask_agent", "CANCEL_TASK", None, 1])
def test_other_actions_are_refused_by_name(action_type: Any) -> None:
    """by-framework would have taken any for a question; here the valid ones are listed."""
    with pytest.raises(InvalidInput, match="ASK_AGENT, RESUME"):
        command_of(action_type, header(), "hello", {})


@pytest.mark.parametrize(
    "command",
    [
        AskAgentCommand(header(), "hello", wait_for_reply=True, extra_payload={"depth": 2}),
        ResumeCommand(header(), status="COMPLETED", reply_data=[1, None]),
    ],
)
def test_commands_are_read_as_they_were_written(command: AskAgentCommand | ResumeCommand) -> None:
    """A round trip through the wire form changes nothing."""
    assert command_from_dict(command.to_dict()) == command


def test_readers_are_lenient_where_others_write_otherwise() -> None:
    """Newer header fields are ignored; a null is as if empty."""
    data = {
        "action_type": "ASK_AGENT",
        "header": {"message_id": "msg-1", "user_code": None, "trace_parent_span_id": "x"},
        "body": {"content": "hello", "extra_payload": None},
    }

    command = command_from_dict(data)

    assert command.header == MessageHeader("msg-1", "", "")
    assert command.extra_payload == {}


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"action_type": "RELOAD_PLUGINS"},
        {"action_type": "ASK_AGENT", "header": [1], "body": {"content": "x"}},
        {"action_type": "ASK_AGENT", "header": {"user_code": 7}, "body": {"content": "x"}},
        {"action_type": "ASK_AGENT", "header": {"metadata": "x"}, "body": {"content": "x"}},
        {"action_type": "ASK_AGENT", "header": {}, "body": "x"},
        {"action_type": "RESUME", "header": {}, "body": {"status": 7}},
    ],
)
def test_what_is_no_command_is_refused(data: dict[str, Any]) -> None:
    """A worker that gets it hears so, and not of some attribute."""
    with pytest.raises(InvalidInput):
        command_from_dict(data)


def test_a_response_has_by_framework_s_fields_first() -> None:
    """Positional construction and the defaults are by-framework's."""
    response = SendMessageResponse(True, "msg-1", "trace-1", "", 1, ExecutionStatus.QUEUED)  # noqa: FBT003

    assert (response.error, response.error_code) == ("", "")
    assert (response.execution_id, response.retry_after_ms) == ("", None)
    assert ExecutionStatus.ERR_WORKER_NOT_ONLINE == "WORKER_NOT_ONLINE"
