"""The function library: how it comes to the server, and what happens when it may not."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from by_cp.errors import ServerUnreachable, ServerUnsupported
from by_cp.log.redis import library
from by_cp.log.redis.store import RedisStore
from tests.making import make_request, make_settle


async def test_a_server_without_the_library_is_given_it(redis: Redis) -> None:
    """Nobody installs anything: the first call loads the library, as after a flush."""
    store = RedisStore(redis)
    await redis.function_flush()

    answer = await store.execute(make_request("e1"))

    assert answer.receipt.status == "REJECT"
    listed = str(await redis.function_list())
    assert library.function_name() in listed


async def test_the_name_of_the_library_is_that_of_its_content() -> None:
    """Two releases run side by side on one server: their libraries differ in name."""
    name = library.function_name()
    assert library.source().startswith(f"#!lua name={name}\n")
    assert f"register_function('{name}'" in library.source()


async def test_a_server_that_forbids_functions_is_a_clear_error(redis: Redis, url: str) -> None:
    """Whoever may not load or call functions is told so, not sent into the void."""
    await redis.acl_setuser(
        "limited",
        enabled=True,
        nopass=True,
        keys=["*"],
        categories=["+@all"],
        commands=["-function", "-fcall"],
    )
    try:
        limited = Redis.from_url(url, username="limited", password="any")  # noqa: S106
        async with limited:
            with pytest.raises(ServerUnsupported, match="functions"):
                await RedisStore(limited).check()
    finally:
        await redis.acl_deluser("limited")


async def test_callers_need_no_right_to_load(redis: Redis, url: str) -> None:
    """With the library there, a caller needs leave to call functions only."""
    await RedisStore(redis).check()
    await redis.acl_setuser(
        "caller",
        enabled=True,
        nopass=True,
        keys=["*"],
        categories=["+@all"],
        commands=["-function"],
    )
    try:
        async with Redis.from_url(url, username="caller", password="any") as caller:  # noqa: S106
            answer = await RedisStore(caller).execute(make_request("e1"))
            assert answer.receipt.status == "REJECT"
    finally:
        await redis.acl_deluser("caller")


async def test_a_server_that_is_not_there_is_a_clear_error() -> None:
    """No server: `ServerUnreachable`."""
    async with Redis(port=1, retry=Retry(NoBackoff(), 0), socket_timeout=1) as nobody:
        with pytest.raises(ServerUnreachable, match="does not answer"):
            await RedisStore(nobody).execute(make_request("e1"))


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode", [False, True])
async def test_any_client_will_do(url: str, redis: Redis, protocol: int, *, decode: bool) -> None:
    """The program's own client is used, whatever protocol and decoding it was made with."""
    async with Redis.from_url(url, protocol=protocol, decode_responses=decode) as client:
        store = RedisStore(client)
        with store.waiting("e1") as future:
            request = make_request("e1", "WAKE_AND_WAIT", inbox=store.inbox)
            assert (await store.execute(request)).receipt.status == "WAITING"
            [signal] = await store.take_signals("m", 10, 1000)
            members = await store.wake_members(("echo", "", ""), 10)
            await store.execute(make_settle(signal, members, "READY"))
            outcome = await future
        assert outcome.status == "WAIT_AND_DELIVER"
        await store.finish_signal(signal)
        await store.announce("w", ("echo",), 10_000)
        assert await store.online("echo") == ("w",)
        [delivery] = await store.take_deliveries(("echo",), "w", 10, 1000)
        await store.acknowledge(delivery)
        await store.retire("w")
        names = [entry.event.name for entry in await store.history("e1")]
        assert names == ["Requested", "Held", "WakeRequested", "BecameReady", "Delivered"]
        assert (await store.views()).executions["e1"].state == "DELIVERED"
        assert await store.held_agent_types() == []


async def test_a_command_for_one_worker_asks_its_lease(redis: Redis) -> None:
    """Past the agent type, for debugging: refused if the worker is gone, unless nobody asks."""
    store = RedisStore(redis)
    assert not await store.send_to_worker("w", b"{}", check=True)
    assert await store.send_to_worker("w", b"{}", check=False)
    await store.announce("w", ("echo",), 10_000)
    assert await store.send_to_worker("w", b"[]", check=True)
    taken = await store.take_deliveries(("echo",), "w", 10, 0)
    assert [delivery.data for delivery in taken] == [b"{}", b"[]"]
