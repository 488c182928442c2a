"""What the tests with a real by-framework share: its own client of the server, its own workers."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, nullcontext
from pathlib import Path

import pytest
from redis.asyncio import Redis

from by_cp import interop

# by-framework writes a log file into the working directory, unless its logger has a handler when it
# is imported.
logging.getLogger("by-framework").addHandler(logging.NullHandler())

from tests.interop.stock import Handler, StockWorker, working  # noqa: E402 - see above
from tests.interop.ways import NAMES, Send, ways  # noqa: E402

Start = Callable[..., Awaitable[StockWorker]]


@pytest.fixture
async def theirs(url: str) -> AsyncIterator[Redis]:
    """The client that by-framework's side uses: of texts, as it makes its own."""
    async with Redis.from_url(url, decode_responses=True, socket_timeout=None) as client:
        yield client


@pytest.fixture
async def start(theirs: Redis, tmp_path: Path) -> AsyncIterator[Start]:
    """Start a stock worker; it is stopped at the end of the test."""
    async with AsyncExitStack() as stack:

        async def started(agent_type: str, handler: Handler | None = None) -> StockWorker:
            return await stack.enter_async_context(
                working(theirs, tmp_path / "workspace", agent_type, handler)
            )

        yield started


@pytest.fixture(params=NAMES)
def send(request: pytest.FixtureRequest, theirs: Redis) -> Iterator[Send]:
    """A way to send: by-cp's, by-framework's on by-cp's router, or by-framework's alone."""
    name, _, switched = request.param.partition(", ")
    with interop.installed() if switched else nullcontext():
        yield ways(theirs)[name]
