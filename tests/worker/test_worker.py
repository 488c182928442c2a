"""The worker: online while it runs, each command handled once, and nothing lost at its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from by_cp.embedded import EmbeddedServer
from by_cp.errors import InvalidInput
from by_cp.keys import RedisKeys
from by_cp.log.contract import Delivery, Store
from by_cp.log.redis.store import WORKERS, RedisStore
from by_cp.replies import text_of
from by_cp.vocabulary import RoutePolicy
from by_cp.worker import Worker
from tests.asking import ask
from tests.manager.running import running
from tests.waiting import until
from tests.worker.conftest import replies

SEND = RoutePolicy.SEND_ANYWAY


def echo(command: Mapping[str, Any]) -> str:
    """Reply what was said."""
    return f"echo: {command['body']['content']}"


async def online(store: Store, agent_type: str = "a") -> bool:
    """Tell whether a worker is online."""
    return bool(await store.online(agent_type))


async def test_it_is_online_while_it_runs(store: Store) -> None:
    """Lease and registration come with its start and go with its end, for each agent type."""
    worker = Worker(store, ["a", "b"], echo, worker_id="w")
    async with running(worker.run()):
        await until(lambda: online(store, "b"))
        assert await store.online("a") == ("w",)
    assert await store.online("a") == await store.online("b") == ()


async def test_it_answers_in_the_session(store: Store, redis: Redis) -> None:
    """The reply and its end stand in the data stream, as by-framework's readers expect them."""
    receipt = await ask(store, "a", SEND)
    async with running(Worker(store, "a", echo).run()):
        await until(lambda: said(store, redis, 2))
    answer, end = [json.loads(text) for text in await replies(store, redis)]
    assert text_of(answer) == f"echo: {receipt.execution_id}"
    assert answer["event_type"] == "finalAnswer"
    assert answer["source_agent_type"] == "a"
    assert answer["metadata"] == {"execution_id": receipt.execution_id}
    assert (end["event_type"], text_of(end)) == ("appStreamResponse", "")


async def test_a_session_is_not_kept_for_ever(redis: Redis) -> None:
    """The stream of answers expires, a week after the last."""
    await RedisStore(redis).reply("session-1", "{}")
    left_ms = await redis.pttl(RedisKeys.session_data_stream("session-1"))
    assert 0 < left_ms <= 7 * 24 * 3600 * 1000


async def test_handlers_may_be_of_any_kind(store: Store, redis: Redis) -> None:
    """A coroutine function, an object with an async __call__, and JSON as a reply all work."""

    async def coroutine(command: Mapping[str, Any]) -> dict[str, Any]:
        return {"of": command["action_type"]}

    class Called:
        async def __call__(self, command: Mapping[str, Any]) -> list[str]:
            return [command["action_type"]]

    await ask(store, "a", SEND)
    await ask(store, "b", SEND)
    async with running(Worker(store, "a", coroutine).run(), Worker(store, "b", Called()).run()):
        await until(lambda: said(store, redis, 4))
    texts = {text_of(json.loads(text)) for text in await replies(store, redis)}
    assert texts == {'{"of": "ASK_AGENT"}', '["ASK_AGENT"]', ""}


async def test_no_reply_is_no_message(store: Store, redis: Redis) -> None:
    """A handler that returns None has said what it had to say."""
    handled = asyncio.Event()

    async def handle(_: Mapping[str, Any]) -> None:
        handled.set()

    await ask(store, "a", SEND)
    async with running(Worker(store, "a", handle).run()):
        await until(handled.is_set)
    assert await replies(store, redis) == []


async def test_an_error_is_told_and_not_tried_again(store: Store, redis: Redis) -> None:
    """A handler that raises is called once for a command; the session hears of it."""
    calls = []

    def fail(command: Mapping[str, Any]) -> str:
        calls.append(command)
        raise ValueError("no such file")

    await ask(store, "a", SEND)
    async with running(Worker(store, "a", fail).run()):
        await until(lambda: said(store, redis, 2))
    failure = json.loads((await replies(store, redis))[0])
    assert text_of(failure) == "FAILED: ValueError: no such file"
    assert len(calls) == 1
    assert await store.take_deliveries(("a",), "another", 10, 0) == []


