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
    """`CLOSED`, `OPEN`, `HALF_OPEN`, or `FOREIGN` when a hand-written key held it open."""
    quota_used: int = -1
    """How many commands of the tenant were in flight, this one not counted."""
    quota_limit: int = -1
    """How many may be; -1 is no limit."""
    workers_online: int = -1
    """How many living workers the online check met before it stopped at the first."""
    workers_registered: int = -1
    """How many worker ids were registered for the agent type, dead ones included."""
    maintenance: str = ""
    """`PAUSED` or `DRAINING`; "" is neither."""
    depth: int = -1
    """How many commands were held for the agent type, this one not counted."""
    depth_max: int = -1
    """How many may be; -1 is no limit."""
    rate_tat_us: int = -1
    """The tenant's theoretical arrival time after this call, in µs: what it was charged by its rate
    limit (GCRA); -1 is: nothing."""


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
    not_before_ms: int = 0
    """When it may be delivered at the earliest, in ms since 1970; 0 is at once."""
    expires_at_ms: int = 0
    """When it is of no use any more, in ms since 1970; 0 is never."""
    origin: str = ""
    """Whose client wrote it into by-cp's streams, from which it was adopted; "" is by-cp's own."""


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
    """When a waiting caller gives up, in ms of the server's clock; 0: nobody waits."""
    not_before_ms: int = 0
    """When it may be delivered at the earliest, in ms of the server's clock; 0 is at once."""
    expires_at_ms: int = 0
    """When it is of no use any more, in ms of the server's clock; 0 is never."""
    rank: int = 0
    """Its place among what is held for the agent type at the same priority: the smaller is
    delivered first. Start-time fair queueing (Goyal, Vin, Cheng 1996) between tenants."""

    @property
    def due_ms(self) -> int:
        """When it must be delivered at the latest, in ms; 0 is never."""
        return self.deadline_ms or self.expires_at_ms


class WakeRequested(ExecutionEvent, array_like=True, gc=False, frozen=True, tag="WakeRequested/1"):
    """The execution waits for a wake, its own or one that is under way."""

    epoch: str = ""
    """Position of the leader's WakeRequested: names the wake. "" is this event's own."""
    leader: str = ""
    """execution_id of the one that signalled the manager. "" is this one."""
    until_ms: int = 0
    """When the leader's claim lapses, in ms of the server's clock; 0 for those who joined."""
    permit_until_ms: int = 0
    """Of a wake that probes a half-open circuit: until when its permit holds; 0: it has none."""


class WakeAttempted(ExecutionEvent, array_like=True, gc=False, frozen=True, tag="WakeAttempted/1"):
    """A manager is about to ask the provider. One of those who wait has the event, for all.

    The event's position is the attempt's *epoch*, its fencing token: the provider is asked once an
    epoch, and only the latest epoch of a group may tell those who wait how the wake came out.
    """

    wake: str
    """The wake's name."""
    attempt: int
    """1 for the first of the wake, 2 for the second, and so on."""
    until_ms: int
    """When the attempt must have come out, in ms of the server's clock."""
    reason: str = ""
    """Why another attempt was needed: how the one before it ended."""
    by: str = ""


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
    """The wake or the attempt that made it ready; "" when none did."""
    worker_ids: tuple[str, ...] = ()
    by: str = ADMISSION


class Delivered(ExecutionEvent, array_like=True, gc=False, frozen=True, tag="Delivered/1"):
    """The command was put into the control stream, in the call that appended this event."""

    agent_type: str
    handed_over: bool = False
    """Not by this call: its caller, a foreign client that waited, was told that the agent is ready,
    and puts the command there by itself."""


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


class WakeEnded(SystemEvent, array_like=True, gc=False, frozen=True, tag="WakeEnded/1"):
    """A wake came out, one way or another; the group's claim is free."""

    agent_type: str
    user_code: str
    region: str
    wake: str
    epoch: str
    """The attempt that ended it."""
    status: str
    """READY, FAILED, REJECTED, FALLBACK, or ABANDONED when nobody waited any more."""
    reason: str = ""
    by: str = ""


class CircuitForced(SystemEvent, array_like=True, gc=False, frozen=True, tag="CircuitForced/1"):
    """Someone set an agent type's circuit by hand."""

    agent_type: str
    state: str
    """OPEN, CLOSED, or AUTO: from now on it acts by itself again."""
    reason: str = ""
    by: str = ""


class CircuitOpened(SystemEvent, array_like=True, gc=False, frozen=True, tag="CircuitOpened/1"):
    """Too many wakes failed: calls are rejected for a while."""

    agent_type: str
    until_ms: int
    """When probes are let through, in ms of the server's clock."""
    failures: int
    """How many wakes failed within the window."""
    reason: str = ""
    """How the last of them failed."""


