"""Verification: no row escapes it, and nothing that goes on meanwhile looks like a fault."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from by_cp.keys import RedisKeys, wake_group
from by_cp.log.live import LiveRows
from by_cp.log.rawlog import RawLog
from by_cp.log.redis.store import RedisStore
from by_cp.replay.drift.checking import LogIncomplete, check
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import online, release, request

Harm = Callable[[Redis], Awaitable[Any]]


async def test_rows_that_are_as_the_log_says_are_no_difference(
    store: RedisStore, log: RawLog, live: LiveRows
) -> None:
    """Of every view, with everything that commands leave there."""
    verdict = check(log, log, live)
    assert verdict.differences == []
    assert verdict.events == len(await store.read())
    assert verdict.rows > len((await store.views()).executions)


HARMS: dict[str, tuple[tuple[str, str], Harm]] = {
    "a head's state": (
        ("executions", "exec-3"),
        lambda r: r.hset(RedisKeys.head("exec-3"), "s", "READY"),
    ),
    "a closed head's version": (
        ("executions", "exec-0"),
        lambda r: r.hset(RedisKeys.head("exec-0"), "v", "7"),
    ),
    "a held head that is gone": (
        ("executions", "exec-4"),
        lambda r: r.delete(RedisKeys.head("exec-4")),
    ),
    "a head that no event made": (
        ("executions", "ghost"),
        lambda r: r.hset(RedisKeys.head("ghost"), mapping={"s": "READY", "v": "1", "p": "1-0"}),
    ),
    "a rank": (("executions", "exec-8"), lambda r: r.hset(RedisKeys.head("exec-8"), "r", "9")),
    "the index of what is held": (
        ("executions", "exec-4"),
        lambda r: r.delete(RedisKeys.pending_index("echo")),
    ),
    "a dead letter's place": (
        ("executions", "exec-5"),
        lambda r: r.hdel(RedisKeys.dead_letter_index(), "exec-5"),
    ),
    "a dead letter": (
        ("executions", "exec-5"),
        lambda r: r.delete(RedisKeys.control_plane_deadletter_stream()),
    ),
    "a lease": (
        ("executions", "exec-4"),
        lambda r: r.zrem(RedisKeys.leases("acme"), "exec-4"),
    ),
    "a limit": (("quotas", "acme"), lambda r: r.hset(RedisKeys.view_quota("acme"), "l", "6")),
    "a circuit": (
        ("circuits", "other"),
        lambda r: r.hset(RedisKeys.view_circuit("other"), "s", "CLOSED"),
    ),
    "a fallback": (
        ("fallbacks", "echo"),
        lambda r: r.delete(RedisKeys.view_fallback("echo")),
    ),
    "an availability": (
        ("availability", "echo"),
        lambda r: r.hset(RedisKeys.control_plane_agent_availability("echo"), "e", "1-0"),
    ),
    "a claim": (
        ("wakes", wake_group("a:b {c}", "ü", "_")),
        lambda r: r.delete(RedisKeys.wake(wake_group("a:b {c}", "ü", "_"))),
    ),
    "a depth": (("depth", "echo"), lambda r: r.hset(RedisKeys.pending_depth(), "echo", "70")),
    "an entry that nobody accounts for": (
        ("strays", RedisKeys.leases("acme")),
        lambda r: r.zadd(RedisKeys.leases("acme"), {"exec-0": 1}),
    ),
}


@pytest.mark.parametrize("harm", HARMS)
async def test_a_row_that_someone_changed_is_named(
    harm: str, store: RedisStore, redis: Redis, log: RawLog, live: LiveRows
) -> None:
    """Exactly that one, whichever it is."""
    row, change = HARMS[harm]
    await change(redis)
    found = {(one.view, one.key) for one in check(log, log, live).differences}
    assert row in found
    if harm != "the index of what is held":  # all that is held stands there
        assert found == {row}
    assert await store.read()


async def test_a_settled_head_may_expire(
    store: RedisStore, redis: Redis, log: RawLog, live: LiveRows
) -> None:
    """Its retention is over; the log still knows it."""
    await redis.delete(RedisKeys.head("exec-0"))
    assert check(log, log, live).differences == []
    assert await store.history("exec-0")


async def test_what_goes_on_meanwhile_is_no_difference(
    store: RedisStore, log: RawLog, live: LiveRows
) -> None:
    """Commands are held, delivered and rejected while every row is looked at, again and again."""
    ended = asyncio.Event()

    async def work() -> int:
        number = 0
        while not ended.is_set():
            number += 1
            policies = (RoutePolicy.QUEUE_ONLY, RoutePolicy.WAKE_AND_QUEUE, RoutePolicy.FAIL_FAST)
            for policy in policies:
                await request(store, f"busy-{number}-{policy}", policy, user_code="acme")
            if number % 5 == 0:
                await online(store)
                await release(store)
        return number

    working = asyncio.create_task(work())
    for _ in range(10):
        verdict = await asyncio.to_thread(check, log, log, live)
        assert verdict.differences == []
    ended.set()
    assert await working > 0


async def test_a_log_that_was_trimmed_needs_its_archive(
    store: RedisStore, log: RawLog, live: LiveRows
) -> None:
    """Half a log folds to nonsense; that is said before it is compared with anything."""
    log.trim((await store.read())[5].position)
    with pytest.raises(LogIncomplete, match="5 entries were trimmed"):
        check(log, log, live)
