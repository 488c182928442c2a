"""The fold: pure, deterministic, and as good in pieces as in one."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from by_cp.errors import IllegalTransition
from by_cp.projections.folding import HANDLERS, fold
from by_cp.projections.rows import FallbackRow
from by_cp.projections.views import initial
from by_cp.statemachine.events import Event, ExecutionEvent, FallbackSet
from by_cp.statemachine.position import Position
from by_cp.statemachine.states import Effect
from by_cp.testing import invariants, strategies
from tests.projections.story import Story

LIVES = [strategies.legal_histories(f"exec-{number}", size_max=8) for number in range(3)]

Log = list[tuple[Position, Event]]


@st.composite
def logs(draw: st.DrawFn) -> Log:
    """Whole logs: some executions and system events, one between another."""
    queues: list[list[Event]] = [list(draw(st.lists(strategies.system_events(), max_size=3)))]
    queues += [list(draw(LIVES[number])) for number in range(draw(st.integers(1, 3)))]
    log: Log = []
    while queues := [queue for queue in queues if queue]:
        queue = queues[draw(st.integers(0, len(queues) - 1))]
        log.append((f"{1 + len(log) // 2}-{len(log) % 2}", queue.pop(0)))
    return log


def test_every_effect_has_handlers() -> None:
    """Whoever declares a new effect must say what it does to the views, if only nothing."""
    assert set(HANDLERS) == set(Effect)
    assert all(HANDLERS.values())


@given(strategies.legal_histories())
def test_every_legal_history_folds(events: list[ExecutionEvent]) -> None:
    """Whatever the table allows, the views can take, whatever the fields say."""
    views = fold((f"{n}-0", event) for n, event in enumerate(events, 1))
    head = views.executions["exec-1"]
    assert (head.version, head.position) == (len(events), f"{len(events)}-0")


@given(strategies.histories_with_one_illegal_step())
def test_an_illegal_step_is_found_where_it_is(drawn: tuple[list[ExecutionEvent], int]) -> None:
    """Not before, and not after; without it, the rest is legal."""
    events, index = drawn
    views = fold((f"{n}-0", event) for n, event in enumerate(events[:index], 1))
    with pytest.raises(IllegalTransition):
        fold([(f"{index + 1}-0", events[index])], views)
    del events[index]
    fold((f"{n}-0", event) for n, event in enumerate(events, 1))


@given(strategies.histories_with_one_illegal_step())
def test_an_illegal_step_changes_no_view(drawn: tuple[list[ExecutionEvent], int]) -> None:
    """The fold looks before it leaps."""
    events, index = drawn
    views = fold((f"{n}-0", event) for n, event in enumerate(events[:index], 1))
    before = copy.deepcopy(views)
    with pytest.raises(IllegalTransition):
        fold([(f"{index + 1}-0", events[index])], views)
    assert views == before


@given(logs(), st.data())
def test_folding_goes_on_where_it_stopped(log: Log, data: st.DataObject) -> None:
    """A checkpoint and what came after it give what the whole log gives."""
    cut = data.draw(st.integers(0, len(log)))
    assert fold(log[cut:], fold(log[:cut])) == fold(log)


@given(logs())
def test_folding_is_deterministic(log: Log) -> None:
    """No clock, no server, no random number: the same log gives the same views, anywhere."""
    assert fold(log) == fold(log)


@given(logs())
def test_folding_leaves_the_log_alone(log: Log) -> None:
    """Events are facts; nobody changes them by reading."""
    before = copy.deepcopy(log)
    fold(log)
    assert log == before


@given(logs())
def test_executions_do_not_meddle_with_one_another(log: Log) -> None:
    """An execution's head is the same whether the others happened or not."""
    views = fold(log)
    for execution_id, head in views.executions.items():
        alone = [(p, e) for p, e in log if getattr(e, "execution_id", "") == execution_id]
        assert fold(alone).executions == {execution_id: head}


@given(logs())
def test_rows_carry_the_position_of_the_last_event_that_changed_them(log: Log) -> None:
    """So a live row is compared with a replayed one, and a rebuild knows which is newer."""
    views = initial()
    for position, event in log:
        before = copy.deepcopy(views)
        fold([(position, event)], views)
        for name in views.__struct_fields__:
            for key, row in getattr(views, name).items():
                if name != "wake_members" and row != getattr(before, name).get(key):
                    assert row.position == position, f"{name}[{key!r}]"


@given(logs())
def test_charges_and_rows_never_disagree(log: Log) -> None:
    """Even in logs that by-cp's own commands would never write."""
    invariants.quotas_count_what_is_charged(fold(log))


def test_a_fallback_is_set_and_taken_away() -> None:
    """The row stays, with an empty name: that it was taken away is a fact of the log, too."""
    story = Story()
    story.happens(FallbackSet("", "echo", "other"))
    assert story.views.fallbacks == {"echo": FallbackRow("echo", "other", "1-0")}
    story.happens(FallbackSet("", "echo", ""))
    assert story.views.fallbacks == {"echo": FallbackRow("echo", "", "2-0")}
