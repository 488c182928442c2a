"""The contract of a store: what the framework side, the manager and replay may ask of a log.

Two stores keep it, one in memory and one on Redis, and one contract suite runs against both
(`tests/contract`). Whoever writes another store runs that suite through it.
"""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from by_cp.log.answers import Outcome
from by_cp.log.commands import Command, Member
from by_cp.log.foreign import Foreign
from by_cp.projections.rows import ExecutionRow, PendingRow, QuotaRow
from by_cp.projections.views import Views
from by_cp.statemachine.events import Event
from by_cp.statemachine.position import BEGINNING, Position, time_ms
from by_cp.wire import WakeupDecision, WakeupRequest

A = TypeVar("A")


class Entry(NamedTuple):
    """One entry of the log."""

    position: Position
    event: Event


class WakeSignal(NamedTuple):
    """One wake that the manager is asked for."""

    entry_id: str
    """Names the signal, to finish it."""
    epoch: Position
    """The wake's name: position of its leader's WakeRequested."""
    request: WakeupRequest
    consumer: str = ""
    """Who took it."""
    taken_over_from: str = ""
    """The manager that had taken it and is gone; "" if none had."""


class Delivery(NamedTuple):
    """One command that a worker took from a control stream."""

    entry_id: str
    """Names the delivery, to acknowledge it."""
    stream: str
    execution_id: str
    """"" when the sender was not by-cp."""
    data: bytes
    """The command, as JSON."""


class Told(NamedTuple):
    """One decision that came from outside, after its provider had answered."""

    entry_id: str
    """Names it, to finish it."""
    epoch: Position
    """The attempt that it answers."""
    decision: WakeupDecision
    consumer: str
    """Who took it."""


class DeadLetter(NamedTuple):
    """One buried command, as the dead letters list it."""

    entry_id: str
    """Its place in the list, and the time at which it was buried."""
    execution_id: str
    agent_type: str
    user_code: str
    region: str
    reason: str
    size_bytes: int
    """How large its command is; 0: it has none."""

    @property
    def time_ms(self) -> int:
        """When it was buried, in ms since 1970."""
        return time_ms(self.entry_id)


class Quarantined(NamedTuple):
    """One entry that could not be read."""

    entry_id: str
    stream: str
    """Where it stood."""
    reason: str
    data: str
    """What it said; what is no text is shown as well as it can be."""


class Census(NamedTuple):
    """How much there is of everything."""

    log_entries: int
    held: dict[str, int]
    """Agent type -> how many commands are held for it."""
    dead_letters: int
    quarantined: int


class Due(NamedTuple):
    """One execution whose deadline has passed."""

    agent_type: str
    member: Member


WAKEUP, PENDING = "wakeup", "pending"
"""The streams into which foreign clients write."""


class Written(NamedTuple):
    """One entry that a foreign client wrote."""

    stream: str
    """WAKEUP or PENDING."""
    entry_id: str
    data: bytes
    """What should be a WakeupRequest or a PendingDelivery, as JSON."""

    @property
    def written_ms(self) -> int:
        """When it was written, in ms of the server's clock."""
        return int(self.entry_id.partition("-")[0])


