"""A SQLite file that follows a log.

Each page of the log is one transaction: its events, the executions that they touched, and the
views as they stand after it. So the file is of one piece whatever ends an export, and the next one
goes on behind it. In memory are the views, but of the executions only those that are not settled.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from msgspec import structs
from sqlite_utils import Database

from by_cp.errors import InvalidInput
from by_cp.projections.folding import fold
from by_cp.projections.rows import ExecutionRow
from by_cp.projections.views import Views
from by_cp.replay.durations import Stamps, milliseconds
from by_cp.replay.fields import detail_of
from by_cp.replay.history import SETTLED
from by_cp.replay.sqlite.columns import View
from by_cp.replay.sqlite.schema import EVENTS, STORY, Insert, Schema, delete, select
from by_cp.replay.sqlite.story import ENDS, KINDS, Story
from by_cp.statemachine.events import Call, Event
from by_cp.statemachine.position import BEGINNING, Position, time_ms
from by_cp.statemachine.states import State
from by_cp.statemachine.table import TABLE, standing, step

CACHE_KIB = 64 * 1024
PAGE_BYTES = 16 * 1024
"""Of the database: the larger, the fewer pages are written; `benchmarks/exporting.py`."""
BUSY_S = 30.0

Entry = tuple[Position, Event]

_INSERT_REASONS = (
    "insert into events_fts (rowid, reason) select number, reason from events"
    " where number > ? and reason is not null"
)


class Export:
    """A SQLite file that follows a log.

    Raises:
        InvalidInput: it cannot be opened, is no SQLite file, or was made by another release.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._schema = Schema()
        self._insert_events = Insert("events", list(EVENTS))
        self._insert_executions = Insert("executions", list(self._schema.executions), replace=True)
        self._insert_rows = {
            view.name: Insert(view.name, [column.name for column in view.columns], replace=True)
            for view in self._schema.views
        }
        self._select_execution = select("executions", list(self._schema.executions))
        self._stamp = Stamps()
        self._views = Views()
        self._stories: dict[str, Story] = {}
        self._written: dict[str, dict[Any, Position]] = {}
        """View -> the rows of it that are in the file: key and position."""
        self._dead: set[str] = set()
        """Executions that are in the dead letters, whose heads are not in memory."""
        self._number, self.last_position = 0, BEGINNING
        with self._errors("cannot be used as a SQLite file"):
            self._connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None)
            try:
                self._prepare()
            except BaseException:
                self.close()
                raise

    def _prepare(self) -> None:
        self._database = Database(self._connection)
        names = self._database.table_names()
        known = self._one("select schema from export") if "export" in names else None
        if names and known != (self._schema.fingerprint,):
            raise InvalidInput(
                f"{self._path} is no export of this release of by-cp: export into a new file"
            )
        for setting in (
            f"page_size = {PAGE_BYTES}",
            "synchronous = normal",
            f"cache_size = -{CACHE_KIB}",
        ):
            self._connection.execute(f"pragma {setting}")
        if not names:
            self._make()
        self._load_views()
        for number, position in self._connection.execute(
            "select number, position from events order by number desc limit 1"
        ):
            self._number, self.last_position = number, position

    def _make(self) -> None:
        """Make the tables: all of them come into the file in one transaction."""
        with closing(sqlite3.connect(":memory:")) as made:
            made.execute(f"pragma page_size = {PAGE_BYTES}")
            self._schema.make(Database(made))
            made.backup(self._connection)

    def add(self, entries: Sequence[Entry]) -> None:
        """Add the entries that follow, all or none of them. After an error the export is over.

        Raises:
            InvalidInput: they cannot be written.
            TransitionError: the log breaks the state machine's law.

        """
        with self._errors("cannot be written"), self._transaction():
            rows, touched = self._fold(entries)
            executions = [self._execution(execution_id) for execution_id in touched]
            self._insert_executions.write(self._connection, executions)
            self._insert_events.write(self._connection, rows)
            self._connection.execute(_INSERT_REASONS, (self._number,))
            old = [execution_id for execution_id, is_new in touched.items() if not is_new]
            for view in self._schema.views:
                self._write_view(view, touched, old)
        self._number += len(rows)
        self.last_position = entries[-1][0]
        self._forget(touched)

    def finish(self) -> None:
        """Make the indexes, which the next export keeps.

        Raises:
            InvalidInput: they cannot be written.

        """
        with self._errors("cannot be written"):
            self._schema.index(self._database)
            self._connection.execute("pragma optimize")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    # --- From the log to rows ---------------------------------------------------------------------

    def _fold(self, entries: Sequence[Entry]) -> tuple[list[Any], dict[str, bool]]:
        """Fold entries into the views.

        Return the row of each for `events`, and the executions that they touch: whether each is
        new. This is the export's innermost loop.
        """
        stories, stamp, rows, number = self._stories, self._stamp, [], self._number
        states: dict[str, State | None] = {}
        touched: dict[str, bool] = {}
        event: Any
        for position, event in entries:
            number += 1
            name, schema, is_of_execution, reason_of, by_of = KINDS[type(event)]
            at_ms = time_ms(position)
            reason = (reason_of(event) or None) if reason_of else None
            by = (by_of(event) or None) if by_of else None
            execution_id = version = before = after = None
            if is_of_execution:
                execution_id, version = event.execution_id, event.version
                if execution_id in states:
                    before = states[execution_id]
                else:
                    before = self._state(execution_id, version)
                    touched[execution_id] = before is None
                if version == 1:
                    before = standing(before, event)
                reached = TABLE.get((before, name)) or step(execution_id, before, name)
                after = states[execution_id] = reached.dest
                story = stories.get(execution_id)
                if story is None or version == 1:
                    story = stories[execution_id] = Story(at_ms)
                if after in ENDS or story.reason is not None:
                    story.goes_on(event, after, reason, by)
            detail = detail_of(event).decode()
            row = (number, position, stamp(at_ms), name, schema, execution_id, version)
            rows.append((*row, before, after, reason, by, event.cause, detail))
        fold(entries, self._views)
        return rows, touched

    def _state(self, execution_id: str, version: int) -> State | None:
        """Return where an execution stood before a page; its head is in memory from then on."""
        views = self._views
        # Most begin. Those that do so again had no rows but their own, unless they were not over.
        begins = version == 1 and not (execution_id in views.pending or execution_id in self._dead)
        if execution_id not in views.executions and (begins or not self._load_head(execution_id)):
            return None
        return self._views.executions[execution_id].state

    def _execution(self, execution_id: str) -> tuple[Any, ...]:
        """Return the row of an execution."""
        head, story, stamp = (
            self._views.executions[execution_id],
            self._stories[execution_id],
            self._stamp,
        )
        last_ms = time_ms(head.position)
        return (
            *(execution_id, head.state, *structs.astuple(head.call)),
            *(stamp(story.begun_ms), stamp(last_ms), last_ms - story.begun_ms),
            *(story.code, story.reason, story.decided_by, story.delivered_to),
            *self._schema.of_head(head),
        )

    def _write_view(self, view: View, touched: Iterable[str], old: Iterable[str]) -> None:
        """Bring a view's table to where the view stands."""
        rows: dict[Any, Any] = getattr(self._views, view.name)
        if view.is_of_executions:
            changed = [execution_id for execution_id in touched if execution_id in rows]
            gone = [execution_id for execution_id in old if execution_id not in rows]
        else:
            written = self._written[view.name]
            changed = [key for key, row in rows.items() if written.get(key) != row.position]
            gone = [key for key in written if key not in rows]
            self._written[view.name] = {key: row.position for key, row in rows.items()}
        self._connection.executemany(delete(view), [(view.key.to_sql(key),) for key in gone])
        self._insert_rows[view.name].write(
            self._connection, [view.to_sql(rows[key]) for key in changed]
        )

    # --- What is in the file already --------------------------------------------------------------

    def _load_views(self) -> None:
        for view in self._schema.views:
            names = ", ".join(f"[{column.name}]" for column in view.columns)
            found = self._connection.execute(f"select {names} from [{view.name}]")  # noqa: S608 - ours
            rows = {view.key_from_sql(values[0]): view.from_sql(values) for values in found}
            if view.name != "dead_letters":  # nothing is ever asked of these
                setattr(self._views, view.name, rows)
            self._written[view.name] = {key: row.position for key, row in rows.items()}
        self._dead.update(self._written["dead_letters"])

    def _load_head(self, execution_id: str) -> bool:
        """Load the head of an execution that began before; tell whether there is one."""
        values = self._connection.execute(self._select_execution, (execution_id,)).fetchone()
        if values is None:
            return False
        _, state, *rest = values
        call, rest = rest[: len(self._schema.call)], rest[len(self._schema.call) :]
        told, rest = dict(zip(STORY, rest, strict=False)), rest[len(STORY) :]
        columns = zip(self._schema.head, rest, strict=True)
        self._views.executions[execution_id] = ExecutionRow(
            execution_id=execution_id,
            state=State(state),
            call=Call(*call),
            **{column.field: column.from_sql(value) for column, value in columns},
        )
        story = self._stories[execution_id] = Story(milliseconds(told["begun_at"]))
        story.code, story.reason = told["code"], told["reason"]
        story.decided_by, story.delivered_to = told["decided_by"], told["delivered_to"]
        return True

    def _forget(self, touched: Iterable[str]) -> None:
        """Keep no head in memory of which nothing more may be heard."""
        for execution_id in touched:
            state = self._views.executions[execution_id].state
            if state == State.DEADLETTER:
                self._dead.add(execution_id)
            else:
                self._dead.discard(execution_id)
            if state in SETTLED:
                del self._views.executions[execution_id], self._stories[execution_id]
                self._views.dead_letters.pop(execution_id, None)

    # --- The file ---------------------------------------------------------------------------------

    def _one(self, query: str) -> Any:
        return self._connection.execute(query).fetchone()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("begin immediate")
        try:
            yield
        except BaseException:
            self._connection.execute("rollback")
            raise
        self._connection.execute("commit")

    @contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise InvalidInput(f"{self._path} {what}: {error}") from error
