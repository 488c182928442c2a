"""The quota view: how many commands of each tenant are in flight, and how many may be."""

from __future__ import annotations

import pytest

from by_cp.projections.rows import NO_LIMIT, QuotaRow
from by_cp.statemachine.events import (
    BecameReady,
    DeadLettered,
    Delivered,
    Event,
    Evidence,
    Failed,
    Held,
    QuotaSet,
    RateSet,
    Redriven,
    Rejected,
    Requested,
    TenantDepthSet,
    WakeRequested,
)
from tests.making import make_call
from tests.projections.story import Story

HELD = Held("exec-1", 0, "", "{}", 0, 0)
WAKE = WakeRequested("exec-1", 0, "")
READY = BecameReady("exec-1", 0, "", "WAKE", "echo")
DELIVERED = Delivered("exec-1", 0, "", "echo")
FAILED = Failed("exec-1", 0, "", "no image")
REJECTED = Rejected("exec-1", 0, "", "AGENT_TYPE_UNAVAILABLE", "late")
BURIED = DeadLettered("exec-1", 0, "", "no image")


def test_held_is_what_counts() -> None:
    """A request alone costs nothing: it may be rejected in the same call."""
    story = Story()
    story.asked("exec-1")
    assert story.views.quotas == {}
    position = story.happens(HELD)
    assert story.views.quotas == {"acme": QuotaRow("acme", 1, NO_LIMIT, position, {"exec-1": 0})}


@pytest.mark.parametrize(
    "end",
    [(READY, DELIVERED), (REJECTED,), (WAKE, FAILED, BURIED), (REJECTED, BURIED)],
    ids=["delivered", "rejected", "failed and buried", "rejected and buried"],
)
def test_every_end_gives_it_back_once(end: tuple[Event, ...]) -> None:
    """Even one that two events of it would give back."""
    story = Story()
    story.asked("exec-1")
    story.happens(HELD, *end)
    assert story.views.quotas["acme"].in_flight == 0


def test_a_second_held_is_not_charged() -> None:
    """An execution is in flight once."""
    story = Story()
    story.asked("exec-1")
    story.happens(HELD, HELD)
    assert story.views.quotas["acme"].in_flight == 1


def test_another_life_is_charged_again() -> None:
    """A redriven command is held, and so in flight."""
    story = Story()
    story.asked("exec-1")
    story.happens(HELD, WAKE, FAILED, BURIED, Redriven("exec-1", 0, ""))
    assert story.views.quotas["acme"].in_flight == 0
    story.happens(HELD)
    assert story.views.quotas["acme"].in_flight == 1


def test_no_tenant_has_no_row() -> None:
    """Commands of nobody in particular are not counted."""
    story = Story()
    story.asked("exec-1", user_code="")
    story.happens(HELD, READY, DELIVERED)
    assert story.views.quotas == {}


def test_a_limit_stands_beside_what_is_used() -> None:
    """Setting it changes nothing that is in flight; -1 takes it away."""
    story = Story()
    story.asked("exec-1")
    story.happens(HELD, QuotaSet("", "acme", 0), QuotaSet("", "idle", 3))
    assert story.views.quotas["acme"] == QuotaRow("acme", 1, 0, "3-0", {"exec-1": 0})
    assert story.views.quotas["idle"] == QuotaRow("idle", 0, 3, "4-0")
    story.happens(QuotaSet("", "acme", -1))
    assert story.views.quotas["acme"].limit == NO_LIMIT


def test_a_lease_lapses_when_its_command_is_due() -> None:
    """A caller that was killed comes back into its tenant's quota without anybody's help."""
    story = Story()
    story.asked("exec-1")
    story.happens(Held("exec-1", 0, "", "{}", 0, 0, deadline_ms=5_000), QuotaSet("", "acme", 1))
    row = story.views.quotas["acme"]
    assert (row.used(4_999), row.used(5_000)) == (1, 0)


def test_a_rate_is_paid_by_what_was_accepted() -> None:
    """Admission worked out what the call costs; the view takes it from the event."""
    story = Story()
    story.happens(RateSet("", "acme", 10, 1_000, 2))
    paid = Requested("exec-1", 0, "", make_call(user_code="acme"), Evidence(rate_tat_us=1_100_000))
    position = story.happens(paid)
    row = story.views.quotas["acme"]
    assert (row.rate_count, row.rate_period_ms, row.rate_burst) == (10, 1_000, 2)
    assert (row.rate_tat_us, row.position) == (1_100_000, position)


def test_a_tenants_depth_is_limited_beside_its_quota() -> None:
    """It counts what is held, and only what would be held is rejected by it."""
    story = Story()
    story.happens(TenantDepthSet("", "acme", 7))
    assert story.views.quotas["acme"].depth_max == 7
    assert story.views.agents == {}
