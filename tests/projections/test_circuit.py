"""The circuit view: how often an agent type's wakes failed, and whether calls are let through."""

from __future__ import annotations

from by_cp.projections.rows import CircuitPolicyRow, CircuitRow
from by_cp.statemachine.events import (
    BecameReady,
    CircuitClosed,
    CircuitForced,
    CircuitHalfOpened,
    CircuitOpened,
    CircuitPolicySet,
    Failed,
    Held,
    WakeEnded,
    WakeRequested,
)
from by_cp.statemachine.position import Position, time_ms
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
    row = CircuitRow("echo", "CLOSED", 1, epoch, "", first, struck_ms=(time_ms(first),))
    assert story.views.circuits == {"echo": row}


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
    """By hand, with a reason; what it counted before is forgotten, for it no longer acts."""
    story = Story()
    epoch = asleep(story, "exec-1")
    story.happens(Failed("exec-1", 0, "", "no image", epoch))
    position = story.happens(CircuitForced("", "echo", "OPEN", "maintenance"))
    row = story.views.circuits["echo"]
    assert row == CircuitRow("echo", "OPEN", 0, epoch, "maintenance", position, forced=True)
    story.happens(CircuitForced("", "echo", "CLOSED"))
    assert (row.state, row.reason, row.forced) == ("CLOSED", "", True)
    story.happens(CircuitForced("", "echo", "AUTO"))
    assert (row.state, row.forced) == ("CLOSED", False)


def test_a_circuit_opens_half_opens_and_closes() -> None:
    """Events say when; each time it opens again without having closed is counted."""
    story = Story()
    story.happens(CircuitOpened("", "echo", 500, 5, "no image"))
    row = story.views.circuits["echo"]
    assert (row.state, row.until_ms, row.opens, row.reason) == ("OPEN", 500, 1, "no image")
    story.happens(CircuitHalfOpened("", "echo"))
    assert row.state == "HALF_OPEN"
    story.happens(CircuitOpened("", "echo", 900, 1, "no image"))
    assert (row.state, row.until_ms, row.opens) == ("OPEN", 900, 2)
    position = story.happens(CircuitClosed("", "echo", "it became ready"))
    assert row == CircuitRow("echo", "CLOSED", position=position)


def test_a_probe_has_a_permit_until_its_wake_comes_out() -> None:
    """Those who join it need none."""
    story = Story()
    story.asked("exec-1")
    held = Held("exec-1", 0, "", "{}", 0, 0)
    probe = WakeRequested("exec-1", 0, "", until_ms=30_000, permit_until_ms=60_000)
    wake = story.happens(held, probe)
    assert story.views.circuits["echo"].permits == {wake: 60_000}
    story.happens(WakeEnded("", "echo", "acme", "", wake, wake, "FAILED"))
    assert story.views.circuits["echo"].permits == {}


def test_policies_stand_beside_circuits() -> None:
    """One for an agent type, or with no name one for all the others."""
    story = Story()
    position = story.happens(CircuitPolicySet("", "", 3, 60_000, 10_000, 1, 5_000, "operator"))
    row = CircuitPolicyRow("", 3, 60_000, 10_000, 1, 5_000, position)
    assert story.views.circuit_policies == {"": row}
