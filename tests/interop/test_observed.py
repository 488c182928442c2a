"""What happened to by-framework's users on its own reference components, and what happens now.

A stock client, stock workers, one server, and a by-cp manager in the place of the reference
controller and gate. Each test is one thing that was observed to go wrong there.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections import Counter
from typing import Any

import by_framework
import pytest
from by_framework.core.availability import PendingDelivery, WakeupRequest
from by_framework.core.registry import WorkerRegistry
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff

from by_cp import DeliveryGate, interop
from by_cp.keys import RedisKeys
from by_cp.log.commands import Configure, Redrive
from by_cp.log.redis.store import RedisStore
from by_cp.manager.manager import Manager
from by_cp.statemachine.events import CircuitPolicySet, QuotaSet
from tests.interop.conftest import Start
from tests.interop.providers import StartingStock
from tests.interop.test_managers import DEAD_LETTERS, decisions
from tests.interop.test_policies import PENDING, commands, entries
from tests.interop.ways import ACCEPTED, Send, by_client
from tests.manager.providers import Answering
from tests.manager.running import running
from tests.waiting import until

WAKEUP = RedisKeys.control_plane_wakeup_stream()
BY_CP = (sys.executable, "-m", "by_cp.cli")


@pytest.fixture
def send(theirs: Redis) -> Send:
    """By-framework's client, as it is."""
    return by_client(by_framework.GatewayClient(registry=WorkerRegistry(theirs)))


async def there(redis: Redis, stream: str, count: int) -> bool:
    """Tell whether so many entries stand in a stream."""
    return len(await entries(redis, stream)) == count


@pytest.mark.parametrize("count", [5, 250])
async def test_a_burst_of_queued_commands_is_delivered_once_each(
    count: int, send: Send, redis: Redis, start: Start
) -> None:
    """Of 5 by-framework delivers 1, of 250 it delivers 100 and strands the rest."""
    provider = StartingStock(start)
    async with running(Manager(redis, provider).run()):
        for number in range(count):
            assert await send("echo", f"m{number}", route_policy="WAKE_AND_QUEUE") == ACCEPTED
        await until(
            lambda: bool(provider.workers) and len(provider.workers["echo"].handled) >= count, 30
        )
    handled = Counter(provider.workers["echo"].contents())
    assert handled == Counter({f"m{number}": 1 for number in range(count)})
    assert len(provider.asked) == 1
    assert await there(redis, PENDING, 0)


async def test_a_command_that_comes_after_its_agent_is_ready_is_delivered(
    redis: Redis, theirs: Redis, start: Start
) -> None:
    """Its client wrote the request for the wake, and was slow with the rest."""
    common = {"execution_id": "exec-1", "session_id": "s", "trace_id": "t", "message_id": "m"}
    command = {
        "action_type": "ASK_AGENT",
        "header": {**common, "target_agent_type": "echo"},
        "body": {"content": "late"},
    }
    request = WakeupRequest(
        **common,
        target_agent_type="echo",
        source="client",
        policy="WAKE_AND_QUEUE",
        timeout_ms=30_000,
        command_payload=command,
    )
    held = PendingDelivery(
        **common,
        target_agent_type="echo",
        delivery_stream=RedisKeys.ctrl_stream("echo"),
        command_payload=command,
    )
    worker = await start("echo")
    async with running(Manager(redis, StartingStock(start)).run()):
        await theirs.xadd(WAKEUP, request.to_redis_payload())
        await theirs.xadd(PENDING, held.to_redis_payload())
        await until(lambda: worker.contents() == ["late"])
        await until(lambda: there(redis, WAKEUP, 0))
    assert await there(redis, PENDING, 0)


async def test_dispatching_twice_delivers_once(send: Send, redis: Redis, start: Start) -> None:
    """By-framework's gate delivers again and again, and blocks for ever when nothing is there."""
    gate = DeliveryGate(redis)
    assert await gate.dispatch_ready("echo") == 0
    await send("echo", "one", route_policy="QUEUE_ONLY")
    manager = Manager(redis, StartingStock(start))
    async with running(manager.run()):
        await until(lambda: there_is_held(redis, "echo"))
        await start("echo")
        await asyncio.gather(*(gate.dispatch_ready("echo") for _ in range(3)))
        await until(lambda: there(redis, PENDING, 0))
    assert len(await commands(redis, "echo")) == 1


async def there_is_held(redis: Redis, agent_type: str) -> bool:
    """Tell whether the log holds anything for an agent type."""
    return bool(await RedisStore(redis).held(agent_type, 1))


