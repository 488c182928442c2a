"""The pending view: which commands are held, and in which order they will be released."""

from __future__ import annotations

from by_cp.projections import pending
from by_cp.statemachine.events import (
    BecameReady,
    DeadLettered,
    Delivered,
    Failed,
    Held,
    Rejected,
    WakeRequested,
)
from tests.projections.story import Story


def held(execution_id: str, command: str = '{"header":{}}') -> Held:
    """A command that is accepted."""
    return Held(execution_id, 0, "", command, 10, 2, 60_000)


def test_held_puts_the_whole_command_into_pending() -> None:
    """As text, and where the target's name stands in it, for a fallback to be written there."""
    story = Story()
    story.asked("exec-1", priority=7)
    position = story.happens(held("exec-1", '{"a":[]}'))
    row = story.views.pending["exec-1"]
    assert (row.command, row.name_at, row.name_size) == ('{"a":[]}', 10, 2)
    assert (row.agent_type, row.user_code, row.priority) == ("echo", "acme", 7)
    assert (row.deadline_ms, row.position) == (60_000, position)


def test_waiting_for_a_wake_keeps_it_there() -> None:
    """Held is held, whatever it waits for; so is what became ready and is not delivered yet."""
    story = Story()
    story.asked("exec-1")
    story.happens(held("exec-1"), WakeRequested("exec-1", 0, ""))
    assert "exec-1" in story.views.pending
    story.happens(BecameReady("exec-1", 0, "", "WAKE", "echo"))
    assert "exec-1" in story.views.pending


def test_delivered_takes_it_out() -> None:
    """It stands in the control stream now."""
    story = Story()
    story.asked("exec-1")
    story.happens(
        held("exec-1"),
        BecameReady("exec-1", 0, "", "ONLINE", "echo"),
        Delivered("exec-1", 0, "", "echo"),
    )
    assert story.views.pending == {}


def test_rejected_takes_it_out() -> None:
    """It will not be delivered."""
    story = Story()
    story.asked("exec-1")
    story.happens(held("exec-1"), Rejected("exec-1", 0, "", "AGENT_TYPE_UNAVAILABLE", "late"))
    assert story.views.pending == {}


def test_a_failure_keeps_it_until_it_is_buried() -> None:
    """A failed wake may be tried again; the command is still there for it."""
    story = Story()
    story.asked("exec-1")
    story.happens(
        held("exec-1"), WakeRequested("exec-1", 0, ""), Failed("exec-1", 0, "", "no image")
    )
    assert "exec-1" in story.views.pending
    story.happens(DeadLettered("exec-1", 0, "", "no image"))
    assert story.views.pending == {}


def test_order_is_priority_then_age() -> None:
    """Age is the position of the Held, compared as numbers: 10-0 comes after 9-0."""
    story = Story()
    for number, priority in enumerate((0, 0, -1, 5, 0, 0, 0)):
        story.asked(f"exec-{number}", priority=priority)
        story.happens(held(f"exec-{number}"))
    story.asked("other", agent_type="other", priority=9)
    story.happens(held("other"))
    order = [row.execution_id for row in pending.in_order(story.views, "echo")]
    assert order == [f"exec-{number}" for number in (3, 0, 1, 4, 5, 6, 2)]
