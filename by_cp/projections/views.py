"""All views together, and the fold that feeds them.

`apply` looks the event up in the table, steps the execution's head, and hands each declared effect
to the handlers that the views registered for it. A view that needs another effect adds a handler;
nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct, field

from by_cp.errors import UnknownExecution
from by_cp.projections import availability, circuit, deadletters, fallback, pending, quota, wakes
from by_cp.projections.rows import (
    AvailabilityRow,
    CircuitRow,
    DeadLetterRow,
    ExecutionRow,
    FallbackRow,
    PendingRow,
    QuotaRow,
    WakeMemberRow,
)
from by_cp.statemachine.events import (
    CircuitForced,
    Event,
    ExecutionEvent,
    FallbackSet,
    QuotaSet,
    Requested,
    SystemEvent,
)
from by_cp.statemachine.position import Position
from by_cp.statemachine.states import Effect, State
from by_cp.statemachine.table import step


class Views(Struct):
    """Every view, as dictionaries of rows."""

    executions: dict[str, ExecutionRow] = field(default_factory=dict)
    pending: dict[str, PendingRow] = field(default_factory=dict)
    dead_letters: dict[str, DeadLetterRow] = field(default_factory=dict)
    quotas: dict[str, QuotaRow] = field(default_factory=dict)
    circuits: dict[str, CircuitRow] = field(default_factory=dict)
    availability: dict[str, AvailabilityRow] = field(default_factory=dict)
    fallbacks: dict[str, FallbackRow] = field(default_factory=dict)
    wake_members: dict[str, WakeMemberRow] = field(default_factory=dict)


Handler = Callable[[Any, ExecutionRow, Any, Position], None]
"""(the views, the execution's head, the event, its position): folds one effect."""


def _open(_views: Views, _head: ExecutionRow, _event: Event, _position: Position) -> None:
    """Nothing: `apply` makes the head, because every other handler needs one."""


def _show(_views: Views, _head: ExecutionRow, _event: Event, _position: Position) -> None:
    """Nothing: what is shown to those who wait is no view's concern, nor is a head's lifetime."""


HANDLERS: dict[Effect, tuple[Handler, ...]] = {
    Effect.OPEN: (_open,),
    Effect.HOLD: (pending.hold,),
    Effect.CHARGE: (quota.charge,),
    Effect.JOIN: (wakes.join, availability.waking),
    Effect.LEAVE: (wakes.leave,),
    Effect.PROGRESS: (_show,),
    Effect.HEAL: (circuit.heal, availability.ready),
    Effect.STRIKE: (circuit.strike, availability.failed),
    Effect.DELIVER: (_show,),
    Effect.UNHOLD: (pending.unhold,),
    Effect.DISCHARGE: (quota.discharge,),
    Effect.TELL: (_show,),
    Effect.BURY: (deadletters.bury,),
    Effect.EXHUME: (deadletters.exhume,),
    Effect.CLOSE: (_show,),
}
"""What each effect does to the views. A test holds this complete."""


def initial() -> Views:
    """Return the views of an empty log."""
    return Views()


def apply(views: Views, event: Event, position: Position) -> None:
    """Fold one event into the views.

    Raises:
        IllegalTransition: the log breaks the declared table here.
        UnknownExecution: an execution's events begin with another one than Requested.

    """
    if isinstance(event, ExecutionEvent):
        _apply_to_execution(views, event, position)
    elif isinstance(event, SystemEvent):
        _apply_to_system(views, event, position)


def fold(entries: Iterable[tuple[Position, Event]], views: Views | None = None) -> Views:
    """Fold a whole log, or what follows the views that are given, which are changed."""
    views = initial() if views is None else views
    for position, event in entries:
        apply(views, event, position)
    return views


def _apply_to_execution(views: Views, event: ExecutionEvent, position: Position) -> None:
    head = views.executions.get(event.execution_id)
    state = head.state if head is not None else None
    reached = step(event.execution_id, state, event.name)
    if head is None:
        head = _new_head(event, reached.dest, position)
        views.executions[event.execution_id] = head
    head.state = reached.dest
    head.version = event.version
    head.position = position
    for effect in reached.effects:
        for handler in HANDLERS[effect]:
            handler(views, head, event, position)


def _new_head(event: ExecutionEvent, state: State, position: Position) -> ExecutionRow:
    if not isinstance(event, Requested):  # the table has no other birth
        raise UnknownExecution(event.execution_id)
    return ExecutionRow(event.execution_id, event.call, state, event.version, position)


def _apply_to_system(views: Views, event: SystemEvent, position: Position) -> None:
    match event:
        case CircuitForced():
            circuit.force(views, event, position)
        case QuotaSet():
            quota.set_limit(views, event, position)
        case FallbackSet():
            fallback.set_fallback(views, event, position)
