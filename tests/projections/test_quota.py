"""The quota view: how many commands of each tenant are in flight, and how many may be."""

from __future__ import annotations

import pytest

from by_cp.projections.rows import NO_LIMIT, QuotaRow
from by_cp.statemachine.events import (
    BecameReady,
    DeadLettered,
    Delivered,
    Event,
    Failed,
    Held,
    QuotaSet,
    Redriven,
    Rejected,
    WakeRequested,
)
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
    assert story.views.quotas == {"acme": QuotaRow("acme", 1, NO_LIMIT, position)}


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
    assert story.views.quotas["acme"] == QuotaRow("acme", 1, 0, "3-0")
    assert story.views.quotas["idle"] == QuotaRow("idle", 0, 3, "4-0")
    story.happens(QuotaSet("", "acme", -1))
    assert story.views.quotas["acme"].limit == NO_LIMIT
