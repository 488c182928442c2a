"""The fold: events in, views changed.

`fold` looks each event up in the table, steps the execution's head, and hands each declared effect
to the handlers that the views registered for it. A view that needs another effect adds a handler;
nothing else changes. Declaration and handlers are bound together once, at import (`compile_fold`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any, NamedTuple

from by_cp.errors import IllegalTransition, UnknownExecution
from by_cp.projections import (
    agents,
    availability,
    circuit,
    deadletters,
    fallback,
    pending,
    quota,
    wakes,
)
from by_cp.projections.rows import ExecutionRow
from by_cp.projections.views import Views, initial
from by_cp.statemachine.events import (
    EXECUTION_EVENTS,
    AgentDraining,
    AgentPaused,
    AgentResumed,
    CircuitClosed,
    CircuitForced,
    CircuitHalfOpened,
    CircuitOpened,
    CircuitPolicySet,
    DepthSet,
    Event,
    FallbackSet,
    QuotaSet,
    RateSet,
    Requested,
    SystemEvent,
    TenantDepthSet,
    WakeEnded,
    event_name,
)
from by_cp.statemachine.position import Position
from by_cp.statemachine.states import Effect, State
from by_cp.statemachine.table import TABLE, Step, standing

Handler = Callable[[Any, ExecutionRow, Any, Position], None]
"""(the views, the execution's head, the event, its position): folds one effect."""


def _show(_views: Views, _head: ExecutionRow, _event: Event, _position: Position) -> None:
    """Nothing: what is shown to those who wait is no view's concern, nor is a head's lifetime."""


HANDLERS: dict[Effect, tuple[Handler, ...]] = {
    Effect.OPEN: (quota.pay,),
    Effect.HOLD: (pending.hold,),
    Effect.CHARGE: (quota.charge,),
    Effect.JOIN: (wakes.join, circuit.take_permit, availability.waking),
    Effect.ATTEMPT: (wakes.attempt,),
    Effect.LEAVE: (wakes.leave,),
    Effect.PROGRESS: (_show,),
    Effect.HEAL: (circuit.heal, availability.ready),
    Effect.STRIKE: (circuit.strike, availability.failed),
    Effect.DELIVER: (_show,),
    Effect.UNHOLD: (pending.unhold,),
    Effect.DISCHARGE: (quota.discharge,),
    Effect.TELL: (_show,),
    Effect.BURY: (deadletters.bury,),
    Effect.RESUME: (_show,),
    Effect.EXHUME: (deadletters.exhume,),
    Effect.CLOSE: (_show,),
}
"""What each effect does to the views. A test holds this complete."""

SystemHandler = Callable[[Any, Any, Position], None]
"""(the views, the event, its position): folds a system event."""


SYSTEM_HANDLERS: dict[type[SystemEvent], tuple[SystemHandler, ...]] = {
    WakeEnded: (wakes.end, circuit.give_permit_back),
    CircuitForced: (circuit.force,),
    CircuitOpened: (circuit.opened,),
    CircuitHalfOpened: (circuit.half_opened,),
    CircuitClosed: (circuit.closed,),
    CircuitPolicySet: (circuit.set_policy,),
    QuotaSet: (quota.set_limit,),
    RateSet: (quota.set_rate,),
    DepthSet: (agents.set_depth,),
    TenantDepthSet: (quota.set_depth,),
    FallbackSet: (fallback.set_fallback,),
    AgentPaused: (agents.pause,),
    AgentDraining: (agents.drain,),
    AgentResumed: (agents.resume,),
}
"""What each system event does to the views. A test holds this complete."""


class Folded(NamedTuple):
    """One entry of the declared table, with the handlers of its effects, ready to be called."""

    dest: State
    handlers: tuple[Handler, ...]
    last: bool
    """Nothing is declared to follow: an execution that is there stays there."""


def compile_fold(
    table: Mapping[tuple[State | None, str], Step] = TABLE,
    handlers: Mapping[Effect, tuple[Handler, ...]] = HANDLERS,
) -> dict[type[Event], dict[State | None, Folded]]:
    """Bind the declaration to the handlers: class of event -> state -> what folding it means.

    What no view has a use for is left out, so folding an event costs two look-ups and the handlers
    that change something. A test holds the result equal to the declaration.
    """
    sources = {state for state, _ in table}
    steps: dict[type[Event], dict[State | None, Folded]] = {kind: {} for kind in EXECUTION_EVENTS}
    classes = {event_name(kind): kind for kind in EXECUTION_EVENTS}
    for (state, name), (dest, effects) in table.items():
        bound = tuple(one for effect in effects for one in handlers[effect] if one is not _show)
        steps[classes[name]][state] = Folded(dest, bound, dest not in sources)
    return steps


STEPS = compile_fold()
"""What the fold looks up."""


def apply(views: Views, event: Event, position: Position) -> None:
    """Fold one event into the views.

    Raises:
        IllegalTransition: the log breaks the declared table here.
        UnknownExecution: an execution's events begin with another one than Requested.

    """
    fold(((position, event),), views)


def fold(
    entries: Iterable[tuple[Position, Event]],
    views: Views | None = None,
    *,
    keep: Container[str] | None = None,
) -> Views:
    """Fold a whole log, or what follows the views that are given, which are changed.

    Args:
        entries: of the log, in its order: each its position and its event.
        views: of what was before.
        keep: if given, the heads of executions that are over for good are forgotten as soon as they
            are, but for those in it: then memory grows with what is alive, not with the log.

    Raises:
        IllegalTransition: the log breaks the declared table; the views are as they were before.
        UnknownExecution: an execution's events begin with another one than Requested.

    """
    views = initial() if views is None else views
    executions = views.executions
    find, steps_of = executions.get, STEPS.get
    for position, event in entries:
        steps = steps_of(type(event))
        if steps is None:
            for system_handler in SYSTEM_HANDLERS[type(event)]:  # type: ignore[index]
                system_handler(views, event, position)
            continue
        execution_id: str = event.execution_id  # type: ignore[attr-defined]
        head = find(execution_id)
        reached = steps.get(head.state if head is not None else None)
        if reached is None and head is not None and standing(head.state, event) is None:  # type: ignore[arg-type]
            _end_life(views, head, event, position)
            head, reached = None, steps[None]
        if reached is None:
            raise IllegalTransition(execution_id, head.state if head else "", event.name)
        if head is None:
            head = executions[execution_id] = _new_head(event, reached.dest, position)
        else:
            head.state = reached.dest
            head.version = event.version  # type: ignore[attr-defined]
            head.position = position
        for handler in reached.handlers:
            handler(views, head, event, position)
        if reached.last and keep is not None and execution_id not in keep:
            del executions[execution_id]
    return views


def _end_life(views: Views, head: ExecutionRow, event: Event, position: Position) -> None:
    """Let go of what an id stood for that was forgotten, and now has another life."""
    for let_go in (wakes.leave, pending.unhold, quota.discharge, deadletters.exhume):
        let_go(views, head, event, position)


def _new_head(event: Event, state: State, position: Position) -> ExecutionRow:
    if not isinstance(event, Requested):  # the table has no other birth
        raise UnknownExecution(getattr(event, "execution_id", ""))
    return ExecutionRow(event.execution_id, event.call, state, event.version, position)