async def test_every_command_is_handled_once_by_two_workers(store: Store, redis: Redis) -> None:
    """Workers of one agent type share its commands."""
    receipts = [await ask(store, "a", SEND) for _ in range(100)]
    workers = [Worker(store, "a", echo, concurrency_max=3) for _ in range(2)]
    async with running(*(worker.run() for worker in workers)):
        await until(lambda: said(store, redis, 200))
    texts = [text_of(json.loads(text)) for text in await replies(store, redis)]
    answers = [text.removeprefix("echo: ") for text in texts if text]
    assert sorted(answers) == sorted(receipt.execution_id for receipt in receipts)


async def test_no_more_than_so_many_at_once(store: Store) -> None:
    """The bound holds, for plain functions, too."""
    lock, running_now, most = threading.Lock(), [0], [0]
    all_in = threading.Barrier(3, timeout=10)

    def handle(_: Mapping[str, Any]) -> None:
        with lock:
            running_now[0] += 1
            most[0] = max(most[0], running_now[0])
        all_in.wait()
        with lock:
            running_now[0] -= 1

    for _ in range(9):
        await ask(store, "a", SEND)
    async with running(Worker(store, ["a", "b"], handle, concurrency_max=3).run()):
        await until(lambda: most[0] == 3)
        await until(lambda: running_now[0] == 0)
    assert most[0] == 3


async def test_a_stop_finishes_what_is_being_handled(store: Store, redis: Redis) -> None:
    """Cancelled in the middle, the worker still replies and acknowledges before it retires."""
    began, may_end = asyncio.Event(), asyncio.Event()

    async def handle(_: Mapping[str, Any]) -> str:
        began.set()
        await may_end.wait()
        return "done"

    await ask(store, "a", SEND)
    task = asyncio.create_task(Worker(store, "a", handle).run())
    await until(began.is_set)
    task.cancel()
    assert await store.online("a") != ()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await replies(store, redis)) == 2
    assert await store.online("a") == ()


async def test_a_stop_waits_only_so_long(store: Store) -> None:
    """A handler that does not end is given up after drain_s."""
    began = asyncio.Event()

    async def handle(_: Mapping[str, Any]) -> None:
        began.set()
        await asyncio.Event().wait()

    await ask(store, "a", SEND)
    async with running(Worker(store, "a", handle, drain_s=0.05).run()):
        await until(began.is_set)
    assert await store.online("a") == ()


async def test_what_a_stop_gave_up_is_handled_by_another(redis: Redis) -> None:
    """A worker that ended in order, but not with all that it had, leaves that to the others."""
    store = RedisStore(redis)
    began, handled = asyncio.Event(), asyncio.Event()

    async def hang(_: Mapping[str, Any]) -> None:
        began.set()
        await asyncio.Event().wait()

    await ask(store, "a", SEND)
    async with running(Worker(store, "a", hang, drain_s=0.05).run()):
        await until(began.is_set)
    async with running(Worker(store, "a", lambda _: handled.set()).run()):
        await until(handled.is_set)


async def test_what_is_no_command_is_set_aside(redis: Redis) -> None:
    """Entries that are no JSON object stop nothing, and do not come back."""
    store = RedisStore(redis)
    stream = RedisKeys.ctrl_stream("a")
    for data in ("{", "[]", "\ud800".encode(errors="surrogatepass"), "[" * 100_000):
        await redis.xadd(stream, {"data": data})
    await redis.xadd(stream, {"something": "else"})
    await ask(store, "a", SEND)
    async with running(Worker(store, "a", echo).run()):
        await until(lambda: said(store, redis, 2))
        await until(lambda: nothing_pending(redis, stream))


async def test_commands_of_by_framework_are_handled(redis: Redis) -> None:
    """A sender that is not by-cp writes no execution_id beside the command."""
    store = RedisStore(redis)
    command = {
        "action_type": "ASK_AGENT",
        "header": {"message_id": "m", "session_id": "session-1", "source_agent_type": "boss"},
        "body": {"content": "hi"},
    }
    await redis.xadd(RedisKeys.ctrl_stream("a"), {"data": json.dumps(command)})
    async with running(Worker(store, "a", echo).run()):
        await until(lambda: said(store, redis, 1))
    [answer] = [json.loads(text) for text in await replies(store, redis)]
    assert (text_of(answer), answer["metadata"]) == ("echo: hi", {})