async def test_a_killed_manager_loses_nothing(
    send: Send, redis: Redis, url: str, start: Start
) -> None:
    """It is killed while it wakes; who waits is told by the next, and what is held is delivered."""
    asleep = [part for n in range(3) for part in ("--worker", f"wait-{n}=sleep 60")]
    first = subprocess.Popen(
        [*BY_CP, "manager", "--url", url, *asleep, "--worker", "queue=sleep 60"],
        stderr=subprocess.DEVNULL,
    )
    try:
        waiting = [
            asyncio.create_task(send(f"wait-{n}", route_policy="WAKE_AND_WAIT")) for n in range(3)
        ]
        assert await send("queue", "held", route_policy="WAKE_AND_QUEUE") == ACCEPTED
        await until(lambda: attempts(redis, 4), 30)
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    for lease in await redis.keys(RedisKeys.manager("*")):
        await redis.delete(lease)  # as if its time had passed
    provider = StartingStock(start)
    async with running(Manager(redis, provider).run()):
        assert await asyncio.gather(*waiting) == [ACCEPTED] * 3
        await until(
            lambda: bool(provider.workers.get("queue") and provider.workers["queue"].handled)
        )
    assert provider.workers["queue"].contents() == ["held"]
    for n in range(3):
        assert len(await commands(redis, f"wait-{n}")) == 1


async def attempts(redis: Redis, count: int) -> bool:
    """Tell whether so many attempts of wakes have begun."""
    found = await RedisStore(redis).read()
    return sum(entry.event.name == "WakeAttempted" for entry in found) == count


async def test_two_managers_wake_once_and_answer_once(
    send: Send, redis: Redis, url: str, start: Start
) -> None:
    """By-framework's two controllers start a slow wake twice, and answer every request twice."""
    provider = StartingStock(start)
    async with Redis.from_url(url) as other:
        managers = (Manager(redis, provider), Manager(RedisStore(other), provider))
        async with running(*(manager.run() for manager in managers)):
            told = await asyncio.gather(
                *(send("echo", f"m{n}", route_policy="WAKE_AND_WAIT") for n in range(10))
            )
    assert told == [ACCEPTED] * 10
    assert len(provider.asked) == 1
    assert len(await decisions(redis)) == 10
    assert len(await commands(redis, "echo")) == 10


async def test_a_slow_agent_delays_no_other(send: Send, redis: Redis, start: Start) -> None:
    """By-framework handles wakes one by one, so the fast one times out behind the slow."""
    provider = StartingStock(start)
    may_start = asyncio.Event()

    class Slow:
        """Wakes one agent type only when it is told to."""

        async def wakeup(self, request: Any) -> Any:
            """Start a worker."""
            if request.target_agent_type == "slow":
                await may_start.wait()
            return await provider.wakeup(request)

    async with running(Manager(redis, Slow()).run()):
        slow = asyncio.create_task(send("slow", route_policy="WAKE_AND_WAIT"))
        await until(lambda: attempts(redis, 1))
        assert await send("fast", route_policy="WAKE_AND_WAIT") == ACCEPTED
        may_start.set()
        assert await slow == ACCEPTED


async def test_a_dead_letter_can_be_redriven(
    send: Send, redis: Redis, theirs: Redis, start: Start
) -> None:
    """By-framework buries a decision, with nothing to redrive."""
    async with running(Manager(redis, StartingStock(start, status="FAILED")).run()):
        await send("echo", "one", route_policy="WAKE_AND_QUEUE")
        await until(lambda: there(redis, DEAD_LETTERS, 1))
    assert await there(redis, PENDING, 0)
    store = RedisStore(redis)
    [letter] = (await store.views()).dead_letters.values()
    worker = await start("echo")
    await store.execute(Redrive(execution_id=letter.execution_id, by="operator"))
    await until(lambda: worker.contents() == ["one"])
    assert await there(redis, DEAD_LETTERS, 0)


async def test_a_fallback_without_a_name_is_a_failure(send: Send, redis: Redis) -> None:
    """By-framework's client calls it a success, and writes the command into a stream of no name."""
    async with running(Manager(redis, Answering({"status": "FALLBACK"})).run()):
        told = await send("echo", route_policy="WAKE_AND_WAIT")
    assert told.error == "the decision names no fallback"
    assert await redis.exists("") == 0


