"""The server's log into an archive: all of it, once, or a clear refusal."""

from __future__ import annotations

import hashlib
import os
import resource
import stat
from pathlib import Path

import pytest
from redis import Redis

from by_cp.errors import CorruptEvent
from by_cp.keys import RedisKeys
from by_cp.log.redis.rawlog import RedisRawLog
from by_cp.replay.archive.archiving import Limits, archive
from by_cp.replay.archive.chain import read_chain
from by_cp.replay.archive.directory import MANIFEST, locked, segment_name
from by_cp.replay.archive.errors import ArchiveDamaged, ArchiveError, ArchiveInUse, ArchiveMismatch
from by_cp.replay.archive.reading import ArchiveReader
from by_cp.replay.archive.verifying import verify
from tests.rawlogs import all_of, append, append_bytes

SMALL = Limits(entries=100)


def trim_by_hand(client: Redis, before: str) -> None:
    """Take the beginning of the log away, as by-cp never would."""
    client.xtrim(RedisKeys.log(), minid=before, approximate=False)


def test_an_archive_is_the_log(client: Redis, log: RedisRawLog, directory: Path) -> None:
    """Every entry is in it once, in segments that are sealed and chained."""
    entries = append(client, 350)
    told: list[int] = []
    chain = archive(log, directory, limits=SMALL, progress=told.append)
    assert all_of(ArchiveReader(directory)) == entries
    assert [link.header.entries for link in chain.links] == [100, 100, 100, 50]
    assert sum(told) == 350
    assert verify(directory).faults == []
    for link in chain.links:
        path = directory / link.name
        assert hashlib.sha256(path.read_bytes()).digest() == link.sha256
        assert stat.S_IMODE(path.stat().st_mode) == 0o400


