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
from by_cp.projections.rows import (
    AgentRow,
    AvailabilityRow,
    CircuitPolicyRow,
    CircuitRow,
    DeadLetterRow,
    ExecutionRow,
    FallbackRow,
    PendingRow,
    QuotaRow,
    WakeMemberRow,
    WakeRow,
)
from by_cp.statemachine.events import (
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
    ExecutionEvent,
    FallbackSet,
    QuotaSet,
    RateSet,
    Requested,
    SystemEvent,
    WakeEnded,
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
    wakes: dict[tuple[str, str, str], WakeRow] = field(default_factory=dict)
    agents: dict[str, AgentRow] = field(default_factory=dict)
    circuit_policies: dict[str, CircuitPolicyRow] = field(default_factory=dict)


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
    Effect.EXHUME: (deadletters.exhume,),
    Effect.CLOSE: (_show,),
}
"""What each effect does to the views. A test holds this complete."""

SystemHandler = Callable[[Any, Any, Position], None]
"""(the views, the event, its position): folds a system event."""


def _depth(views: Views, event: DepthSet, position: Position) -> None:
    (quota if event.user_code else agents).set_depth(views, event, position)


SYSTEM_HANDLERS: dict[type[SystemEvent], tuple[SystemHandler, ...]] = {
    WakeEnded: (wakes.end, circuit.give_permit_back),
    CircuitForced: (circuit.force,),
    CircuitOpened: (circuit.opened,),
    CircuitHalfOpened: (circuit.half_opened,),
    CircuitClosed: (circuit.closed,),
    CircuitPolicySet: (circuit.set_policy,),
    QuotaSet: (quota.set_limit,),
    RateSet: (quota.set_rate,),
    DepthSet: (_depth,),
    FallbackSet: (fallback.set_fallback,),
    AgentPaused: (agents.pause,),
    AgentDraining: (agents.drain,),
    AgentResumed: (agents.resume,),
}
"""What each system event does to the views. A test holds this complete."""


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
    for handler in SYSTEM_HANDLERS[type(event)]:
        handler(views, event, position)
