"""An export read like a log, with no server at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec

from by_cp.errors import InvalidInput
from by_cp.replay.fields import event_of
from by_cp.replay.sources import Entry
from by_cp.statemachine.position import BEGINNING, Position, split

PAGE = 10_000
TEXT_MAX = "\U0010ffff"
"""Sorts behind every other character."""

_EVENTS = "select position, event, schema, execution_id, version, cause, detail from events"

_MEANT = """
    select execution_id from executions where execution_id between :text and :text || :max
    union select execution_id from executions where message_id = :text
    union select execution_id from executions where session_id = :text
    union select execution_id from executions where trace_id = :text"""
"""The executions that a text may mean."""

Values = tuple[str, str, int, str | None, int | None, str, str]


class SqliteSource:
    """The log in a SQLite file that `by-cp log export` made.

    Raises:
        InvalidInput: it is none.

    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection = sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
            self._connection.execute("select schema from export")
        except sqlite3.Error as error:
            raise InvalidInput(f"{path} is no export of a log: {error}") from error

    def history(self, execution_id: str) -> list[Entry]:
        """Return an execution's events."""
        query = f"{_EVENTS} where execution_id = ? order by number"
        return [_entry(values) for values in self._connection.execute(query, (execution_id,))]

    def requests(self, text: str) -> list[Entry]:
        """Return the Requested events of the executions that a text may mean."""
        query = (
            f"{_EVENTS} where event = 'Requested' and execution_id in ({_MEANT}) order by number"
        )
        parameters = {"text": text, "max": TEXT_MAX}
        return [_entry(values) for values in self._connection.execute(query, parameters)]

    def events_of(self, execution_id: str, _since: Position) -> list[Entry]:
        """Return an execution's events."""
        return self.history(execution_id)

    def entries(
        self, after: Position = BEGINNING, until: Position | None = None
    ) -> Iterator[list[Entry]]:
        """Yield what stands after a position, in pages."""
        begin, end = split(after), None if until is None else split(until)
        found = self._connection.execute(f"{_EVENTS} order by number")
        while page := [_entry(values) for values in found.fetchmany(PAGE)]:
            yield [
                (position, event)
                for position, event in page
                if begin < split(position) and (end is None or split(position) <= end)
            ]

    def log(self) -> None:
        """Return nothing: the bytes of the log are not here."""

    def follow(self, after: Position) -> Iterator[list[Entry]]:
        """Refuse: nothing comes after what is here."""
        raise InvalidInput(f"nothing is appended to a file after {after}: --follow needs a server")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def _entry(values: Values) -> Entry:
    position, name, schema, execution_id, version, cause, detail = values
    common = {"execution_id": execution_id, "version": version, "cause": cause}
    return position, event_of(f"{name}/{schema}", common | msgspec.json.decode(detail))
