"""All views together: every row that there is, and nothing that happens to them."""

from __future__ import annotations

from msgspec import Struct, field

from by_cp.projections.rows import (
    AgentRow,
    AvailabilityRow,
    CircuitPolicyRow,
    CircuitRow,
    DeadLetterRow,
    ExecutionRow,
    FallbackRow,
    PendingRow,
    QuotaRow,
    WakeMemberRow,
    WakeRow,
)


class Views(Struct):
    """Every view, as dictionaries of rows."""

    executions: dict[str, ExecutionRow] = field(default_factory=dict)
    pending: dict[str, PendingRow] = field(default_factory=dict)
    dead_letters: dict[str, DeadLetterRow] = field(default_factory=dict)
    quotas: dict[str, QuotaRow] = field(default_factory=dict)
    circuits: dict[str, CircuitRow] = field(default_factory=dict)
    availability: dict[str, AvailabilityRow] = field(default_factory=dict)
    fallbacks: dict[str, FallbackRow] = field(default_factory=dict)
    wake_members: dict[str, WakeMemberRow] = field(default_factory=dict)
    wakes: dict[tuple[str, str, str], WakeRow] = field(default_factory=dict)
    agents: dict[str, AgentRow] = field(default_factory=dict)
    circuit_policies: dict[str, CircuitPolicyRow] = field(default_factory=dict)


def initial() -> Views:
    """Return the views of an empty log."""
    return Views()
