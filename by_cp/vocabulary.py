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


WAKING_POLICIES = frozenset({RoutePolicy.WAKE_AND_WAIT, RoutePolicy.WAKE_AND_QUEUE})
"""Those that ask for a wake."""

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
    """Why a command was rejected: by-framework's codes, and then by-cp's own."""

    AGENT_TYPE_UNAVAILABLE = "AGENT_TYPE_UNAVAILABLE"
    AGENT_CIRCUIT_OPEN = "AGENT_CIRCUIT_OPEN"
    TENANT_QUOTA_EXCEEDED = "TENANT_QUOTA_EXCEEDED"
    WORKER_NOT_ONLINE = "WORKER_NOT_ONLINE"
    AGENT_PAUSED = "AGENT_PAUSED"
    AGENT_DRAINING = "AGENT_DRAINING"
    AGENT_QUEUE_FULL = "AGENT_QUEUE_FULL"
    COMMAND_EXPIRED = "COMMAND_EXPIRED"
    EXECUTION_CANCELLED = "EXECUTION_CANCELLED"


class Refusal(StrEnum):
    """Why the log refuses a call; each becomes one error of `by_cp.errors`."""

    ILLEGAL = "ILLEGAL"
    UNKNOWN = "UNKNOWN"
    CONFLICT = "CONFLICT"
    VERSION = "VERSION"
    NOTHING = "NOTHING"
    REDRIVE = "REDRIVE"
    FALLBACK = "FALLBACK"


SENTENCES = {
    "offline": "No online worker found for agent_type '%s'",
    "circuit": "agent circuit is open",
    "probing": "agent circuit is half-open: only a few wakes may probe it",
    "quota": "tenant quota exceeded",
    "quota_used": "tenant quota exceeded: %d of %d in flight",
    "rate_used": "tenant quota exceeded: %d calls in %d ms",
    "depth_used": "tenant quota exceeded: %d of %d held",
    "queue_full": "the queue of agent_type '%s' is full: %d of %d held",
    "paused": "the agent type is paused",
    "draining": "the agent type is being drained",
    "redrive_circuit": "the circuit is open: %s",
    "redrive_draining": "the agent type is being drained: %s",
    "expired": "the command has expired",
    "cancelled": "cancelled",
    "fallback_offline": "the fallback '%s' has no online worker",
    "fallback_empty": "the decision names no fallback",
    "fallback_circle": "a fallback from '%s' to '%s' would close a circle or be longer than %d",
    "rejected": "Wakeup rejected for agent_type '%s'",
    "failed": "Wakeup failed for agent_type '%s'",
    "healed": "it became ready: %s",
    "timeout": "Timed out waiting for worker wakeup for agent_type '%s'",
}
"""Sentences of rejections and failures, for `%` in Python and `string.format` in Lua alike."""

CIRCUIT_POLICY = {
    "failures_max": 5,
    "window_ms": 60_000,
    "open_ms": 30_000,
    "probes_max": 1,
    "probe_ms": 60_000,
}
"""When a circuit opens and closes by itself, unless a `CircuitPolicySet` says otherwise."""

OPEN_DOUBLINGS_MAX = 5
"""A circuit that opens again and again stays open at most 2^5 times as long as the first time."""

FALLBACKS_MAX = 8
"""So long may a chain of fallbacks be."""

RETRY_HINT_MS = 1_000
"""What is said to whom a full queue or quota rejects: nobody knows when a place comes free."""

ATTEMPT_MS_MIN = 1_000
"""A wake, and each attempt of it, may take at least this long."""

ROUSE_GRACE_MS = 5_000
"""So long after its time is up is a wake that has not come out taken for lost."""

ENDED_MS = 60_000
"""For so long after a wake came out may its attempt go on telling it."""

WORKER_NAME_BYTES_MAX = 1024
"""A name longer than this in a hand-written key is not believed to be one."""

SESSION_TTL_MS = 7 * 24 * 3600 * 1000
"""How long a session's answers and its registry are kept after the last entry: by-framework's."""
