"""The adopter: what foreign clients write becomes part of the log, once, whatever it looks like.

Here the clients are the test, entry by entry; `tests/interop` has by-framework's own.
"""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from redis.asyncio import Redis

from by_cp.interop.adopter import COMMAND_S, RETRY_S, SESSION_S, Adopter
from by_cp.keys import RedisKeys
from by_cp.log.memory import ManualClock, MemoryStore
from by_cp.log.redis.store import RedisStore
from by_cp.manager.manager import Manager
from by_cp.statemachine.events import Requested
from by_cp.statemachine.states import State
from tests.asking import ask, events, state
from tests.manager.providers import Starting
from tests.manager.running import running
from tests.waiting import until

WAKEUP = RedisKeys.control_plane_wakeup_stream()
PENDING = RedisKeys.control_plane_delivery_pending_stream()
QUARANTINE = RedisKeys.quarantine()
COMMAND = {
    "action_type": "ASK_AGENT",
    "header": {"message_id": "msg-1", "session_id": "s", "target_agent_type": "echo"},
    "body": {"content": "hello", "empty": [], "large": 2**70},
}


class Client:
    """A foreign client: it writes as by-framework's does, but for what it is told otherwise."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def asks(self, policy: str = "WAKE_AND_WAIT", **fields: Any) -> None:
        """Ask for a wake."""
        request = {"policy": policy, "timeout_ms": 30_000, "source": "client"}
        await self.writes(WAKEUP, _common() | request | fields)

    async def queues(self, **fields: Any) -> None:
        """Write a command to hold."""
        held = {"delivery_stream": RedisKeys.ctrl_stream("echo")}
        await self.writes(PENDING, _common() | held | fields)

    async def writes(self, stream: str, document: dict[str, Any] | str) -> None:
        """Write anything."""
        text = document if isinstance(document, str) else json.dumps(document)
        await self._redis.xadd(stream, {"data": text})

    async def registers(self, *execution_ids: str, status: str = "QUEUED") -> None:
        """Write executions into the session, as the last thing that a client does."""
        key = RedisKeys.session_registry("s")
        for execution_id in execution_ids or ("exec-1",):
            await self._redis.hset(key, f"exec:{execution_id}", json.dumps({"status": status}))

    async def heard(self, execution_id: str = "exec-1") -> list[tuple[str, str]]:
        """What was said where it waits, as (status, reason)."""
        found: Any = await self._redis.xrange(
            RedisKeys.control_plane_wakeup_result_stream(execution_id)
        )
        told = [json.loads(fields[b"data"]) for _, fields in found]
        return [(document["status"], document["reason"]) for document in told]

    async def delivered(self, agent_type: str = "echo") -> list[Any]:
        """What stands in a control stream."""
        found: Any = await self._redis.xrange(RedisKeys.ctrl_stream(agent_type))
        return [json.loads(fields[b"data"]) for _, fields in found]

    async def set_aside(self) -> list[str]:
        """Why entries were set aside."""
        found: Any = await self._redis.xrange(QUARANTINE)
        return [fields[b"by-cp:reason"].decode() for _, fields in found]


def _common() -> dict[str, Any]:
    return {
        "execution_id": "exec-1",
        "message_id": "msg-1",
        "session_id": "s",
        "trace_id": "t",
        "target_agent_type": "echo",
        "user_code": "acme",
        "region": "",
        "priority": 0,
        "metadata": {},
        "command_payload": COMMAND,
    }


class Seconds(ManualClock):
    """A clock of seconds."""

    def __call__(self) -> float:  # type: ignore[override]
        """Return the time, in seconds."""
        return self.now_ms / 1000


@pytest.fixture
def client(redis: Redis) -> Client:
    """A foreign client."""
    return Client(redis)


@pytest.fixture
def store(redis: Redis) -> RedisStore:
    """The store."""
    return RedisStore(redis)


@pytest.fixture
def clock() -> Seconds:
    """The adopter's clock."""
    return Seconds()


@pytest.fixture
def adopter(store: RedisStore, clock: Seconds) -> Adopter:
    """An adopter."""
    return Adopter(store, clock=clock)


async def test_who_waits_is_adopted_and_woken_for(
    adopter: Adopter, client: Client, store: RedisStore, redis: Redis
) -> None:
    """Its entry is gone; the wake that it asked for is by-cp's own."""
    await client.asks(metadata={"image": "v2"})
    assert await adopter.run_once() == 1
    assert await events(store, "exec-1") == ["Requested", "Held", "WakeRequested"]
    [signal] = await store.take_signals("manager", 10, 0)
    assert signal.request.metadata == {"image": "v2"}
    assert await redis.xlen(WAKEUP) == 1


