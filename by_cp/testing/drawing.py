"""What `ControlPlaneMachine` draws from: few values, so that executions meet one another."""

from __future__ import annotations

from functools import cache
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from msgspec import structs

from by_cp.log.memory import ManualClock
from by_cp.statemachine.events import Call, SystemEvent
from by_cp.testing.strategies import settings
from by_cp.vocabulary import RoutePolicy

PAYLOADS: tuple[dict[str, Any], ...] = (
    {
        "action_type": "ASK_AGENT",
        "header": {"source_agent_type": "chat", "parent_message_id": "message/0"},
        "body": {"content": "?"},
    },
    {"body": {"content": [], "extra_payload": {}, "big": 2**60, "text": '🦜 \\ " /'}},
    {"header": {"target_agent_type": "", "metadata": {"target_agent_type": "chat"}}},
)
"""Few, because what is drawn is time; the nasty ones among them lose something if decoded."""

POLICIES = (
    RoutePolicy.WAKE_AND_WAIT,
    RoutePolicy.WAKE_AND_QUEUE,
    RoutePolicy.WAKE_AND_WAIT,
    RoutePolicy.WAKE_AND_QUEUE,
    RoutePolicy.QUEUE_ONLY,
    RoutePolicy.FAIL_FAST,
    RoutePolicy.SEND_ANYWAY,
)
"""Those that wake more often than the others: more can become of them."""

WAITING_OR_HOLDING = (
    RoutePolicy.WAKE_AND_WAIT,
    RoutePolicy.WAKE_AND_QUEUE,
    RoutePolicy.QUEUE_ONLY,
)
"""Those that a foreign client leaves to a manager."""

BY_HAND: dict[str, tuple[str | None, ...]] = {
    "circuit": (None, '{"state":"open","reason":"by hand"}', '{"state":"CLOSED"}', "not JSON"),
    "quota": (None, '{"available":false}', '{"available":true}', "[]"),
    "fallback": (None, '{"selected_agent_type":"chat"}', '{"agent_type":"a:b {c}"}', '"chat"'),
}
"""What somebody may write by hand, of each kind: None removes it."""


def one_of(attribute: str) -> SearchStrategy[Any]:
    """Draw from an attribute of the machine that runs, so that subclasses may change it."""
    return st.runner().flatmap(lambda machine: st.sampled_from(getattr(machine, attribute)))


def drawn(method: str) -> SearchStrategy[Any]:
    """Draw from a strategy that the machine that runs makes."""
    return st.runner().flatmap(lambda machine: getattr(machine, method)())


# Cached, because to make a strategy takes longer than to draw from it.
@cache
def calls_of(
    agent_types: tuple[str, ...], tenants: tuple[str, ...], regions: tuple[str, ...]
) -> SearchStrategy[Call]:
    """Return calls to a few agents; every fourth may not be delivered at any time."""
    return st.builds(
        Call,
        agent_type=st.sampled_from(agent_types),
        user_code=st.sampled_from(tenants),
        region=st.sampled_from(regions),
        policy=st.sampled_from(POLICIES),
        priority=st.integers(-1, 1),
        timeout_ms=st.sampled_from((1, 1_000, 30_000)),
        not_before_ms=st.sampled_from((0, 0, 0, ManualClock().now_ms + 10_000)),
        expires_at_ms=st.sampled_from((0, 0, 0, ManualClock().now_ms + 40_000)),
        session_id=st.just("session-1"),
        trace_id=st.just("trace-1"),
        message_id=st.just("message-1"),
        source=st.just("client"),
    )


@cache
def foreign_calls_of(
    agent_types: tuple[str, ...], tenants: tuple[str, ...], regions: tuple[str, ...]
) -> SearchStrategy[Call]:
    """Return calls that a foreign client may have written for a manager to adopt."""
    return st.builds(
        structs.replace,
        calls_of(agent_types, tenants, regions),
        policy=st.sampled_from(WAITING_OR_HOLDING),
        origin=st.just("by-framework"),
        not_before_ms=st.just(0),
        expires_at_ms=st.just(0),
    )


@cache
def settings_of(
    agent_types: tuple[str, ...], tenants: tuple[str, ...]
) -> SearchStrategy[SystemEvent]:
    """Return what operators may set."""
    return settings(st.sampled_from(agent_types), st.sampled_from(tenants or ("nobody",)))
