"""What is per execution, and not the log, is gone when it is settled, or expires."""

from __future__ import annotations

from redis.asyncio import Redis

from by_cp.keys import PREFIX, RedisKeys
from by_cp.log.commands import Redrive, Release
from by_cp.log.redis.store import RedisStore
from by_cp.vocabulary import RoutePolicy
from tests.making import make_request, make_settle


async def lasting_keys(redis: Redis) -> set[str]:
    """Return the control plane's keys that never expire and hold something."""
    found = set()
    async for key in redis.scan_iter(match=f"{PREFIX}*"):
        name = key.decode()
        if await redis.pttl(name) != -1:
            continue
        if await redis.type(name) == b"stream" and not await redis.xlen(name):
            continue
        found.add(name)
    return found


async def test_settled_executions_leave_only_the_log_and_the_rows(redis: Redis) -> None:
    """Only the log, and a row for each agent type and tenant, are left for good.

    Every policy, settled in every way: nothing grows with the number of executions.
    """
    store = RedisStore(redis)
    for n, policy in enumerate(RoutePolicy):
        inbox = store.inbox if policy == RoutePolicy.WAKE_AND_WAIT else ""
        for status in ("READY", "FAILED", "REJECTED"):
            request = make_request(
                f"e{n}{status}", policy, user_code="u1", region=status, inbox=inbox
            )
            await store.execute(request)
    for signal in await store.take_signals("m", 100, 0):
        group = ("echo", "u1", signal.request.region)
        members = await store.wake_members(group, 100)
        await store.execute(make_settle(signal, members, signal.request.region))
        await store.finish_signal(signal)
    await store.announce("w", ("echo",), 60_000)
    for execution_id in (await store.views()).dead_letters:
        await store.execute(Redrive(execution_id=execution_id))
    held = await store.held("echo", 100)
    await store.execute(Release(agent_type="echo", members=tuple(held)))
    await store.retire("w")

    assert await lasting_keys(redis) == {
        RedisKeys.log(),
        RedisKeys.control_plane_agent_availability("echo"),
        RedisKeys.view_circuit("echo"),
        RedisKeys.view_quota("u1"),
    }
