"""The log as a SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct, structs

from by_cp.errors import IllegalTransition, InvalidInput
from by_cp.projections.folding import fold
from by_cp.projections.views import Views
from by_cp.replay.fields import event_of, plain
from by_cp.replay.sources import Entry
from by_cp.replay.sqlite.columns import views as all_views
from by_cp.replay.sqlite.datasette import FAILED, QUERIES, metadata
from by_cp.replay.sqlite.export import Export
from by_cp.replay.sqlite.reading import SqliteSource
from by_cp.statemachine.events import EVENTS, Delivered, ExecutionEvent, tag_of
from tests.histories.record import Recorder, tell
from tests.replay import example
from tests.replay.example import FAILS, REFUSED


def everything() -> list[Entry]:
    """A log in which every event and every view occurs."""
    recorder = Recorder()
    tell(recorder)
    return list(recorder.log.entries)


EVERYTHING = everything()


def export(path: Path, *pages: list[Entry]) -> None:
    """Export pages of a log, each page in an export of its own."""
    for page in pages:
        with closing(Export(path)) as to:
            to.add(page)
            to.finish()


def dump(path: Path) -> list[str]:
    """All that is in a file, the shadow tables of the search index aside."""
    with closing(sqlite3.connect(path)) as database:
        lines = list(database.iterdump())
    return sorted(line for line in lines if "events_fts_" not in line)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """All that is in a file into which everything was exported at once."""
    path = tmp_path_factory.mktemp("whole") / "log.db"
    export(path, EVERYTHING)
    return dump(path)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The example's log, exported."""
    path = tmp_path / "log.db"
    export(path, example.entries())
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        yield connection


def test_which_executions_failed_yesterday_and_why_is_one_query(
    database: sqlite3.Connection,
) -> None:
    """The query in the docs: a tenant's rejections and dead letters, with reason and decider."""
    parameters = {"user_code": "acme", "today": "2026-05-05"}
    [refused] = database.execute(FAILED, parameters)
    assert (refused["execution_id"], refused["state"]) == (REFUSED, "REJECTED")
    assert refused["code"] == "TENANT_QUOTA_EXCEEDED"
    assert refused["reason"] == "tenant quota exceeded: 2 of 2 in flight"
    assert not database.execute(FAILED, parameters | {"today": "2026-05-04"}).fetchall()
    assert not database.execute(FAILED, parameters | {"user_code": "other"}).fetchall()


def test_reasons_can_be_searched(database: sqlite3.Connection) -> None:
    """Full text search finds words of a reason, and the events that had it."""
    found = database.execute(QUERIES["search"][1], {"words": "gpu pool"}).fetchall()
    assert {row["event"] for row in found} == {"Failed", "DeadLettered", "WakeEnded"}
    assert {row["execution_id"] for row in found} == {FAILS, None}


@pytest.mark.parametrize("name", QUERIES)
def test_every_ready_question_can_be_asked(database: sqlite3.Connection, name: str) -> None:
    """What Datasette offers runs on the file as it is."""
    names = {"user_code": "acme", "today": "2026-05-05", "execution_id": FAILS, "words": "image"}
    assert database.execute(QUERIES[name][1], names).fetchall()


def test_datasette_is_told_of_columns_that_are_there(database: sqlite3.Connection) -> None:
    """Each table and column that its metadata names is in the file."""
    tables = metadata("log")["databases"]["log"]["tables"]
    for table, about in tables.items():
        columns = {row["name"] for row in database.execute(f"pragma table_info([{table}])")}
        named = {*about.get("columns", ()), *about.get("facets", ())}
        named |= {about[key] for key in ("label_column", "sort", "sort_desc") if key in about}
        assert columns >= named


def test_foreign_keys_lead_somewhere(database: sqlite3.Connection) -> None:
    """Events and held commands belong to executions that are there."""
    assert database.execute("pragma foreign_key_list(events)").fetchone()["table"] == "executions"
    assert database.execute("pragma foreign_key_list(pending)").fetchone()["table"] == "executions"
    assert not database.execute("pragma foreign_key_check").fetchall()


