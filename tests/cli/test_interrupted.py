"""Ctrl-C in the middle of long work: exit code 130, one line, nothing half done; and once more.

Real processes that are interrupted while the server, or a file, shows that they are at it.
"""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from by_cp.keys import RedisKeys
from by_cp.statemachine.codec import CODEC
from tests.cli.terminal import all_of
from tests.cli.test_log_export import rejections
from tests.rawlogs import append_bytes
from tests.waiting import until

ENTRIES = 40_000
FEW = 4_000
"""Executions whose rows are to be rebuilt: that takes longer than to read entries."""


@pytest.fixture
def client(url: str) -> Iterator[Redis]:
    """A client that waits for its answers, of a server with a long log and no rows."""
    with Redis.from_url(url) as made:
        append_bytes(made, [CODEC.encode(event) for event in rejections(ENTRIES // 2)])
        yield made


class Run:
    """`by-cp`, while it runs."""

    def __init__(self, url: str, *arguments: str | Path) -> None:
        command = (sys.executable, "-m", "by_cp.cli", *map(str, arguments), "--url", url, "--json")
        self._process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    async def interrupted_when(self, at_work: Callable[[], bool | Awaitable[bool]]) -> str:
        """Interrupt it when it is at work; return its one line on stderr."""
        try:
            await until(at_work, 30)
        finally:
            self._process.send_signal(signal.SIGINT)
            printed, complaints = self._process.communicate(timeout=30)
        assert (self._process.returncode, printed) == (130, ""), complaints
        assert complaints.startswith("by-cp: interrupted: ")
        assert complaints.count("\n") == 1
        return complaints

    def done(self) -> dict[str, Any]:
        """Wait until it is done; return what it printed."""
        printed, complaints = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, complaints
        told: dict[str, Any] = json.loads(printed)
        return told


def count_in(complaint: str) -> int:
    """Return the first number that a line names."""
    found = re.search(r"[\d,]+", complaint)
    assert found
    return int(found[0].replace(",", ""))


def calls(client: Redis, command: str) -> bool:
    """Tell whether somebody's last call was this one."""
    found: Any = client.client_list()
    return any(one["cmd"] == command for one in found)


async def test_verifying_changes_nothing(client: Redis, url: str) -> None:
    """It waits for the rows of a server that answers no such call now."""
    Run(url, "send", "echo", "hello", "--policy", "QUEUE_ONLY").done()
    before = sorted(client.keys())
    client.client_pause(60_000, all=False)
    try:
        line = await Run(url, "views", "verify").interrupted_when(lambda: calls(client, "fcall"))
    finally:
        client.client_unpause()
    assert "nothing was changed" in line
    assert sorted(client.keys()) == before
    assert Run(url, "views", "verify").done()["ok"]


async def test_rebuilding_goes_on_where_it_was(client: Redis, url: str) -> None:
    """Each row is put right or is not; the next run puts right the others, and no other."""
    client.flushdb()
    append_bytes(client, [CODEC.encode(event) for event in rejections(FEW)])
    run = Run(url, "views", "rebuild")
    at_least = count_in(await run.interrupted_when(lambda: client.dbsize() > 50))
    there = len(client.keys(RedisKeys.head("*")))
    assert 0 < at_least <= there < FEW
    assert len(Run(url, "views", "rebuild").done()["changed"]) == FEW - there
    assert Run(url, "views", "verify").done()["ok"]


async def test_a_snapshot_is_not_touched(client: Redis, url: str, tmp_path: Path) -> None:
    """The one that was there stays as it was, and nothing lies beside it."""
    path = tmp_path / "views.snapshot"
    path.write_bytes(b"the one before")
    command = (sys.executable, "-m", "by_cp.cli", "views", "snapshot", str(path), "--url", url)
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(command, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while b"folding" not in shown:
        shown += os.read(terminal, 65536)
    process.send_signal(signal.SIGINT)
    shown += all_of(terminal)
    assert process.wait(30) == 130
    assert f"by-cp: interrupted: {path} was not written".encode() in shown
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [
        ("views.snapshot", b"the one before")
    ]
    assert Run(url, "views", "snapshot", path).done()["events"] == ENTRIES
    assert Run(url, "views", "snapshot", path, "--check").done()["ok"]
    assert client.keys() == [RedisKeys.log().encode()]


@pytest.mark.parametrize(
    ("name", "size"), [("log.db", 0), ("log.db", 2_000_000), ("log.jsonl", 200_000)]
)
async def test_an_export_goes_on_where_it_was(
    client: Redis, url: str, tmp_path: Path, name: str, size: int
) -> None:
    """Whole entries, none twice, none missing; though the file had only just been made."""
    path = tmp_path / name

    def grows() -> bool:
        return path.exists() and path.stat().st_size > size

    line = await Run(url, "log", "export", path).interrupted_when(grows)
    assert str(path) in line
    exported = Run(url, "log", "export", path).done()["exported"]
    assert exported <= ENTRIES - count_in(line)
    assert (exported < ENTRIES) == (size > 0)
    whole = tmp_path / f"whole-{name}"
    assert Run(url, "log", "export", whole).done()["exported"] == ENTRIES
    assert events_in(path, tmp_path) == events_in(whole, tmp_path)
    assert client.exists(RedisKeys.log())


def events_in(path: Path, beside: Path) -> bytes:
    """Return an export's events, as lines."""
    lines = beside / f"{path.name}.lines.jsonl"
    Run("redis://localhost:1", "log", "export", lines, "--from", path).done()
    return lines.read_bytes()


async def test_a_trace_is_whole_or_not_there(client: Redis, url: str, tmp_path: Path) -> None:
    """It is written beside, and gets its name at the end."""

    def grows() -> bool:
        return any(part.stat().st_size > 200_000 for part in tmp_path.glob(".log.json.*"))

    path = tmp_path / "log.json"
    line = await Run(url, "log", "export", path).interrupted_when(grows)
    assert f"{path} was not written" in line
    assert list(tmp_path.iterdir()) == []
    assert Run(url, "log", "export", path).done()["exported"] == ENTRIES
    assert client.exists(RedisKeys.log())


async def test_a_segment_is_whole_or_not_there(client: Redis, url: str, tmp_path: Path) -> None:
    """The archive has what it had; the next run archives what is missing."""
    archive = tmp_path / "archive"
    given = ("log", "archive", archive, "--keep", "0s")

    def writes() -> bool:
        return any(archive.glob("*.part"))

    line = await Run(url, *given).interrupted_when(writes)
    assert "0 entries were archived, at least 0 trimmed" in line
    assert not writes()
    assert client.xlen(RedisKeys.log()) == ENTRIES
    assert Run(url, *given).done()["archived"] == ENTRIES
    assert Run(url, "log", "archive", archive).done()["entries"] == ENTRIES


async def test_a_log_is_restored_whole_or_not_at_all(
    client: Redis, url: str, tmp_path: Path
) -> None:
    """What was put together is kept, and gone on with; nobody takes it for the log."""
    archive = tmp_path / "archive"
    Run(url, "log", "archive", archive, "--no-trim").done()
    before = client.xrange(RedisKeys.log())
    client.flushdb()
    making = RedisKeys.log_restoring()
    run = Run(url, "log", "restore", archive)
    line = await run.interrupted_when(lambda: bool(client.exists(making)))
    assert "has its log whole, or none yet" in line
    assert not client.exists(RedisKeys.log())
    told = Run(url, "log", "restore", archive).done()
    assert told["found"] > 0
    assert told["found"] + told["restored"] == ENTRIES
    assert client.xrange(RedisKeys.log()) == before
    assert not client.exists(making)
