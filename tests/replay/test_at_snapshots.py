"""--at with snapshots: the same answer, sooner; whatever lies among them."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.redis.store import RedisStore
from by_cp.projections.folding import fold
from by_cp.replay import moments
from by_cp.statemachine.events import Requested
from by_cp.vocabulary import RoutePolicy
from tests.asking import ask
from tests.histories.record import Recorder, tell
from tests.replay.replayed import Done, by_cp, by_replay


def test_from_every_snapshot_the_answer_is_that_of_the_whole_log() -> None:
    """Wherever it was taken, and though it has forgotten the heads of all that was over."""
    recorder = Recorder()
    tell(recorder)
    entries = recorder.log.entries
    begun = {e.execution_id: e.call for _, e in entries if isinstance(e, Requested)}
    for execution_id, call in begun.items():
        whole = moments.around([entries], execution_id, call)
        own = [entry for entry in entries if getattr(entry[1], "execution_id", "") == execution_id]
        for cut in range(1, len(entries) + 1, 3):
            views, last = fold(entries[:cut], keep=()), entries[cut - 1][0]
            before = [entry for entry in own if entry in entries[:cut]]
            moments.recall(views, before, execution_id)
            assert moments.around([entries[cut:]], execution_id, call, views, last) == whole


@pytest.fixture
async def asked(redis: Redis, url: str, tmp_path: Path) -> list[str]:
    """One that is over, its head gone; one that is held; each before a snapshot; one more."""
    store, ids = RedisStore(redis), []
    for policy in (RoutePolicy.SEND_ANYWAY, RoutePolicy.QUEUE_ONLY):
        ids.append((await ask(store, "poet", policy)).execution_id)
        await redis.delete(RedisKeys.head(ids[0]))
        assert (await snapshot(url, tmp_path)).code == 0
    ids.append((await ask(store, "poet", RoutePolicy.QUEUE_ONLY)).execution_id)
    return ids


async def snapshot(url: str, where: Path) -> Done:
    """Take a snapshot."""
    return await by_cp("views", "snapshot", str(where), "--json", "--url", url)


async def at(url: str, execution_id: str, moment: str, *arguments: str, **env: str) -> Done:
    """Ask how it stood."""
    return await by_replay(execution_id, "--at", moment, "--json", *arguments, "--url", url, **env)


async def test_the_newest_that_is_not_after_the_moment_is_taken(
    redis: Redis, url: str, tmp_path: Path, asked: list[str]
) -> None:
    """The answer is that of the whole log: before the first, at one, between, behind the last."""
    assert len(list(tmp_path.glob("*.snapshot"))) == 2
    positions = [entry.position for entry in await RedisStore(redis).read()]
    for number in (1, 2, 3, -1):
        whole = await at(url, asked[0], positions[number])
        given = ("--snapshots", str(tmp_path))
        assert await at(url, asked[0], positions[number], *given) == whole
        assert whole.json["around"]["views"]["executions"]


async def test_the_environment_names_them(url: str, tmp_path: Path, asked: list[str]) -> None:
    """So that nobody has to think of them."""
    whole = await at(url, asked[1], "2100-01-01")
    assert await at(url, asked[1], "2100-01-01", BY_CP_SNAPSHOTS=str(tmp_path)) == whole


async def test_what_was_trimmed_is_not_asked_for(
    redis: Redis, url: str, tmp_path: Path, asked: list[str]
) -> None:
    """A snapshot stands for all that was before it."""
    whole = await at(url, asked[2], "2100-01-01")
    newest = max(tmp_path.glob("*.snapshot"))
    await redis.xtrim(RedisKeys.log(), minid=newest.stem, approximate=False)
    assert "--archive" in (await at(url, asked[2], "2100-01-01")).complaints
    assert await at(url, asked[2], "2100-01-01", "--snapshots", str(newest)) == whole


async def test_what_cannot_be_used_is_passed_over(
    redis: Redis, url: str, tmp_path: Path, asked: list[str]
) -> None:
    """A damaged one, one of another log, none at all: a line for each, and the same answer."""
    whole = await at(url, asked[1], "2100-01-01")
    older, newer = sorted(tmp_path.glob("*.snapshot"))
    data = bytearray(newer.read_bytes())
    data[-1] ^= 1
    newer.write_bytes(data)
    (tmp_path / "empty.snapshot").touch()
    done = await at(url, asked[1], "2100-01-01", "--snapshots", str(tmp_path))
    assert (done.code, done.output) == (0, whole.output)
    complaints = done.complaints.splitlines()
    assert [line.startswith("by-replay: passed over: ") for line in complaints] == [True, True]
    assert "is damaged" in done.complaints
    older.unlink()
    other = await at(url, asked[1], "2100-01-01", "--snapshots", str(tmp_path))
    assert other.output == whole.output
    nothing = await at(url, asked[1], "2100-01-01", "--snapshots", str(tmp_path / "nowhere"))
    assert nothing.code == 1
    assert "no snapshot" in nothing.complaints
    assert nothing.complaints.count("\n") == 1
