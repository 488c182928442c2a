"""The words that callers hear: policies, statuses, error codes, and the sentences of rejections.

Both deciders, the Python one and the server's Lua one, take them from here: the Lua library is
rendered with these tables as data (`by_cp.log.redis.library`).
"""

from __future__ import annotations

from enum import StrEnum


class RoutePolicy(StrEnum):
    """What becomes of a command whose agent has no worker online."""

    FAIL_FAST = "FAIL_FAST"
    """Fail at once. The default."""
    SEND_ANYWAY = "SEND_ANYWAY"
    """Do not look whether anyone is online; write into the control stream."""
    WAKE_AND_WAIT = "WAKE_AND_WAIT"
    """Wake the agent and wait; deliver if it becomes ready in time."""
    WAKE_AND_QUEUE = "WAKE_AND_QUEUE"
    """Wake the agent and hold the command for it; do not wait."""
    QUEUE_ONLY = "QUEUE_ONLY"
    """Hold the command until a worker comes online by itself; wake nobody."""


class AvailabilityStatus(StrEnum):
    """How a request for delivery came out."""

    DELIVER_NOW = "DELIVER_NOW"
    """Delivered, in the call that asked."""
    WAIT_AND_DELIVER = "WAIT_AND_DELIVER"
    """Delivered, after a wake."""
    QUEUE_PENDING = "QUEUE_PENDING"
    """Held; it will be delivered, or end in the dead letters."""
    REJECT = "REJECT"
    """Not delivered, and it will not be."""
    FALLBACK_TO_OTHER_AGENT_TYPE = "FALLBACK_TO_OTHER_AGENT_TYPE"
    """Delivered to the agent type that stands in."""


WAITING = "WAITING"
"""Status of a receipt whose caller is to wait for the outcome of a wake; never shown to users."""


class WakeupDecisionStatus(StrEnum):
    """What a provider, or the manager, says of a wake."""

    READY = "READY"
    STARTING = "STARTING"
    QUEUED = "QUEUED"
    REJECTED = "REJECTED"
    FAILED = "FAILED"
    FALLBACK = "FALLBACK"


class ErrorCode(StrEnum):
    """Why a command was rejected; by-framework's codes."""

    AGENT_TYPE_UNAVAILABLE = "AGENT_TYPE_UNAVAILABLE"
    AGENT_CIRCUIT_OPEN = "AGENT_CIRCUIT_OPEN"
    TENANT_QUOTA_EXCEEDED = "TENANT_QUOTA_EXCEEDED"
    WORKER_NOT_ONLINE = "WORKER_NOT_ONLINE"


class Refusal(StrEnum):
    """Why the log refuses a call; each becomes one error of `by_cp.errors`."""

    ILLEGAL = "ILLEGAL"
    UNKNOWN = "UNKNOWN"
    CONFLICT = "CONFLICT"
    VERSION = "VERSION"
    NOTHING = "NOTHING"
    REDRIVE = "REDRIVE"


SENTENCES = {
    "offline": "No online worker found for agent_type '%s'",
    "circuit": "agent circuit is open",
    "quota": "tenant quota exceeded",
    "quota_used": "tenant quota exceeded: %d of %d in flight",
    "fallback_offline": "the fallback '%s' has no online worker",
    "fallback_empty": "the decision names no fallback",
    "rejected": "Wakeup rejected for agent_type '%s'",
    "failed": "Wakeup failed for agent_type '%s'",
    "timeout": "Timed out waiting for worker wakeup for agent_type '%s'",
}
"""Sentences of rejections and failures, for `%` in Python and `string.format` in Lua alike."""

WORKER_NAME_BYTES_MAX = 1024
"""A name longer than this in a hand-written key is not believed to be one."""
