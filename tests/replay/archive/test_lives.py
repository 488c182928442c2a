"""Any life of a log and its archive: whatever is done in whatever order, the log is the log."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from redis import Redis

from by_cp.keys import RedisKeys
from by_cp.log.rawlog import Page
from by_cp.log.redis.rawlog import RedisRawLog
from by_cp.replay.archive.archiving import Limits, archive
from by_cp.replay.archive.chain import read_chain
from by_cp.replay.archive.directory import MANIFEST
from by_cp.replay.archive.reading import ArchiveReader, WholeLog
from by_cp.replay.archive.restoring import restore
from by_cp.replay.archive.trimming import Keep, trim
from by_cp.replay.archive.verifying import verify
from tests.rawlogs import all_of, append


class ArchivedLog(RuleBasedStateMachine):
    """A log that is appended to, archived, trimmed, lost and restored; `entries` is the truth."""

    url: str

    def __init__(self) -> None:
        super().__init__()
        self.client = Redis.from_url(self.url)
        self.client.flushdb()
        self.log = RedisRawLog(self.url)
        self.directory = Path(tempfile.mkdtemp())
        self.entries: Page = []
        self.archived = 0

    def teardown(self) -> None:
        """Leave nothing."""
        self.log.close()
        self.client.close()
        shutil.rmtree(self.directory)

    @rule(count=st.integers(1, 30))
    def append(self, count: int) -> None:
        """Someone sends commands."""
        self.entries += append(self.client, count)

    @rule(segment=st.integers(8, 25))
    def archive(self, segment: int) -> None:
        """Archive what is new."""
        chain = archive(self.log, self.directory, limits=Limits(entries=segment))
        self.archived = chain.entries
        assert self.archived == len(self.entries)

    @precondition(lambda self: self.archived)
    @rule(keep=st.integers(0, 40))
    def trim(self, keep: int) -> None:
        """Trim what is archived, but for some."""
        chain = read_chain(self.directory)
        before = self.client.xlen(RedisKeys.log())
        trim(self.log, self.directory, chain, keep=Keep(age_ms=0, entries=keep))
        left = self.client.xlen(RedisKeys.log())
        assert left >= min(keep, before)
        assert all_of(self.log) == self.entries[-left:]

    @precondition(lambda self: self.archived)
    @rule()
    def lose_the_server(self) -> None:
        """The server loses everything, and gets back what was archived."""
        self.client.flushdb()
        restore(self.log, self.directory)
        del self.entries[self.archived :]

    @rule()
    def lose_the_manifest(self) -> None:
        """It holds nothing of its own."""
        (self.directory / MANIFEST).unlink(missing_ok=True)

    @invariant()
    def archive_and_server_together_are_the_log(self) -> None:
        """Nothing is missing, nothing comes twice."""
        assert all_of(WholeLog(ArchiveReader(self.directory), self.log)) == self.entries

    @invariant()
    def the_archive_verifies(self) -> None:
        """It is the beginning of the log."""
        assert verify(self.directory).faults == []
        assert all_of(ArchiveReader(self.directory)) == self.entries[: self.archived]


@pytest.mark.usefixtures("client")
def test_any_life_of_a_log_and_its_archive(url: str) -> None:
    """Appends, archives, trims and losses, in any order."""
    machine: Any = type("Machine", (ArchivedLog,), {"url": url})
    run_state_machine_as_test(machine, settings=settings(max_examples=30, stateful_step_count=12))
