"""A log told event by event, and the views folded from it as it goes."""

from __future__ import annotations

from msgspec import structs

from by_cp.projections.folding import apply
from by_cp.projections.views import Views, initial
from by_cp.statemachine.events import Event, ExecutionEvent, Requested
from by_cp.statemachine.position import Position
from by_cp.vocabulary import RoutePolicy
from tests.making import make_call


class Story:
    """Events happen one a millisecond; positions and versions come by themselves."""

    def __init__(self) -> None:
        self.views: Views = initial()
        self.entries: list[tuple[Position, Event]] = []

    def happens(self, *events: Event) -> Position:
        """Append events and fold them; return the last one's position."""
        position = ""
        for event in events:
            position = f"{len(self.entries) + 1}-0"
            told = event
            if isinstance(event, ExecutionEvent):
                head = self.views.executions.get(event.execution_id)
                told = structs.replace(event, version=head.version + 1 if head else 1)
            self.entries.append((position, told))
            apply(self.views, told, position)
        return position

    def asked(
        self,
        execution_id: str,
        *,
        agent_type: str = "echo",
        user_code: str = "acme",
        priority: int = 0,
    ) -> Position:
        """Let somebody ask for a delivery."""
        call = make_call(
            RoutePolicy.WAKE_AND_QUEUE,
            agent_type=agent_type,
            user_code=user_code,
            priority=priority,
        )
        return self.happens(Requested(execution_id, 0, "", call))
