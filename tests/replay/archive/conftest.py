"""A server with a log, and a directory for its archive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from by_cp.log.redis.rawlog import RedisRawLog


@pytest.fixture
def client(url: str) -> Iterator[Redis]:
    """A client that waits for its answers."""
    with Redis.from_url(url) as made:
        yield made


@pytest.fixture
def log(url: str) -> Iterator[RedisRawLog]:
    """The server's log."""
    with RedisRawLog(url) as made:
        yield made


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the archive is; the directory is there."""
    made = tmp_path / "archive"
    made.mkdir()
    return made
