"""The declaration as a `transitions.Machine`: for people, for diagrams, for one's own checks.

The stores and replay use the compiled table instead (see `table.py`): it says the same and is two
hundred times faster.
"""

from __future__ import annotations

from typing import Any, cast

from transitions import Machine, MachineError

from by_cp.errors import IllegalTransition
from by_cp.statemachine.declaration import TRANSITIONS
from by_cp.statemachine.states import Effect, State


class ExecutionMachine:
    """One execution, from its `Requested` on, driven by the names of events.

    >>> machine = ExecutionMachine("exec-1")
    >>> machine.apply("WakeRequested")
    (<Effect.JOIN: 'join'>,)
    >>> machine.state
    <State.WAKING: 'WAKING'>
    """

    def __init__(self, execution_id: str, state: State = State.REQUESTED) -> None:
        self.execution_id = execution_id
        self._effects: list[Effect] = []
        self._model = _EffectRecorder(self._effects)
        self._machine = build_machine(self._model, state)

    @property
    def state(self) -> State:
        """Where the execution stands."""
        return State(cast("Any", self._model).state)

    def apply(self, event_name: str) -> tuple[Effect, ...]:
        """Take one step and return its effects.

        Raises:
            IllegalTransition: the event is not declared from the current state. The state stays.

        """
        self._effects.clear()
        # Asked first, because `events` is a dict, but `transitions` within is a defaultdict:
        # reading an absent source there would create it.
        if event_name not in self._machine.events:
            raise IllegalTransition(self.execution_id, self.state, event_name)
        try:
            cast("Any", self._model).trigger(event_name)
        except MachineError as error:
            raise IllegalTransition(self.execution_id, self.state, event_name) from error
        return tuple(self._effects)


class _EffectRecorder:
    """The model of a machine: every effect is a method of it, which notes that it was called."""

    def __init__(self, effects: list[Effect]) -> None:
        for effect in Effect:
            setattr(self, effect.value, _note(effects, effect))


def _note(effects: list[Effect], effect: Effect) -> Any:
    return lambda: effects.append(effect)


def build_machine(model: object, state: State = State.REQUESTED) -> Machine:
    """Build the declared `transitions.Machine` around a model that has a method for each effect.

    `Requested` is how an execution comes to be: it has no source, so the machine begins after it.
    """
    return Machine(
        model=model,
        states=[member.value for member in State],
        initial=state.value,
        transitions=[
            {
                "trigger": row["trigger"],
                "source": row["source"].value,
                "dest": row["dest"].value,
                "after": [effect.value for effect in row.get("after", ())],
            }
            for row in TRANSITIONS
            if row["source"] is not None
        ],
        auto_transitions=False,
    )
