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

NEW = "new"
"""What the machine calls an execution that does not exist yet; everywhere else that is None."""


class ExecutionMachine:
    """One execution, driven by the names of its events.

    >>> machine = ExecutionMachine("exec-1")
    >>> machine.apply("Requested"), machine.apply("WakeRequested")
    ((<Effect.OPEN: 'open'>,), (<Effect.JOIN: 'join'>,))
    >>> machine.state
    <State.WAKING: 'WAKING'>
    """

    def __init__(self, execution_id: str, state: State | None = None) -> None:
        self.execution_id = execution_id
        self._effects: list[Effect] = []
        self._model = _EffectRecorder(self._effects)
        self._machine = build_machine(self._model, state)

    @property
    def state(self) -> State | None:
        """Where the execution stands; None before its first event."""
        name = cast("Any", self._model).state
        return None if name == NEW else State(name)

    def apply(self, event_name: str) -> tuple[Effect, ...]:
        """Take one step and return its effects.

        Raises:
            IllegalTransition: the event is not declared from the current state. The state stays.

        """
        self._effects.clear()
        # Asked first, because `events` is a dict, but `transitions` within is a defaultdict:
        # reading an absent source there would create it.
        if event_name not in self._machine.events:
            raise IllegalTransition(self.execution_id, self.state or "", event_name)
        try:
            cast("Any", self._model).trigger(event_name)
        except MachineError as error:
            raise IllegalTransition(self.execution_id, self.state or "", event_name) from error
        return tuple(self._effects)


class _EffectRecorder:
    """The model of a machine: every effect is a method of it, which notes that it was called."""

    def __init__(self, effects: list[Effect]) -> None:
        for effect in Effect:
            setattr(self, effect.value, _note(effects, effect))


def _note(effects: list[Effect], effect: Effect) -> Any:
    return lambda: effects.append(effect)


def build_machine(model: object, state: State | None = None) -> Machine:
    """Build the declared `transitions.Machine` around a model that has a method for each effect."""
    return Machine(
        model=model,
        states=[NEW, *(member.value for member in State)],
        initial=_name(state),
        transitions=[
            {
                "trigger": row["trigger"],
                "source": _name(row["source"]),
                "dest": row["dest"].value,
                "after": [effect.value for effect in row.get("after", ())],
            }
            for row in TRANSITIONS
        ],
        auto_transitions=False,
    )


def _name(state: State | None) -> str:
    return NEW if state is None else state.value
