"""Entries, views, and the one door through which an event comes in: `record`."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from by_cp.log.admission import Facts
from by_cp.log.commandtext import json_name
from by_cp.log.memory.world import Claim, Delivery, Signal, World
from by_cp.log.outcomes import outcome_of
from by_cp.projections import views as projections
from by_cp.projections.rows import ExecutionRow, PendingRow
from by_cp.statemachine.events import Delivered, Event, ExecutionEvent, SystemEvent, WakeRequested
from by_cp.statemachine.position import BEGINNING, Position, split
from by_cp.statemachine.states import Effect
from by_cp.statemachine.table import step


class Journal:
    """A log with its views, and the world that its effects reach."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.world = World(clock)
        self.entries: list[tuple[Position, Event]] = []
        self.views = projections.initial()
        self.last_position = BEGINNING

    @property
    def facts(self) -> Facts:
        """What admission looks at."""
        return Facts(self.views, self.world.document, self.world.seen)

    @property
    def now_ms(self) -> int:
        """The log's time: the clock's, but never before the last entry."""
        return max(self.world.clock(), split(self.last_position)[0])

    def head(self, execution_id: str) -> ExecutionRow | None:
        """Return one execution's head."""
        return self.views.executions.get(execution_id)

    def record(self, event: ExecutionEvent, cause: str, command: str = "") -> ExecutionRow:
        """Append one event of an execution, fold it, and let its effects reach the world.

        `command` is what a Delivered delivers when the execution was never held.

        Raises:
            IllegalTransition: the table does not allow it; nothing was changed.

        """
        before = self.head(event.execution_id)
        reached = step(event.execution_id, before.state if before else None, event.name)
        held = self.views.pending.get(event.execution_id)
        version = before.version + 1 if before else 1
        self._append(structs.replace(event, version=version, cause=cause))
        head = self.views.executions[event.execution_id]
        if Effect.DELIVER in reached.effects and isinstance(event, Delivered):
            text = command if held is None else _addressed(held, event.agent_type)
            self.world.deliver(event.agent_type, Delivery(event.execution_id, text))
        if Effect.JOIN in reached.effects and isinstance(event, WakeRequested):
            self._lead(head, event)
        if Effect.EXHUME in reached.effects:  # it has another life, and an outcome to come
            self.world.outcomes.pop(event.execution_id, None)
        if Effect.TELL in reached.effects and held is not None:
            self.world.tell(outcome_of(head.call, event))
        return head

    def record_system(self, event: SystemEvent, cause: str) -> Position:
        """Append a system event and fold it."""
        return self._append(structs.replace(event, cause=cause))

    def _append(self, event: Event) -> Position:
        last_ms, sequence = split(self.last_position)
        now_ms = self.now_ms
        position = f"{now_ms}-{sequence + 1 if now_ms == last_ms else 0}"
        projections.apply(self.views, event, position)
        self.entries.append((position, event))
        self.last_position = position
        return position

    def _lead(self, head: ExecutionRow, event: WakeRequested) -> None:
        if event.epoch:  # it joined a wake that is under way
            return
        position = head.position
        self.world.claims[head.group] = Claim(position, head.execution_id, event.until_ms)
        self.world.signals.append(Signal(position, head.execution_id, head.call))


def _addressed(held: PendingRow, agent_type: str) -> str:
    """Return the held command, its target changed if it goes to another agent type."""
    if agent_type == held.agent_type:
        return held.command
    # The offsets count bytes, as the server's strings do.
    text = held.command.encode()
    rest = text[held.name_at + held.name_size :]
    return (text[: held.name_at] + json_name(agent_type) + rest).decode()