async def test_a_fallback_is_delivered_where_it_is(send: Send, redis: Redis, start: Start) -> None:
    """With its own name in the header, by the client that waited."""
    await start("spare")
    provider = Answering({"status": "FALLBACK", "selected_agent_type": "spare"})
    async with running(Manager(redis, provider).run()):
        assert await send("echo", route_policy="WAKE_AND_WAIT") == ACCEPTED
    [command] = await commands(redis, "spare")
    assert command["header"]["target_agent_type"] == "spare"


async def test_failures_open_the_circuit_for_stock_clients(
    send: Send, redis: Redis, start: Start
) -> None:
    """By itself; in by-framework somebody must write the key."""
    store = RedisStore(redis)
    policy = CircuitPolicySet("", "echo", 3, 60_000, 30_000, 1, 5_000)
    await store.execute(Configure(event=policy))
    provider = StartingStock(start, status="FAILED")
    async with running(Manager(redis, provider).run()):
        codes = [(await send("echo", route_policy="WAKE_AND_WAIT")).error_code for _ in range(20)]
    assert codes == ["AGENT_TYPE_UNAVAILABLE"] * 3 + ["AGENT_CIRCUIT_OPEN"] * 17
    assert len(provider.asked) == 3


async def test_a_circuit_closes_again_for_stock_clients(
    send: Send, redis: Redis, start: Start
) -> None:
    """By itself, when it has been open for long enough and the agent can be woken again."""
    store = RedisStore(redis)
    policy = CircuitPolicySet("", "echo", 1, 60_000, 100, 1, 5_000)
    await store.execute(Configure(event=policy))
    async with running(Manager(redis, StartingStock(start, status="FAILED")).run()):
        await send("echo", route_policy="WAKE_AND_WAIT")
    await until(lambda: _is_gone(redis, RedisKeys.control_plane_agent_circuit("echo")))
    async with running(Manager(redis, StartingStock(start)).run()):
        assert await send("echo", route_policy="WAKE_AND_WAIT") == ACCEPTED
    assert (await store.views()).circuits["echo"].state == "CLOSED"


async def _is_gone(redis: Redis, key: str) -> bool:
    return not await redis.exists(key)


async def test_a_quota_counts_what_stock_clients_send(
    send: Send, redis: Redis, start: Start
) -> None:
    """By itself; in by-framework 50 sends go over a limit of 5."""
    store = RedisStore(redis)
    await store.execute(Configure(event=QuotaSet("", "acme", 5)))
    codes = []
    async with running(Manager(redis, StartingStock(start)).run()):
        for number in range(50):
            told = await send("echo", user_code="acme", route_policy="QUEUE_ONLY")
            codes.append(told.error_code)
            await until(lambda: held_is(store, min(number + 1, 5)))  # noqa: B023 - awaited here
    assert codes == [""] * 5 + ["TENANT_QUOTA_EXCEEDED"] * 45


async def held_is(store: RedisStore, count: int) -> bool:
    """Tell whether so much is held."""
    return len(await store.held("echo", 100)) == count


@pytest.mark.parametrize("status", ["READY", "FAILED"])
async def test_who_comes_after_a_wake_is_woken_for_anew(
    status: str, send: Send, redis: Redis, start: Start
) -> None:
    """By-framework's claim outlives the wake, for 30 s: whoever comes then times out."""
    for claim in ("echo:_:_", "echo::"):  # as its ports in Python and in Java leave it
        await redis.set(f"{RedisKeys.CONTROL_PLANE_PREFIX}:wakeup:dedupe:{claim}", "exec-old")
    store = RedisStore(redis)
    provider = StartingStock(start, status=status)
    async with running(Manager(redis, provider).run()):
        first = await send("echo", route_policy="WAKE_AND_WAIT")
        for worker_id in await store.online("echo"):
            await redis.delete(RedisKeys.worker_online_lease(worker_id))
        second = await send("echo", route_policy="WAKE_AND_WAIT")
    assert first == second
    assert first.accepted == (status == "READY")
    assert len(provider.asked) == 2


async def test_a_manager_that_starts_again_wakes_for_nobody_again(
    send: Send, redis: Redis, start: Start
) -> None:
    """By-framework's controller, from the beginning of its stream, wakes for all of before."""
    provider = StartingStock(start)
    async with running(Manager(redis, provider).run()):
        told = await asyncio.gather(
            *(send("echo", f"m{n}", route_policy="WAKE_AND_WAIT") for n in range(50))
        )
    assert told == [ACCEPTED] * 50
    again = StartingStock(start)
    async with running(Manager(redis, again).run()):
        assert await send("other", route_policy="WAKE_AND_WAIT") == ACCEPTED
    assert [request.target_agent_type for request in again.asked] == ["other"]
    assert len(await commands(redis, "echo")) == 50


