"""The dead letters: what could not be delivered, with its payload and the reason."""

from __future__ import annotations

from by_cp.projections.rows import DeadLetterRow
from by_cp.statemachine.events import (
    DeadLettered,
    Failed,
    Held,
    Redriven,
    Rejected,
    WakeRequested,
)
from by_cp.statemachine.states import State
from tests.projections.story import Story

HELD = Held("exec-1", 0, "", '{"a":[]}', 3, 4)
NO_BUDGET = Rejected("exec-1", 0, "", "AGENT_TYPE_UNAVAILABLE", "no budget")


def test_what_failed_is_buried_from_pending() -> None:
    """The event need not repeat a command that pending has."""
    story = Story()
    story.asked("exec-1")
    failed = Failed("exec-1", 0, "", "no image")
    buried = DeadLettered("exec-1", 0, "", "no image")
    position = story.happens(HELD, WakeRequested("exec-1", 0, ""), failed, buried)
    row = DeadLetterRow("exec-1", "echo", "acme", "no image", '{"a":[]}', 3, 4, position)
    assert story.views.dead_letters == {"exec-1": row}


def test_what_was_rejected_is_buried_from_the_event() -> None:
    """The rejection took the command out of pending before; so the event brings it along."""
    story = Story()
    story.asked("exec-1")
    story.happens(HELD, NO_BUDGET)
    story.happens(DeadLettered("exec-1", 0, "", "no budget", "", '{"a":[]}', 3, 4))
    row = story.views.dead_letters["exec-1"]
    assert (row.command, row.name_at, row.name_size) == ('{"a":[]}', 3, 4)


def test_what_was_never_held_has_no_command() -> None:
    """Rejected at once, buried as a trace: the caller still has its command."""
    story = Story()
    story.asked("exec-1")
    story.happens(NO_BUDGET, DeadLettered("exec-1", 0, "", "to keep a trace"))
    assert story.views.dead_letters["exec-1"].command == ""


def test_redriven_is_no_dead_letter_any_more() -> None:
    """It begins again, and its next Held brings the command."""
    story = Story()
    story.asked("exec-1")
    story.happens(HELD, WakeRequested("exec-1", 0, ""), Failed("exec-1", 0, "", "no image"))
    story.happens(DeadLettered("exec-1", 0, "", "no image"), Redriven("exec-1", 0, ""))
    assert story.views.dead_letters == {}
    assert story.views.executions["exec-1"].state == State.REQUESTED
    story.happens(HELD)
    assert story.views.pending["exec-1"].command == '{"a":[]}'
