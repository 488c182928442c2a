"""An id that is used again, after the server has forgotten what it stood for."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs
from redis.asyncio import Redis
from sqlite_utils import Database

from by_cp.adapters import live_rows_at, raw_log_at
from by_cp.errors import IllegalTransition
from by_cp.keys import RedisKeys
from by_cp.log.contract import Entry
from by_cp.log.redis.store import RETENTION_MS, RedisStore
from by_cp.projections.folding import fold
from by_cp.replay.drift.checking import Start, Watch, check, prepare
from by_cp.replay.drift.rebuilding import rebuild
from by_cp.replay.history import history
from by_cp.replay.sqlite.export import Export
from by_cp.replay.sqlite.reading import SqliteSource
from by_cp.replay.whatif import Policies, whatif
from by_cp.statemachine.states import State
from by_cp.testing import record_history, replay_history
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import online, release, settle
from tests.contract.acting import request as ask
from tests.waiting import until

AGAIN = "exec-1"


@pytest.fixture
async def entries(redis: Redis) -> list[Entry]:
    """A log in which an id was rejected, forgotten, delivered, forgotten, and is held."""
    store = RedisStore(redis, retention_ms=1)

    async def forgotten() -> bool:
        return not await redis.exists(RedisKeys.head(AGAIN))

    await ask(store, AGAIN, RoutePolicy.FAIL_FAST)
    await until(forgotten)
    await online(store, "echo", "worker-1")
    await ask(store, AGAIN, RoutePolicy.FAIL_FAST)
    await until(forgotten)
    await store.retire("worker-1")
    await ask(store, AGAIN, RoutePolicy.QUEUE_ONLY)
    return [Entry(position, event) for position, event in await store.read()]


async def test_an_id_that_was_forgotten_has_another_life(entries: list[Entry]) -> None:
    """Each life is a history of its own; the views show the last."""
    names = [event.name for _, event in entries]
    assert names == [
        *("Requested", "Rejected"),
        *("Requested", "BecameReady", "Delivered"),
        *("Requested", "Held"),
    ]
    views = fold(entries)
    head = views.executions[AGAIN]
    assert (head.state, head.version, head.position) == (
        *(State.REQUESTED, 2),
        entries[-1].position,
    )
    assert list(views.pending) == [AGAIN]


@pytest.mark.usefixtures("entries")
async def test_verification_knows_lives(url: str) -> None:
    """A log in which an id was used again is as good as any."""
    with closing(raw_log_at(url)) as log, closing(live_rows_at(url)) as live:
        assert check(log, log, live).differences == []


async def test_a_told_history_has_all_lives(entries: list[Entry]) -> None:
    """None of them breaks the law."""
    told = history(entries)
    assert not told.broken
    assert [row.after for row in told.rows if row.before == ""] == ["REQUESTED"] * 3


@pytest.fixture(params=["held", "waking", "buried"])
async def cut_short(request: pytest.FixtureRequest, redis: Redis) -> list[Entry]:
    """A log in which all views were lost before an execution was over; its caller asked again."""
    store = RedisStore(redis)
    policy = RoutePolicy.QUEUE_ONLY if request.param == "held" else RoutePolicy.WAKE_AND_QUEUE
    await ask(store, AGAIN, policy, user_code="u1")
    if request.param == "buried":
        await settle(store, AGAIN, "FAILED", reason="no image")
    await lose_all_but_the_log(redis)
    await ask(store, "exec-2", RoutePolicy.QUEUE_ONLY, user_code="u1")
    await ask(store, AGAIN, policy, user_code="u1")
    return [Entry(position, event) for position, event in await store.read()]


async def lose_all_but_the_log(redis: Redis) -> None:
    """As a server does whose backup had the log alone."""
    keys = await redis.keys(f"{RedisKeys.log()[: -len('log')]}*")
    await redis.delete(*(key for key in keys if key != RedisKeys.log().encode()))


async def test_whoever_repeats_a_call_after_the_views_were_lost_breaks_no_log(
    cut_short: list[Entry], redis: Redis, url: str
) -> None:
    """What the id stood for is over, and what is held is delivered once, rebuilt or not."""
    views = fold(cut_short)
    assert list(views.pending) == ["exec-2", AGAIN]
    assert views.quotas["u1"].in_flight == 2
    assert views.dead_letters == {}
    with closing(raw_log_at(url)) as log, closing(live_rows_at(url)) as live:
        folding, names = prepare(log, log, live, Start(), Watch(), lean=False)
        assert rebuild(folding, names, live, log, retention_ms=RETENTION_MS).left == 0
        assert check(log, log, live).differences == []
        store = RedisStore(redis)
        await online(store, "echo", "worker-1")
        assert (await release(store)).delivered == 2
        assert check(log, log, live).differences == []


@pytest.mark.parametrize("page", [1, 3, 100])
async def test_an_export_forgets_what_an_id_stood_for(
    cut_short: list[Entry], tmp_path: Path, page: int
) -> None:
    """Wherever the exports part, the file has the rows that one export of all has."""
    paths = (tmp_path / "parts.db", tmp_path / "whole.db")
    for path, size in zip(paths, (page, len(cut_short)), strict=True):
        for begin in range(0, len(cut_short), size):
            with closing(Export(path)) as to:
                to.add(cut_short[begin : begin + size])
                to.finish()
    assert rows_of(paths[0]) == rows_of(paths[1])


def rows_of(path: Path) -> dict[str, list[str]]:
    """All rows of the views, and of executions."""
    with closing(sqlite3.connect(path)) as file:
        return {
            table: sorted(map(repr, Database(file)[table].rows))
            for table in ("executions", "pending", "dead_letters", "wake_members", "quotas")
        }


async def test_a_request_is_no_step_of_a_life(entries: list[Entry]) -> None:
    """One that a store appended to what it knew, as its version says, breaks the law."""
    position, event = entries[5]
    later = f"{int(position.partition('-')[0]) + 1000}-0"
    with pytest.raises(IllegalTransition, match="Requested"):
        fold([*entries, (later, structs.replace(event, version=3))])


@pytest.mark.parametrize("page", [1, 2, 100])
async def test_an_export_has_all_events_and_the_last_life(
    entries: list[Entry], tmp_path: Path, page: int
) -> None:
    """Wherever the pages part."""
    path = tmp_path / "log.db"
    with closing(Export(path)) as to:
        for begin in range(0, len(entries), page):
            to.add(entries[begin : begin + page])
        to.finish()
    with closing(SqliteSource(path)) as source:
        assert [entry for found in source.entries() for entry in found] == entries


async def test_a_recording_has_all_lives(entries: list[Entry], tmp_path: Path) -> None:
    """And replays to the same views."""
    path = tmp_path / "history.jsonl"
    record_history(entries, path)
    assert replay_history(path) == fold(entries)


async def test_what_if_counts_every_life(entries: list[Entry]) -> None:
    """Each is a request of its own."""
    report = whatif(entries, Policies())
    assert (report.requests, report.differences) == (3, [])
