"""Fairness: a tenant that floods an agent delays the others hardly at all."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from by_cp.log.contract import Store
from by_cp.log.memory import ManualClock, MemoryStore
from by_cp.log.redis.store import RedisStore
from by_cp.manager.gate import DeliveryGate
from by_cp.vocabulary import RoutePolicy
from tests.making import make_request

ROUNDS = 12
TENANTS = 10
FLOOD = 100
"""For each command of one of the others, the flooding tenant sends so many."""
CAPACITY = 11
"""What the worker handles at once; twice as much is delivered ahead of it."""


class Line:
    """One worker's agent type, in rounds: tenants send, the gate delivers, the worker handles."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._gate = DeliveryGate(store)
        self._sent_at: dict[str, int] = {}
        self._sent_in: dict[str, int] = {}
        self.delivered: list[str] = []
        self.waits: list[int] = []
        """Of each of the others' commands: how many deliveries it waited for, itself included."""
        self.late = 0
        """How many of the others' commands were not delivered in the round of their sending."""

    async def send(self, user_code: str, number: int, count: int) -> None:
        """Hold so many commands of a tenant."""
        for place in range(count):
            name = f"{user_code}-{number}-{place}"
            await self._store.execute(
                make_request(name, RoutePolicy.QUEUE_ONLY, user_code=user_code)
            )
            self._sent_at[name], self._sent_in[name] = len(self.delivered), number

    async def serve(self, number: int) -> None:
        """Deliver what there is room for, and handle all of it."""
        await self._gate.run_once()
        for delivery in await self._store.take_deliveries(("echo",), "worker-1", 1_000, 0):
            self.delivered.append(delivery.execution_id)
            await self._store.acknowledge(delivery)
            if not delivery.execution_id.startswith("flood"):
                waited = len(self.delivered) - self._sent_at[delivery.execution_id]
                self.waits.append(waited)
                self.late += self._sent_in[delivery.execution_id] != number

    async def run(self, *, flood: bool) -> None:
        """Play all rounds. In each the worker comes online when all have sent.

        What is sent while a worker is online is delivered at once, and there is nothing to share.
        """
        for number in range(ROUNDS):
            await self._store.retire("worker-1")
            if flood:
                await self.send("flood", number, FLOOD)
            for tenant in range(TENANTS):
                await self.send(f"tenant-{tenant}", number, 1)
            await self._store.announce("worker-1", ("echo",), 60_000, CAPACITY)
            await self.serve(number)


@pytest.mark.parametrize("kind", ["memory", "redis"])
async def test_a_flood_delays_the_others_by_less_than_a_fifth(kind: str, redis: Redis) -> None:
    """Ten tenants send one command a round; an eleventh sends a hundred times as much, or not.

    The worker has room for what the ten send, twice over. What the ten wait, counted in deliveries,
    grows by less than 20% through the flood, and none of theirs waits for another round.
    """

    async def play(*, flood: bool) -> Line:
        if kind == "redis":
            await redis.flushdb()
        store: Store = MemoryStore(ManualClock()) if kind == "memory" else RedisStore(redis)
        line = Line(store)
        await line.run(flood=flood)
        return line

    calm, flooded = await play(flood=False), await play(flood=True)

    assert len(calm.waits) == len(flooded.waits) == ROUNDS * TENANTS
    assert calm.late == flooded.late == 0
    assert sum(flooded.waits) <= 1.2 * sum(calm.waits)
    assert len(flooded.delivered) == ROUNDS * 2 * CAPACITY, "what room is left is the flood's"
