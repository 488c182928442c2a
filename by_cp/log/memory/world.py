"""What is around the log: clock, workers, streams, claims, and keys that others write by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from by_cp.log.admission import Seen
from by_cp.log.answers import Outcome
from by_cp.log.wakeups import wakeup_request
from by_cp.statemachine.events import Call
from by_cp.statemachine.position import Position
from by_cp.wire import WakeupRequest


class ManualClock:
    """A clock that only a test moves. Milliseconds since 1970."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self.now_ms = now_ms

    def __call__(self) -> int:
        """Return the time."""
        return self.now_ms

    def advance(self, milliseconds: int) -> None:
        """Let time pass."""
        self.now_ms += milliseconds


class Delivery(NamedTuple):
    """One command in a control stream."""

    execution_id: str
    command: str


class Signal(NamedTuple):
    """One wake that the manager was asked for."""

    epoch: Position
    execution_id: str
    call: Call

    def request(self, epoch: str = "", attempt: int = 1) -> WakeupRequest:
        """Return what a provider is asked, in an attempt of this wake."""
        return wakeup_request(self.execution_id, self.call, epoch, attempt)


class Ended(NamedTuple):
    """A wake that came out; its attempt may go on telling those who wait."""

    epoch: Position
    until_ms: int


class World:
    """Everything that is not folded from the log."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.clock = clock
        self.leases: dict[str, int] = {}
        """Worker -> until when, in ms, it counts as online."""
        self.members: dict[str, set[str]] = {}
        """Agent type -> workers that registered for it, dead ones included."""
        self.documents: dict[tuple[str, str], str] = {}
        """(circuit, quota or fallback; name) -> JSON that someone wrote by hand."""
        self.ended: dict[tuple[str, str, str], Ended] = {}
        """Wake group -> its last wake, until a new one begins."""
        self.depth: Counter[str] = Counter()
        """Agent type -> how many commands are held for it."""
        self.delayed: dict[str, int] = {}
        """execution_id -> its `not_before_ms`, until it has matured."""
        self.fair: dict[str, dict[str, int]] = {}
        """Agent type -> the virtual times of its fair queue; see `fairness.py`."""
        self.control_streams: dict[str, list[Delivery]] = {}
        self.signals: list[Signal] = []
        self.outcomes: dict[str, Outcome] = {}
        """execution_id -> what was told; a redriven execution's last one."""
        self.listeners: list[Callable[[Outcome], None]] = []

    def announce(self, worker_id: str, agent_types: tuple[str, ...], ttl_ms: int) -> None:
        """Let a worker be online for its agent types, for so long."""
        self.leases[worker_id] = self.clock() + ttl_ms
        for agent_type in agent_types:
            self.members.setdefault(agent_type, set()).add(worker_id)

    def retire(self, worker_id: str) -> None:
        """Let a worker go, cleanly: its lease and its registrations."""
        self.leases.pop(worker_id, None)
        for workers in self.members.values():
            workers.discard(worker_id)

    def online(self, agent_type: str) -> tuple[str, ...]:
        """Return the workers of an agent type whose lease holds."""
        now_ms = self.clock()
        workers = self.members.get(agent_type, ())
        return tuple(sorted(w for w in workers if self.leases.get(w, 0) > now_ms))

    def seen(self, agent_type: str) -> Seen:
        """Return what an online check meets: it stops at the first living worker."""
        registered = len(self.members.get(agent_type, ()))
        return Seen(1 if self.online(agent_type) else 0, registered)

    def document(self, kind: str, name: str) -> str | None:
        """Return what someone wrote by hand."""
        return self.documents.get((kind, name))

    def deliver(self, agent_type: str, delivery: Delivery) -> None:
        """Put a command into a control stream."""
        self.control_streams.setdefault(agent_type, []).append(delivery)

    def tell(self, outcome: Outcome) -> None:
        """Tell an outcome to whoever listens."""
        self.outcomes[outcome.execution_id] = outcome
        for listener in tuple(self.listeners):
            listener(outcome)
