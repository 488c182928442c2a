"""The log as a SQLite file, for questions that no command answers.

    select reason, count(*) from events join executions using (execution_id) …

Two tables: `executions`, one row each as the log leaves it, and `events`, one row for each entry,
its own fields as JSON in `detail`. An export continues where the last one into the same file ended.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import structs
from sqlite_utils import Database
from sqlite_utils.db import Table

from by_cp.errors import InvalidInput
from by_cp.log.contract import Entry
from by_cp.statemachine.events import Event, ExecutionEvent, Requested
from by_cp.statemachine.position import BEGINNING, Position, sort_key, time_ms
from by_cp.statemachine.states import State
from by_cp.statemachine.table import step

COMMON = frozenset(ExecutionEvent.__struct_fields__)
PAGE = 1000


class Export:
    """A SQLite file that follows a log."""

    def __init__(self, path: Path) -> None:
        """Open the file, or make it.

        Raises:
            InvalidInput: it cannot be opened, or is no SQLite file.

        """
        try:
            self._database = Database(path)
            self._make_tables()
        except Exception as error:
            raise InvalidInput(f"{path} cannot be used as a SQLite file: {error}") from error

    def _make_tables(self) -> None:
        self._executions = self._table("executions")
        self._executions.create(
            {
                **dict.fromkeys(("execution_id", "agent_type", "user_code", "region"), str),
                **dict.fromkeys(("policy", "session_id", "message_id", "state"), str),
                **dict.fromkeys(("priority", "version"), int),
            },
            pk="execution_id",
            if_not_exists=True,
        )
        self._events = self._table("events")
        self._events.create(
            {
                **dict.fromkeys(("position", "sort_key"), str),
                "time_ms": int,
                **dict.fromkeys(("event", "execution_id"), str),
                "version": int,
                **dict.fromkeys(("state", "cause", "detail"), str),
            },
            pk="position",
            foreign_keys=[("execution_id", "executions", "execution_id")],
            if_not_exists=True,
        )
        self._events.create_index(["execution_id"], if_not_exists=True)
        self._events.create_index(["sort_key"], if_not_exists=True)

    def _table(self, name: str) -> Table:
        table = self._database[name]
        assert isinstance(table, Table)  # and no view  # noqa: S101
        return table

    @property
    def last_position(self) -> Position:
        """Position of the last entry in the file."""
        rows = list(self._events.rows_where(order_by="sort_key desc", limit=1))
        return str(rows[0]["position"]) if rows else BEGINNING

    def add(self, entries: list[Entry]) -> None:
        """Add entries, all or none of them."""
        states = self._states(entries)
        events: list[dict[str, Any]] = []
        executions: dict[str, dict[str, Any]] = {}
        for position, event in entries:
            row = {
                "position": position,
                "sort_key": sort_key(position),
                "time_ms": time_ms(position),
                "event": event.name,
                "detail": _detail(event),
            }
            if isinstance(event, ExecutionEvent):
                execution_id = event.execution_id
                state = step(execution_id, states.get(execution_id), event.name).dest
                states[execution_id] = state
                row |= {"execution_id": execution_id, "version": event.version, "state": state}
                execution = executions.setdefault(execution_id, {"execution_id": execution_id})
                execution |= {"state": state.value, "version": event.version}
                if isinstance(event, Requested):
                    execution |= _of_call(event)
            events.append(row | {"cause": getattr(event, "cause", "")})
        with self._database.conn:
            for execution in executions.values():
                self._executions.upsert(execution, pk="execution_id")
            self._events.insert_all(events)

    def _states(self, entries: list[Entry]) -> dict[str, State | None]:
        ids = {e.event.execution_id for e in entries if isinstance(e.event, ExecutionEvent)}
        marks = ",".join("?" * len(ids))
        rows = self._executions.rows_where(f"execution_id in ({marks})", list(ids))
        return {row["execution_id"]: State(row["state"]) for row in rows}

    def close(self) -> None:
        """Close the file."""
        self._database.close()


def _detail(event: Event) -> str:
    own = {k: v for k, v in structs.asdict(event).items() if k not in COMMON}
    return msgspec.json.encode(
        {k: structs.asdict(v) if isinstance(v, msgspec.Struct) else v for k, v in own.items()}
    ).decode()


def _of_call(event: Requested) -> dict[str, Any]:
    call = event.call
    return {
        "agent_type": call.agent_type,
        "user_code": call.user_code,
        "region": call.region,
        "policy": call.policy,
        "session_id": call.session_id,
        "message_id": call.message_id,
        "priority": call.priority,
    }
