"""An archive is read like a server's log, and the two of them like one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis

from by_cp.keys import RedisKeys
from by_cp.log.rawlog import Page, following, preceding
from by_cp.log.redis.rawlog import RedisRawLog
from by_cp.replay.archive.archiving import Limits, archive
from by_cp.replay.archive.directory import segment_name
from by_cp.replay.archive.errors import ArchiveDamaged, ArchiveError, ArchiveMismatch
from by_cp.replay.archive.format import BLOCK_HEADER, HEADER
from by_cp.replay.archive.reading import ArchiveReader, WholeLog
from by_cp.replay.archive.trimming import Keep, trim
from tests.rawlogs import all_of, append

SMALL = Limits(entries=100)
NOTHING = Keep(age_ms=0)


def archive_and_trim(log: RedisRawLog, directory: Path) -> None:
    """Do what `by-cp log archive` does."""
    trim(log, directory, archive(log, directory, limits=SMALL), keep=NOTHING)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.data())
def test_a_part_of_it_is_what_the_server_has(
    client: Redis, log: RedisRawLog, directory: Path, data: st.DataObject
) -> None:
    """Between any two positions, in pages of any length."""
    if not client.exists(RedisKeys.log()):
        append(client, 350)
        archive(log, directory, limits=SMALL)
    entries = all_of(log)
    places = st.sampled_from([position for position, _ in entries]).flatmap(
        lambda position: st.sampled_from([position, preceding(position), following(position)])
    )
    after, until = data.draw(places), data.draw(places | st.none())
    count = data.draw(st.integers(1, 400))
    pages = list(ArchiveReader(directory).pages(after, until, count))
    assert all(0 < len(page) <= count for page in pages)
    read = [entry for page in pages for entry in page]
    assert read == all_of(log, after=after, until=until)


def test_one_entry_is_found_by_its_position(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """Without reading what is around it."""
    entries = append(client, 350)
    archive(log, directory, limits=SMALL)
    reader = ArchiveReader(directory)
    assert [reader.entry(position) for position, _ in entries] == [data for _, data in entries]
    assert reader.entry("1-0") is None
    assert reader.entry(following(entries[-1][0])) is None


def test_the_whole_log_is_the_archive_and_then_the_server(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """What both have comes once; where nothing is archived yet, it is the server's log."""
    whole = WholeLog(ArchiveReader(directory), log)
    assert all_of(whole) == []
    entries = append(client, 50)
    assert all_of(whole) == entries
    archive(log, directory, limits=SMALL)
    entries += append(client, 50)
    assert all_of(whole) == entries
    archive_and_trim(log, directory)
    assert all_of(whole) == entries
    entries += append(client, 50)
    assert all_of(whole) == entries
    for number in (0, 49, 99, 100, 149):
        after = entries[number][0]
        assert all_of(whole, after=after) == entries[number + 1 :]
        assert all_of(whole, until=after, count=7) == entries[: number + 1]


@pytest.mark.parametrize("meanwhile", range(6))
def test_an_archiver_at_work_takes_nothing_away(
    client: Redis, log: RedisRawLog, directory: Path, meanwhile: int
) -> None:
    """What is trimmed while it is read is read from the archive instead.

    What is appended while the last page is worked on, but only that, is left for the next reader.
    """
    entries = append(client, 150)
    archive_and_trim(log, directory)
    entries += append(client, 150)
    read: Page = []
    for number, page in enumerate(WholeLog(ArchiveReader(directory), log).pages(count=50)):
        read += page
        if number == meanwhile:
            archive_and_trim(log, directory)
            entries += append(client, 150)
            archive_and_trim(log, directory)
            entries += append(client, 10)
    assert read == entries[: len(read)]
    assert len(read) >= (300 if meanwhile == 5 else 450)


def test_what_is_in_neither_is_missed(client: Redis, log: RedisRawLog, directory: Path) -> None:
    """Entries that were trimmed and not archived make no shorter log, but an error."""
    append(client, 50)
    archive(log, directory)
    lost = append(client, 20)
    client.xtrim(RedisKeys.log(), minid=lost[10][0], approximate=False)
    with pytest.raises(ArchiveMismatch, match="trimmed 10 entries"):
        all_of(WholeLog(ArchiveReader(directory), log))


def test_a_server_that_is_anothers_is_not_mixed_in(
    client: Redis, log: RedisRawLog, directory: Path
) -> None:
    """An archive and a log of different origin make no log."""
    append(client, 50)
    archive(log, directory)
    client.delete(RedisKeys.log())
    append(client, 50)
    with pytest.raises(ArchiveMismatch, match="another log"):
        all_of(WholeLog(ArchiveReader(directory), log))


@pytest.mark.parametrize(
    ("offset", "where"),
    [
        (30, "the segment's header"),
        (HEADER.size + 5, "the header of block 1"),
        (HEADER.size + BLOCK_HEADER.size + 50, "block 1"),
    ],
)
def test_damage_is_no_entry(
    client: Redis, log: RedisRawLog, directory: Path, offset: int, where: str
) -> None:
    """Whoever reads is told the byte, and gets nothing of what it spoiled."""
    append(client, 350)
    archive(log, directory, limits=SMALL)
    path = directory / segment_name(2)
    data = bytearray(path.read_bytes())
    data[offset] ^= 0x10
    path.chmod(0o600)
    path.write_bytes(data)
    with pytest.raises(ArchiveDamaged, match=f"00000002.bycp: byte {offset}: .*{where}"):
        all_of(ArchiveReader(directory))


def test_a_missing_segment_is_named(client: Redis, log: RedisRawLog, directory: Path) -> None:
    """A log with a hole is none."""
    append(client, 350)
    archive(log, directory, limits=SMALL)
    (directory / segment_name(2)).unlink()
    with pytest.raises(ArchiveDamaged, match="byte 0: it is missing"):
        all_of(ArchiveReader(directory))


def test_no_directory_is_no_archive(tmp_path: Path) -> None:
    """It is said, not taken for an empty one."""
    with pytest.raises(ArchiveError, match="no archive in"):
        all_of(ArchiveReader(tmp_path / "nowhere"))
