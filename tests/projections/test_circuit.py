"""The circuit view: how often an agent type's wakes failed, and whether calls are let through."""

from __future__ import annotations

from by_cp.projections.rows import CircuitRow
from by_cp.statemachine.events import BecameReady, CircuitForced, Failed, Held, WakeRequested
from by_cp.statemachine.position import Position
from tests.projections.story import Story


def asleep(story: Story, *execution_ids: str) -> Position:
    """Let executions wait for one wake; return its epoch."""
    epoch = ""
    for execution_id in execution_ids:
        story.asked(execution_id)
        held = Held(execution_id, 0, "", "{}", 0, 0)
        position = story.happens(held, WakeRequested(execution_id, 0, "", epoch))
        epoch = epoch or position
    return epoch


def test_a_failed_wake_is_one_strike() -> None:
    """However many executions waited for it, and fail with it."""
    story = Story()
    epoch = asleep(story, "exec-1", "exec-2")
    first = story.happens(Failed("exec-1", 0, "", "no image", epoch))
    story.happens(Failed("exec-2", 0, "", "no image", epoch))
    assert story.views.circuits == {"echo": CircuitRow("echo", "CLOSED", 1, epoch, "", first)}


def test_strikes_add_up_wake_by_wake() -> None:
    """Each epoch counts anew."""
    story = Story()
    for number in range(3):
        epoch = asleep(story, f"exec-{number}")
        story.happens(Failed(f"exec-{number}", 0, "", "no image", epoch))
    assert story.views.circuits["echo"].failures == 3


def test_a_good_wake_forgives_them_all() -> None:
    """What counts are failures in a row."""
    story = Story()
    story.happens(Failed("exec-1", 0, "", "no image", asleep(story, "exec-1")))
    epoch = asleep(story, "exec-2")
    position = story.happens(BecameReady("exec-2", 0, "", "WAKE", "echo", epoch))
    row = story.views.circuits["echo"]
    assert (row.failures, row.position) == (0, position)


def test_a_failure_without_a_wake_strikes_nobody() -> None:
    """A worker that was online and did not take the command has not failed to wake."""
    story = Story()
    asleep(story, "exec-1")
    story.happens(Failed("exec-1", 0, "", "gave up"))
    assert story.views.circuits == {}


def test_a_success_without_a_wake_heals_nothing() -> None:
    """That somebody was online says nothing of how wakes go."""
    story = Story()
    story.happens(Failed("exec-1", 0, "", "no image", asleep(story, "exec-1")))
    asleep(story, "exec-2")
    story.happens(BecameReady("exec-2", 0, "", "ONLINE", "echo"))
    assert story.views.circuits["echo"].failures == 1


def test_a_circuit_can_be_forced() -> None:
    """By hand, with a reason; the strikes stay what they are."""
    story = Story()
    epoch = asleep(story, "exec-1")
    story.happens(Failed("exec-1", 0, "", "no image", epoch))
    position = story.happens(CircuitForced("", "echo", "OPEN", "maintenance"))
    row = story.views.circuits["echo"]
    assert row == CircuitRow("echo", "OPEN", 1, epoch, "maintenance", position)
    story.happens(CircuitForced("", "echo", "CLOSED"))
    assert (row.state, row.reason) == ("CLOSED", "")
