"""One execution's history, made readable: entries in, rows out. Pure.

Each row says what happened, from which state to which, and in words what the event holds. A history
that breaks the declared table, or lacks an entry, is shown all the same: the row says how.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from msgspec import Struct, structs

from by_cp.replay.words import lasting, phrases
from by_cp.statemachine.declaration import TRANSITIONS
from by_cp.statemachine.events import Event, ExecutionEvent
from by_cp.statemachine.position import Position, time_ms
from by_cp.statemachine.states import State
from by_cp.statemachine.table import TABLE

_DESTINATIONS: dict[str, State] = {row["trigger"]: row["dest"] for row in TRANSITIONS}
"""Event -> where it leads: after an illegal step the history is read on from there."""

_COMMAND = frozenset({"command", "name_at", "name_size"})


class Row(Struct, frozen=True):
    """One step of an execution."""

    position: Position
    since_ms: int
    """Time since the step before it, in ms; 0 for the first."""
    event: str
    before: str
    """The state before it; "" when the execution did not exist yet."""
    after: str
    detail: tuple[str, ...]
    """What the event holds, in phrases."""
    broken: str = ""
    """How it breaks the law; "" when it does not."""
    fields: dict[str, Any] = {}
    """What the event holds, field by field."""

    @property
    def time(self) -> str:
        """When it was appended: ISO 8601, on the server's clock, in UTC."""
        moment = datetime.fromtimestamp(time_ms(self.position) / 1000, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def as_json(self) -> dict[str, Any]:
        """Return the row as an object for JSON."""
        return {
            "position": self.position,
            "time": self.time,
            "since_ms": self.since_ms,
            "event": self.event,
            "before": self.before,
            "after": self.after,
            "detail": "; ".join(self.detail),
            "broken": self.broken,
            "fields": self.fields,
        }


def rows(entries: Iterable[tuple[Position, Event]], *, payload: bool = False) -> list[Row]:
    """Return an execution's history as rows; `payload` shows its command, too."""
    found: list[Row] = []
    state: State | None = None
    version = 0
    last_ms: int | None = None
    for position, event in entries:
        if not isinstance(event, ExecutionEvent):
            continue
        known = TABLE.get((state, event.name))
        broken = [] if known else [f"{event.name} is not allowed from {state or 'nothing'}"]
        if event.version != version + 1:
            broken.append(f"it is version {event.version}, and the one before is {version}")
        after = known.dest if known else _DESTINATIONS[event.name]
        now_ms = time_ms(position)
        found.append(
            Row(
                position=position,
                since_ms=0 if last_ms is None else now_ms - last_ms,
                event=event.name,
                before=state or "",
                after=after,
                detail=tuple(phrases(event, now_ms, payload=payload)),
                broken="; ".join(broken),
                fields=_fields(event, payload=payload),
            )
        )
        state, version, last_ms = after, event.version, now_ms
    return found


def summary(history: list[Row]) -> str:
    """Return in one line where the execution stands, and how long that took."""
    first, last = history[0], history[-1]
    took_ms = time_ms(last.position) - time_ms(first.position)
    after = f" after {lasting(took_ms)}" if len(history) > 1 else ""
    agent_type = first.fields.get("call", {}).get("agent_type", "")
    to = f" for {agent_type!r}" if agent_type else ""
    return f"{last.after}{to}{after}, begun {first.time}"


def _fields(event: ExecutionEvent, *, payload: bool) -> dict[str, Any]:
    return {
        name: structs.asdict(value) if isinstance(value, Struct) else value
        for name, value in structs.asdict(event).items()
        if name != "execution_id" and (payload or name not in _COMMAND)
    }
