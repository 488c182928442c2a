"""One declaration, and everything that is made from it says the same."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from itertools import product

import pytest
from transitions import Machine

from by_cp.errors import IllegalTransition
from by_cp.statemachine.declaration import TRANSITIONS, Row
from by_cp.statemachine.events import EXECUTION_EVENTS, event_name
from by_cp.statemachine.machine import ExecutionMachine
from by_cp.statemachine.states import Effect, State
from by_cp.statemachine.table import TABLE, compile_table, step

EVENT_NAMES = [event_name(event_type) for event_type in EXECUTION_EVENTS]
PAIRS = list(product([None, *State], EVENT_NAMES))

Taken = tuple[State | None, tuple[Effect, ...]]


def by_the_machine(state: State | None, name: str) -> Taken | None:
    """Where the declared Machine goes, with which effects; None if it refuses."""
    machine = ExecutionMachine("exec-1", state)
    try:
        effects = machine.apply(name)
    except IllegalTransition:
        assert machine.state == state, "a refused event moved the machine"
        return None
    return machine.state, effects


def by_the_table(state: State | None, name: str) -> Taken | None:
    """Where the compiled table leads, with which effects; None if it refuses."""
    try:
        reached = step("exec-1", state, name)
    except IllegalTransition:
        return None
    return reached.dest, reached.effects


@pytest.mark.parametrize(("state", "name"), PAIRS)
def test_machine_and_table_agree_on_every_pair(state: State | None, name: str) -> None:
    """For every state, the one before birth included, and every event: same end, same effects."""
    assert by_the_machine(state, name) == by_the_table(state, name)


def test_every_event_of_an_execution_is_declared() -> None:
    """An event that no transition takes could never be appended; one unknown, never written."""
    assert {row["trigger"] for row in TRANSITIONS} == set(EVENT_NAMES)


def test_an_execution_is_born_by_requested_alone() -> None:
    """Nothing else begins a history, and nothing returns to before it."""
    assert [row["trigger"] for row in TRANSITIONS if row["source"] is None] == ["Requested"]


def test_every_state_can_be_reached() -> None:
    """The seven states are all there for something."""
    assert set(reachable(None)) - {None} == set(State)


def test_delivered_is_the_one_end_without_return() -> None:
    """A rejected command can be buried, a buried one redriven; a delivered one has left by-cp."""
    sources = {row["source"] for row in TRANSITIONS}
    assert set(State) - sources == {State.DELIVERED}


def reachable(state: State | None) -> Iterator[State | None]:
    """Every state that a walk through the table meets."""
    met, ahead = {state}, [state]
    while ahead:
        yield (here := ahead.pop())
        following = {reached.dest for (source, _), reached in TABLE.items() if source == here}
        ahead += following - met
        met |= following


def test_a_step_that_is_declared_twice_is_refused() -> None:
    """`transitions` takes the first of two silently; compiling the table says it aloud."""
    row: Row = {"trigger": "Delivered", "source": State.READY, "dest": State.FAILED}
    with pytest.raises(ValueError, match=r"declared twice.*READY.*Delivered"):
        compile_table([*TRANSITIONS, row])


def test_an_illegal_step_names_execution_state_and_event() -> None:
    """Whoever reads the error knows what was refused, and where."""
    with pytest.raises(IllegalTransition) as caught:
        step("exec-7", State.DELIVERED, "Redriven")
    error = caught.value
    assert (error.execution_id, error.state, error.event) == ("exec-7", "DELIVERED", "Redriven")
    assert str(error) == "execution 'exec-7' is DELIVERED: Redriven is not allowed there"


def test_an_unborn_execution_is_called_new() -> None:
    """The state before the first event has no name, but an error must say something."""
    with pytest.raises(IllegalTransition, match="execution 'exec-7' is new: Delivered is not"):
        step("exec-7", None, "Delivered")


def test_an_event_that_nobody_knows_is_illegal_too() -> None:
    """The Machine would raise AttributeError for it; here it is refused like every other."""
    machine = ExecutionMachine("exec-1")
    with pytest.raises(IllegalTransition, match="Exploded"):
        machine.apply("Exploded")


def test_refused_events_leave_no_trace_in_the_machine() -> None:
    """Its tables within are defaultdicts: merely asking for a source could have created it."""
    machine = ExecutionMachine("exec-1", State.DELIVERED)
    for name in EVENT_NAMES:
        with pytest.raises(IllegalTransition):
            machine.apply(name)
    assert machine.state == State.DELIVERED


def test_no_effect_is_called_as_an_event_or_a_state_is() -> None:
    """A trigger that shares a method's name does nothing in `transitions`, but warn."""
    assert {effect.value for effect in Effect}.isdisjoint({*EVENT_NAMES, *State})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ExecutionMachine("exec-1")


def test_the_machine_has_no_transitions_of_its_own() -> None:
    """`transitions` adds a `to_STATE` for every state unless told not to."""
    machine = ExecutionMachine("exec-1")._machine
    assert isinstance(machine, Machine)
    assert set(machine.events) == set(EVENT_NAMES)
