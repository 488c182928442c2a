"""A listing that has more than it shows: it says so, and reads no more than it shows."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from by_cp.cli.tables import and_more
from by_cp.keys import RedisKeys
from tests.cli.operating import Command, hold, plane_with_dead_letters


async def test_the_number_of_dead_letters_costs_nothing(redis: Redis, url: str) -> None:
    """Of 600 a page is read, and the server is asked how many there are."""
    async with plane_with_dead_letters(url, 600), redis.monitor() as monitor:
        shown = await asyncio.to_thread(Command(url), "deadletters")
        await redis.echo("the end")
        reads = 0
        database = redis.connection_pool.connection_kwargs.get("db", 0)
        while True:
            seen = await monitor.next_command()
            if seen["db"] == database and seen["command"].upper().startswith("ECHO"):
                break
            command = seen["command"]
            stream = RedisKeys.control_plane_deadletter_stream()
            reads += seen["db"] == database and command.startswith("XRANGE") and stream in command
    assert "the first 100 of 600; --limit shows more" in shown
    assert reads == 1


async def test_what_is_not_shown_is_counted_where_that_is_cheap(url: str) -> None:
    """All that are held, or all of an agent type; of a tenant's only that there may be more."""
    by_cp = Command(url)
    async with plane_with_dead_letters(url, 3) as plane:
        for number in range(3):
            await hold(plane, f"exec-{number}", user_code="acme")
    for command, more in {
        "pending": "the first 2 of 3; --limit shows more",
        "pending --agent-type echo": "the first 2 of 3; --limit shows more",
        "pending --tenant acme": "the first 2; there may be more, see --limit",
        "deadletters --agent-type echo": "the first 2; there may be more, see --limit",
    }.items():
        words = command.split()
        assert more in await asyncio.to_thread(by_cp, *words, "--limit", "2")
        assert "limit" not in await asyncio.to_thread(by_cp, *words)


@pytest.mark.parametrize(("rows", "total"), [(2, None), (3, 3), (0, 0)])
def test_what_is_all_there_needs_no_word(rows: int, total: int | None) -> None:
    """The table alone."""
    assert and_more("table", rows, 3, total) == "table"
