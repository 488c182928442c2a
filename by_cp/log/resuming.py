"""What resumes an agent that waits for a reply that will never come.

An agent that calls another and waits for its reply is suspended until a RESUME command comes into
its own control stream. The called agent's worker sends it, whatever came out. If the command never
reaches a worker, because its wake failed or it was taken back, by-cp sends it, in the call that
buries or cancels the command.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from by_cp.log.commandtext import json_name
from by_cp.statemachine.events import Call
from by_cp.vocabulary import WORKER_NAME_BYTES_MAX


class Resume(NamedTuple):
    """A RESUME command, and to which agent type it goes."""

    agent_type: str
    command: str


def resume_of(call: Call, command: str, reason: str) -> Resume | None:
    """Return what resumes the agent that sent a command; None if none waits for a reply."""
    header = _header(command)
    to, parent = _text(header, "source_agent_type"), _text(header, "parent_message_id")
    if not to or not parent or len(to.encode()) > WORKER_NAME_BYTES_MAX:
        return None
    named = {
        "message_id": parent,
        "session_id": call.session_id,
        "trace_id": call.trace_id,
        "source_agent_type": call.agent_type,
        "target_agent_type": to,
        "parent_message_id": call.message_id,
        "task_group_id": _text(header, "task_group_id"),
        "user_code": call.user_code,
        "user_name": _text(header, "user_name"),
    }
    fields = ",".join(f'"{name}":{_quoted(value)}' for name, value in named.items())
    return Resume(
        to,
        f'{{"action_type":"RESUME","header":{{{fields},"metadata":{call.metadata}}},'
        f'"body":{{"content":"","status":"FAILED","reply_data":{{"error":{_quoted(reason)}}}}}}}',
    )


def _header(command: str) -> dict[str, Any]:
    """Return the header of a command that asks an agent; {} of any other."""
    try:
        document = msgspec.json.decode(command)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return {}
    if not isinstance(document, dict) or document.get("action_type") != "ASK_AGENT":
        return {}
    header = document.get("header")
    return header if isinstance(header, dict) else {}


def _text(header: dict[str, Any], name: str) -> str:
    value = header.get(name)
    return value if isinstance(value, str) else ""


def _quoted(text: str) -> str:
    return json_name(text).decode()
