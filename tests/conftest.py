"""The server that tests run on.

It is a real one. By default every process of pytest(-xdist) starts its own embedded Valkey. With
BY_CP_TEST_URL the tests use the server of that URL instead, where each process has a database of
its own: it is EMPTIED before each test. What a server shares between its databases (functions,
pub/sub channels, CONFIG) is shared between the processes, too.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from importlib.util import find_spec
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import settings
from redis.asyncio import Redis

from by_cp.embedded import EmbeddedServer

# A shell starts what runs in its background with SIGINT ignored, and every process passes that on:
# those that tests start must heed Ctrl-C all the same.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# On a busy machine the time that one example takes says nothing.
settings.register_profile("by-cp", deadline=None)
settings.load_profile("by-cp")

# They need by-framework, and it a newer Python than by-cp does.
collect_ignore = [] if find_spec("by_framework") else ["interop"]


def pytest_report_header() -> list[str]:
    """Say what is not collected."""
    return [f"tests/{left_out}: see `make {left_out}`" for left_out in collect_ignore]


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """The URL of the server, with this process's database in it."""
    given = os.environ.get("BY_CP_TEST_URL")
    if given:
        yield with_database(given, worker_number())
        return
    server = asyncio.run(_start_fast())
    yield server.url
    asyncio.run(server.stop())


@pytest.fixture
async def redis(server_url: str) -> AsyncIterator[Redis]:
    """A client, of bytes, whose database is empty."""
    async with Redis.from_url(server_url) as client:
        await client.flushdb()
        yield client


@pytest.fixture
def url(server_url: str, redis: Redis) -> str:
    """The URL of the empty database, for what makes its own clients or processes."""
    return server_url


def worker_number() -> int:
    """Return the number of this process among those of pytest-xdist, or 0."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def with_database(url: str, number: int) -> str:
    """Return the URL with another database number; the query string wins over the path."""
    # Not put together with urlunsplit: of unix:///path it would make unix:/path.
    base, _, query = url.partition("?")
    return f"{base}?{urlencode(dict(parse_qsl(query)) | {'db': str(number)})}"


async def _start_fast() -> EmbeddedServer:
    server = await EmbeddedServer.start()
    async with Redis.from_url(server.url) as client:
        await client.config_set("appendonly", "no")
    return server
