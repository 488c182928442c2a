"""An archive goes back into a server whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from by_cp.keys import RedisKeys
from by_cp.log.redis.rawlog import RedisRawLog
from by_cp.replay.archive.archiving import Limits, archive
from by_cp.replay.archive.directory import segment_name
from by_cp.replay.archive.errors import ArchiveDamaged, ArchiveError, ArchiveMismatch
from by_cp.replay.archive.reading import ArchiveReader
from by_cp.replay.archive.restoring import restore
from by_cp.replay.archive.trimming import Keep, trim
from tests.rawlogs import all_of, append

SMALL = Limits(entries=100)


def test_the_log_is_back_as_it_was(client: Redis, log: RedisRawLog, directory: Path) -> None:
    """Every entry at its position; and archiving goes on as if nothing had happened."""
    entries = append(client, 250)
    archive(log, directory, limits=SMALL)
    before = log.bounds()
    client.flushdb()
    told: list[int] = []
    done = restore(log, directory, told.append)
    assert (done.entries, done.found, done.last) == (250, 0, entries[-1][0])
    assert sum(told) == 250
    assert all_of(log) == entries
    assert log.bounds() == before
    assert client.keys() == [RedisKeys.log().encode()]

    entries += append(client, 10)
    trim(log, directory, archive(log, directory), keep=Keep(age_ms=0))
    assert all_of(ArchiveReader(directory)) == entries
    client.flushdb()
    restore(log, directory)
    assert all_of(log) == entries


def test_an_archive_that_begins_later_counts_as_the_server_did(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """What had been trimmed before the first archive is not counted as there."""
    entries = append(client, 50)
    client.xtrim(RedisKeys.log(), minid=entries[20][0], approximate=False)
    archive(log, directory)
    before = log.bounds()
    client.flushdb()
    restore(log, directory)
    assert log.bounds() == before
    assert all_of(log) == entries[20:]


def test_a_log_that_the_archive_continues_is_continued(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """A server that came back from an older copy of its own gets what it lacks."""
    entries = append(client, 250)
    archive(log, directory, limits=SMALL)
    client.flushdb()
    log.put(entries[:120])
    done = restore(log, directory)
    assert (done.entries, done.found) == (130, 120)
    assert all_of(log) == entries
    assert restore(log, directory).entries == 0


def test_a_log_that_is_another_is_left_alone(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """One other entry, one more, or a beginning that is gone: refused."""
    entries = append(client, 50)
    archive(log, directory)

    client.flushdb()
    log.put([*entries[:10], (entries[10][0], b"other")])
    with pytest.raises(ArchiveMismatch, match=f"at {entries[10][0]} it is not the one"):
        restore(log, directory)
    assert client.xlen(RedisKeys.log()) == 11

    client.flushdb()
    log.put(entries[5:10])
    with pytest.raises(ArchiveMismatch, match=f"at {entries[5][0]} it is not the one"):
        restore(log, directory)

    client.flushdb()
    log.put(entries)
    append(client, 1)
    with pytest.raises(ArchiveMismatch, match="there is nothing to restore"):
        restore(log, directory)

    client.flushdb()
    log.put(entries[:1])
    client.xtrim(RedisKeys.log(), maxlen=0, approximate=False)
    with pytest.raises(ArchiveMismatch, match="was trimmed"):
        restore(log, directory)


def test_a_log_that_comes_into_being_meanwhile_is_not_overwritten(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """Whoever writes must be stopped; then what is there already is not put there again."""
    entries = append(client, 250)
    archive(log, directory, limits=SMALL)
    client.flushdb()

    def write(_: int) -> None:
        if not client.exists(RedisKeys.log()):
            append(client, 1)

    with pytest.raises(ArchiveMismatch, match="a log came into being"):
        restore(log, directory, write)
    assert client.xlen(RedisKeys.log()) == 1
    client.delete(RedisKeys.log())
    assert restore(log, directory).found == 250
    assert all_of(log) == entries


def test_whoever_appends_while_a_log_is_continued_is_noticed(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """The server takes no entry before one that is there."""
    entries = append(client, 250)
    archive(log, directory, limits=SMALL)
    client.flushdb()
    log.put(entries[:10])

    def write(_: int) -> None:
        append(client, 1)

    with pytest.raises(ArchiveMismatch, match="someone else writes to it"):
        restore(log, directory, write)


def test_damage_restores_nothing(client: Redis, log: RedisRawLog, directory: Path) -> None:
    """Half a log is none."""
    append(client, 250)
    archive(log, directory, limits=SMALL)
    client.flushdb()
    path = directory / segment_name(2)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ArchiveDamaged, match="the file ends here"):
        restore(log, directory)
    assert not client.exists(RedisKeys.log())


def test_an_empty_archive_restores_nothing(log: RedisRawLog, directory: Path) -> None:
    """It is said, because it is hardly what was meant."""
    with pytest.raises(ArchiveError, match="there is nothing in the archive"):
        restore(log, directory)


def test_entries_keep_their_order(client: Redis, log: RedisRawLog) -> None:
    """What the server refuses is no entry."""
    entries = append(client, 2)
    client.flushdb()
    log.put(entries[1:])
    with pytest.raises(ResponseError):
        client.xadd(RedisKeys.log(), {"e": b""}, id=entries[0][0])