def test_the_tables_are_the_views(tmp_path: Path) -> None:
    """Every row of every view, field by field, as a fold of the log has it."""
    path = tmp_path / "log.db"
    export(path, EVERYTHING)
    folded = fold(EVERYTHING)
    with closing(sqlite3.connect(path)) as connection:
        for view in all_views():
            names = ", ".join(f"[{column.name}]" for column in view.columns)
            found = connection.execute(f"select {names} from [{view.name}]")  # noqa: S608 - ours
            rows = {view.key.from_sql(values[0]): view.from_sql(values) for values in found}
            assert rows == getattr(folded, view.name), view.name
        executions = connection.execute("select execution_id, state, version from executions")
        assert {tuple(row) for row in executions} == {
            (row.execution_id, row.state, row.version) for row in folded.executions.values()
        }


def test_every_view_occurs() -> None:
    """A view that is empty at the end of the recorded history is not held to anything above."""
    seen = dict.fromkeys(Views.__struct_fields__, False)
    views = Views()
    for entry in EVERYTHING:
        fold([entry], views)
        for name in seen:
            seen[name] = seen[name] or bool(getattr(views, name))
    assert seen == dict.fromkeys(seen, True)


@settings(max_examples=12)
@given(st.lists(st.integers(1, len(EVERYTHING) - 1), max_size=4, unique=True).map(sorted))
def test_however_it_is_cut_the_file_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, whole: list[str], cuts: list[int]
) -> None:
    """Each export goes on where the last one ended: what was folded before is in the file."""
    path = tmp_path_factory.mktemp("cut") / "log.db"
    export(path, *(EVERYTHING[a:b] for a, b in pairwise([0, *cuts, len(EVERYTHING)])))
    assert dump(path) == whole


def test_an_export_says_where_it_ended(tmp_path: Path) -> None:
    """The next one asks the log for what follows."""
    path = tmp_path / "log.db"
    with closing(Export(path)) as to:
        assert to.last_position == "0-0"
        to.add(EVERYTHING[:5])
    with closing(Export(path)) as to:
        assert to.last_position == EVERYTHING[4][0]


def test_an_error_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    """A page of which one entry breaks the law is not in the file, not even in part."""
    path = tmp_path / "log.db"
    export(path, EVERYTHING[:5])
    before = dump(path)
    broken = ("9999999999999-0", Delivered("never asked for", 2, "c", "chat"))
    with closing(Export(path)) as to, pytest.raises(IllegalTransition):
        to.add([*EVERYTHING[5:8], broken])
    assert dump(path) == before


def test_what_is_settled_is_not_kept_in_memory(tmp_path: Path) -> None:
    """Heads of settled executions and their dead letters are in the file only."""
    with closing(Export(tmp_path / "log.db")) as to:
        to.add(EVERYTHING)
        kept = {row.state for row in to._views.executions.values()}
        assert not to._views.dead_letters
    assert kept <= {"REQUESTED", "WAKING", "READY", "FAILED"}


def test_every_event_is_read_back_as_it_was(tmp_path: Path) -> None:
    """Name, schema, fields and position: what comes out is what went in."""
    path = tmp_path / "log.db"
    export(path, EVERYTHING)
    with closing(SqliteSource(path)) as source:
        assert [entry for page in source.entries() for entry in page] == EVERYTHING
        third, ninth = EVERYTHING[2][0], EVERYTHING[8][0]
        between = [entry for page in source.entries(third, ninth) for entry in page]
        assert between == EVERYTHING[3:9]


def test_an_event_of_an_older_release_lacks_what_came_later() -> None:
    """The schema grows at its end only: what is missing there has its default."""
    for _, event in EVERYTHING:
        fields: dict[str, Any] = structs.asdict(event)
        *_, last = event.__struct_fields__
        default = event.__struct_defaults__[-1:] if event.__struct_defaults__ else ()
        if isinstance(event, ExecutionEvent) and default and fields[last] == default[0]:
            del fields[last]
        named = {k: plain(v) if isinstance(v, Struct) else v for k, v in fields.items()}
        assert event_of(tag_of(type(event)), named) == event
    assert {type(event) for _, event in EVERYTHING} == set(EVENTS)


@pytest.mark.parametrize("made", ["no database", "another database"])
def test_a_file_that_is_no_export_is_refused(tmp_path: Path, made: str) -> None:
    """A clear error, and the file stays as it was."""
    path = tmp_path / "notes.db"
    if made == "no database":
        path.write_text("not a database " * 100)
    else:
        with closing(sqlite3.connect(path)) as database:
            database.execute("create table notes (text)")
    before = path.read_bytes()
    with pytest.raises(InvalidInput, match=r"notes\.db"):
        Export(path)
    assert path.read_bytes() == before
