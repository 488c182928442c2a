"""Where histories come from: a server, its archive, an export; each tells the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.redis.store import RedisStore
from by_cp.vocabulary import RoutePolicy
from tests.asking import ask
from tests.replay import example
from tests.replay.example import FAILS, WAITS
from tests.replay.replayed import Done, by_cp, by_replay


async def history_of(redis: Redis) -> str:
    """Let something happen on a server; return an execution that was rejected."""
    store = RedisStore(redis)
    await ask(store, "poet")
    rejected = await ask(store, "poet", RoutePolicy.FAIL_FAST)
    await ask(store, "poet", RoutePolicy.SEND_ANYWAY)
    return rejected.execution_id


async def archived(url: str, directory: Path) -> None:
    """Archive all of a server's log, and trim of it what may be trimmed."""
    done = await by_cp("log", "archive", str(directory), "--keep", "0s", "--url", url)
    assert done.code == 0, done.complaints


@pytest.mark.parametrize("name", ["log.db", "log.jsonl", "archive"])
async def test_no_server_is_needed(redis: Redis, url: str, tmp_path: Path, name: str) -> None:
    """From an export or an archive the answer is the same as from the server, letter by letter."""
    execution_id, path = await history_of(redis), tmp_path / name
    if name == "archive":
        await archived(url, path)
    else:
        assert (await by_cp("log", "export", str(path), "--url", url)).code == 0
    nowhere = "redis://localhost:1"

    async def both(*arguments: str) -> tuple[Done, Done]:
        there = await by_replay(*arguments, "--url", url)
        return there, await by_replay(*arguments, "--from", str(path), "--url", nowhere)

    for arguments in (
        (execution_id,),
        (execution_id[:14],),
        ("message-1", "--json", "--payload"),
        (execution_id, "--at", "2100-01-01", "--json"),
    ):
        server, file = await both(*arguments)
        assert (file.code, file.output) == (server.code, server.output)
    assert (await by_replay("exec-nobody", "--from", str(path))).code == 1


async def test_a_file_is_not_followed(tmp_path: Path) -> None:
    """Nothing is ever appended to it."""
    log = str(example.written(tmp_path))
    done = await by_replay(FAILS, "--from", log, "--follow")
    assert done.code == 1
    assert "--follow needs a server" in done.complaints


@pytest.mark.parametrize("content", [b"", b"hello\n", b"SQLite format 3\0 but not really", None])
async def test_what_has_no_log_in_it_is_one_clear_line(
    tmp_path: Path, content: bytes | None
) -> None:
    """A file of something else, a broken one, none at all."""
    path = tmp_path / "log.db"
    if content is not None:
        path.write_bytes(content)
    done = await by_replay("exec-1", "--from", str(path))
    assert (done.code, done.output) == (1, "")
    assert done.complaints.count("\n") == 1


async def test_what_was_trimmed_is_read_from_the_archive(
    redis: Redis, url: str, tmp_path: Path
) -> None:
    """With the archive a trimmed history is whole, whether or not its head is still there."""
    execution_id = await history_of(redis)
    whole = await by_replay(execution_id, "--url", url)
    await archived(url, tmp_path / "archive")
    await redis.xtrim(RedisKeys.log(), maxlen=1, approximate=False)
    without = await by_replay(execution_id, "--url", url)
    assert without.code == 1
    assert "no execution" in without.complaints
    for head in ("there", "gone"):
        if head == "gone":
            await redis.delete(RedisKeys.head(execution_id))
        done = await by_replay(execution_id, "--url", url, BY_CP_ARCHIVE=str(tmp_path / "archive"))
        assert (done.code, done.output) == (0, whole.output)


async def test_a_moment_needs_the_whole_log(redis: Redis, url: str, tmp_path: Path) -> None:
    """Without the archive of what was trimmed no view can be folded, and that is said."""
    await history_of(redis)
    waking = await ask(RedisStore(redis), "painter")
    at = ("--at", "2100-01-01", "--url", url)
    whole = await by_replay(waking.execution_id, *at)
    await archived(url, tmp_path / "archive")
    await redis.xtrim(RedisKeys.log(), maxlen=4, approximate=False)
    without = await by_replay(waking.execution_id, *at)
    assert without.code == 1
    assert "give the archive that has them with --archive" in without.complaints
    done = await by_replay(waking.execution_id, *at, "--archive", str(tmp_path / "archive"))
    assert (done.code, done.output) == (0, whole.output)


async def test_a_history_that_lacks_its_beginning_is_shown_as_far_as_it_goes(
    redis: Redis, url: str
) -> None:
    """What was trimmed of an execution that is not settled shows as a gap; exit code 1."""
    waking = await ask(RedisStore(redis), "painter")
    await redis.xtrim(RedisKeys.log(), maxlen=1, approximate=False)
    done = await by_replay(waking.execution_id, "--url", url)
    assert done.code == 1
    assert "AGAINST THE LAW" in done.output
    assert "--archive" in done.complaints


async def test_a_log_in_a_file_knows_the_same_ids(tmp_path: Path) -> None:
    """The beginning of an id and a session's id are a way in, there, too."""
    log = str(example.written(tmp_path))
    database = str(tmp_path / "log.db")
    assert (await by_cp("log", "export", database, "--from", log)).code == 0
    for path in (log, database):
        assert WAITS in (await by_replay(WAITS[:-3], "--from", path)).output
        assert "4 executions" in (await by_replay("session-1", "--from", path)).output
        assert "begin with" in (await by_replay("exec-01", "--from", path)).complaints
