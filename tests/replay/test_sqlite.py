"""The log as a SQLite file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from by_cp.errors import InvalidInput
from by_cp.log.contract import Entry
from by_cp.log.memory import ManualClock, MemoryLog
from by_cp.replay.sqlite import Export
from by_cp.vocabulary import RoutePolicy
from tests.making import make_request


def entries_of(log: MemoryLog) -> list[Entry]:
    """Return a log's entries."""
    return [Entry(position, event) for position, event in log.entries]


def test_an_export_answers_questions_in_sql(tmp_path: Path) -> None:
    """Which executions were rejected for a tenant, and why, is one query."""
    log = MemoryLog(ManualClock())
    log.execute(make_request("e1", user_code="u1"))
    log.execute(make_request("e2", RoutePolicy.SEND_ANYWAY, user_code="u1"))
    export = Export(tmp_path / "log.db")
    export.add(entries_of(log))
    export.close()

    with sqlite3.connect(tmp_path / "log.db") as database:
        rows = database.execute(
            "select execution_id, detail ->> 'reason' from events join executions"
            " using (execution_id) where user_code = 'u1' and event = 'Rejected'"
        ).fetchall()
    database.close()
    assert rows == [("e1", "No online worker found for agent_type 'echo'")]


def test_an_export_continues_where_the_last_one_ended(tmp_path: Path) -> None:
    """The second export of a grown log adds what is new; states go on from where they were."""
    log = MemoryLog(ManualClock())
    log.execute(make_request("e1", RoutePolicy.QUEUE_ONLY))
    first = Export(tmp_path / "log.db")
    entries = entries_of(log)
    first.add(entries[:1])
    first.close()

    second = Export(tmp_path / "log.db")
    assert second.last_position == entries[0].position
    second.add(entries[1:])
    assert second.last_position == entries[-1].position
    second.close()


def test_a_file_that_is_no_sqlite_is_refused(tmp_path: Path) -> None:
    """A clear error, and the file stays as it was."""
    path = tmp_path / "notes.txt"
    path.write_text("not a database " * 100)
    with pytest.raises(InvalidInput, match="cannot be used as a SQLite file"):
        Export(path)
    assert path.read_text().startswith("not a database")
