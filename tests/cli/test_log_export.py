"""`by-cp log export`, as a person or a script runs it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from redis import Redis as BlockingRedis
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.redis.store import RedisStore
from by_cp.statemachine.codec import CODEC
from by_cp.statemachine.events import Event, Rejected, Requested
from by_cp.vocabulary import RoutePolicy
from tests.asking import ask
from tests.making import make_call
from tests.rawlogs import append_bytes
from tests.replay.replayed import by_cp
from tests.waiting import until

EVENTS = 40_000


def rejections(executions: int) -> Iterator[Event]:
    """The events of executions that were rejected at once: two for each."""
    call = make_call(user_code="acme")
    for number in range(executions):
        yield Requested(f"exec-{number}", 1, f"call-{number}", call)
        yield Rejected(f"exec-{number}", 2, f"call-{number}", "AGENT_TYPE_UNAVAILABLE", "nobody")


def count(path: Path) -> int:
    """How many events are in a file."""
    with closing(sqlite3.connect(path)) as database:
        found: int = database.execute("select count(*) from events").fetchone()[0]
        return found


async def test_what_is_new_is_added(redis: Redis, url: str, tmp_path: Path) -> None:
    """The second export of a grown log adds what is new; it says how much that was."""
    store, path = RedisStore(redis), tmp_path / "log.db"
    await ask(store, "poet", RoutePolicy.FAIL_FAST)
    first = await by_cp("log", "export", str(path), "--url", url)
    assert (first.code, first.complaints) == (0, "")
    assert "2 events" in first.output
    again = await by_cp("log", "export", str(path), "--url", url, "--json")
    assert again.json["exported"] == 0
    await ask(store, "poet", RoutePolicy.FAIL_FAST)
    grown = await by_cp("log", "export", str(path), "--url", url, "--json")
    assert grown.json["exported"] == 2
    assert count(path) == 4


@pytest.mark.parametrize(
    ("name", "begin"),
    [("log.sqlite", b"SQLite format 3"), ("log.jsonl", b'{"position":'), ("log.json", b"{")],
)
async def test_the_suffix_says_what_it_is(
    redis: Redis, url: str, tmp_path: Path, name: str, begin: bytes
) -> None:
    """SQLite, lines of JSON, or a trace; --format says it for any other name."""
    await ask(RedisStore(redis), "poet", RoutePolicy.FAIL_FAST)
    assert (await by_cp("log", "export", str(tmp_path / name), "--url", url)).code == 0
    assert (tmp_path / name).read_bytes().startswith(begin)
    kind = {"log.sqlite": "sqlite", "log.jsonl": "jsonl", "log.json": "trace"}[name]
    other = tmp_path / "log.txt"
    assert (await by_cp("log", "export", str(other), "--format", kind, "--url", url)).code == 0
    assert other.read_bytes().startswith(begin)


async def test_datasette_is_served_its_metadata(redis: Redis, url: str, tmp_path: Path) -> None:
    """--datasette writes it, for the database by the name that Datasette gives it."""
    await ask(RedisStore(redis), "poet", RoutePolicy.FAIL_FAST)
    path = tmp_path / "calls.db"
    done = await by_cp(
        *("log", "export", str(path), "--datasette", str(tmp_path / "m.json"), "--url", url)
    )
    assert done.code == 0
    about = json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))
    assert "failed" in about["databases"]["calls"]["queries"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("log.txt",), "--format"),
        (("log.jsonl", "--datasette", "m.json"), "for an export into SQLite"),
        (("no/where.db",), "cannot be used"),
        (("log.db", "--from", "nothing"), "cannot be read"),
    ],
)
async def test_what_is_wrong_is_one_clear_line(
    url: str, tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    """Exit code 1, and nothing is made."""
    names = [str(tmp_path / argument) if argument[0] != "-" else argument for argument in arguments]
    done = await by_cp("log", "export", *names, "--url", url)
    assert done.code == 1
    assert text in done.complaints
    assert done.complaints.count("\n") == 1
    assert not list(tmp_path.glob("*.txt"))


async def test_a_log_without_its_beginning_needs_the_archive(
    redis: Redis, url: str, tmp_path: Path
) -> None:
    """What was trimmed cannot be guessed; with the archive the export is whole."""
    store = RedisStore(redis)
    for _ in range(3):
        await ask(store, "poet", RoutePolicy.FAIL_FAST)
    archive = str(tmp_path / "archive")
    assert (await by_cp("log", "archive", archive, "--no-trim", "--url", url)).code == 0
    await redis.xtrim(RedisKeys.log(), maxlen=3, approximate=False)
    path = tmp_path / "log.db"
    without = await by_cp("log", "export", str(path), "--url", url)
    assert without.code == 1
    assert "give the archive that has them with --archive" in without.complaints
    done = await by_cp("log", "export", str(path), "--archive", archive, "--url", url)
    assert done.code == 0
    assert count(path) == 6


@pytest.mark.parametrize("death", [signal.SIGKILL, signal.SIGINT])
async def test_whenever_it_is_ended_the_next_goes_on(
    redis: Redis, url: str, tmp_path: Path, death: signal.Signals
) -> None:
    """Killed in the middle, the file is whole up to where it was, and nothing is there twice."""
    with BlockingRedis.from_url(url) as client:
        append_bytes(client, [CODEC.encode(event) for event in rejections(EVENTS // 2)])
    path = tmp_path / "log.db"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "by_cp.cli", "log", "export", str(path), "--url", url),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=dict(os.environ),
    )
    await until(lambda: path.exists() and path.stat().st_size > 1_000_000, 30)
    process.send_signal(death)
    _, complaints = await process.communicate()
    assert process.returncode in {-signal.SIGKILL, 130, 0}
    assert b"Traceback" not in complaints
    before = count(path)
    done = await by_cp("log", "export", str(path), "--url", url, "--json")
    assert done.json["exported"] == EVENTS - before
    assert count(path) == EVENTS
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
        assert database.execute("select count(*) from executions").fetchone() == (EVENTS // 2,)
