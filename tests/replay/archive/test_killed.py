"""kill -9, at any moment: nothing is lost, nothing is there twice, and the chain verifies."""

from __future__ import annotations

import random
from pathlib import Path

from redis import Redis

from by_cp.keys import RedisKeys
from by_cp.log.redis.rawlog import RedisRawLog
from by_cp.replay.archive.archiving import Limits, archive
from by_cp.replay.archive.directory import MANIFEST
from by_cp.replay.archive.reading import ArchiveReader, WholeLog
from by_cp.replay.archive.verifying import verify
from tests.rawlogs import all_of, append
from tests.replay.archive.dying import archiving, length_of_life, restoring, survives


def test_an_archiver_that_is_killed_can_be_repeated(
    client: Redis, log: RedisRawLog, url: str, directory: Path
) -> None:
    """Killed 50 times at random points while the log grows, archiving and trimming.

    Whenever it dies, archive and server together are the log; in the end, all of it is archived
    once.
    """
    chance = random.Random(9)
    entries = append(client, 200)
    lifetime = length_of_life(archiving, url, directory)
    whole = WholeLog(ArchiveReader(directory), log)
    deaths = 0
    halves = 0
    while deaths < 50:
        entries += append(client, 100)
        deaths += not survives(archiving, url, directory, chance.randrange(1, lifetime))
        verdict = verify(directory)
        assert verdict.faults == []
        assert verdict.gaps == []
        assert all_of(whole) == entries
        halves += len(list(directory.glob("*.part")))
    assert halves  # some died in the middle of a segment
    assert survives(archiving, url, directory, 0)
    assert all_of(ArchiveReader(directory)) == entries
    assert verify(directory).faults == []
    assert client.xlen(RedisKeys.log()) == 1
    assert list(directory.glob("*.part")) == []
    assert (directory / MANIFEST).read_bytes().count(b"\n") == len(list(directory.glob("*.bycp")))


def test_a_restore_that_is_killed_can_be_repeated(
    client: Redis, log: RedisRawLog, url: str, directory: Path
) -> None:
    """Begun 20 times and killed at random points: until it ends with the log, there is none."""
    chance = random.Random(5)
    entries = append(client, 300)
    archive(log, directory, limits=Limits(entries=40))
    client.flushdb()
    lifetime = length_of_life(restoring, url, directory)
    client.flushdb()
    for _ in range(20):
        if survives(restoring, url, directory, chance.randrange(1, lifetime)):
            assert all_of(log) == entries
            client.flushdb()
        assert all_of(log) in ([], entries)
    assert survives(restoring, url, directory, 0)
    assert all_of(log) == entries
    assert client.keys() == [RedisKeys.log().encode()]
