"""What the tortured processes agree on."""

from __future__ import annotations

from by_cp import logs
from by_cp.patience import Patience
from by_cp.vocabulary import RoutePolicy

AGENT_TYPES = ("writer", "reader", "painter", "critic")
TENANTS = ("acme", "globex", "initech", "")
REGIONS = ("", "", "eu")

QUOTAS = {"acme": 4, "globex": 12}
"""So many commands of a tenant may be in flight."""

POLICIES = (
    RoutePolicy.WAKE_AND_WAIT,
    RoutePolicy.WAKE_AND_WAIT,
    RoutePolicy.WAKE_AND_QUEUE,
    RoutePolicy.WAKE_AND_QUEUE,
    RoutePolicy.QUEUE_ONLY,
    RoutePolicy.QUEUE_ONLY,
    RoutePolicy.FAIL_FAST,
    RoutePolicy.SEND_ANYWAY,
)

LEASE_MS = 1_500
"""How long managers' and workers' signs of life hold: short, so that much is taken over."""

IDLE_S = 0.7
"""Workers without work end after so long, so that there is much to wake."""


def content_of(execution_id: str) -> str:
    """Return the content of an execution's command; what Lua might spoil is in it."""
    return f'{execution_id}: "[]" {{}} 9007199254740993 \u00e9\u4e16 ' + "x" * (
        len(execution_id) * 7 % 200
    )


def patience() -> Patience:
    """Return what waits for a server that is away."""
    return Patience("connection", logs.named("torture"))
