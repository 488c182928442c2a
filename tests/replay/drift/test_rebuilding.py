"""Rebuilding: what differs is put right, nothing else is touched, and nothing stops for it."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from by_cp.errors import UnknownExecution
from by_cp.interop.adopter import Adopter
from by_cp.keys import RedisKeys
from by_cp.log.commands import Cancel, Member, Settle
from by_cp.log.live import LiveRows
from by_cp.log.rawlog import RawLog
from by_cp.log.redis.store import RETENTION_MS, RedisStore
from by_cp.replay.drift.checking import Start, Watch, check, prepare
from by_cp.replay.drift.rebuilding import Rebuilt, rebuild
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import online, release, request, settle
from tests.replay.drift.test_verifying import HARMS


def rebuilt(log: RawLog, live: LiveRows) -> Rebuilt:
    """Put everything right."""
    folding, names = prepare(log, log, live, Start(), Watch(), lean=False)
    return rebuild(folding, names, live, log, retention_ms=RETENTION_MS)


async def flush_views(redis: Redis) -> int:
    """Remove every row and index there is: all of by-cp's keys but the log."""
    keys = [key async for key in redis.scan_iter(RedisKeys.log()[:-3] + "*")]
    doomed = [key for key in keys if key != RedisKeys.log().encode()]
    return int(await redis.delete(*doomed))


@pytest.mark.parametrize("harm", HARMS)
async def test_what_was_changed_is_put_right_and_nothing_else(
    harm: str, store: RedisStore, redis: Redis, log: RawLog, live: LiveRows
) -> None:
    """It says what it changed; the second time there is nothing to do."""
    before = await store.views()
    row, change = HARMS[harm]
    await change(redis)
    changed = {(one.view, one.key) for one in rebuilt(log, live).changed}
    assert row in changed
    if harm != "the index of what is held":  # all that is held stands there
        assert changed == {row}
    assert check(log, log, live).differences == []
    assert await store.views() == before
    assert rebuilt(log, live).changed == []


async def test_an_empty_server_gets_all_its_rows_back(
    store: RedisStore, redis: Redis, log: RawLog, live: LiveRows
) -> None:
    """From nothing but the log; and what is held can be delivered, what is buried redriven."""
    before, histories = await store.views(), await store.history("exec-8")
    assert await flush_views(redis) > 0
    assert rebuilt(log, live).left == 0
    assert await store.views() == before
    assert await store.history("exec-8") == histories
    assert check(log, log, live).differences == []
    await settle(store, "exec-8", "READY")
    await online(store)
    assert (await release(store)).delivered == 1
    assert check(log, log, live).differences == []


async def test_a_request_that_is_repeated_after_a_rebuild_changes_nothing(
    store: RedisStore, redis: Redis, log: RawLog, live: LiveRows
) -> None:
    """The answer is made again from the log, too."""
    answers = [
        await request(store, f"again-{policy}", policy, user_code="acme", region="eu")
        for policy in RoutePolicy
    ]
    entries = await store.read()
    await flush_views(redis)
    rebuilt(log, live)
    for policy, answer in zip(RoutePolicy, answers, strict=True):
        again = await request(store, f"again-{policy}", policy, user_code="acme", region="eu")
        assert again == answer
    assert await store.read() == entries


async def test_what_was_put_back_is_by_cps_own(
    store: RedisStore, redis: Redis, log: RawLog, live: LiveRows
) -> None:
    """A manager that adopts what foreign clients write does not take it for something of theirs."""
    await flush_views(redis)
    rebuilt(log, live)
    views = await store.views()
    seconds = iter(range(10))
    adopter = Adopter(store, clock=lambda: float(next(seconds)))
    assert sum([await adopter.run_once() for _ in range(2)]) == 0
    assert await store.views() == views


async def test_commands_go_on_while_rows_are_rebuilt(
    store: RedisStore, redis: Redis, log: RawLog, live: LiveRows
) -> None:
    """Rows that move on meanwhile are theirs, not the rebuild's; in the end all are right."""
    for number in range(200):
        await request(store, f"held-{number}", RoutePolicy.QUEUE_ONLY, user_code="acme")
    await flush_views(redis)
    working = asyncio.Event()

    async def work() -> None:
        number = 0
        while not working.is_set():
            number += 1
            await request(store, f"busy-{number}", RoutePolicy.QUEUE_ONLY, user_code="acme")
            await request(store, f"gone-{number}", RoutePolicy.FAIL_FAST, user_code="acme")

    task = asyncio.create_task(work())
    done = await asyncio.to_thread(rebuilt, log, live)
    working.set()
    await task
    assert done.left == 0
    assert check(log, log, live).differences == []
    await online(store)
    while (await release(store)).delivered:
        pass
    assert (await store.views()).pending.keys() == {"exec-8"}
    assert check(log, log, live).differences == []


async def test_until_its_head_is_back_nothing_is_decided_about_an_execution(
    store: RedisStore, redis: Redis, log: RawLog, live: LiveRows
) -> None:
    """Commands about it are refused or pass it by; none takes it for new."""
    entries = await store.read()
    epoch = (await store.views()).executions["exec-8"].epoch
    await flush_views(redis)
    with pytest.raises(UnknownExecution):
        await store.execute(Cancel(execution_id="exec-4"))
    ended = Settle(
        agent_type="a:b {c}",
        user_code="ü",
        region="_",
        status="READY",
        epoch=epoch,
        members=(Member("exec-8", "ü", "_", ""),),
        by="manager",
    )
    assert (await store.execute(ended)).skipped == 1
    await online(store)
    assert (await release(store)).delivered == 0
    assert await store.read() == entries
    rebuilt(log, live)
    assert (await release(store)).delivered == 1
