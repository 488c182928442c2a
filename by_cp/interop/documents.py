"""What a foreign client wrote, made into the adoption of it.

Such a client checks nothing that by-cp relies on, so everything is checked here, as leniently as
can be: what its own framework would have delivered should be delivered.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import structs

from by_cp.errors import InvalidInput
from by_cp.keys import RedisKeys
from by_cp.log.commands import Adopt
from by_cp.log.commandtext import cut
from by_cp.log.contract import WAKEUP, Written
from by_cp.names import PRIORITY_ABS_MAX, TIMEOUT_MS_MAX, check_name
from by_cp.statemachine.events import Call
from by_cp.vocabulary import RoutePolicy
from by_cp.wire import PendingDelivery, WakeupRequest

ORIGIN = "by-framework"


class Asked(NamedTuple):
    """A request for a wake, and its entry."""

    entry: Written
    document: WakeupRequest

    @property
    def queues(self) -> bool:
        """Whether its client goes on, after it has written the command to hold as well."""
        return self.document.policy == RoutePolicy.WAKE_AND_QUEUE


class Queued(NamedTuple):
    """A command to hold, and its entry."""

    entry: Written
    document: PendingDelivery


def parsed(entry: Written) -> Asked | Queued:
    """Read an entry.

    Raises:
        InvalidInput: it is not what should be in its stream, or names no execution or agent type.

    """
    found: Asked | Queued
    if entry.stream == WAKEUP:
        found = Asked(entry, WakeupRequest.from_json(entry.data))
    else:
        found = Queued(entry, PendingDelivery.from_json(entry.data))
        _check_command(found.document)
    check_name("execution_id", found.document.execution_id)
    check_name("target_agent_type", found.document.target_agent_type)
    return found


def execution_id_of(entry: Written) -> str:
    """Return the execution_id of an entry that cannot be read, if that much can be told, or ""."""
    try:
        document = msgspec.json.decode(entry.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    execution_id = document.get("execution_id") if isinstance(document, dict) else None
    return execution_id if isinstance(execution_id, str) else ""


def adoption_of_wait(asked: Asked) -> Adopt:
    """Return how the request of a client that waits is adopted.

    Raises:
        InvalidInput: something in it cannot be in the log.

    """
    return Adopt(
        execution_id=asked.document.execution_id,
        call=_call(asked.document, RoutePolicy.WAKE_AND_WAIT, asked),
        command=cut(asked.document.command_payload, asked.document.target_agent_type),
        written_ms=asked.entry.written_ms,
        entries=(asked.entry.entry_id, ""),
    )


def adoption_of_command(queued: Queued, asked: Asked | None) -> Adopt:
    """Return how a command to hold is adopted, with the request for its wake, if there is one.

    Raises:
        InvalidInput: something in it cannot be in the log.

    """
    policy = RoutePolicy.QUEUE_ONLY if asked is None else RoutePolicy.WAKE_AND_QUEUE
    return Adopt(
        execution_id=queued.document.execution_id,
        call=_call(queued.document, policy, asked),
        command=cut(queued.document.command_payload, queued.document.target_agent_type),
        written_ms=queued.entry.written_ms,
        entries=(asked.entry.entry_id if asked else "", queued.entry.entry_id),
    )


def under_another_id(adoption: Adopt) -> Adopt:
    """Return the adoption of a command whose id the log knows for another one.

    by-framework's ids have 32 random bits: a log that keeps its executions meets the same again.
    The other id is made of the entry's, so that all adopters give it the same.
    """
    entry_id = adoption.entries[1]
    return structs.replace(adoption, execution_id=f"{adoption.execution_id}~{entry_id}")


def _call(
    document: WakeupRequest | PendingDelivery, policy: RoutePolicy, asked: Asked | None
) -> Call:
    timeout_ms = asked.document.timeout_ms if asked else 0
    source = asked.document.source if asked else ""
    return Call(
        agent_type=document.target_agent_type,
        user_code=check_name("user_code", document.user_code, empty_allowed=True),
        region=check_name("region", document.region, empty_allowed=True),
        policy=policy.value,
        priority=max(-PRIORITY_ABS_MAX, min(document.priority, PRIORITY_ABS_MAX)),
        timeout_ms=max(0, min(timeout_ms, TIMEOUT_MS_MAX)),
        session_id=check_name("session_id", document.session_id, empty_allowed=True),
        trace_id=check_name("trace_id", document.trace_id, empty_allowed=True),
        message_id=check_name("message_id", document.message_id, empty_allowed=True),
        source=check_name("source", source, empty_allowed=True),
        metadata=_metadata(document.metadata),
        origin=ORIGIN,
    )


def _check_command(document: PendingDelivery) -> None:
    if not document.command_payload:
        raise InvalidInput("no PendingDelivery: it holds no command")
    expected = RedisKeys.ctrl_stream(document.target_agent_type)
    if document.delivery_stream not in ("", expected):
        raise InvalidInput(f"no PendingDelivery: delivery_stream is not {expected!r}")


def _metadata(metadata: Mapping[str, Any]) -> str:
    return json.dumps(metadata, ensure_ascii=False, separators=(",", ":"))