async def test_a_command_waits_for_its_session(
    adopter: Adopter, client: Client, store: RedisStore, clock: Seconds
) -> None:
    """Else a worker that is faster than its client writes another execution for it."""
    await store.announce("worker", ("echo",), 60_000)
    await client.queues()
    assert await adopter.run_once() == 0
    await client.registers()
    clock.advance(100)
    assert await adopter.run_once() == 1
    assert await client.delivered() == [COMMAND]


async def test_a_client_may_have_no_registry(
    adopter: Adopter, client: Client, store: RedisStore, clock: Seconds
) -> None:
    """Then its command waits no longer than half a second."""
    await client.queues()
    assert await adopter.run_once() == 0
    clock.advance(int(SESSION_S * 1000))
    assert await adopter.run_once() == 1
    assert await events(store, "exec-1") == ["Requested", "Held"]


@pytest.mark.parametrize("status", ["RUNNING", "COMPLETED", "WAITING_USER"])
async def test_what_was_delivered_before_is_not_delivered_again(
    adopter: Adopter, client: Client, store: RedisStore, redis: Redis, status: str
) -> None:
    """by-framework's gate leaves it in the stream; its session tells that a worker has taken it."""
    await client.queues()
    await client.registers(status=status)
    assert await adopter.run_once() == 0
    assert await client.set_aside() == [f"it was delivered before: its execution is {status}"]
    assert await store.read() == []
    assert await redis.xlen(PENDING) == 0


@pytest.mark.parametrize("text", ["QUEUED", "{}", "[]"])
async def test_a_session_may_say_anything(
    adopter: Adopter, client: Client, redis: Redis, text: str
) -> None:
    """What cannot be understood says at least that its client has written all."""
    await redis.hset(RedisKeys.session_registry("s"), "exec:exec-1", text)
    await client.queues()
    assert await adopter.run_once() == 1


async def test_a_session_may_be_something_else(
    adopter: Adopter, client: Client, redis: Redis, clock: Seconds
) -> None:
    """Then it is as if it were not there."""
    await redis.set(RedisKeys.session_registry("s"), "mine")
    await client.queues()
    assert await adopter.run_once() == 0
    clock.advance(int(SESSION_S * 1000))
    assert await adopter.run_once() == 1


