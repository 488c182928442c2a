"""An id that is used again, after the server has forgotten what it stood for."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from redis.asyncio import Redis

from by_cp.adapters import live_rows_at, raw_log_at
from by_cp.errors import IllegalTransition
from by_cp.keys import RedisKeys
from by_cp.log.contract import Entry
from by_cp.log.redis.store import RedisStore
from by_cp.projections.folding import fold
from by_cp.replay.drift.checking import check
from by_cp.replay.history import history
from by_cp.replay.sqlite.export import Export
from by_cp.replay.sqlite.reading import SqliteSource
from by_cp.replay.whatif import Policies, whatif
from by_cp.statemachine.events import Requested
from by_cp.statemachine.states import State
from by_cp.testing import record_history, replay_history
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import online, request
from tests.waiting import until

AGAIN = "exec-1"


@pytest.fixture
async def entries(redis: Redis) -> list[Entry]:
    """A log in which an id was rejected, forgotten, delivered, forgotten, and is held."""
    store = RedisStore(redis, retention_ms=1)

    async def forgotten() -> bool:
        return not await redis.exists(RedisKeys.head(AGAIN))

    await request(store, AGAIN, RoutePolicy.FAIL_FAST)
    await until(forgotten)
    await online(store, "echo", "worker-1")
    await request(store, AGAIN, RoutePolicy.FAIL_FAST)
    await until(forgotten)
    await store.retire("worker-1")
    await request(store, AGAIN, RoutePolicy.QUEUE_ONLY)
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


async def test_an_execution_that_is_not_over_cannot_begin_again(entries: list[Entry]) -> None:
    """Such a log was written by nobody who keeps the law."""
    position, event = entries[5]
    assert isinstance(event, Requested)
    with pytest.raises(IllegalTransition, match="Requested"):
        fold([*entries, (f"{int(position.partition('-')[0]) + 1000}-0", event)])


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
