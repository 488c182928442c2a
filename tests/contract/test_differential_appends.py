"""Bare events, in memory and on a server: what only `Append` can do, both do alike.

by-cp's own commands never leave a command READY, never let one wait for a wake that nobody was
asked for, and never reject without telling. Whoever repairs a log by hand may; then the other
commands come upon it.
"""

from __future__ import annotations

import asyncio

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from by_cp.errors import TransitionError
from by_cp.log.commands import Append, Command, GiveUp, Member, Redrive, Release, Sweep
from by_cp.log.memory import ManualClock, MemoryLog
from by_cp.log.redis.store import RedisStore
from by_cp.statemachine.events import EXECUTION_EVENTS, event_name
from by_cp.statemachine.table import TABLE
from by_cp.testing import strategies
from by_cp.vocabulary import RoutePolicy
from tests.contract.surroundings import AroundRedis
from tests.making import make_request

STEPS_MAX = 25
LEASE_MS = 100 * 24 * 3600 * 1000


class Two:
    """A log in memory and a store on a server, asked for the same."""

    def __init__(self, redis: Redis) -> None:
        self.clock = ManualClock()
        self.log = MemoryLog(self.clock)
        self.store = RedisStore(redis, clock=self.clock)
        self.around = AroundRedis(self.store, redis)

    async def ask(self, command: Command[object]) -> None:
        """Ask both, twice, and compare what they say."""
        for _ in "12":
            assert await self._on_server(command) == self._in_memory(command), command

    def _in_memory(self, command: Command[object]) -> object:
        try:
            return self.log.execute(command)
        except TransitionError as error:
            return type(error), str(error)

    async def _on_server(self, command: Command[object]) -> object:
        try:
            return await self.store.execute(command)
        except TransitionError as error:
            return type(error), str(error)

    async def compare(self) -> None:
        """Compare log, views and control streams."""
        assert await self.store.read() == self.log.entries
        views = await self.store.views()
        for name in views.__struct_fields__:
            assert getattr(views, name) == getattr(self.log.views, name), name
        for agent_type, deliveries in self.log.world.control_streams.items():
            assert await self.around.control_stream(agent_type) == deliveries

    def members(self, execution_id: str) -> tuple[str, tuple[Member, ...]]:
        """Return an execution's agent type, and it as a batch."""
        call = self.log.views.executions[execution_id].call
        return call.agent_type, (Member(execution_id, call.user_code, call.region),)


def draw_append(data: st.DataObject, log: MemoryLog, execution_id: str) -> Append:
    """Draw an event for one execution: mostly a legal one."""
    head = log.head(execution_id)
    state = head.state if head else None
    legal = [e for e in EXECUTION_EVENTS if (state, event_name(e)) in TABLE]
    any_event = data.draw(st.integers(0, 5), label="legal unless 5") == 5 or not legal
    event_type = data.draw(st.sampled_from(EXECUTION_EVENTS if any_event else legal))
    event = data.draw(strategies.execution_events(event_type, execution_id), label="event")
    version = data.draw(st.sampled_from((-1, -1, -1, 0, 1, 2)), label="expected version")
    return Append(event=event, expected_version=version)


async def live(data: st.DataObject, two: Two) -> None:
    """Let two executions be led about by bare events, and by whoever comes upon them."""
    for _ in range(data.draw(st.integers(1, STEPS_MAX), label="steps")):
        execution_id = data.draw(st.sampled_from(("exec-1", "exec-2")), label="execution")
        known = execution_id in two.log.views.executions
        at_first = data.draw(st.sampled_from((0, 5)), label="born by 0: an event, 5: a request")
        match data.draw(st.integers(0, 9), label="step") if known else at_first:
            case 9:
                await two.ask(GiveUp(execution_id=execution_id, reason="enough"))
            case 8:
                await two.ask(Redrive(execution_id=execution_id, by="operator"))
            case 7:
                agent_type, members = two.members(execution_id)
                await two.store.announce("worker-1", (agent_type,), LEASE_MS)
                two.log.world.announce("worker-1", (agent_type,), LEASE_MS)
                await two.ask(Release(agent_type=agent_type, members=members))
                await two.store.retire("worker-1")
                two.log.world.retire("worker-1")
            case 6:
                two.clock.advance(data.draw(st.sampled_from((1, 10**9)), label="ms"))
                agent_type, members = two.members(execution_id)
                await two.ask(Sweep(agent_type=agent_type, members=members))
            case 5:
                policy = data.draw(st.sampled_from(RoutePolicy), label="policy")
                await two.ask(make_request(execution_id, policy, user_code="acme"))
            case _:
                await two.ask(draw_append(data, two.log, execution_id))
    await two.compare()


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_memory_and_server_do_the_same_with_bare_events(url: str, data: st.DataObject) -> None:
    """Whatever the table allows, however odd the fields: same answers or errors, log and views."""

    async def both() -> None:
        async with Redis.from_url(url) as redis:
            await redis.flushdb()
            await live(data, Two(redis))

    with asyncio.Runner() as runner:
        runner.run(both())
