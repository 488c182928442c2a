"""Taking over: what a manager or a worker had in hand when it died is another's, once."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from by_cp.keys import RedisKeys
from by_cp.log.contract import Store
from by_cp.log.memory import ManualClock, MemoryStore
from by_cp.log.pacing import AHEAD, CAPACITY_UNKNOWN
from by_cp.log.redis.store import RedisStore
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import LEASE_MS, request
from tests.making import make_request

QUEUE = RoutePolicy.WAKE_AND_QUEUE


async def test_a_living_managers_wakes_are_its_own(store: Store) -> None:
    """However long it takes: a wake may take minutes."""
    await store.beat("manager-1", LEASE_MS)
    await request(store, "exec-1", QUEUE)
    assert len(await store.take_signals("manager-1", 10, 0)) == 1
    assert await store.take_over_signals("manager-2", 10) == []


async def test_a_dead_managers_wakes_are_taken_over_once(store: Store) -> None:
    """By whoever comes first, and it is said from whom."""
    for number in range(3):
        await request(store, f"exec-{number}", QUEUE, region=f"region-{number}")
    taken = await store.take_signals("manager-1", 2, 0)
    await store.resign("manager-1")
    over = await store.take_over_signals("manager-2", 10)
    assert [signal.epoch for signal in over] == [signal.epoch for signal in taken]
    assert {(signal.consumer, signal.taken_over_from) for signal in over} == {
        ("manager-2", "manager-1")
    }
    await store.beat("manager-2", LEASE_MS)
    assert await store.take_over_signals("manager-3", 10) == []
    assert len(await store.take_signals("manager-3", 10, 0)) == 1


async def test_who_comes_back_from_the_dead_finishes_nothing(store: Store) -> None:
    """Or a wake would be lost if the one that took it over died, too."""
    await request(store, "exec-1", QUEUE)
    [zombies] = await store.take_signals("manager-1", 1, 0)
    [living] = await store.take_over_signals("manager-2", 1)
    await store.finish_signal(zombies)
    [again] = await store.take_over_signals("manager-3", 1)
    assert again.epoch == living.epoch
    await store.finish_signal(again)
    assert await store.take_over_signals("manager-4", 1) == []


async def test_room_is_what_the_workers_can_take(store: Store) -> None:
    """Twice what they handle at once, less what stands before them already."""
    assert await store.room("echo") == 0
    await store.announce("worker-1", ("echo",), LEASE_MS, 3)
    assert await store.room("echo") == AHEAD * 3
    for number in range(4):
        await request(store, f"exec-{number}", RoutePolicy.SEND_ANYWAY)
    assert await store.room("echo") == AHEAD * 3 - 4
    await store.announce("worker-2", ("echo",), LEASE_MS)
    assert await store.room("echo") == AHEAD * (3 + CAPACITY_UNKNOWN) - 4


@pytest.fixture
def on_server(redis: Redis) -> RedisStore:
    """A store on a server: its streams outlive those who read them."""
    return RedisStore(redis)


async def test_a_dead_workers_commands_are_taken_over(on_server: RedisStore, redis: Redis) -> None:
    """Those that it took and did not acknowledge; a living worker keeps its own."""
    await on_server.announce("dead", ("echo",), LEASE_MS, 8)
    await on_server.announce("alive", ("echo",), LEASE_MS, 8)
    for number in range(3):
        await on_server.execute(make_request(f"exec-{number}"))
    first, second = await on_server.take_deliveries(("echo",), "dead", 2, 0)
    await on_server.acknowledge(first)
    assert await on_server.take_over_deliveries(("echo",), "alive", 10) == []
    await redis.delete(RedisKeys.worker_online_lease("dead"))
    [over] = await on_server.take_over_deliveries(("echo",), "alive", 10)
    assert (over.entry_id, over.execution_id) == (second.entry_id, "exec-1")
    assert over.data == second.data


async def test_what_a_dead_worker_holds_takes_no_room(on_server: RedisStore, redis: Redis) -> None:
    """Nobody works on it, so the gate would wait for ever."""
    await on_server.announce("dead", ("echo",), LEASE_MS, 1)
    for number in range(2):
        await on_server.execute(make_request(f"exec-{number}"))
    await on_server.take_deliveries(("echo",), "dead", 2, 0)
    assert await on_server.room("echo") == 0
    await redis.delete(RedisKeys.worker_online_lease("dead"))
    await on_server.announce("alive", ("echo",), LEASE_MS, 1)
    assert await on_server.room("echo") == AHEAD


async def test_strangers_in_the_group_are_left_alone(on_server: RedisStore) -> None:
    """A consumer that never registered as a worker has no lease by which to know that it died."""
    await on_server.execute(make_request("exec-1", RoutePolicy.SEND_ANYWAY))
    await on_server.take_deliveries(("echo",), "stranger", 1, 0)
    assert await on_server.take_over_deliveries(("echo",), "alive", 10) == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("not JSON", "malformed"),
        ('{"execution_id":"x","target_agent_type":"echo","priority":"high"}', "priority"),
        ('{"execution_id":"x","target_agent_type":""}', "target_agent_type"),
        ('["a","list"]', "object"),
    ],
)
async def test_a_poisoned_wake_is_set_aside(
    on_server: RedisStore, redis: Redis, data: str, reason: str
) -> None:
    """With what it said and why it cannot be read; the wakes around it go on."""
    stream = RedisKeys.control_plane_wakeup_stream()
    await redis.xadd(stream, {"data": data, "epoch": "7-0"})
    await on_server.execute(make_request("exec-1", QUEUE))
    [signal] = await on_server.take_signals("manager-1", 10, 0)
    assert signal.request.execution_id == "exec-1"
    [aside] = await on_server.quarantined()
    assert (aside.stream, aside.data) == (stream, data)
    assert reason in aside.reason


async def test_what_is_no_wake_of_by_cps_is_left_to_the_adopter(
    on_server: RedisStore, redis: Redis
) -> None:
    """Foreign clients write into the same stream; who adopts that reads it without the group."""
    stream = RedisKeys.control_plane_wakeup_stream()
    await redis.xadd(stream, {"data": "whatever"})
    assert await on_server.take_signals("manager-1", 10, 0) == []
    assert await on_server.quarantined() == []
    assert await redis.xlen(stream) == 1


async def test_what_was_set_aside_can_be_put_back(on_server: RedisStore, redis: Redis) -> None:
    """As it was, or mended; once."""
    stream = RedisKeys.control_plane_wakeup_stream()
    mended = '{"execution_id":"exec-1","target_agent_type":"echo","timeout_ms":1}'
    await redis.xadd(stream, {"data": "broken", "epoch": "7-0"})
    assert await on_server.take_signals("manager-1", 10, 0) == []
    [aside] = await on_server.quarantined()
    assert await on_server.reinject(aside, mended)
    assert not await on_server.reinject(aside)
    [signal] = await on_server.take_signals("manager-1", 10, 0)
    assert (signal.epoch, signal.request.execution_id) == ("7-0", "exec-1")
    assert await on_server.quarantined() == []


async def test_what_was_set_aside_can_be_dropped(on_server: RedisStore, redis: Redis) -> None:
    """Then it is gone."""
    await redis.xadd(RedisKeys.control_plane_wakeup_stream(), {"data": "broken", "epoch": "7-0"})
    await on_server.take_signals("manager-1", 10, 0)
    [aside] = await on_server.quarantined()
    assert await on_server.drop_quarantined(aside)
    assert not await on_server.drop_quarantined(aside)
    assert await on_server.quarantined() == []


async def test_a_lease_in_memory_lapses_with_the_clock() -> None:
    """What a server's own time does there, the test's clock does here."""
    clock = ManualClock()
    store = MemoryStore(clock)
    await store.beat("manager-1", 1_000)
    await request(store, "exec-1", QUEUE)
    await store.take_signals("manager-1", 1, 0)
    clock.advance(999)
    assert await store.take_over_signals("manager-2", 1) == []
    clock.advance(1)
    assert len(await store.take_over_signals("manager-2", 1)) == 1