class CircuitHalfOpened(
    SystemEvent, array_like=True, gc=False, frozen=True, tag="CircuitHalfOpened/1"
):
    """The open time is over: a few wakes may probe whether the agent can be woken again."""

    agent_type: str


class CircuitClosed(SystemEvent, array_like=True, gc=False, frozen=True, tag="CircuitClosed/1"):
    """A probe succeeded, or a worker came online by itself: calls are let through again."""

    agent_type: str
    reason: str = ""


class CircuitPolicySet(
    SystemEvent, array_like=True, gc=False, frozen=True, tag="CircuitPolicySet/1"
):
    """Someone set when the circuit of an agent type opens and closes by itself."""

    agent_type: str
    """"" is every agent type that has no policy of its own."""
    failures_max: int
    """It opens when so many wakes failed within the window; 0 is never."""
    window_ms: int
    open_ms: int
    """For so long it stays open; each time it opens again without having closed, twice as long."""
    probes_max: int
    """So many wakes at once may probe it while it is half-open."""
    probe_ms: int
    """After so long a probe that has not come out gives its permit back."""
    by: str = ""


class QuotaSet(SystemEvent, array_like=True, gc=False, frozen=True, tag="QuotaSet/1"):
    """Someone set how many commands of a tenant may be in flight."""

    user_code: str
    limit: int
    """-1 takes the limit away."""
    by: str = ""


class RateSet(SystemEvent, array_like=True, gc=False, frozen=True, tag="RateSet/1"):
    """Someone set how often a tenant may call."""

    user_code: str
    count: int
    """So many calls are accepted in each period; 0 takes the limit away."""
    period_ms: int
    burst: int
    """So many calls may come at once."""
    by: str = ""


class DepthSet(SystemEvent, array_like=True, gc=False, frozen=True, tag="DepthSet/2"):
    """Someone set how many commands may be held for an agent type."""

    agent_type: str
    depth_max: int
    """-1 takes the limit away."""
    by: str = ""


class TenantDepthSet(SystemEvent, array_like=True, gc=False, frozen=True, tag="TenantDepthSet/1"):
    """Someone set how many commands may be held for a tenant."""

    user_code: str
    depth_max: int
    """-1 takes the limit away."""
    by: str = ""


class FallbackSet(SystemEvent, array_like=True, gc=False, frozen=True, tag="FallbackSet/1"):
    """Someone set which agent type stands in for another."""

    agent_type: str
    selected: str
    """"" takes the fallback away."""
    by: str = ""


class AgentPaused(SystemEvent, array_like=True, gc=False, frozen=True, tag="AgentPaused/1"):
    """Someone paused an agent type: what can be held is held, nothing is woken or delivered."""

    agent_type: str
    reason: str = ""
    by: str = ""


class AgentDraining(SystemEvent, array_like=True, gc=False, frozen=True, tag="AgentDraining/1"):
    """Someone drains an agent type: what is held is delivered, nothing new is accepted."""

    agent_type: str
    reason: str = ""
    by: str = ""


class AgentResumed(SystemEvent, array_like=True, gc=False, frozen=True, tag="AgentResumed/1"):
    """Someone ended a pause or a drain."""

    agent_type: str
    by: str = ""


EXECUTION_EVENTS: tuple[type[ExecutionEvent], ...] = (
    Requested,
    Held,
    WakeRequested,
    WakeAttempted,
    WakeProgressed,
    BecameReady,
    Delivered,
    Failed,
    Rejected,
    DeadLettered,
    Redriven,
)
SYSTEM_EVENTS: tuple[type[SystemEvent], ...] = (
    WakeEnded,
    CircuitForced,
    CircuitOpened,
    CircuitHalfOpened,
    CircuitClosed,
    CircuitPolicySet,
    QuotaSet,
    RateSet,
    DepthSet,
    TenantDepthSet,
    FallbackSet,
    AgentPaused,
    AgentDraining,
    AgentResumed,
)

SETTINGS: tuple[type[SystemEvent], ...] = (
    CircuitForced,
    CircuitPolicySet,
    QuotaSet,
    RateSet,
    DepthSet,
    TenantDepthSet,
    FallbackSet,
    AgentPaused,
    AgentDraining,
    AgentResumed,
)
"""What operators set; the other system events come of what happens."""

EVENTS: tuple[type[Event], ...] = EXECUTION_EVENTS + SYSTEM_EVENTS
"""Every event, in its current schema."""


def event_name(event_type: type[Event]) -> str:
    """Return the name of a class of events, without its schema version."""
    return tag_of(event_type).partition("/")[0]


def tag_of(event_type: type[Event]) -> str:
    """Return the tag under which a class of events stands in the log."""
    config: Any = event_type.__struct_config__
    return str(config.tag)
