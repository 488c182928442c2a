"""The events: facts in the past tense, as they stand in the log.

An event is a msgspec Struct that encodes as one flat msgpack array (`array_like`; no dict is ever
in one, which keeps `gc=False` safe and decoding fast). Its first element is the tag: the event's
name and its schema version, `Requested/1`. The names of the fields are thus not in the log: their
*order* is the schema. Adding a field at the end, with a default, is compatible; anything else is a
new version, a class here and an upcaster in `upcast.py`.

What an event leaves out is what its entry in the log already says: its position and, with it, its
time. Strings are never null on the wire: "" means absent. Ids of the log are written `ms-seq`.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

ADMISSION = "admission"
"""`by` of an event that a call's own admission decided, without any manager."""


class Evidence(Struct, array_like=True, gc=False, frozen=True):
    """What admission saw when it decided. -1 or "" is: not looked at, or no such thing."""

    circuit: str = ""
    """`CLOSED`, `OPEN`, or `FOREIGN` when a hand-written key held it open."""
    quota_used: int = -1
    """How many commands of the tenant were in flight, this one not counted."""
    quota_limit: int = -1
    """How many may be; -1 is no limit."""
    workers_online: int = -1
    """How many living workers the online check met before it stopped at the first."""
    workers_registered: int = -1
    """How many worker ids were registered for the agent type, dead ones included."""


class Call(Struct, array_like=True, gc=False, frozen=True):
    """What a caller asked for, but for the command's content."""

    agent_type: str
    user_code: str
    """The tenant; "" is none, and then no quota applies."""
    region: str
    policy: str
    priority: int
    """Higher is delivered first."""
    timeout_ms: int
    """How long the caller waits; for those who do not wait, how long a wake may take."""
    session_id: str
    trace_id: str
    message_id: str
    source: str
    """Who called: an agent's id, or `client`."""
    metadata: str = "{}"
    """What the caller told the provider, as the JSON text of an object."""


class Event(Struct, array_like=True, gc=False, frozen=True):
    """What all events have in common."""

    @property
    def name(self) -> str:
        """The event's name, without its schema version."""
        return str(self.__struct_config__.tag).partition("/")[0]


class ExecutionEvent(Event, array_like=True, gc=False, frozen=True):
    """An event of one execution."""

    execution_id: str
    version: int
    """1 for the execution's first event, 2 for its second, and so on."""
    cause: str
    """Id of the call that caused it; all events of one call share it."""


class Requested(ExecutionEvent, array_like=True, gc=False, frozen=True, tag="Requested/1"):
    """A caller asked for a delivery."""

    call: Call
    evidence: Evidence = Evidence()


class Held(ExecutionEvent, array_like=True, gc=False, frozen=True, tag="Held/1"):
    """The command was accepted and is held: from now on it is never dropped."""

    command: str
    """The whole command, as JSON text, byte for byte as it will be delivered."""
    name_at: int
    """Where, in bytes, the JSON string of `header.target_agent_type` begins in it."""
    name_size: int
    """How many bytes that JSON string has."""
    deadline_ms: int = 0
    """When a waiting caller gives up, in ms of the server's clock; 0 is never."""


class WakeRequested(ExecutionEvent, array_like=True, gc=False, frozen=True, tag="WakeRequested/1"):
    """The execution waits for a wake, its own or one that is under way."""

    epoch: str = ""
    """Position of the leader's WakeRequested: the wake's fencing token. "" is this event's own."""
    leader: str = ""
    """execution_id of the one that signalled the manager. "" is this one."""
    until_ms: int = 0
    """When the leader's claim lapses, in ms of the server's clock; 0 for those who joined."""


class WakeProgressed(
    ExecutionEvent, array_like=True, gc=False, frozen=True, tag="WakeProgressed/1"
):
    """The provider says how the wake goes."""

    status: str
    """STARTING or QUEUED."""
    reason: str = ""
    by: str = ""


class BecameReady(ExecutionEvent, array_like=True, gc=False, frozen=True, tag="BecameReady/1"):
    """The command may be delivered now."""

    how: str
    """ONLINE, SEND_ANYWAY, WAKE or FALLBACK."""
    agent_type: str
    """To whom: the one that was asked for, or its fallback."""
    epoch: str = ""
    """The wake that made it ready; "" when none did."""
    worker_ids: tuple[str, ...] = ()
    by: str = ADMISSION


class Delivered(ExecutionEvent, array_like=True, gc=False, frozen=True, tag="Delivered/1"):
    """The command was put into the control stream, in the call that appended this event."""

    agent_type: str


class Failed(ExecutionEvent, array_like=True, gc=False, frozen=True, tag="Failed/1"):
    """The agent could not be made ready."""

    reason: str
    epoch: str = ""
    by: str = ""


class Rejected(ExecutionEvent, array_like=True, gc=False, frozen=True, tag="Rejected/1"):
    """The command will not be delivered, and whoever asked is told so."""

    code: str
    """One of `ErrorCode`."""
    reason: str
    retry_after_ms: int = -1
    """When it is worth trying again; -1 is unknown."""
    by: str = ADMISSION


class DeadLettered(ExecutionEvent, array_like=True, gc=False, frozen=True, tag="DeadLettered/1"):
    """The command was buried, payload and all, and can be redriven."""

    reason: str
    by: str = ""
    command: str = ""
    """The command, when its rejection took it out of pending before; "" when pending has it."""
    name_at: int = 0
    name_size: int = 0


class Redriven(ExecutionEvent, array_like=True, gc=False, frozen=True, tag="Redriven/1"):
    """Someone gave a dead letter another life."""

    by: str = ""


class SystemEvent(Event, array_like=True, gc=False, frozen=True):
    """An event of no execution: a policy or a limit was set."""

    cause: str


class CircuitForced(SystemEvent, array_like=True, gc=False, frozen=True, tag="CircuitForced/1"):
    """Someone set an agent type's circuit by hand."""

    agent_type: str
    state: str
    """OPEN or CLOSED."""
    reason: str = ""
    by: str = ""


class QuotaSet(SystemEvent, array_like=True, gc=False, frozen=True, tag="QuotaSet/1"):
    """Someone set how many commands of a tenant may be in flight."""

    user_code: str
    limit: int
    """-1 takes the limit away."""
    by: str = ""


class FallbackSet(SystemEvent, array_like=True, gc=False, frozen=True, tag="FallbackSet/1"):
    """Someone set which agent type stands in for another."""

    agent_type: str
    selected: str
    """"" takes the fallback away."""
    by: str = ""


EXECUTION_EVENTS: tuple[type[ExecutionEvent], ...] = (
    Requested,
    Held,
    WakeRequested,
    WakeProgressed,
    BecameReady,
    Delivered,
    Failed,
    Rejected,
    DeadLettered,
    Redriven,
)
SYSTEM_EVENTS: tuple[type[SystemEvent], ...] = (CircuitForced, QuotaSet, FallbackSet)

EVENTS: tuple[type[Event], ...] = EXECUTION_EVENTS + SYSTEM_EVENTS
"""Every event, in its current schema."""


def event_name(event_type: type[Event]) -> str:
    """Return the name of a class of events, without its schema version."""
    return tag_of(event_type).partition("/")[0]


def tag_of(event_type: type[Event]) -> str:
    """Return the tag under which a class of events stands in the log."""
    config: Any = event_type.__struct_config__
    return str(config.tag)
