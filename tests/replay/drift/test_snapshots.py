"""Snapshots: what was folded once need not be folded again; and no wrong one is believed."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.live import LiveRows
from by_cp.log.rawlog import RawLog
from by_cp.log.redis.store import RETENTION_MS, RedisStore
from by_cp.projections.rows import FallbackRow
from by_cp.replay import snapshot as snapshots
from by_cp.replay.drift.checking import Start, Watch, check, prepare
from by_cp.replay.drift.rebuilding import rebuild
from by_cp.replay.drift.starting import equals_replay, start_at, taken
from by_cp.replay.snapshot import Snapshot, SnapshotUnusable
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import request
from tests.replay.drift.test_rebuilding import flush_views


def take(log: RawLog, live: LiveRows, path: Path) -> Snapshot:
    """Take a snapshot of all there is."""
    folding, _ = prepare(log, log, live, Start(), Watch())
    found = taken(folding, log, Start())
    snapshots.write(found, path)
    return found


async def test_a_snapshot_is_read_as_it_was_written(
    store: RedisStore, log: RawLog, live: LiveRows, tmp_path: Path
) -> None:
    """Row by row; and it is what the log, folded again from its beginning, gives."""
    found = take(log, live, tmp_path / "views")
    assert snapshots.read(tmp_path / "views") == found
    assert found.views == await store.views()
    assert equals_replay(found, log, log)
    found.views.fallbacks["echo"] = FallbackRow("echo", "someone", "1-0")
    assert not equals_replay(found, log, log)


async def test_verification_goes_on_from_a_snapshot(
    store: RedisStore, redis: Redis, log: RawLog, live: LiveRows, tmp_path: Path
) -> None:
    """Only what came since is folded, if nothing else is left, too; faults are found as ever."""
    at = take(log, live, tmp_path / "views").position
    await request(store, "exec-10", RoutePolicy.QUEUE_ONLY, user_code="acme")
    log.trim(at)
    verdict = check(log, log, live, start_at(tmp_path / "views", log))
    assert (verdict.differences, verdict.events) == ([], 2)
    await redis.hset(RedisKeys.view_quota("acme"), "l", "6")
    [difference] = check(log, log, live, start_at(tmp_path / "views", log)).differences
    assert difference.key == "acme"


async def test_rows_are_rebuilt_from_a_snapshot(
    store: RedisStore, redis: Redis, log: RawLog, live: LiveRows, tmp_path: Path
) -> None:
    """What was before it need not be in the log any more."""
    at = take(log, live, tmp_path / "views").position
    await request(store, "exec-10", RoutePolicy.QUEUE_ONLY, user_code="acme")
    before = (await store.views()).pending
    log.trim(at)
    await flush_views(redis)
    start = start_at(tmp_path / "views", log)
    folding, names = prepare(log, log, live, start, Watch(), lean=False)
    assert rebuild(folding, names, live, log, retention_ms=RETENTION_MS).left == 0
    assert [one for one in before if await redis.exists(RedisKeys.head(one))] == [*before]
    assert check(log, log, live, start_at(tmp_path / "views", log)).differences == []


@pytest.mark.parametrize("at", [0, 40, 150, -1])
async def test_a_damaged_snapshot_is_refused(
    at: int, store: RedisStore, log: RawLog, live: LiveRows, tmp_path: Path
) -> None:
    """Wherever the byte is that is wrong."""
    path = tmp_path / "views"
    take(log, live, path)
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(SnapshotUnusable):
        start_at(path, log)
    assert await store.read()


async def test_a_snapshot_of_another_log_is_refused(
    store: RedisStore, redis: Redis, log: RawLog, live: LiveRows, tmp_path: Path
) -> None:
    """It would make nonsense of this one."""
    take(log, live, tmp_path / "views")
    await redis.flushdb()
    await request(store, "exec-1", RoutePolicy.FAIL_FAST)
    with pytest.raises(SnapshotUnusable, match="another log"):
        start_at(tmp_path / "views", log)


def test_a_file_that_is_not_there_is_said_to_be_unreadable(tmp_path: Path) -> None:
    """Not a traceback."""
    with pytest.raises(SnapshotUnusable, match="cannot be read"):
        snapshots.read(tmp_path / "nothing")
