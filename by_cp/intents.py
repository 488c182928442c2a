"""What a caller wants delivered, checked once, at the edge, and made into a request of the log.

Everything that is passed on from here is trusted: it is in keys, in events and in JSON documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from by_cp.errors import InvalidInput, PayloadTooLarge
from by_cp.ids import new_execution_id
from by_cp.log.commands import Request
from by_cp.log.commandtext import CommandText, cut
from by_cp.names import PRIORITY_ABS_MAX, TIME_MS_MAX, TIMEOUT_MS_MAX, check_int, check_name
from by_cp.protocol.commands import AskAgentCommand, ResumeCommand
from by_cp.registration import registration_of
from by_cp.statemachine.events import Call
from by_cp.vocabulary import RoutePolicy
from by_cp.wire import DeliveryIntent

PAYLOAD_BYTES_MAX = 1024 * 1024
"""Largest encoded command, in bytes, that is accepted unless a caller's limit is another one."""


DELAYABLE = frozenset({RoutePolicy.WAKE_AND_QUEUE, RoutePolicy.QUEUE_ONLY})
"""Policies whose commands may be delayed."""


class Route(NamedTuple):
    """How a command is to find its way, as a caller says it."""

    policy: str
    timeout_ms: int
    region: str | None
    priority: int
    not_before_ms: int = 0
    expires_at_ms: int = 0


def execution_id_or_new(execution_id: str | None) -> str:
    """Return the caller's own id, or a fresh one.

    Raises:
        InvalidName: the caller's is not acceptable.

    """
    return new_execution_id() if execution_id is None else check_name("execution_id", execution_id)


def intent_of(
    command: AskAgentCommand | ResumeCommand, execution_id: str, source: str, route: Route
) -> DeliveryIntent:
    """Return the intent to deliver a command, addressed as its header says.

    Raises:
        InvalidInput: what stands in the header alone is not acceptable.

    """
    header = command.header
    check_name("parent_message_id", header.parent_message_id, empty_allowed=True)
    if not isinstance(header.user_name, str):
        raise InvalidInput(f"user_name must be a str, not {type(header.user_name).__name__}")
    return DeliveryIntent(
        execution_id=execution_id,
        message_id=header.message_id,
        session_id=header.session_id,
        trace_id=header.trace_id,
        source=source,
        target_agent_type=header.target_agent_type,
        user_code=header.user_code,
        region="" if route.region is None else route.region,
        priority=route.priority,
        policy=route.policy,
        timeout_ms=route.timeout_ms,
        command_payload=command.to_dict(),
        metadata=header.metadata,
        not_before_ms=route.not_before_ms,
        expires_at_ms=route.expires_at_ms,
    )


def object_of(what: str, value: object) -> dict[str, Any]:
    """Return a copy of an object, {} for None; `what` names the argument in the error.

    Raises:
        InvalidInput: it is something else.

    """
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise InvalidInput(f"{what} must be an object, not {type(value).__name__}")
    return dict(value)


def policy_of(policy: object) -> RoutePolicy:
    """Return the policy of that name.

    Raises:
        InvalidInput: there is none.

    """
    try:
        return RoutePolicy(policy)  # type: ignore[arg-type]
    except ValueError:
        valid = ", ".join(RoutePolicy)
        raise InvalidInput(f"route_policy must be one of {valid}, not {policy!r}") from None


def request_of(
    intent: DeliveryIntent, *, inbox: str, max_payload_bytes: int, registers: bool = True
) -> Request:
    """Return the request that stands for an intent. Who waits gets an inbox.

    Raises:
        InvalidInput: an argument is not acceptable; the message names it.

    """
    policy = policy_of(intent.policy)
    call = Call(
        agent_type=check_name("target_agent_type", intent.target_agent_type),
        user_code=check_name("user_code", intent.user_code, empty_allowed=True),
        region=check_name("region", intent.region, empty_allowed=True),
        policy=policy.value,
        priority=check_int(
            "priority", intent.priority, low=-PRIORITY_ABS_MAX, high=PRIORITY_ABS_MAX
        ),
        timeout_ms=check_int("timeout_ms", intent.timeout_ms, low=0, high=TIMEOUT_MS_MAX),
        session_id=check_name("session_id", intent.session_id, empty_allowed=True),
        trace_id=check_name("trace_id", intent.trace_id, empty_allowed=True),
        message_id=check_name("message_id", intent.message_id, empty_allowed=True),
        source=check_name("source", intent.source, empty_allowed=True),
        metadata=_metadata_text(intent.metadata, max_payload_bytes),
        not_before_ms=_not_before_ms(intent.not_before_ms, policy),
        expires_at_ms=check_int("expires_at_ms", intent.expires_at_ms, low=0, high=TIME_MS_MAX),
    )
    return Request(
        execution_id=check_name("execution_id", intent.execution_id),
        call=call,
        command=command_text(intent, call.agent_type, max_payload_bytes),
        inbox=inbox if policy is RoutePolicy.WAKE_AND_WAIT else "",
        registration=registration_of(intent) if registers else b"",
    )


def _not_before_ms(not_before_ms: object, policy: RoutePolicy) -> int:
    """Check when a command may be delivered at the earliest; only what is held can be delayed."""
    checked = check_int("not_before_ms", not_before_ms, low=0, high=TIME_MS_MAX)
    if checked and policy not in DELAYABLE:
        raise InvalidInput(
            f"not_before_ms needs a policy that holds the command without a waiting caller, "
            f"{' or '.join(sorted(DELAYABLE))}, not {policy}"
        )
    return checked


def command_text(intent: DeliveryIntent, agent_type: str, max_payload_bytes: int) -> CommandText:
    """Encode an intent's command, addressed to an agent type whatever its header says.

    Raises:
        PayloadTooLarge: it is over the limit.
        InvalidInput: it is no JSON object.

    """
    if not isinstance(intent.command_payload, Mapping):
        kind = type(intent.command_payload).__name__
        raise InvalidInput(f"command_payload must be an object, not {kind}")
    text = cut(intent.command_payload, agent_type)
    _check_size(len(text.before) + len(text.name) + len(text.after), max_payload_bytes)
    return text


def _metadata_text(metadata: Any, max_payload_bytes: int) -> str:
    """Encode what the caller tells the provider: it stands in the log beside the command."""
    if not isinstance(metadata, Mapping):
        raise InvalidInput(f"metadata must be an object, not {type(metadata).__name__}")
    try:
        text = json.dumps(
            dict(metadata), ensure_ascii=False, allow_nan=False, separators=(",", ":")
        )
        size_bytes = len(text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"the metadata cannot be encoded as JSON: {error}") from error
    _check_size(size_bytes, max_payload_bytes)
    return text


def _check_size(size_bytes: int, limit_bytes: int) -> None:
    if size_bytes > limit_bytes:
        raise PayloadTooLarge(size_bytes, limit_bytes)
