"""What a client's own retries do: nothing, a second time."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from by_cp.keys import RedisKeys
from by_cp.log.commands import GiveUp
from by_cp.log.redis.store import RedisStore
from by_cp.vocabulary import RoutePolicy
from tests.making import make_request


async def test_a_stalled_server_gets_a_request_twice_and_executes_it_once(
    redis: Redis, url: str
) -> None:
    """The server finds the same call twice; one command is delivered, one answer given.

    The client timed out while the server was stalled, and sent it again.
    """
    hasty = Redis.from_url(url, socket_timeout=0.1, retry=Retry(ConstantBackoff(0.01), 50))
    async with hasty:
        store = RedisStore(hasty)
        await store.check()
        await redis.execute_command("CLIENT", "PAUSE", 500, "ALL")

        answer = await store.execute(make_request("e1", RoutePolicy.SEND_ANYWAY))

        assert answer.receipt.status == "DELIVER_NOW"
        stats = await redis.info("commandstats")
        assert stats["cmdstat_fcall"]["calls"] > 1  # it really was sent more than once
        names = [entry.event.name for entry in await store.read()]
        assert names == ["Requested", "BecameReady", "Delivered"]
        assert await redis.xlen("byai_gateway:ctrl:agent_type:echo") == 1


async def test_a_cancelled_caller_leaves_the_others_alone(redis: Redis) -> None:
    """Calls travel together, but one that is cancelled takes no other with it."""
    store = RedisStore(redis)
    await store.check()
    calls = [
        asyncio.ensure_future(store.execute(make_request(f"e{n}", RoutePolicy.SEND_ANYWAY)))
        for n in range(10)
    ]
    await asyncio.sleep(0)  # let them be asked for; nothing is waited for
    calls[3].cancel()

    answers = await asyncio.gather(*calls, return_exceptions=True)

    assert isinstance(answers[3], asyncio.CancelledError)
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 9


async def test_what_makes_no_sense_in_an_inbox_stops_nobody(redis: Redis) -> None:
    """Whoever waits is told, whatever else was written into the inbox of its process."""
    store = RedisStore(redis)
    with store.waiting("e1") as told:
        await store.execute(make_request("e1", RoutePolicy.WAKE_AND_WAIT, inbox=store.inbox))
        await redis.xadd(RedisKeys.inbox(store.inbox), {"o": b"\xc1 nonsense"})
        await store.execute(GiveUp(execution_id="e1", reason="tired"))
        assert (await told).reason == "tired"
