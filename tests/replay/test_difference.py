"""--diff: what is different in another execution."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from by_cp.replay.difference import between, lines
from by_cp.replay.history import History, history
from by_cp.replay.terminal import painted
from by_cp.statemachine.events import ExecutionEvent
from by_cp.testing.strategies import legal_histories
from tests.replay import example
from tests.replay.example import JOINS, REFUSED, WAITS
from tests.replay.replayed import by_replay


@pytest.fixture
def log(tmp_path: Path) -> str:
    """The example's log, as a file."""
    return str(example.written(tmp_path))


async def test_what_was_asked_and_seen_otherwise_is_named(log: str) -> None:
    """Policy, evidence, and who led the wake; not ids and positions, which always differ."""
    done = await by_replay(WAITS, "--diff", JOINS, "--from", log)
    assert done.code == 0
    assert "- WAKE_AND_WAIT  + WAKE_AND_QUEUE" in done.output
    assert "- yes  + no" in done.output
    assert "message id" not in done.output
    assert max(map(len, done.output.splitlines())) <= 80


async def test_a_step_of_one_alone_is_told_with_its_why(log: str) -> None:
    """Held in one, rejected in the other: both stand where they happened."""
    done = await by_replay(WAITS, "--diff", REFUSED, "--from", log)
    assert "\n- Held " in done.output
    assert "\n+ Rejected " in done.output
    assert "tenant quota exceeded: 2 of 2" in done.output


async def test_json_has_both_sides_of_each_step(log: str) -> None:
    """A step that one history lacks is null there."""
    told = (await by_replay(WAITS, "--diff", REFUSED, "--from", log, "--json")).json
    assert told["asked"] == {"policy": ["WAKE_AND_WAIT", "QUEUE_ONLY"]}
    steps = {step["event"]: step for step in told["steps"]}
    assert steps["Requested"]["differences"]["quota_used"] == [0, 2]
    assert steps["Held"]["right"] is None
    assert steps["Rejected"]["left"] is None


def of(events: list[ExecutionEvent]) -> History:
    """A history of events, a millisecond each."""
    return history([(f"{number}-0", event) for number, event in enumerate(events, 1)])


@given(legal_histories())
def test_a_history_differs_in_nothing_from_itself(events: list[ExecutionEvent]) -> None:
    """Every step is opposite itself."""
    found = between(of(events), of(events))
    assert found.asked == {}
    assert all(pair.left == pair.right and not pair.differences for pair in found.pairs)
    assert "the same, but for ids and times" in painted(list(lines(found, 80))[-1], colours=False)


@given(legal_histories(), legal_histories(execution_id="exec-2"), st.sampled_from((40, 80)))
def test_no_step_is_lost(
    left: list[ExecutionEvent], right: list[ExecutionEvent], width: int
) -> None:
    """Each event of both is there, in its order, and all of it fits."""
    found = between(of(left), of(right))
    ours = [pair.left.event for pair in found.pairs if pair.left]
    theirs = [pair.right.event for pair in found.pairs if pair.right]
    assert ours == [event.name for event in left]
    assert theirs == [event.name for event in right]
    shown = [painted(line, colours=False) for line in lines(found, max(width, 62))]
    assert max(map(cell_len, shown)) <= max(width, 62)
