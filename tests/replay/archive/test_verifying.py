"""An archive is verified as a whole: its segments, their chain, and the manifest."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from redis import Redis

from by_cp.log.redis.rawlog import RedisRawLog
from by_cp.replay.archive.archiving import Limits, archive
from by_cp.replay.archive.directory import MANIFEST, segment_name
from by_cp.replay.archive.errors import ArchiveError, Fault
from by_cp.replay.archive.verifying import size_bytes, verify
from tests.rawlogs import append

SMALL = Limits(entries=100)


@pytest.fixture
def archived(client: Redis, log: RedisRawLog, directory: Path) -> Path:
    """An archive of four segments, all of whose files may be written to."""
    append(client, 350)
    archive(log, directory, limits=SMALL)
    for path in directory.iterdir():
        path.chmod(0o600)
    return directory


def faults(directory: Path) -> list[tuple[str, int]]:
    """Return where the faults of an archive are."""
    return [(fault.file, fault.offset) for fault in verify(directory).faults]


def test_what_was_not_touched_is_as_it_was_written(archived: Path) -> None:
    """It says what is in it, and the hash that seals all of it."""
    told: list[int] = []
    verdict = verify(archived, told.append)
    assert (verdict.faults, verdict.gaps, verdict.notes) == ([], [], [])
    assert (verdict.segments, verdict.entries) == (4, 350)
    assert verdict.bytes == size_bytes(archived) == sum(told)
    assert verdict.sha256 in (archived / MANIFEST).read_text()


def test_a_flipped_byte_is_named_whatever_file_it_is_in(archived: Path) -> None:
    """In any segment, or the manifest: file and offset."""
    chance = random.Random(4)
    for path in sorted(archived.glob("[sm]*")):
        right = path.read_bytes()
        for offset in [0, len(right) - 1, *(chance.randrange(len(right)) for _ in range(10))]:
            wrong = bytearray(right)
            wrong[offset] ^= chance.randrange(1, 256)
            path.write_bytes(wrong)
            assert faults(archived) == [(path.name, offset)]
        path.write_bytes(right)
    assert faults(archived) == []


def test_a_segment_that_was_replaced_is_found(
    client: Redis, log: RedisRawLog, archived: Path, tmp_path: Path
) -> None:
    """Another one, with right checksums throughout, is not the one in the chain."""
    other = tmp_path / "other"
    other.mkdir()
    archive(log, other, limits=Limits(entries=100))
    first = (archived / segment_name(1)).read_bytes()
    longer = tmp_path / "longer"
    longer.mkdir()
    archive(log, longer, limits=Limits(entries=110))
    (archived / segment_name(1)).write_bytes((longer / segment_name(1)).read_bytes())
    assert (segment_name(1), 0) in faults(archived)
    assert "it was replaced" in str(verify(archived).faults[0])
    (archived / segment_name(1)).write_bytes(first)
    assert faults(archived) == []


@pytest.mark.parametrize("number", [1, 2, 4])
def test_a_segment_that_is_missing_is_named(archived: Path, number: int) -> None:
    """In the middle by its number, at the end by the manifest."""
    (archived / segment_name(number)).unlink()
    [fault] = verify(archived).faults
    assert fault.file == segment_name(number)
    assert "it is missing" in fault.what


def test_a_segment_under_another_name_is_found(archived: Path) -> None:
    """A segment knows its own number."""
    (archived / segment_name(4)).rename(archived / segment_name(5))
    assert Fault(segment_name(4), 0, 0, "it is missing") in verify(archived).faults
    assert any("it is segment 4, and was renamed" in f.what for f in verify(archived).faults)


@pytest.mark.parametrize("cut", [1, 50, 300])
def test_a_manifest_that_ends_too_early_is_found(archived: Path, cut: int) -> None:
    """Within a line, for it is written whole."""
    path = archived / MANIFEST
    data = path.read_bytes()
    path.write_bytes(data[:-cut])
    assert faults(archived) == [(MANIFEST, len(data) - cut)]


def test_a_manifest_that_lags_behind_is_no_fault(archived: Path) -> None:
    """Whoever was killed before it was written left it so; the next archive completes it."""
    path = archived / MANIFEST
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))
    verdict = verify(archived)
    assert verdict.faults == []
    assert "lists 2 of 4 segments" in verdict.notes[0]


def test_what_is_being_written_is_no_fault(archived: Path) -> None:
    """A segment that has not got its name yet does not count."""
    (archived / f"{segment_name(5)}.part").write_bytes(b"half of i")
    assert faults(archived) == []


def test_no_directory_is_no_archive(tmp_path: Path) -> None:
    """It is said, not taken for one without faults."""
    with pytest.raises(ArchiveError, match="no archive in"):
        verify(tmp_path / "nowhere")
