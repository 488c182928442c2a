"""What a sender writes into its session's registry, for by-framework's workers and clients.

A command does not say what its execution is called. by-framework's workers look that up by the
message, in the session's registry, and keep there what becomes of the execution; its client finds
there what to cancel. The store writes it in the call that decides, and only what is accepted: it
adds the target and the stream, which are known only there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from by_cp.wire import DeliveryIntent

CLIENT = "client"
"""The `source` of what a client sends."""

QUEUED = "QUEUED"
"""Status of an execution that no worker has taken yet."""


class _Registered(msgspec.Struct):
    status: str = ""


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Registered)


def registration_of(intent: DeliveryIntent) -> bytes:
    """Return an execution as its sender writes it down, but for its target, stream and end.

    It is b"" where nothing could be found again: without a message or a session.
    """
    if not intent.message_id or not intent.session_id:
        return b""
    header = intent.command_payload.get("header")
    if not isinstance(header, Mapping):
        header = {}
    now_ms = time.time_ns() // 1_000_000
    source = CLIENT if intent.source == CLIENT else _text(header, "source_agent_type")
    execution = {
        "execution_id": intent.execution_id,
        "message_id": intent.message_id,
        "session_id": intent.session_id,
        "trace_id": intent.trace_id,
        "parent_message_id": _text(header, "parent_message_id"),
        "source_agent_type": source,
        "status": QUEUED,
        "created_at": now_ms,
        "updated_at": now_ms,
        "started_at": 0,
        "finished_at": 0,
        "timeline": [{"status": QUEUED, "timestamp": now_ms}],
    }
    return _ENCODER.encode(execution)[:-1]


def status_of(registered: bytes) -> str:
    """Return the status of an execution that stands in a registry; "" if it has none."""
    try:
        return _DECODER.decode(registered).status
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _text(header: Mapping[str, Any], name: str) -> str:
    value = header.get(name)
    return value if isinstance(value, str) else ""
