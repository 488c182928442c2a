"""The rows of the views. Plain data: whoever reads a view, live or replayed, gets these."""

from __future__ import annotations

from msgspec import Struct

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
    """The wake it waits for; "" when it waits for none."""
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
    position: Position


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
    limit: int = NO_LIMIT
    position: Position = ""


class CircuitRow(Struct):
    """One agent type's circuit."""

    agent_type: str
    state: str = "CLOSED"
    failures: int = 0
    """Failed wakes since the last good one."""
    epoch: Position = ""
    """The last wake that failed: each counts once, however many waited for it."""
    reason: str = ""
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
    priority: int
    position: Position
