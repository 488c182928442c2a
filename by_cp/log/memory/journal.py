"""Entries, views, and the one door through which an event comes in: `record`."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import structs

from by_cp.log import fairness, resuming
from by_cp.log.admission import Facts
from by_cp.log.commandtext import json_name
from by_cp.log.memory.world import Delivery, Ended, Signal, World
from by_cp.log.outcomes import outcome_of
from by_cp.projections.folding import apply
from by_cp.projections.rows import ExecutionRow, PendingRow
from by_cp.projections.views import initial
from by_cp.statemachine.events import (
    Call,
    DeadLettered,
    Delivered,
    Event,
    ExecutionEvent,
    SystemEvent,
    WakeEnded,
    WakeRequested,
)
from by_cp.statemachine.position import BEGINNING, Position, split
from by_cp.statemachine.states import Effect
from by_cp.statemachine.table import step
from by_cp.vocabulary import ENDED_MS


class Journal:
    """A log with its views, and the world that its effects reach."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.world = World(clock)
        self.entries: list[tuple[Position, Event]] = []
        self.views = initial()
        self.last_position = BEGINNING

    @property
    def facts(self) -> Facts:
        """What admission looks at."""
        world = self.world
        return Facts(self.views, self.now_ms, world.document, world.seen, world.depth.__getitem__)

    @property
    def now_ms(self) -> int:
        """The log's time: the clock's, but never before the last entry."""
        return max(self.world.clock(), split(self.last_position)[0])

    def head(self, execution_id: str) -> ExecutionRow | None:
        """Return one execution's head."""
        return self.views.executions.get(execution_id)

    def rank(self, agent_type: str, priority: int, user_code: str) -> int:
        """Return the fair rank of the next command that is held."""
        times = self.world.fair.setdefault(agent_type, {})
        return fairness.rank(times, priority, user_code)

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
            self._deliver(event, held, command)
        if Effect.RESUME in reached.effects and isinstance(event, DeadLettered):
            self._resume(head.call, event, held)
        self._count(held, self.views.pending.get(event.execution_id))
        if isinstance(event, WakeRequested) and not event.epoch:
            self.world.signals.append(Signal(head.position, head.execution_id, head.call))
        if Effect.JOIN in reached.effects or Effect.ATTEMPT in reached.effects:
            self._begin(head)
        if Effect.EXHUME in reached.effects:  # it has another life, and an outcome to come
            self.world.outcomes.pop(event.execution_id, None)
        if Effect.TELL in reached.effects and held is not None:
            self.world.tell(outcome_of(head.call, event))
        return head

    def _deliver(self, event: Delivered, held: PendingRow | None, command: str) -> None:
        if not event.handed_over:
            text = command if held is None else _addressed(held, event.agent_type)
            self.world.deliver(event.agent_type, Delivery(event.execution_id, text))
        if held is not None:
            times = self.world.fair.setdefault(held.agent_type, {})
            fairness.delivered(times, held.priority, held.rank)

    def _resume(self, call: Call, event: DeadLettered, held: PendingRow | None) -> None:
        """Tell an agent that waits for a reply that none will come; who waits here is told so."""
        if held is not None and held.deadline_ms:
            return
        command = event.command or (held.command if held is not None else "")
        self.resume_caller(call, command, event.reason)

    def resume_caller(self, call: Call, command: str, reason: str) -> None:
        """Tell the agent that sent a command, if it waits for a reply, that none will come."""
        resume = resuming.resume_of(call, command, reason)
        if resume is not None:
            self.world.deliver(resume.agent_type, Delivery("", resume.command))

    def record_system(self, event: SystemEvent, cause: str) -> Position:
        """Append a system event and fold it."""
        position = self._append(structs.replace(event, cause=cause))
        if isinstance(event, WakeEnded):
            group = (event.agent_type, event.user_code, event.region)
            self.world.ended[group] = Ended(event.epoch, self.now_ms + ENDED_MS)
        return position

    def _append(self, event: Event) -> Position:
        last_ms, sequence = split(self.last_position)
        now_ms = self.now_ms
        position = f"{now_ms}-{sequence + 1 if now_ms == last_ms else 0}"
        apply(self.views, event, position)
        self.entries.append((position, event))
        self.last_position = position
        return position

    def _begin(self, head: ExecutionRow) -> None:
        """Forget the wake that came out before: a new one, or a new attempt, has the claim."""
        if head.group in self.views.wakes:
            self.world.ended.pop(head.group, None)

    def _count(self, before: PendingRow | None, after: PendingRow | None) -> None:
        """Keep what is known of the queue in step with what is held."""
        world = self.world
        if before is None and after is not None:
            world.depth[after.agent_type] += 1
            if after.not_before_ms > self.now_ms:
                world.delayed[after.execution_id] = after.not_before_ms
        elif before is not None and after is None:
            world.depth[before.agent_type] -= 1
            world.delayed.pop(before.execution_id, None)
            if not world.depth[before.agent_type]:
                del world.depth[before.agent_type]
                world.fair.pop(before.agent_type, None)


def _addressed(held: PendingRow, agent_type: str) -> str:
    """Return the held command, its target changed if it goes to another agent type."""
    if agent_type == held.agent_type:
        return held.command
    # The offsets count bytes, as the server's strings do.
    text = held.command.encode()
    rest = text[held.name_at + held.name_size :]
    return (text[: held.name_at] + json_name(agent_type) + rest).decode()