def test_the_next_one_goes_on_where_the_last_ended(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """What is there stays byte for byte as it is; what is new is added."""
    entries = append(client, 150)
    archive(log, directory, limits=SMALL)
    before = {path.name: path.read_bytes() for path in directory.glob("*.bycp")}
    archive(log, directory, limits=SMALL)
    assert {path.name: path.read_bytes() for path in directory.glob("*.bycp")} == before

    entries += append(client, 30)
    chain = archive(log, directory, limits=SMALL)
    assert all_of(ArchiveReader(directory)) == entries
    assert [link.header.entries for link in chain.links] == [100, 50, 30]
    assert [link.header.ordinal for link in chain.links] == [0, 100, 150]
    for name, data in before.items():
        assert (directory / name).read_bytes() == data


def test_large_entries_make_short_segments(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """A segment is sealed by its size, too."""
    entries = append_bytes(client, [os.urandom(10_000) for _ in range(20)])
    archive(log, directory, limits=Limits(entries=5, bytes=45_000))
    assert all_of(ArchiveReader(directory)) == entries
    assert len(list(directory.glob("*.bycp"))) == 4


def test_no_log_makes_no_archive(log: RedisRawLog, directory: Path) -> None:
    """Nothing is written where there is nothing."""
    assert archive(log, directory).links == ()
    assert list(directory.glob("*.bycp")) == []


def test_it_goes_on_when_all_that_is_archived_was_trimmed(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """The server counts what it had: no more has gone than the archive has."""
    entries = append(client, 40)
    archive(log, directory)
    new = append(client, 10)
    trim_by_hand(client, new[0][0])
    archive(log, directory)
    assert all_of(ArchiveReader(directory)) == entries + new


def test_entries_that_nobody_archived_are_missed(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """A gap is an error, and, if it must be, one that can be seen for ever."""
    first = append(client, 40)
    archive(log, directory)
    new = append(client, 10)
    trim_by_hand(client, new[3][0])
    with pytest.raises(ArchiveMismatch, match=r"trimmed 3 entries .* not in the archive"):
        archive(log, directory)
    assert all_of(ArchiveReader(directory)) == first

    archive(log, directory, accept_gap=True)
    assert all_of(ArchiveReader(directory)) == first + new[3:]
    verdict = verify(directory)
    assert verdict.faults == []
    [gap] = verdict.gaps
    assert gap.startswith(f"3 entries between {first[-1][0]} and {new[3][0]}")


def test_another_servers_archive_is_not_continued(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """The entry with which it ends must be the server's, byte for byte."""
    entries = append(client, 40)
    archive(log, directory)
    last = entries[-1][0]

    client.delete(RedisKeys.log())
    with pytest.raises(ArchiveMismatch, match="the server's log is not there"):
        archive(log, directory)
    client.xadd(RedisKeys.log(), {"e": b"other"}, id="5-0")
    with pytest.raises(ArchiveMismatch, match="the server's log ends at 5-0"):
        archive(log, directory)
    client.xadd(RedisKeys.log(), {"e": b"other"}, id=last)
    with pytest.raises(ArchiveMismatch, match=f"different entries at {last}"):
        archive(log, directory)
    client.delete(RedisKeys.log())
    append(client, 5)
    with pytest.raises(ArchiveMismatch, match=f"has no entry {last}.*another log"):
        archive(log, directory)
    assert all_of(ArchiveReader(directory)) == entries


def test_a_log_that_was_trimmed_before_is_archived_from_there(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """The first archive of an old log has what is left; it counts what had been."""
    entries = append(client, 40)
    trim_by_hand(client, entries[15][0])
    chain = archive(log, directory)
    assert all_of(ArchiveReader(directory)) == entries[15:]
    assert chain.links[0].header.ordinal == 15


def test_a_damaged_end_is_not_built_upon(client: Redis, log: RedisRawLog, directory: Path) -> None:
    """The last segment is read before anything follows it."""
    append(client, 40)
    archive(log, directory)
    path = directory / segment_name(1)
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1])
    append(client, 5)
    with pytest.raises(ArchiveDamaged, match="the file ends here"):
        archive(log, directory)
    assert read_names(directory) == {segment_name(1), MANIFEST}


def read_names(directory: Path) -> set[str]:
    """Return the names in a directory."""
    return {path.name for path in directory.iterdir()}


def test_an_entry_that_is_not_by_cps_stops_it(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """What cannot be archived is not left out: it would be trimmed with the rest."""
    append(client, 5)
    client.xadd(RedisKeys.log(), {"note": "by hand"})
    with pytest.raises(CorruptEvent, match="was not written by by-cp"):
        archive(log, directory)
    assert read_names(directory) == set()


def test_a_full_disk_leaves_nothing_half(client: Redis, log: RedisRawLog, directory: Path) -> None:
    """A segment that cannot be written is not there; those before it are."""
    entries = append_bytes(client, [os.urandom(1000) for _ in range(250)])
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    archive(log, directory, limits=SMALL)
    entries += append_bytes(client, [os.urandom(1000) for _ in range(100)])
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(ArchiveError, match="cannot be written: File too large"):
            archive(log, directory, limits=SMALL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(list(directory.glob("*.bycp"))) == 3
    assert list(directory.glob("*.part")) == []
    archive(log, directory, limits=SMALL)
    assert all_of(ArchiveReader(directory)) == entries


def test_only_one_archives_at_a_time(directory: Path) -> None:
    """The second is told who is at work."""
    at_work = f"the process {os.getpid()} works on the archive"
    with locked(directory), pytest.raises(ArchiveInUse, match=at_work), locked(directory):
        pass
    with locked(directory):
        pass


def test_a_place_where_nothing_can_be_written_is_named(tmp_path: Path) -> None:
    """A file where the directory should be is a clear error."""
    (tmp_path / "file").write_text("")
    no_archive = pytest.raises(ArchiveError, match="no archive can be written into")
    with no_archive, locked(tmp_path / "file"):
        pass


def test_the_manifest_is_made_of_the_segments(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """Lost, it is the same again after the next archive."""
    append(client, 250)
    archive(log, directory, limits=SMALL)
    manifest = (directory / MANIFEST).read_bytes()
    assert manifest.count(b"\n") == 3
    (directory / MANIFEST).unlink()
    assert "the manifest lists 0 of 3 segments" in verify(directory).notes[0]
    archive(log, directory, limits=SMALL)
    assert (directory / MANIFEST).read_bytes() == manifest
    assert read_chain(directory).links[-1].sha256.hex() in manifest.decode()
