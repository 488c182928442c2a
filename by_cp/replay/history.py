"""One execution's history, made readable: entries in, rows out. Pure.

Each row says what happened, from which state to which, and in words what the event did and why. A
history that breaks the declared table, or lacks an entry, is shown all the same: the row says how.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from by_cp.replay.durations import iso, lasting
from by_cp.replay.words import COMMAND, Context, own_fields, payload_of, tell
from by_cp.statemachine.declaration import TRANSITIONS
from by_cp.statemachine.events import Call, Event, ExecutionEvent, Requested
from by_cp.statemachine.position import Position, time_ms
from by_cp.statemachine.states import State
from by_cp.statemachine.table import TABLE, standing

_DESTINATIONS: dict[str, State] = {row["trigger"]: row["dest"] for row in TRANSITIONS}
"""Event -> where it leads: after an illegal step the history is read on from there."""

SETTLED = frozenset({State.DELIVERED, State.REJECTED, State.DEADLETTER})
"""Where an execution rests until somebody does something about it, if ever."""


class Row(Struct, frozen=True):
    """One step of an execution."""

    execution_id: str
    position: Position
    since_ms: int
    """Time since the step before it, in ms; 0 for the first."""
    event: str
    before: str
    """The state before it; "" when the execution did not exist yet."""
    after: str
    did: tuple[str, ...]
    """What happened, in phrases."""
    why: tuple[str, ...]
    """On which evidence, for which reason, by whose decision, in phrases."""
    broken: str = ""
    """How it breaks the law; "" when it does not."""
    payload: str = ""
    """The command that the event holds, if it was asked for."""
    payload_bytes: int = 0
    """How long the command is, asked for or not."""
    fields: dict[str, Any] = {}
    """What the event holds, field by field."""

    @property
    def time_ms(self) -> int:
        """When it was appended, in ms since 1970, on the server's clock."""
        return time_ms(self.position)

    @property
    def time(self) -> str:
        """When it was appended: ISO 8601, on the server's clock, in UTC."""
        return iso(self.time_ms)

    def as_json(self) -> dict[str, Any]:
        """Return the row as an object for JSON."""
        return {
            "execution_id": self.execution_id,
            "position": self.position,
            "time": self.time,
            "since_ms": self.since_ms,
            "event": self.event,
            "before": self.before,
            "after": self.after,
            "did": list(self.did),
            "why": list(self.why),
            "broken": self.broken,
            "payload_bytes": self.payload_bytes,
            "fields": self.fields,
        }


class History(Struct, frozen=True):
    """One execution's rows, and what was asked for."""

    execution_id: str
    rows: tuple[Row, ...]
    call: Call | None
    """None when the history lacks its beginning."""

    @property
    def state(self) -> str:
        """Where the execution stands."""
        return self.rows[-1].after

    @property
    def took_ms(self) -> int:
        """Time from its first event to its last, in ms."""
        return self.rows[-1].time_ms - self.rows[0].time_ms

    @property
    def broken(self) -> bool:
        """Whether it breaks the law anywhere."""
        return any(row.broken for row in self.rows)


class Telling:
    """Makes rows of one execution's events, one after the other, as they come."""

    def __init__(self, *, payload: bool = False) -> None:
        """Begin at the beginning; `payload` shows the command, too."""
        self._payload = payload
        self._state: State | None = None
        self._version = 0
        self._last_ms: int | None = None
        self.call: Call | None = None

    def row(self, position: Position, event: ExecutionEvent) -> Row:
        """Return the row of the next event."""
        if isinstance(event, Requested):
            self.call = event.call
        if standing(self._state, event) is None:  # it begins, or has another life
            self._state, self._version = None, 0
        known = TABLE.get((self._state, event.name))
        after = known.dest if known else _DESTINATIONS[event.name]
        now_ms = time_ms(position)
        told = tell(event, Context(now_ms, self.call))
        payload = payload_of(event)
        row = Row(
            execution_id=event.execution_id,
            position=position,
            since_ms=0 if self._last_ms is None else now_ms - self._last_ms,
            event=event.name,
            before=self._state or "",
            after=after,
            did=told.did,
            why=told.why,
            broken=self._broken(event, legal=known is not None),
            payload=payload if self._payload else "",
            payload_bytes=len(payload.encode()),
            fields=self._fields(event),
        )
        self._state, self._version, self._last_ms = after, event.version, now_ms
        return row

    def _broken(self, event: ExecutionEvent, *, legal: bool) -> str:
        broken = [] if legal else [f"{event.name} is not allowed from {self._state or 'nothing'}"]
        if event.version != self._version + 1:
            broken.append(f"it is version {event.version}, and the one before is {self._version}")
        return "; ".join(broken)

    def _fields(self, event: ExecutionEvent) -> dict[str, Any]:
        fields = {"version": event.version, "cause": event.cause, **own_fields(event)}
        hidden = frozenset() if self._payload else COMMAND
        return {name: value for name, value in fields.items() if name not in hidden}


def history(entries: Iterable[tuple[Position, Event]], *, payload: bool = False) -> History:
    """Return an execution's history. There must be an event of it."""
    telling = Telling(payload=payload)
    told = tuple(
        telling.row(position, event)
        for position, event in entries
        if isinstance(event, ExecutionEvent)
    )
    return History(told[0].execution_id, told, telling.call)


def summary(told: History) -> str:
    """Return in one line where an execution stands, and how long that took."""
    after = f" after {lasting(told.took_ms)}" if len(told.rows) > 1 else ""
    to = f" for {told.call.agent_type!r}" if told.call else ""
    if told.state == State.DELIVERED:
        to = f" to {told.rows[-1].fields['agent_type']!r}"
    return f"{told.state}{to}{after}"
