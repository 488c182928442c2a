"""`by-cp log`, as a person or a script runs it: real processes, real exit codes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from by_cp.keys import RedisKeys
from by_cp.replay.archive.directory import locked, segment_name
from tests.cli.terminal import all_of
from tests.rawlogs import append
from tests.waiting import until

BY_CP_LOG = (sys.executable, "-m", "by_cp.cli", "log")


@pytest.fixture
def client(url: str) -> Iterator[Redis]:
    """A client that waits for its answers."""
    with Redis.from_url(url) as made:
        yield made


def run(*arguments: str | Path, code: int = 0) -> tuple[str, str]:
    """Run `by-cp log` to its end; return what it printed, and its complaints."""
    command = [*BY_CP_LOG, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def told(*arguments: str | Path, code: int = 0) -> dict[str, Any]:
    """Run it with --json, and return the object."""
    printed: dict[str, Any] = json.loads(run(*arguments, "--json", code=code)[0])
    return printed


def test_a_log_is_archived_verified_and_restored(client: Redis, url: str, tmp_path: Path) -> None:
    """What is archived is trimmed once it is old enough; and comes back."""
    entries = append(client, 30)
    archive = tmp_path / "archives" / "log"

    first = told("archive", archive, "--url", url)
    assert (first["archived"], first["segments"], first["trimmed"]) == (30, 1, 0)
    assert first["kept_because"] == "the last 1 d is kept"
    second = told("archive", archive, "--keep", "0s", "--url", url)
    assert (second["archived"], second["entries"], second["trimmed"]) == (0, 30, 29)
    assert second["kept_from"] == entries[-1][0]

    verdict = told("verify", archive)
    assert (verdict["ok"], verdict["entries"], verdict["faults"]) == (True, 30, [])
    assert verdict["sha256"] == second["sha256"]

    client.flushdb()
    assert told("restore", archive, "--url", url) == {
        "restored": 30,
        "found": 0,
        "last": entries[-1][0],
    }
    assert client.xlen(RedisKeys.log()) == 30


def test_people_read_lines(client: Redis, url: str, tmp_path: Path) -> None:
    """Without --json it says the same in words."""
    append(client, 1500)
    archived, complaints = run("archive", tmp_path, "--keep-entries", "10", "--url", url)
    assert "archived  1,500 entries, up to" in archived
    assert "trimmed   0 entries" in archived
    assert complaints == ""
    assert "archive   as it was written" in run("verify", tmp_path)[0]
    client.flushdb()
    restored, _ = run("restore", tmp_path, "--url", url)
    assert "restored  1,500 entries" in restored
    assert "rebuild them from the log" in restored


def test_a_flipped_byte_is_exit_code_one_and_named(client: Redis, url: str, tmp_path: Path) -> None:
    """File and offset, a line for each."""
    append(client, 30)
    run("archive", tmp_path, "--no-trim", "--url", url)
    path = tmp_path / segment_name(1)
    data = bytearray(path.read_bytes())
    data[200] ^= 0xFF
    path.chmod(0o600)
    path.write_bytes(data)

    printed, complaints = run("verify", tmp_path, code=1)
    assert "archive   damaged" in printed
    assert complaints.startswith(f"by-cp: {segment_name(1)}: byte 200: damaged: it is 0x")
    assert complaints.count("\n") == 1
    [fault] = told("verify", tmp_path, code=1)["faults"]
    assert (fault["file"], fault["offset"], fault["length"]) == (segment_name(1), 200, 1)


def test_a_lost_manifest_can_be_rebuilt(client: Redis, url: str, tmp_path: Path) -> None:
    """It holds nothing that the segments do not."""
    append(client, 30)
    run("archive", tmp_path, "--url", url)
    manifest = tmp_path / "manifest.jsonl"
    before = manifest.read_bytes()
    manifest.write_bytes(b"{}\n")
    assert f"by-cp: {manifest.name}: byte " in run("verify", tmp_path, code=1)[1]
    run("verify", tmp_path, "--rebuild-manifest")
    assert manifest.read_bytes() == before


def test_what_is_wrong_is_one_clear_line(client: Redis, url: str, tmp_path: Path) -> None:
    """No server, no archive, another at work, a log that is there: exit 1, and no traceback."""
    append(client, 30)
    run("archive", tmp_path / "log", "--url", url)
    append(client, 1)
    for arguments, expected in (
        (
            ("archive", tmp_path / "log", "--url", "redis://localhost:1"),
            "no server answers at redis://localhost:1",
        ),
        (("archive", tmp_path / "log", "--url", "nonsense"), "no URL of a server"),
        (("verify", tmp_path / "nowhere"), "no archive in"),
        (("verify", tmp_path / "nowhere", "--rebuild-manifest"), "no archive"),
        (("restore", tmp_path / "nowhere", "--url", url), "no archive in"),
        (("restore", tmp_path / "log", "--url", url), "there is nothing to restore"),
    ):
        _, complaints = run(*arguments, code=1)
        assert expected in complaints
        assert complaints.count("\n") == 1
    assert not (tmp_path / "nowhere").exists()
    with locked(tmp_path / "log"):
        _, complaints = run("archive", tmp_path / "log", "--url", url, code=1)
    assert f"the process {os.getpid()} works on the archive" in complaints


def test_wrong_usage_is_exit_code_two(tmp_path: Path) -> None:
    """A duration that is none, a directory that is missing."""
    run("archive", tmp_path, "--keep", "soon", code=2)
    run("verify", code=2)


@pytest.mark.parametrize("command", ["archive", "verify", "restore"])
def test_each_command_explains_itself(command: str) -> None:
    """`--help` says what it does, and which exit codes it has."""
    printed, _ = run(command, "--help")
    assert f"by-cp log {command}" in printed
    assert "Exit codes" in printed


async def test_ctrl_c_ends_it_quietly_and_the_next_one_goes_on(
    client: Redis, url: str, tmp_path: Path
) -> None:
    """In the middle of its work, in a terminal with a bar: exit 130, and nothing is half there."""
    append(client, 3000)
    command = [*BY_CP_LOG, "archive", str(tmp_path / "log"), "--url", url, "--keep", "0s"]
    terminal, theirs = pty.openpty()
    client.client_pause(20_000, all=False)  # writes wait: it gets as far as the trimming
    try:
        process = subprocess.Popen(command, stdout=theirs, stderr=theirs)
        os.close(theirs)
        await until((tmp_path / "log" / segment_name(1)).exists, 20)
        process.send_signal(signal.SIGINT)
        shown = all_of(terminal)
        assert process.wait(20) == 130
    finally:
        client.client_unpause()
    assert b"Traceback" not in shown
    assert b"archiving" in shown
    said = b" ".join(shown.split())  # a bar that is still there has the line wrapped
    assert b"interrupted: 3,000 entries were archived, at least 0 trimmed; the next run" in said

    assert told("archive", tmp_path / "log", "--url", url, "--keep", "0s")["trimmed"] == 2999
    assert told("verify", tmp_path / "log")["ok"]