async def test_agents_whose_names_hold_colons_are_told_apart(
    send: Send, redis: Redis, start: Start
) -> None:
    """In by-framework these two share one claim, and only one of them is woken."""
    provider = StartingStock(start)
    async with running(Manager(redis, provider).run()):
        told = await asyncio.gather(
            send("a:b", user_code="c", route_policy="WAKE_AND_WAIT"),
            send("a", user_code="b:c", route_policy="WAKE_AND_WAIT"),
        )
    assert [*told] == [ACCEPTED] * 2
    assert sorted(request.target_agent_type for request in provider.asked) == ["a", "a:b"]


async def test_by_replay_explains_what_a_stock_client_started(
    send: Send, redis: Redis, url: str, start: Start
) -> None:
    """From the request that was adopted to its end. By-framework's client tells nobody the id."""
    async with running(Manager(redis, StartingStock(start)).run()):
        await send("echo", route_policy="WAKE_AND_WAIT")
    [execution_id] = (await RedisStore(redis).views()).executions
    replay = [sys.executable, "-m", "by_cp.replay.command", execution_id, "--url", url, "--json"]
    told = await asyncio.to_thread(
        subprocess.run, replay, capture_output=True, text=True, check=True
    )
    assert "by-framework" in told.stdout
    names = ["Requested", "Held", "WakeRequested", "WakeAttempted", "BecameReady", "Delivered"]
    places = [told.stdout.index(f'"{name}"') for name in names]
    assert places == sorted(places)
    assert json.loads(told.stdout)


async def test_waiting_callers_need_no_connection_each(
    url: str, redis: Redis, start: Start
) -> None:
    """Switched, 20 callers wait over a pool of 10; not switched, 10 of them raise."""
    provider = StartingStock(start)
    with interop.installed():
        async with (
            Redis.from_url(url, decode_responses=True, max_connections=10) as small,
            running(Manager(redis, provider).run()),
        ):
            client = by_client(by_framework.GatewayClient(registry=WorkerRegistry(small)))
            told = await asyncio.gather(
                *(client("echo", f"m{n}", route_policy="WAKE_AND_WAIT") for n in range(20))
            )
    assert told == [ACCEPTED] * 20


async def test_a_stalled_server_makes_one_send_one_entry(redis: Redis, url: str) -> None:
    """Switched: the client library repeats the call, and the log knows it; else there are two."""
    retry = Retry(ConstantBackoff(0.01), 50)
    with interop.installed():
        async with Redis.from_url(
            url, decode_responses=True, socket_timeout=0.1, retry=retry
        ) as hasty:
            client = by_client(by_framework.GatewayClient(registry=WorkerRegistry(hasty)))
            await client("echo", "first", route_policy="SEND_ANYWAY")
            await redis.client_pause(500)
            assert await client("echo", "second", route_policy="SEND_ANYWAY") == ACCEPTED
    contents = [command["body"]["content"] for command in await commands(redis, "echo")]
    assert contents == ["first", "second"]


async def test_an_idle_manager_outlives_its_clients_socket_timeout(
    send: Send, redis: Redis, url: str, start: Start
) -> None:
    """By-framework's controller crashes when nothing comes for longer than that."""
    provider = StartingStock(start)
    async with (
        Redis.from_url(url, socket_timeout=0.1) as hasty,
        running(Manager(hasty, provider).run()),
    ):
        began_ms = await RedisStore(redis).now_ms()
        await until(lambda: _has_passed(redis, began_ms + 1500))
        assert await send("echo", route_policy="WAKE_AND_WAIT") == ACCEPTED


async def _has_passed(redis: Redis, time_ms: int) -> bool:
    return await RedisStore(redis).now_ms() > time_ms


async def test_a_short_socket_timeout_ends_no_wait(url: str) -> None:
    """Switched: a wait that is longer than the client library's own timeout ends when it should."""
    with interop.installed():
        async with Redis.from_url(url, decode_responses=True, socket_timeout=0.2) as hasty:
            client = by_client(by_framework.GatewayClient(registry=WorkerRegistry(hasty)))
            told = await client("echo", route_policy="WAKE_AND_WAIT", availability_timeout_ms=600)
    assert told.error == "Timed out waiting for worker wakeup for agent_type 'echo'"
