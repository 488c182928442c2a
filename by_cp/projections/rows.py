"""The rows of the views. Plain data: whoever reads a view, live or replayed, gets these."""

from __future__ import annotations

from msgspec import Struct, field

from by_cp.statemachine.events import Call
from by_cp.statemachine.position import Position
from by_cp.statemachine.states import State

NO_LIMIT = -1
"""The limit of a quota that has none."""


class ExecutionRow(Struct):
    """The head of one execution."""

    execution_id: str
    call: Call
    state: State
    version: int
    position: Position
    held_at: Position = ""
    """Position of the Held event whose command is in pending; "" when none is."""
    charged: bool = False
    epoch: Position = ""
    """The wake that it joined; "" when it waits for none."""
    joined_at: Position = ""
    """Position of the WakeRequested with which it joined; "" when it is in no group."""

    @property
    def group(self) -> tuple[str, str, str]:
        """Agent type, tenant and region: those who share them share a wake."""
        return (self.call.agent_type, self.call.user_code, self.call.region)


class PendingRow(Struct):
    """One held command."""

    execution_id: str
    agent_type: str
    user_code: str
    region: str
    priority: int
    command: str
    name_at: int
    name_size: int
    deadline_ms: int
    """When its caller gives up; 0: nobody waits."""
    position: Position
    not_before_ms: int = 0
    expires_at_ms: int = 0
    rank: int = 0

    @property
    def due_ms(self) -> int:
        """When it must be delivered at the latest, in ms; 0 is never."""
        return self.deadline_ms or self.expires_at_ms


class DeadLetterRow(Struct):
    """One buried command."""

    execution_id: str
    agent_type: str
    user_code: str
    reason: str
    command: str
    """"" if the execution never held one."""
    name_at: int
    name_size: int
    position: Position


class QuotaRow(Struct):
    """One tenant's quota."""

    user_code: str
    in_flight: int = 0
    """How many leases there are, lapsed ones included."""
    limit: int = NO_LIMIT
    position: Position = ""
    leases: dict[str, int] = field(default_factory=dict)
    """execution_id -> until when, in ms, it counts as in flight; 0 is until it is settled."""
    rate_count: int = 0
    """So many calls are accepted in each period; 0 is no limit."""
    rate_period_ms: int = 0
    rate_burst: int = 0
    rate_tat_us: int = 0
    """Theoretical arrival time of the next call, in µs since 1970 (GCRA)."""
    depth_max: int = NO_LIMIT
    """So many commands may be held; NO_LIMIT is any number."""

    def used(self, now_ms: int) -> int:
        """Return how many are in flight: without a limit, lapsed leases are counted, too."""
        if self.limit == self.depth_max == NO_LIMIT:
            return len(self.leases)
        return sum(1 for until_ms in self.leases.values() if not 0 < until_ms <= now_ms)


class CircuitRow(Struct):
    """One agent type's circuit."""

    agent_type: str
    state: str = "CLOSED"
    """CLOSED, OPEN or HALF_OPEN."""
    failures: int = 0
    """Failed wakes since the last good one."""
    epoch: Position = ""
    """The last attempt that failed: each counts once, however many waited for it."""
    reason: str = ""
    position: Position = ""
    forced: bool = False
    """Someone set it by hand; it does not act by itself."""
    until_ms: int = 0
    """Of an open one: when probes are let through; 0 is not by itself."""
    opens: int = 0
    """How often it opened by itself since it was last closed."""
    struck_ms: tuple[int, ...] = ()
    """When the last wakes failed, in ms; at most `STRIKES_MAX` of them."""
    permits: dict[Position, int] = field(default_factory=dict)
    """Wakes that probe it -> until when, in ms, each may take."""


class CircuitPolicyRow(Struct, frozen=True):
    """When the circuit of an agent type, or with "" of all others, opens and closes by itself."""

    agent_type: str
    failures_max: int
    window_ms: int
    open_ms: int
    probes_max: int
    probe_ms: int
    position: Position = ""


class AgentRow(Struct):
    """What operators said of one agent type."""

    agent_type: str
    mode: str = "RUNNING"
    """RUNNING, PAUSED or DRAINING."""
    reason: str = ""
    depth_max: int = NO_LIMIT
    """So many commands may be held for it; NO_LIMIT is any number."""
    position: Position = ""


class AvailabilityRow(Struct):
    """How an agent type's last wake stands."""

    agent_type: str
    state: str
    """WAKING, READY or FAILED."""
    epoch: Position
    position: Position


class FallbackRow(Struct):
    """Who stands in for an agent type."""

    agent_type: str
    selected: str
    position: Position


class WakeMemberRow(Struct):
    """One execution that waits for a wake."""

    execution_id: str
    group: tuple[str, str, str]
    epoch: Position
    """The wake that it joined. Its group's latest attempt tells it the outcome, of this wake or of
    a later one."""
    priority: int
    position: Position


class WakeRow(Struct):
    """A group's claim: the wake that is under way."""

    group: tuple[str, str, str]
    wake: Position
    """Its name: the position of its leader's WakeRequested."""
    leader: str
    until_ms: int
    """When the claim lapses; then the next who asks leads a new wake."""
    epoch: Position
    """The fencing token: position of the latest attempt, or the wake's own before the first."""
    attempt: int
    position: Position
