"""What processes print: whole lines, in bounded files that nobody else writes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from by_cp.manager.providers import output
from by_cp.manager.providers.output import CHUNK_BYTES, LogFile, Output, Tail


def files(directory: Path) -> dict[str, int]:
    """The files of a directory, and how long they are."""
    return {path.name: path.stat().st_size for path in directory.iterdir()}


def test_a_log_is_bounded(tmp_path: Path) -> None:
    """Full, it becomes the old one; between the two no line is lost or torn."""
    log = LogFile(tmp_path, "a", CHUNK_BYTES)
    lines = [b"%05d %s\n" % (number, b"x" * (number % 300)) for number in range(1_000)]
    text = b"".join(lines)
    for first in range(0, len(text), 1_000):
        log.write(text[first : first + 1_000])
    log.close()
    assert set(files(tmp_path)) == {"a.log", "a.old.log"}
    assert max(files(tmp_path).values()) <= CHUNK_BYTES
    kept = (tmp_path / "a.old.log").read_bytes() + (tmp_path / "a.log").read_bytes()
    assert text.endswith(kept)
    assert len(kept) > CHUNK_BYTES


def test_a_line_that_is_longer_than_the_file_goes_in_in_pieces(tmp_path: Path) -> None:
    """There is no end of line to cut at, and no reason to stop."""
    log = LogFile(tmp_path, "a", CHUNK_BYTES)
    for _ in range(5):
        log.write(b"x" * CHUNK_BYTES)
    log.close()
    assert files(tmp_path) == {"a.log": CHUNK_BYTES, "a.old.log": CHUNK_BYTES}


def test_two_processes_do_not_share_a_file(tmp_path: Path) -> None:
    """Whoever comes second takes another name, and a name that is free again is used again."""
    first = LogFile(tmp_path, "a", CHUNK_BYTES)
    second = LogFile(tmp_path, "a", CHUNK_BYTES)
    assert [first.path.name, second.path.name] == ["a.log", "a-2.log"]
    first.close()
    third = LogFile(tmp_path, "a", CHUNK_BYTES)
    assert third.path.name == "a.log"
    third.close()
    second.close()


def test_names_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory is not filled with files without end."""
    monkeypatch.setattr(output, "FILES_MAX", 1)
    only = LogFile(tmp_path, "a", CHUNK_BYTES)
    with pytest.raises(OSError, match="log files 'a' are in use"):
        LogFile(tmp_path, "a", CHUNK_BYTES)
    only.close()


def test_a_log_that_cannot_be_written_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk must not stop a worker."""
    log = LogFile(tmp_path, "a", CHUNK_BYTES)
    descriptor = log._file.fileno()
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, descriptor)
    os.close(full)
    for _ in range(3):
        log.write(b"line\n")
    log.close()
    assert caplog.text.count("log_not_written") == 1
    assert "No space left" in caplog.text


def test_a_tail_is_the_last_lines() -> None:
    """Three of them, without empty ones, whatever bytes they hold."""
    tail = Tail()
    tail.write(b"x" * 100_000)
    tail.write(b"\none\ntwo \n\n\xff th")
    tail.write(b"ree\n")
    assert str(tail) == "one | two | \ufffd three"


async def test_a_pipe_that_stays_open_is_not_read_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Somebody who left the group may keep it; what was printed until then is there."""
    monkeypatch.setattr(output, "EOF_WAIT_S", 0.05)
    tail = Tail()
    reading, writing = Output.open(tail)
    reading.start()
    os.write(writing, b"up\n")
    await asyncio.wait_for(reading.finish(), 5)
    os.close(writing)
    assert str(tail) == "up"
