"""The heads: where each execution stands."""

from __future__ import annotations

import pytest

from by_cp.errors import IllegalTransition
from by_cp.projections.rows import ExecutionRow
from by_cp.statemachine.events import BecameReady, Delivered, Held
from by_cp.statemachine.states import State
from tests.projections.story import Story

HELD = Held("exec-1", 0, "", '{"header":{}}', 0, 0)


def test_a_head_has_state_version_and_position_of_the_last_event() -> None:
    """That is what the next event is checked against."""
    story = Story()
    story.asked("exec-1")
    last = story.happens(HELD, BecameReady("exec-1", 0, "", "ONLINE", "echo"))
    head = story.views.executions["exec-1"]
    assert (head.state, head.version, head.position) == (State.READY, 3, last)


def test_a_head_knows_what_was_asked_for() -> None:
    """Its group, by agent type, tenant and region, is whom it shares a wake with."""
    story = Story()
    story.asked("exec-1", agent_type="a:b", user_code="acme")
    head = story.views.executions["exec-1"]
    assert head.call.agent_type == "a:b"
    assert head.group == ("a:b", "acme", "")


def test_a_settled_head_holds_nothing() -> None:
    """No command, no charge, no wake."""
    story = Story()
    story.asked("exec-1")
    last = story.happens(
        HELD, BecameReady("exec-1", 0, "", "ONLINE", "echo"), Delivered("exec-1", 0, "", "echo")
    )
    head = story.views.executions["exec-1"]
    assert head == ExecutionRow("exec-1", head.call, State.DELIVERED, 4, last)


def test_what_breaks_the_table_is_not_folded() -> None:
    """A log that says so is damaged; the error names where, and the views stay as they were."""
    story = Story()
    story.asked("exec-1")
    with pytest.raises(IllegalTransition, match="'exec-1' is REQUESTED: Delivered"):
        story.happens(Delivered("exec-1", 0, "", "echo"))
    assert story.views.executions["exec-1"].state == State.REQUESTED


def test_nothing_happens_to_an_execution_before_it_is_requested() -> None:
    """A log whose beginning is missing is noticed."""
    with pytest.raises(IllegalTransition, match="'exec-1' is new: Held"):
        Story().happens(HELD)
