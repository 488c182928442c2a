"""What an export tells of events and executions beside what they hold."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

from by_cp.statemachine.events import EVENTS, Event, ExecutionEvent, event_name, tag_of
from by_cp.statemachine.states import State

_ENDED_BADLY = frozenset({State.FAILED, State.REJECTED, State.DEADLETTER})

ENDS = _ENDED_BADLY | {State.DELIVERED}
"""Where an execution may end."""

Getter = Callable[[Any], str]


class Kind(NamedTuple):
    """What all events of one class have in common."""

    name: str
    schema: int
    is_of_execution: bool
    reason: Getter | None
    by: Getter | None


class Story:
    """How an execution began, and how and why it ended; None is: it has not, or ended well."""

    __slots__ = ("begun_ms", "code", "decided_by", "delivered_to", "reason")

    def __init__(self, begun_ms: int) -> None:
        self.begun_ms = begun_ms
        self.begin_again()

    def begin_again(self) -> None:
        """Forget how it ended."""
        self.code: str | None = None
        self.reason: str | None = None
        self.decided_by: str | None = None
        self.delivered_to: str | None = None

    def goes_on(self, event: Any, after: State, reason: str | None, by: str | None) -> None:
        """Note an event, and where it led."""
        if after in _ENDED_BADLY:
            self.code = getattr(event, "code", self.code)
            self.reason, self.decided_by = reason, by
        elif after == State.DELIVERED:
            self.delivered_to = event.agent_type
        elif self.reason is not None:  # it has another life
            self.begin_again()


def _kind(of: type[Event]) -> Kind:
    return Kind(
        event_name(of),
        int(tag_of(of).rpartition("/")[2]),
        issubclass(of, ExecutionEvent),
        _getter(of, "reason"),
        _getter(of, "by"),
    )


def _getter(of: type[Event], field: str) -> Getter | None:
    """Return what reads a field, if there is one."""
    return attrgetter(field) if field in of.__struct_fields__ else None


KINDS = {of: _kind(of) for of in EVENTS}
