"""What workers put into a session's data stream, in by-framework's JSON.

Whoever shows a session to its user reads three kinds there: an answer, the end of an answer, and a
state, which here is only ever a failure.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Mapping
from typing import Any

TEXT = "1002"
"""Content type of text."""
TITLE = "3003"
"""Content type of what an agent is doing."""


def answer(command: Mapping[str, Any], content: Any, execution_id: str) -> str:
    """Return an agent's answer; content that is no text is shown as JSON."""
    text = content if isinstance(content, str) else json.dumps(content, ensure_ascii=False)
    return _message(command, "finalAnswer", TEXT, "assistant", text, execution_id)


def end_of_answer(command: Mapping[str, Any], execution_id: str) -> str:
    """Return the mark after an answer to a user: nothing more comes for it."""
    return _message(command, "appStreamResponse", TEXT, "assistant", "", execution_id)


def failure(command: Mapping[str, Any], error: Exception, execution_id: str) -> str:
    """Return the state of an agent that could not answer."""
    text = f"FAILED: {type(error).__name__}: {error}"
    return _message(command, "reasoningLogDelta", TITLE, None, text, execution_id)


def header_of(command: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a command's header; a command of someone else may have none."""
    header = command.get("header")
    return header if isinstance(header, Mapping) else {}


def is_asked_by_user(command: Mapping[str, Any]) -> bool:
    """Tell whether the answer ends what a user sees: no other agent asked, which may go on."""
    return not header_of(command).get("source_agent_type")


def _message(
    command: Mapping[str, Any],
    event_type: str,
    content_type: str,
    role: str | None,
    content: str,
    execution_id: str,
) -> str:
    header = header_of(command)
    agent_type = header.get("target_agent_type") or ""
    message_id = header.get("message_id") or ""
    parent_message_id = header.get("parent_message_id") or ""
    now_ms = time.time_ns() // 1_000_000
    delta: dict[str, Any] = dict.fromkeys(
        ("function_call", "function_response", "tool_calls", "tool_responses")
    )
    message = {
        "trace_id": header.get("trace_id") or "",
        "session_id": header.get("session_id") or "",
        "event_type": event_type,
        "source_agent_type": agent_type,
        "message_id": message_id,
        "parent_message_id": parent_message_id,
        "timestamp": now_ms,
        "data": {
            "id": uuid.uuid4().hex.upper(),
            "created": now_ms // 1000,
            "model": "",
            "object": "",
            "contentType": content_type,
            "agentId": agent_type or None,
            "orderId": message_id,
            "parentOrderId": parent_message_id,
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "",
                    "delta": {"role": role, "content": content, **delta},
                }
            ],
        },
        "state_msg": "",
        "artifact_url": "",
        "metadata": {"execution_id": execution_id} if execution_id else {},
    }
    return json.dumps(message, ensure_ascii=False)


def text_of(message: Mapping[str, Any]) -> str:
    """Return what a message in a session's data stream says."""
    try:
        return str(message["data"]["choices"][0]["delta"]["content"] or "")
    except (LookupError, TypeError):
        return ""