async def test_what_is_older_than_sessions_are_kept_is_set_aside(
    client: Client, store: RedisStore, redis: Redis, clock: Seconds
) -> None:
    """Nobody can tell whether it was delivered; whoever knows may put it back."""
    week_ms = 7 * 24 * 3600 * 1000
    await client.queues()
    adopter = Adopter(store, clock=clock, now_ms=lambda: time.time_ns() // 10**6 + 2 * week_ms)
    assert await adopter.run_once() == 0
    [aside] = await store.quarantined()
    assert aside.reason == "it is too old to tell whether it was delivered"
    await store.reinject(aside)
    again = Adopter(store, clock=clock)
    assert await again.run_once() == 0
    clock.advance(int(SESSION_S * 1000))
    assert await again.run_once() == 1


async def test_a_request_waits_for_its_command(
    adopter: Adopter, client: Client, store: RedisStore, redis: Redis
) -> None:
    """by-framework strands the command if it comes after the agent is ready."""
    await client.registers()
    await client.asks("WAKE_AND_QUEUE", source="caller", timeout_ms=5000)
    assert await adopter.run_once() == 0
    await client.queues(priority=3)
    assert await adopter.run_once() == 1
    assert await events(store, "exec-1") == ["Requested", "Held", "WakeRequested"]
    requested = (await store.history("exec-1"))[0].event
    assert isinstance(requested, Requested)
    call = requested.call
    assert (call.policy, call.source, call.timeout_ms) == ("WAKE_AND_QUEUE", "caller", 5000)
    assert (call.priority, call.origin) == (3, "by-framework")
    assert await redis.xlen(PENDING) == 1


async def test_a_request_whose_command_never_comes_is_set_aside(
    adopter: Adopter, client: Client, store: RedisStore, clock: Seconds
) -> None:
    """Its client died in between, and promised nothing to anyone."""
    await client.asks("WAKE_AND_QUEUE")
    await adopter.run_once()
    clock.advance(int(COMMAND_S * 1000))
    assert await adopter.run_once() == 0
    assert await client.set_aside() == ["its command was never queued"]
    assert await store.read() == []


async def test_an_entry_that_was_written_twice_is_adopted_once(
    adopter: Adopter, client: Client, store: RedisStore, redis: Redis
) -> None:
    """A client library repeats what it has no answer to."""
    await client.registers()
    for _ in range(2):
        await client.asks("WAKE_AND_QUEUE")
    for _ in range(2):
        await client.queues()
    await adopter.run_once()
    assert await events(store, "exec-1") == ["Requested", "Held", "WakeRequested"]
    assert len(await store.held("echo", 10)) == 1
    assert (await redis.xlen(WAKEUP), await redis.xlen(PENDING)) == (1, 1)


async def test_many_adopters_adopt_once(
    client: Client, store: RedisStore, url: str, clock: Seconds
) -> None:
    """Each reads everything; the log takes it once, whoever is first."""
    await client.registers(*(f"queue-{number}" for number in range(50)))
    async with Redis.from_url(url) as other:
        adopters = [Adopter(s, clock=clock) for s in (store, RedisStore(other))]
        for number in range(50):
            await client.asks(execution_id=f"wait-{number}")
            await client.asks("WAKE_AND_QUEUE", execution_id=f"queue-{number}")
            await client.queues(execution_id=f"queue-{number}")
        await asyncio.gather(*(adopter.run_once() for adopter in adopters))
    views = await store.views()
    assert len(views.executions) == len(views.pending) == 100
    assert {row.state for row in views.executions.values()} == {State.WAKING}
    assert await client.set_aside() == []


async def test_an_adopter_that_dies_loses_nothing(
    adopter: Adopter, client: Client, store: RedisStore, clock: Seconds
) -> None:
    """What it has read and not adopted is still there for the next one."""
    await client.queues()
    await client.asks("WAKE_AND_QUEUE", execution_id="exec-2")
    assert await adopter.run_once() == 0
    await client.registers("exec-1", "exec-2")
    await client.queues(execution_id="exec-2")
    assert await Adopter(store, clock=clock).run_once() == 2
    clock.advance(int(COMMAND_S * 1000))
    assert await adopter.run_once() == 1  # what it knew of is in the log by now
    assert len(await store.held("echo", 10)) == 2
    assert await client.set_aside() == []


async def test_by_cps_own_entries_are_left_alone(
    adopter: Adopter, store: RedisStore, client: Client
) -> None:
    """They are in the log already."""
    receipt = await ask(store, "echo")
    before = await store.read()
    assert await adopter.run_once() == 0
    assert await store.read() == before
    assert len(await store.held("echo", 10)) == 1
    assert await client.heard(receipt.execution_id) == []


POISON = [
    "not JSON",
    "[]",
    '{"execution_id": "exec-1"',
    _common() | {"priority": "high"},
    _common() | {"execution_id": ""},
    _common() | {"target_agent_type": ""},
    _common() | {"target_agent_type": "a\nb"},
    _common() | {"session_id": "s" * 300},
    _common() | {"metadata": []},
    _common() | {"command_payload": {"header": []}},
    _common() | {"command_payload": 7},
]


@pytest.mark.parametrize("stream", [WAKEUP, PENDING])
@pytest.mark.parametrize("poison", POISON, ids=range(len(POISON)))
async def test_poison_is_set_aside_and_stops_nothing(
    adopter: Adopter,
    client: Client,
    store: RedisStore,
    redis: Redis,
    clock: Seconds,
    stream: str,
    poison: dict[str, Any] | str,
) -> None:
    """With the reason. by-framework's controller crashes on it, again and again."""
    await client.registers("exec-1", "exec-3")
    await client.writes(stream, poison)
    await client.asks(execution_id="exec-2")
    await client.queues(execution_id="exec-3")
    assert await adopter.run_once() == 2
    assert sorted((await store.views()).executions) == ["exec-2", "exec-3"]
    clock.advance(int(SESSION_S * 1000))
    assert await adopter.run_once() == 0
    assert len(await client.set_aside()) == 1
    assert await redis.xlen(PENDING) == 2


@pytest.mark.parametrize(
    "poison",
    [{"command_payload": {}}, {"command_payload": None}, {"delivery_stream": "somewhere"}],
)
async def test_a_command_that_cannot_be_delivered_is_set_aside(
    adopter: Adopter, client: Client, poison: dict[str, Any]
) -> None:
    """There is none, or it belongs into a stream that is none of by-cp's."""
    await client.registers()
    await client.queues(**poison)
    assert await adopter.run_once() == 0
    [reason] = await client.set_aside()
    assert reason.startswith("no PendingDelivery: ")


async def test_who_waits_hears_that_it_cannot_be_read(adopter: Adopter, client: Client) -> None:
    """At once, and not when its time is up."""
    await client.asks(priority="high")
    await adopter.run_once()
    [(status, reason)] = await client.heard()
    assert status == "FAILED"
    assert reason.startswith("no WakeupRequest: ")


async def test_nulls_and_odd_types_are_understood(
    adopter: Adopter, client: Client, store: RedisStore
) -> None:
    """What the other ports write, and what makes by-framework's own readers crash."""
    await client.asks(
        metadata=None, priority="7", timeout_ms="5000", region=None, later_field={"a": 1}
    )
    assert await adopter.run_once() == 1
    [row] = (await store.views()).pending.values()
    assert (row.priority, row.region) == (7, "")


async def test_a_payload_is_delivered_as_it_was(
    adopter: Adopter, client: Client, store: RedisStore
) -> None:
    """An empty list stays one, and a large number large, though it went through JSON twice."""
    await client.registers()
    await store.announce("worker", ("echo",), 60_000)
    await client.queues()
    await adopter.run_once()
    assert await client.delivered() == [COMMAND]


async def test_an_id_that_is_met_again_names_another_execution(
    adopter: Adopter, client: Client, store: RedisStore
) -> None:
    """Its command is held all the same: it was promised. It has 32 random bits only."""
    await client.registers()
    await client.queues()
    await client.queues(message_id="msg-2")
    assert await adopter.run_once() == 2
    first, second = sorted((await store.views()).executions)
    assert first == "exec-1"
    assert second.startswith("exec-1~")


async def test_who_waits_under_an_id_that_is_met_again_hears_so(
    adopter: Adopter, client: Client
) -> None:
    """It may call again, under another; by-framework lets it read the other's decision."""
    await client.asks()
    await client.asks(message_id="msg-2")
    await adopter.run_once()
    [(status, reason)] = await client.heard()
    assert status == "FAILED"
    assert "already exists with another command" in reason


async def test_what_the_server_refuses_is_tried_again(
    adopter: Adopter, client: Client, redis: Redis, clock: Seconds
) -> None:
    """Here it is out of memory, for a while."""
    await client.asks()
    await redis.config_set("maxmemory", 1)
    try:
        assert await adopter.run_once() == 0
    finally:
        await redis.config_set("maxmemory", 0)
    assert await adopter.run_once() == 0
    clock.advance(int(RETRY_S * 1000))
    assert await adopter.run_once() == 1


async def test_urgent_commands_are_adopted_first(
    adopter: Adopter, client: Client, store: RedisStore
) -> None:
    """Of those that wait together for a worker that is online by now."""
    await client.registers(*(f"exec-{number}" for number in range(4)))
    for number, priority in enumerate((1, 9, 5, 9)):
        payload = COMMAND | {"body": {"content": number}}
        await client.queues(
            execution_id=f"exec-{number}", priority=priority, command_payload=payload
        )
    await store.announce("worker", ("echo",), 60_000)
    await adopter.run_once()
    assert [command["body"]["content"] for command in await client.delivered()] == [1, 3, 2, 0]


def test_a_store_of_ones_own_has_nothing_to_adopt() -> None:
    """Nobody else writes into memory."""
    with pytest.raises(TypeError, match="nobody else writes into a MemoryStore"):
        Adopter(MemoryStore())


async def test_a_manager_adopts(client: Client, store: RedisStore, redis: Redis) -> None:
    """It is all that a foreign client needs: told READY, it delivers by itself."""
    await client.asks()
    await client.asks(execution_id="exec-2", message_id="msg-2")
    async with running(Manager(redis, Starting(store)).run()):
        await until(lambda: _heard(client, "exec-1", "exec-2"))
        await until(lambda: _is_empty(redis, WAKEUP))
    assert await client.heard("exec-1") == [("READY", "")]
    assert await state(store, "exec-2") == State.DELIVERED
    assert await client.delivered() == []


async def _is_empty(redis: Redis, stream: str) -> bool:
    return bool(await redis.xlen(stream) == 0)


async def _heard(client: Client, *execution_ids: str) -> bool:
    return all([await client.heard(execution_id) for execution_id in execution_ids])