class Store(Protocol):
    """A log, its live views, and the streams around it."""

    @property
    def inbox(self) -> str:
        """Name of this store's inbox: it goes into the requests whose outcome it awaits."""
        ...

    async def execute(self, command: Command[A]) -> A:
        """Execute one command, atomically.

        The same object executed twice changes the log once and is answered the same both times.

        Raises:
            TransitionError: the log refuses; nothing was changed.
            ServerError: the server is away or cannot do it.

        """
        ...

    def waiting(self, execution_id: str) -> AbstractContextManager[asyncio.Future[Outcome]]:
        """Listen for one execution's outcome. Enter *before* the request is executed."""
        ...

    async def history(self, execution_id: str) -> list[Entry]:
        """Return an execution's events, in order.

        Raises:
            UnknownExecution: the log has none.

        """
        ...

    async def read(self, after: Position = BEGINNING, count: int = 1000) -> list[Entry]:
        """Return up to `count` entries after a position."""
        ...

    async def views(self) -> Views:
        """Return the live views, as they are now: a copy, which later events do not change."""
        ...

    async def census(self) -> Census:
        """Count what there is: in constant time, but for the agent types."""
        ...

    async def managers(self) -> list[str]:
        """Return the managers that live."""
        ...

    async def workers(self) -> dict[str, tuple[str, ...]]:
        """Return the workers that are online, by agent type; () where all that came are gone."""
        ...

    async def settings(self, agent_type: str | None = None) -> Views:
        """Return circuits, their policies, agents and fallbacks; the other views are empty.

        With an agent type only its own rows are read, and the policy of all.
        """
        ...

    async def quota(self, user_code: str) -> QuotaRow | None:
        """Return one tenant's quota; None if nothing is known of the tenant."""
        ...

    async def quotas(self) -> list[QuotaRow]:
        """Return every tenant's quota."""
        ...

    async def foreign(self, name: str | None = None) -> Foreign:
        """Return the circuits, quotas and fallbacks that someone else wrote.

        With a name only those of this agent type and of this tenant.
        """
        ...

    async def execution(self, execution_id: str) -> ExecutionRow | None:
        """Return an execution's head; None if there is none, or none any more."""
        ...

    async def pending(
        self, agent_type: str, count: int, *, user_code: str | None = None, payload: bool = False
    ) -> list[PendingRow]:
        """Return what is held for an agent type, next first, and last what is delayed.

        Without `payload` the rows' commands are "": they may be large.
        """
        ...

    async def read_back(self, before: Position = "", count: int = 1000) -> list[Entry]:
        """Return up to `count` entries before a position, by default the last; latest first."""
        ...

    async def wake_members(self, group: tuple[str, str, str], count: int) -> list[Member]:
        """Return who waits for a wake of a group (agent type, tenant, region), next first."""
        ...

    async def held(self, agent_type: str, count: int) -> list[Member]:
        """Return what is held for an agent type and not delayed, next first."""
        ...

    async def held_agent_types(self) -> list[str]:
        """Return the agent types for which anything is held."""
        ...

    async def due(self, count: int) -> list[Due]:
        """Return executions whose time is up, the longest ago first."""
        ...

    async def matured(self, count: int) -> list[Due]:
        """Return delayed executions whose time has come, the longest ago first."""
        ...

    async def now_ms(self) -> int:
        """Return the time on the log's clock, in ms since 1970."""
        ...

    async def room(self, agent_type: str) -> int:
        """Return how many more commands the workers of an agent type have room for now."""
        ...

    async def dead_letters(self, after: str = BEGINNING, count: int = 1000) -> list[DeadLetter]:
        """Return buried commands, the oldest first, after an entry of the list."""
        ...

    async def quarantined(self, after: str = BEGINNING, count: int = 1000) -> list[Quarantined]:
        """Return entries that could not be read, the oldest first."""
        ...

    async def reinject(self, entry: Quarantined, data: str = "") -> bool:
        """Put a quarantined entry back where it stood, with other data if given; False: gone."""
        ...

    async def drop_quarantined(self, entry: Quarantined) -> bool:
        """Remove a quarantined entry; False if it was gone."""
        ...

    async def announce(
        self, worker_id: str, agent_types: tuple[str, ...], ttl_ms: int, capacity: int = 0
    ) -> None:
        """Say that a worker is online for its agent types, for so long.

        `capacity` is how many commands it handles at once; 0 is unknown.
        """
        ...

    async def retire(self, worker_id: str) -> None:
        """Say that a worker is gone."""
        ...

    async def online(self, agent_type: str) -> tuple[str, ...]:
        """Return the workers of an agent type that are online."""
        ...

    async def take_signals(self, consumer: str, count: int, block_ms: int) -> list[WakeSignal]:
        """Wait up to `block_ms` for wakes to do, and take up to `count`.

        No two consumers get the same.
        """
        ...

    async def take_over_signals(self, consumer: str, count: int) -> list[WakeSignal]:
        """Take the wakes that managers had taken whose sign of life has lapsed."""
        ...

    async def finish_signal(self, signal: WakeSignal) -> None:
        """Say that a wake is done with. One that another manager took over stays."""
        ...

    async def decide(self, epoch: Position, decision: WakeupDecision) -> None:
        """Tell how an attempt came out, from outside; a manager takes it."""
        ...

    async def take_decisions(self, consumer: str, count: int, block_ms: int) -> list[Told]:
        """Wait up to `block_ms` for decisions from outside, and take up to `count`.

        First those that managers had taken that are gone.
        """
        ...

    async def finish_decision(self, told: Told, wrong: str = "") -> None:
        """Say that a decision is done with, or set it aside if something is `wrong` with it."""
        ...

    async def beat(self, consumer: str, ttl_ms: int) -> None:
        """Say that a manager lives, for so long."""
        ...

    async def resign(self, consumer: str) -> None:
        """Say that a manager is gone: others take over what it has."""
        ...

    async def send_to_worker(self, worker_id: str, data: bytes, *, check: bool) -> bool:
        """Deliver a command, JSON, to one worker, whatever its agent types are.

        A path for debugging: it goes past admission and is not in the log. Returns False, with
        nothing delivered, if `check` is asked for and the worker's lease is gone.
        """
        ...

    async def take_deliveries(
        self, agent_types: tuple[str, ...], worker_id: str, count: int, block_ms: int
    ) -> list[Delivery]:
        """Wait up to `block_ms` for commands to handle, and take up to `count`.

        They come from the agent types' control streams and from the worker's own.
        """
        ...

    async def take_over_deliveries(
        self, agent_types: tuple[str, ...], worker_id: str, count: int
    ) -> list[Delivery]:
        """Take what workers of the agent types had taken, but not acknowledged before they died."""
        ...

    async def acknowledge(self, delivery: Delivery) -> None:
        """Say that a command was handled."""
        ...

    async def reply(self, session_id: str, data: str) -> None:
        """Put a worker's answer, JSON, into a session's data stream."""
        ...


class WrittenSource(Protocol):
    """Where what foreign clients write is read, by one reader."""

    async def read(self, block_ms: int) -> list[Written]:
        """Wait up to `block_ms` for what was written since the last time, and return it.

        A command to hold never comes before the request for its wake.
        """
        ...


@runtime_checkable
class SharedStore(Store, Protocol):
    """A store into whose streams foreign clients may write, too."""

    def written(self) -> WrittenSource:
        """Return a new reader, which begins with what is there already."""
        ...

    async def set_aside(self, entry: Written, reason: str) -> bool:
        """Move an entry that cannot be read into quarantine; False if it was gone."""
        ...

    async def registered_status(self, session_id: str, execution_id: str) -> str | None:
        """Return how an execution stands in its session's registry; None if it is not there."""
        ...

    async def show(self, decision: WakeupDecision) -> None:
        """Put a decision where the client that waits for it, if any, listens."""
        ...
