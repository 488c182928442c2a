"""The fold's compiled table is the declaration, and nothing else; and what it forgets."""

from __future__ import annotations

import pytest
from hypothesis import given

from by_cp.projections.folding import HANDLERS, STEPS, compile_fold, fold
from by_cp.statemachine.declaration import TRANSITIONS
from by_cp.statemachine.events import EXECUTION_EVENTS, ExecutionEvent, event_name
from by_cp.statemachine.states import Effect, State
from by_cp.testing import strategies

DECLARED = {(row["source"], row["trigger"]): row for row in TRANSITIONS}


@pytest.mark.parametrize("kind", EXECUTION_EVENTS, ids=event_name)
@pytest.mark.parametrize("state", [None, *State])
def test_what_is_folded_is_what_is_declared(
    kind: type[ExecutionEvent], state: State | None
) -> None:
    """For every state and event: the same outcome, the handlers of the effects, in their order."""
    row = DECLARED.get((state, event_name(kind)))
    folded = STEPS[kind].get(state)
    if row is None:
        assert folded is None
        return
    assert folded is not None
    assert folded.dest == row["dest"]
    declared = [handler for effect in row.get("after", ()) for handler in HANDLERS[effect]]
    idle = HANDLERS[Effect.DELIVER]
    assert list(folded.handlers) == [handler for handler in declared if handler not in idle]
    assert folded.last == (row["dest"] not in {source for source, _ in DECLARED})


def test_an_effect_that_gets_a_handler_is_folded() -> None:
    """The compiled table is made from the handlers that it is given, not from names it knows."""
    seen: list[str] = []
    handlers = {**HANDLERS, Effect.TELL: (lambda *_: seen.append("told"),)}
    steps = compile_fold(handlers=handlers)
    delivered = next(kind for kind in EXECUTION_EVENTS if event_name(kind) == "Delivered")
    assert handlers[Effect.TELL][0] in steps[delivered][State.READY].handlers


@given(strategies.legal_histories())
def test_forgetting_what_is_over_changes_nothing_else(events: list[ExecutionEvent]) -> None:
    """Only heads of executions that nothing can follow go, and only if nobody wants them."""
    log = [(f"{n}-0", event) for n, event in enumerate(events, 1)]
    whole, kept, lean = fold(log), fold(log, keep={"exec-1"}), fold(log, keep=())
    assert kept == whole
    over = whole.executions["exec-1"].state == State.DELIVERED
    assert set(lean.executions) == (set() if over else {"exec-1"})
    lean.executions = whole.executions
    assert lean == whole