async def test_it_lives_through_a_server_that_goes_away(tmp_path: Path) -> None:
    """Killed and started again, the server finds the worker online and at work."""
    server = await EmbeddedServer.start(tmp_path)
    async with Redis.from_url(server.url, retry=None) as client:
        store = RedisStore(client)
        async with running(Worker(store, "a", echo, heartbeat_s=0.05).run()):
            await until(lambda: online(store))
            os.kill(server.pid, signal.SIGKILL)
            await server.stop()
            server = await EmbeddedServer.start(tmp_path)
            await client.delete(RedisKeys.worker_online_lease("w"))
            await ask(store, "a", SEND)
            await until(lambda: said(store, client, 2), 20)
            await until(lambda: online(store))
    await server.stop()


async def test_an_idle_worker_ends_by_itself(
    store: Store, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It handles what there is, goes offline, and is done."""
    monkeypatch.setattr("by_cp.worker.LINGER_MS", 10)
    await ask(store, "a", SEND)
    await asyncio.wait_for(Worker(store, "a", echo, idle_exit_s=0.01).run(), 10)
    assert await said(store, redis, 2)
    assert await store.online("a") == ()


async def test_a_worker_is_not_idle_while_it_handles(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a command takes, its worker stays online, looks for more, and leaves later."""
    monkeypatch.setattr("by_cp.worker.BLOCK_MS", 10)
    monkeypatch.setattr("by_cp.worker.LINGER_MS", 10)

    class Counting(RedisStore):
        """A store that counts how often commands are looked for."""

        looks = 0

        async def take_deliveries(self, *args: Any) -> list[Delivery]:
            self.looks += 1
            return await super().take_deliveries(*args)

    store = Counting(redis)
    seen: list[tuple[str, ...]] = []

    async def handle(command: Mapping[str, Any]) -> str:
        await until(lambda: store.looks > 5)
        seen.append(await store.online("a"))
        return echo(command)

    await ask(store, "a", SEND)
    worker = Worker(store, "a", handle, worker_id="w", idle_exit_s=0.01)
    await asyncio.wait_for(worker.run(), 10)
    assert seen == [("w",)]


async def test_a_command_that_comes_as_a_worker_leaves_is_handled(
    redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Delivered on what was known a moment before, it is not left behind: the worker stays."""
    monkeypatch.setattr("by_cp.worker.LINGER_MS", 10)

    class Racing(RedisStore):
        """A store on which a sender, who saw the worker online, delivers after it went offline."""

        raced = False

        async def retire(self, worker_id: str) -> None:
            await super().retire(worker_id)
            if not self.raced:
                self.raced = True
                await ask(self, "a", SEND)

    store = Racing(redis)
    may_end = asyncio.Event()

    async def handle(command: Mapping[str, Any]) -> str:
        await may_end.wait()
        return echo(command)

    running_worker = asyncio.create_task(Worker(store, "a", handle, idle_exit_s=0.01).run())
    await until(lambda: store.raced)
    await until(lambda: online(store))
    may_end.set()
    await asyncio.wait_for(running_worker, 10)
    assert await said(store, redis, 2)


def test_a_worker_cannot_be_idle_for_less_than_nothing() -> None:
    """A worker that ended at once would be no worker."""
    with pytest.raises(InvalidInput, match="idle_exit_s must be over 0, not 0"):
        Worker(RedisStore(Redis()), "a", echo, idle_exit_s=0)


@pytest.mark.parametrize("agent_types", [[], [""], ["a\n"], [1]])
def test_agent_types_are_checked(agent_types: Any) -> None:
    """No agent type, or one that cannot be, is refused."""
    with pytest.raises(InvalidInput):
        Worker(RedisStore(Redis()), agent_types, echo)


async def said(store: Store, redis: Redis, count: int) -> bool:
    """Tell whether so many messages stand in the session's data stream."""
    return len(await replies(store, redis)) == count


async def nothing_pending(redis: Redis, stream: str) -> bool:
    """Tell whether all that was taken is acknowledged."""
    return bool((await redis.xpending(stream, WORKERS))["pending"] == 0)
