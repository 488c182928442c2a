"""by-framework's documents, as Python and as JSON.

Names, fields and defaults are by-framework's (release 0.2.1), so that changing an import is enough.
Readers are as lenient as its ports need, the older and the other ones: unknown keys are ignored,
`tenant_id` is a user code, numbers and objects may come as texts. Writers never write null for an
object, a list or an int (`retry_after_ms` excepted): its readers crash on that.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Self

import msgspec

from by_cp.errors import InvalidInput
from by_cp.vocabulary import (
    AvailabilityStatus,
    ErrorCode,
    RoutePolicy,
    WakeupDecisionStatus,
)

__all__ = [
    "AvailabilityResult",
    "AvailabilityStatus",
    "DeliveryIntent",
    "ErrorCode",
    "PendingDelivery",
    "RoutePolicy",
    "WakeupDecision",
    "WakeupDecisionStatus",
    "WakeupRequest",
]


@dataclass(frozen=True)
class DeliveryIntent:
    """One command that someone wants delivered."""

    execution_id: str
    message_id: str
    session_id: str
    trace_id: str
    source: str
    target_agent_type: str
    user_code: str = ""
    region: str = ""
    priority: int = 0
    policy: str = RoutePolicy.FAIL_FAST
    timeout_ms: int = 30_000
    command_payload: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    not_before_ms: int = 0
    """When it may be delivered at the earliest, in ms since 1970; 0 is at once."""
    expires_at_ms: int = 0
    """When it is of no use any more, in ms since 1970; 0 is never."""


@dataclass(frozen=True)
class AvailabilityResult:
    """What became of an intent. If it was delivered, that is done: callers write nothing."""

    status: str
    stream_name: str = ""
    target_worker_id: str = ""
    error: str = ""
    error_code: str = ""
    selected_agent_type: str = ""
    execution_id: str = ""
    delivered: bool = False
    """The command stands in `stream_name`."""
    retry_after_ms: int | None = None
    """Of a rejection: when it is worth trying again, if that is known."""


@dataclass(frozen=True)
class _Document:
    """A document with by-framework's `from_dict` and its one-field stream entries."""

    def to_redis_payload(self) -> dict[str, str]:
        """Return the fields of a stream entry."""
        return {"data": msgspec.json.encode(asdict(self)).decode()}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Self:
        """Read a document, leniently.

        Raises:
            InvalidInput: a field has a value that cannot be read as its type.

        """
        try:
            return cls(**{name: read(data) for name, read in _READERS[cls].items()})
        except (TypeError, ValueError) as error:
            raise InvalidInput(f"no {cls.__name__}: {error}") from error

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """Read a document from JSON.

        Raises:
            InvalidInput: it is no JSON object, or a field cannot be read.

        """
        try:
            data = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(f"no {cls.__name__}: {error}") from error
        if not isinstance(data, dict):
            raise InvalidInput(f"no {cls.__name__}: not a JSON object")
        return cls.from_dict(data)


@dataclass(frozen=True)
class WakeupRequest(_Document):
    """What a manager is asked when nobody of an agent type is online."""

    execution_id: str
    target_agent_type: str
    session_id: str
    trace_id: str
    message_id: str
    source: str
    policy: str
    timeout_ms: int
    user_code: str = ""
    region: str = ""
    priority: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)
    command_payload: dict[str, Any] = field(default_factory=dict)
    epoch: str = ""
    """Fencing token of this call of the provider: no other call has it, so it is the key by which
    to tell a repetition of the same call from another one. by-framework does not know it."""
    attempt: int = 1
    """Which call of the same wake this is; 1 is the first."""


@dataclass(frozen=True)
class PendingDelivery(_Document):
    """A command that is held."""

    execution_id: str
    message_id: str
    session_id: str
    trace_id: str
    target_agent_type: str
    delivery_stream: str
    command_payload: dict[str, Any]
    user_code: str = ""
    region: str = ""
    priority: int = 0
    metadata: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class WakeupDecision(_Document):
    """What a provider says of a wake, and what those who wait are told."""

    execution_id: str = ""
    target_agent_type: str = ""
    status: str = WakeupDecisionStatus.FAILED
    selected_agent_type: str = ""
    worker_ids: list[str] = field(default_factory=list)
    region: str = ""
    retry_after_ms: int | None = None
    reason: str = ""


def _said(data: dict[str, Any], keys: tuple[str, ...]) -> Any:
    """Return the first that is there, and neither null nor an empty text; else None."""
    return next((data[key] for key in keys if data.get(key) not in (None, "")), None)


def _text(*keys: str, default: str = "") -> Any:
    def read(data: dict[str, Any]) -> str:
        found = _said(data, keys)
        if isinstance(found, (dict, list)):
            raise TypeError(f"{keys[0]} must be a text")
        return default if found is None else str(found)

    return read


def _int(*keys: str, default: int) -> Any:
    def read(data: dict[str, Any]) -> int:
        found = _said(data, keys)
        try:
            return default if found is None else int(found)
        except (TypeError, ValueError):
            raise TypeError(f"{keys[0]} must be an int, not {found!r}") from None

    return read


def _object(key: str) -> Any:
    def read(data: dict[str, Any]) -> dict[str, Any]:
        found = _said(data, (key,))
        if isinstance(found, str):
            found = msgspec.json.decode(found)
        if found is not None and not isinstance(found, dict):
            raise TypeError(f"{key} must be an object")
        return found or {}

    return read


def _texts(key: str) -> Any:
    def read(data: dict[str, Any]) -> list[str]:
        found = _said(data, (key,))
        if isinstance(found, str):
            found = [item.strip() for item in found.split(",")]
        if found is not None and not isinstance(found, (list, tuple)):
            raise TypeError(f"{key} must be a list")
        return [str(item) for item in found or ()]

    return read


def _retry_after(data: dict[str, Any]) -> int | None:
    read: Any = _int("retry_after_ms", default=-1)
    found: int = read(data)
    return None if _said(data, ("retry_after_ms",)) is None else found


_COMMON = {
    "execution_id": _text("execution_id"),
    "target_agent_type": _text("target_agent_type", "agent_type"),
    "session_id": _text("session_id"),
    "trace_id": _text("trace_id"),
    "message_id": _text("message_id"),
    "user_code": _text("user_code", "tenant_id"),
    "region": _text("region"),
    "priority": _int("priority", default=0),
    "metadata": _object("metadata"),
    "command_payload": _object("command_payload"),
}
_READERS: dict[type, dict[str, Any]] = {
    WakeupRequest: _COMMON
    | {
        "source": _text("source"),
        "policy": _text("policy", default=RoutePolicy.FAIL_FAST),
        "timeout_ms": _int("timeout_ms", "ttl_ms", default=30_000),
        "epoch": _text("epoch"),
        "attempt": _int("attempt", default=1),
    },
    PendingDelivery: _COMMON | {"delivery_stream": _text("delivery_stream")},
    WakeupDecision: {
        "execution_id": _text("execution_id"),
        "target_agent_type": _text("target_agent_type", "agent_type"),
        "status": _text("status", default=WakeupDecisionStatus.FAILED),
        "selected_agent_type": _text("selected_agent_type"),
        "worker_ids": _texts("worker_ids"),
        "region": _text("region"),
        "retry_after_ms": _retry_after,
        "reason": _text("reason"),
    },
}
