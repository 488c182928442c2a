"""The wake views: who waits for which wake, and how each agent type's last wake stands."""

from __future__ import annotations

import pytest

from by_cp.projections import wakes
from by_cp.projections.rows import AvailabilityRow, WakeMemberRow
from by_cp.statemachine.events import (
    BecameReady,
    Event,
    Failed,
    Held,
    Rejected,
    WakeProgressed,
    WakeRequested,
)
from by_cp.statemachine.position import Position
from tests.projections.story import Story

GROUP = ("echo", "acme", "")


def wakes_up(story: Story, execution_id: str, epoch: str = "", priority: int = 0) -> Position:
    """Let a held command wait for a wake: a new one, or one that is under way."""
    story.asked(execution_id, priority=priority)
    held = Held(execution_id, 0, "", "{}", 0, 0)
    return story.happens(held, WakeRequested(execution_id, 0, "", epoch))


def test_a_leaders_event_is_the_epoch() -> None:
    """Its position is unique and grows: just what a fencing token must be."""
    story = Story()
    position = wakes_up(story, "exec-1")
    row = WakeMemberRow("exec-1", GROUP, position, 0, position)
    assert story.views.wake_members == {"exec-1": row}
    head = story.views.executions["exec-1"]
    assert (head.epoch, head.joined_at) == (position, position)


def test_who_joins_waits_for_the_leaders_epoch() -> None:
    """By priority, then in the order of joining."""
    story = Story()
    epoch = wakes_up(story, "exec-1")
    wakes_up(story, "exec-2", epoch)
    wakes_up(story, "exec-3", epoch, priority=5)
    order = [row.execution_id for row in wakes.in_order(story.views, GROUP)]
    assert order == ["exec-3", "exec-1", "exec-2"]
    assert wakes.in_order(story.views, ("other", "", "")) == []


@pytest.mark.parametrize(
    "end",
    [
        BecameReady("exec-1", 0, "", "WAKE", "echo"),
        Failed("exec-1", 0, "", "no image"),
        Rejected("exec-1", 0, "", "AGENT_TYPE_UNAVAILABLE", "late"),
    ],
    ids=lambda event: event.name,
)
def test_whoever_is_settled_waits_no_more(end: Event) -> None:
    """Whichever way it went."""
    story = Story()
    wakes_up(story, "exec-1")
    story.happens(end)
    assert story.views.wake_members == {}
    head = story.views.executions["exec-1"]
    assert (head.epoch, head.joined_at) == ("", "")


def test_progress_leaves_it_waiting() -> None:
    """STARTING is not READY."""
    story = Story()
    wakes_up(story, "exec-1")
    before = dict(story.views.wake_members)
    story.happens(WakeProgressed("exec-1", 0, "", "STARTING"))
    assert story.views.wake_members == before


def test_availability_follows_the_last_wake() -> None:
    """WAKING from its beginning, READY or FAILED from its first answer."""
    story = Story()
    epoch = wakes_up(story, "exec-1")
    assert story.views.availability["echo"] == AvailabilityRow("echo", "WAKING", epoch, epoch)
    position = story.happens(BecameReady("exec-1", 0, "", "WAKE", "echo", epoch))
    assert story.views.availability["echo"] == AvailabilityRow("echo", "READY", epoch, position)
    epoch = wakes_up(story, "exec-2")
    position = story.happens(Failed("exec-2", 0, "", "no image", epoch))
    assert story.views.availability["echo"] == AvailabilityRow("echo", "FAILED", epoch, position)


def test_availability_changes_once_a_wake_and_state() -> None:
    """A thousand who wait are one change: the row keeps the position of the first."""
    story = Story()
    epoch = wakes_up(story, "exec-1")
    wakes_up(story, "exec-2", epoch)
    assert story.views.availability["echo"].position == epoch
    first = story.happens(BecameReady("exec-1", 0, "", "WAKE", "echo", epoch))
    story.happens(BecameReady("exec-2", 0, "", "WAKE", "echo", epoch))
    assert story.views.availability["echo"].position == first


def test_who_was_simply_online_is_no_wakes_news() -> None:
    """The view is about wakes; who is online is asked of the workers."""
    story = Story()
    story.asked("exec-1")
    story.happens(BecameReady("exec-1", 0, "", "ONLINE", "echo"))
    assert story.views.availability == {}
