"""The tables of an export.

`events` is the log, in its order; `executions` are the heads, with what was asked for and how it
ended; the other tables are the views. `export` says what the file was made of.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from itertools import chain
from typing import Any

from sqlite_utils import Database
from sqlite_utils.db import Table

from by_cp.projections.rows import ExecutionRow
from by_cp.replay.sqlite.columns import Column, View, columns_of, encoder, views
from by_cp.statemachine.events import Call

EVENTS: dict[str, type] = {
    "number": int,  # its place in the log, from 1 on
    "position": str,
    "time": str,  # ISO 8601, UTC
    "event": str,
    "schema": int,
    "execution_id": str,  # null: a system event
    "version": int,
    "before": str,  # states; null: it did not exist yet
    "after": str,
    "reason": str,
    "decided_by": str,
    "cause": str,
    "detail": str,  # the event's own fields, as JSON
}

STORY: dict[str, type] = {
    "begun_at": str,
    "last_at": str,
    "took_ms": int,
    "code": str,  # how and why it ended: null while it has not, or ended well
    "reason": str,
    "decided_by": str,
    "delivered_to": str,
}
"""What is told of an execution beside its head."""

_INDEXES = {
    "events": (("execution_id",),),
    "executions": (
        *(("user_code", "last_at"), ("agent_type", "last_at"), ("state", "last_at")),
        *(("session_id",), ("message_id",)),
    ),
}


ROWS_AT_ONCE = 50
VARIABLES_MAX = 999
"""So many values a statement may have in SQLite before 3.32."""


class Schema:
    """The tables, and the statements that fill them."""

    def __init__(self) -> None:
        self.views: tuple[View, ...] = views()
        self.call: tuple[Column, ...] = columns_of(Call)
        self.head: tuple[Column, ...] = tuple(
            column
            for column in columns_of(ExecutionRow)
            if column.name not in {"execution_id", "state", "call"}
        )
        self.of_head = encoder(self.head)
        self.executions: dict[str, type] = {
            "execution_id": str,
            "state": str,
            **{column.name: column.kind for column in self.call},
            **STORY,
            **{column.name: column.kind for column in self.head},
        }

    @property
    def fingerprint(self) -> str:
        """What is the same for all files that this release can go on with."""
        shape = [
            *EVENTS.items(),
            *self.executions.items(),
            *((view.name, column[:4]) for view in self.views for column in view.columns),
        ]
        return hashlib.blake2b(repr(shape).encode(), digest_size=8).hexdigest()

    def make(self, database: Database) -> None:
        """Make the tables in an empty file."""
        _table(database, "executions").create(self.executions, pk="execution_id")
        events = _table(database, "events")
        events.create(
            EVENTS, pk="number", foreign_keys=[("execution_id", "executions", "execution_id")]
        )
        events.enable_fts(["reason"], create_triggers=False)  # the export feeds it
        for view in self.views:
            columns: dict[str, Any] = {column.name: column.kind for column in view.columns}
            _table(database, view.name).create(
                columns, pk=view.key.name, foreign_keys=_foreign_keys(view)
            )
        _table(database, "export").insert({"schema": self.fingerprint}, pk="schema")

    def index(self, database: Database) -> None:
        """Make the indexes that are not there: once there are rows, that is the quickest."""
        _table(database, "events").create_index(["position"], unique=True, if_not_exists=True)
        for name, indexes in _INDEXES.items():
            for columns in indexes:
                _table(database, name).create_index(list(columns), if_not_exists=True)


def delete(view: View) -> str:
    """Return the statement that deletes a row of a view by its key."""
    return f"delete from [{view.name}] where [{view.key.name}] = ?"  # noqa: S608 - names of our own


def select(table: str, columns: list[str]) -> str:
    """Return the statement that reads a row by its key."""
    names = ", ".join(f"[{column}]" for column in columns)
    return f"select {names} from [{table}] where [{columns[0]}] = ?"  # noqa: S608 - names of our own


class Insert:
    """Writes rows into a table, many with each statement: a fifth faster than one with each.

    Args:
        table: its name.
        columns: their names, the key's first.
        replace: rows whose key is there already are changed.

    """

    def __init__(self, table: str, columns: Sequence[str], *, replace: bool = False) -> None:
        names = ", ".join(f"[{column}]" for column in columns)
        self._begin = f"insert into [{table}] ({names}) values "  # noqa: S608 - names of our own
        self._row = f"({', '.join('?' * len(columns))})"
        changes = ", ".join(f"[{column}] = excluded.[{column}]" for column in columns[1:])
        self._end = f" on conflict ([{columns[0]}]) do update set {changes}" if replace else ""
        self._at_once = min(ROWS_AT_ONCE, VARIABLES_MAX // len(columns))
        self._many = self._begin + ", ".join([self._row] * self._at_once) + self._end

    def write(self, connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write rows."""
        at_once = self._at_once
        full = len(rows) - len(rows) % at_once
        for begin in range(0, full, at_once):
            connection.execute(self._many, list(chain.from_iterable(rows[begin : begin + at_once])))
        connection.executemany(self._begin + self._row + self._end, rows[full:])


def _foreign_keys(view: View) -> list[tuple[str, str, str]]:
    if view.is_of_executions:
        return [("execution_id", "executions", "execution_id")]
    return []


def _table(database: Database, name: str) -> Table:
    table = database[name]
    assert isinstance(table, Table)  # and no view  # noqa: S101
    return table
