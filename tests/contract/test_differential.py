"""The same lives, in memory and on a server: no difference may ever be seen.

The store in memory is the oracle. Both have one clock, the test's, so even positions are equal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import ClassVar, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test
from redis.asyncio import Redis

from by_cp.errors import ByCpError, FallbackRefused, TransitionError
from by_cp.log.commands import Command, GiveUp, Mature, Redrive, Release, Rouse, Sweep
from by_cp.log.redis.store import RedisStore
from by_cp.projections import wakes
from by_cp.testing import ControlPlaneMachine, strategies
from by_cp.vocabulary import RoutePolicy
from by_cp.wire import WakeupDecision, WakeupRequest
from tests.contract.surroundings import AroundRedis
from tests.making import make_request

A = TypeVar("A")

LIVES = settings(max_examples=60, stateful_step_count=40, suppress_health_check=list(HealthCheck))


class TwoStores(ControlPlaneMachine):
    """Every life is lived twice; after each step, both must look the same."""

    # A server's leases run on its own clock. So long that none lapses: workers leave by themselves.
    lease_ms: ClassVar[int] = 100 * 24 * 3600 * 1000

    def __init__(self, runner: asyncio.Runner, redis: Redis) -> None:
        super().__init__()
        self._runner = runner
        self._store = RedisStore(redis, clock=self.clock)
        self._around = AroundRedis(self._store, redis)
        self._compared = -1
        self.run(redis.flushdb())

    def run(self, awaitable: Awaitable[A]) -> A:
        """Run something of the server's side to its end."""

        async def wait() -> A:
            return await awaitable

        return self._runner.run(wait())

    @initialize(data=st.data())
    def draw_decisions_from(self, data: st.DataObject) -> None:
        """Providers say whatever they may."""
        self._data = data

    def provider(self, request: WakeupRequest) -> WakeupDecision:
        """Answer anything; a worker comes online or not."""
        selected = st.sampled_from((*self.agent_types, ""))
        decision = self._data.draw(strategies.decisions(selected=selected), label="decision")
        if self._data.draw(st.booleans(), label="a worker comes online"):
            self.start_worker(decision.selected_agent_type or request.target_agent_type)
        return decision

    # --- What only confused participants do -------------------------------------------------------

    def _of_agent_type(self, agent_type: str) -> st.SearchStrategy[list[str]]:
        heads = self.log.views.executions.values()
        ids = [head.execution_id for head in heads if head.call.agent_type == agent_type]
        return st.lists(st.sampled_from(ids), max_size=3) if ids else st.just([])

    @rule(data=st.data(), agent_type=st.sampled_from(ControlPlaneMachine.agent_types))
    def somebody_lists_the_wrong_ones(self, data: st.DataObject, agent_type: str) -> None:
        """A batch may name what is over long ago, what is not due, and the same one twice."""
        ids = data.draw(self._of_agent_type(agent_type), label="ids")
        members = tuple(self._member(execution_id) for execution_id in ids)
        if data.draw(st.booleans(), label="sweep"):
            self.execute(Sweep(agent_type=agent_type, members=members))
        else:
            self.execute(Release(agent_type=agent_type, members=members))

    @precondition(lambda self: self.log.world.signals)
    @rule(data=st.data(), decision=strategies.decisions())
    def somebody_settles_any_wake(self, data: st.DataObject, decision: WakeupDecision) -> None:
        """Any wake, finished or not, with any members of the agent type, its own group's or not."""
        signals = self.log.world.signals
        begun = [*((s, s.epoch) for s in signals), *self.attempts]
        signal, epoch = data.draw(st.sampled_from(begun), label="attempt")
        ids = data.draw(self._of_agent_type(signal.call.agent_type), label="ids")
        self.execute(self._settle(signal, decision, ids, epoch))

    @precondition(lambda self: self.log.world.signals)
    @rule(data=st.data())
    def somebody_attempts_any_wake(self, data: st.DataObject) -> None:
        """Any wake, finished or not, in the name of anyone."""
        signal = data.draw(st.sampled_from(self.log.world.signals), label="signal")
        begun = self._attempt(signal, data.draw(self._of_agent_type(signal.call.agent_type)))
        if begun is not None and begun.epoch:
            self.attempts.append((signal, begun.epoch))

    @rule(data=st.data(), agent_type=st.sampled_from(ControlPlaneMachine.agent_types))
    def somebody_rouses_the_wrong_ones(self, data: st.DataObject, agent_type: str) -> None:
        """What is over, waits already, or is delayed."""
        ids = data.draw(self._of_agent_type(agent_type), label="ids")
        members = tuple(self._member(execution_id) for execution_id in ids)
        command = data.draw(st.sampled_from((Rouse, Mature)))
        self.execute(command(agent_type=agent_type, members=members))

    @rule(execution_id=ControlPlaneMachine.executions, policy=st.sampled_from(RoutePolicy))
    def somebody_takes_an_id_again(self, execution_id: str, policy: RoutePolicy) -> None:
        """An id names one command for ever: with another, it is refused, settled or not."""
        self.execute(make_request(execution_id, policy, agent_type="chat"))

    @rule()
    def somebody_names_what_never_was(self) -> None:
        """What the log does not know is refused."""
        for command in (GiveUp(execution_id="never", reason=""), Redrive(execution_id="never")):
            assert self.execute(command) is None

    # --- Everything is done twice -----------------------------------------------------------------

    def ask(self, command: Command[A]) -> A:
        """Ask both, and compare what they say."""
        here, there = self._in_memory(command), self._on_server(command)
        if isinstance(here, ByCpError):
            assert (type(there), str(there)) == (type(here), str(here)), command
            raise here
        assert there == here, command
        return here

    def _in_memory(self, command: Command[A]) -> A | ByCpError:
        try:
            return super().ask(command)
        except (TransitionError, FallbackRefused) as error:
            return error

    def _on_server(self, command: Command[A]) -> A | ByCpError:
        try:
            return self.run(self._store.execute(command))
        except (TransitionError, FallbackRefused) as error:
            return error

    def start_worker(self, agent_type: str) -> str:
        """Let a worker come online for both."""
        worker_id = super().start_worker(agent_type)
        self.run(self._store.announce(worker_id, (agent_type,), self.lease_ms))
        return worker_id

    def stop_worker(self, worker_id: str) -> None:
        """Let a worker go from both."""
        super().stop_worker(worker_id)
        self.run(self._store.retire(worker_id))

    def write_by_hand(self, kind: str, name: str, text: str | None) -> None:
        """Write for both."""
        super().write_by_hand(kind, name, text)
        self.run(self._around.write_by_hand(kind, name, text))

    # --- And looks the same -----------------------------------------------------------------------

    @invariant()
    def both_look_the_same(self) -> None:
        """Log, views, control streams, wakes and workers; looked at only when something changed."""
        if self._compared != len(self.log.entries):
            self._compared = len(self.log.entries)
            self.run(self._compare())

    @invariant()
    def both_list_the_same(self) -> None:
        """Who is online and what is due may change with the time alone."""
        self.run(self._compare_listings())

    async def _compare(self) -> None:
        assert await self._store.read(count=10_000) == self.log.entries
        views = await self._store.views()
        for name in views.__struct_fields__:
            assert getattr(views, name) == getattr(self.log.views, name), name
        for agent_type in self.agent_types:
            deliveries = self.log.world.control_streams.get(agent_type, [])
            assert await self._around.control_stream(agent_type) == deliveries
        signals = [(signal.epoch, signal.request()) for signal in self.log.world.signals]
        assert await self._around.signals() == signals

    async def _compare_listings(self) -> None:
        held = {row.agent_type for row in self.log.views.pending.values()}
        assert await self._store.held_agent_types() == sorted(held)
        for agent_type in self.agent_types:
            assert await self._store.online(agent_type) == self.log.world.online(agent_type)
            listed = await self._store.held(agent_type, 1000)
            assert tuple(listed) == self._held_members(agent_type)
        for group in {row.group for row in self.log.views.wake_members.values()}:
            members = wakes.in_order(self.log.views, group)
            waiting = await self._store.wake_members(group, 1000)
            assert waiting == [self._member(row.execution_id) for row in members]
        due = [(due.agent_type, due.member) for due in await self._store.due(1000)]
        late = sorted(self._late(), key=lambda row: (row.due_ms, row.execution_id))
        assert due == [(row.agent_type, self._member(row.execution_id)) for row in late]
        matured = [due.member.execution_id for due in await self._store.matured(1000)]
        assert matured == self._matured()


def test_memory_and_server_do_the_same(url: str) -> None:
    """Random lives of all participants: same answers or errors, same log, same views, same rest."""
    with asyncio.Runner() as runner:
        redis = Redis.from_url(url)

        class Lives(TwoStores):
            def __init__(self) -> None:
                super().__init__(runner, redis)

        try:
            run_state_machine_as_test(Lives, settings=LIVES)
        finally:
            runner.run(redis.aclose())
