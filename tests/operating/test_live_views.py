"""The live views: what is held, open, used and paused, as the time has made of it."""

from __future__ import annotations

import pytest

from by_cp.errors import InvalidInput
from by_cp.log.memory import ManualClock, MemoryStore
from by_cp.operating import Operate
from by_cp.views import Fallback, LiveViews
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import online, request, settle

QUEUE = RoutePolicy.WAKE_AND_QUEUE


@pytest.fixture
def views(store: MemoryStore) -> LiveViews:
    """What is tested."""
    return LiveViews(store)


async def test_pending_is_listed_over_all_agent_types(store: MemoryStore, views: LiveViews) -> None:
    """Or of one, or of one tenant, and so many at most."""
    for number, agent_type in enumerate("bab"):
        user_code = "acme" if number else ""
        await request(store, f"exec-{number}", QUEUE, agent_type=agent_type, user_code=user_code)

    async def ids(
        agent_type: str | None = None, user_code: str | None = None, limit: int = 100
    ) -> list[str]:
        return [row.execution_id for row in await views.pending(agent_type, user_code, limit)]

    assert await ids() == ["exec-1", "exec-0", "exec-2"]
    assert await ids("b") == ["exec-0", "exec-2"]
    assert await ids(None, "acme") == ["exec-1", "exec-2"]
    assert await ids("b", "") == ["exec-0"]
    assert await ids(limit=2) == ["exec-1", "exec-0"]
    with pytest.raises(InvalidInput, match="limit"):
        await views.pending(limit=0)


async def test_a_circuit_is_what_the_time_has_made_of_it(
    store: MemoryStore, views: LiveViews, clock: ManualClock
) -> None:
    """Open until its time is over, then half-open, whether or not an event says so."""
    await Operate(store).set_circuit_policy(
        "echo", failures_max=1, window_ms=10_000, open_ms=5_000, probe_ms=1_000
    )
    assert (await views.circuit("echo")).state == "CLOSED"
    await request(store, "exec-1", QUEUE)
    await settle(store, "exec-1", "FAILED", reason="no image")
    opened = await views.circuit("echo")
    assert (opened.state, opened.retry_after_ms, opened.failures) == ("OPEN", 5_000, 1)
    assert "no image" in opened.reason
    assert await views.circuits() == [opened]
    clock.advance(5_000)
    assert (await views.circuit("echo")).state == "HALF_OPEN"


async def test_a_quota_is_what_is_used_and_what_may_be(
    store: MemoryStore, views: LiveViews
) -> None:
    """Of one tenant or of all; who was never seen uses nothing."""
    await Operate(store).set_quota("acme", 5)
    await Operate(store).set_rate("umbrella", 10, 1000, 2)
    await request(store, "exec-1", QUEUE, user_code="acme")
    acme, umbrella = await views.quotas()
    assert (acme.user_code, acme.in_flight, acme.in_flight_max) == ("acme", 1, 5)
    assert (umbrella.rate_count, umbrella.rate_period_ms, umbrella.rate_burst) == (10, 1000, 2)
    assert await views.quota("acme") == acme
    assert (await views.quota("nobody")).in_flight == 0


async def test_the_status_tells_of_every_agent_type(store: MemoryStore, views: LiveViews) -> None:
    """Those with workers, with held commands, and those that someone set something for."""
    await online(store)
    await request(store, "exec-1", QUEUE, agent_type="sleeper")
    await Operate(store).pause("paused", "upgrade")
    await Operate(store).force_circuit("broken", "OPEN")
    await Operate(store).set_fallback("broken", "echo")
    await store.beat("manager-1", 1000)
    status = await views.status()
    agents = {agent.agent_type: agent for agent in status.agents}
    assert list(agents) == ["broken", "echo", "paused", "sleeper"]
    assert agents["echo"].workers == ("worker-1",)
    assert agents["sleeper"].held == 1
    assert (agents["paused"].mode, agents["paused"].reason) == ("PAUSED", "upgrade")
    assert (agents["broken"].circuit, agents["broken"].fallback) == ("OPEN", "echo")
    assert (status.managers, status.circuits_open) == (["manager-1"], ["broken"])
    assert status.census.held == {"sleeper": 1}
    assert await views.agents() == status.agents
    assert await views.fallbacks() == [Fallback("broken", "echo", "by-cp")]


async def test_executions_are_listed_by_what_happened_last(
    store: MemoryStore, views: LiveViews
) -> None:
    """Those that one wants, each once."""
    for name in ("a", "b", "c"):
        await request(store, name, QUEUE)
    await settle(store, "a", "FAILED", [(await store.held("echo", 1))[0]])
    assert [row.execution_id for row in await views.executions()] == ["a", "c", "b"]
    waking = await views.executions(lambda row: row.state == "WAKING", limit=1)
    assert [row.execution_id for row in waking] == ["c"]
    assert (await views.execution("a")) == (await store.execution("a"))
    assert await views.execution("nobody") is None


async def test_what_someone_else_wrote_is_shown_beside_ones_own(
    store: MemoryStore, views: LiveViews
) -> None:
    """With its origin: no command of by-cp's takes it away."""
    documents = store.log.world.documents
    documents["circuit", "burning"] = '{"state":"OPEN","reason":"on fire"}'
    documents["quota", "acme"] = '{"available":false,"reason":"unpaid"}'
    documents["fallback", "echo"] = '{"agent_type":"spare"}'
    [circuit], [quota] = await views.circuits(), await views.quotas()
    assert (circuit.state, circuit.reason) == ("OPEN", "on fire")
    assert (circuit.origin, circuit.retry_after_ms) == ("by-framework", -1)
    assert (quota.used_up, quota.origin) == ("unpaid", "by-framework")
    assert await views.fallbacks() == [Fallback("echo", "spare", "by-framework")]
    assert [await views.circuit("burning"), await views.quota("acme")] == [circuit, quota]
    status = await views.status()
    burning, echo = status.agents
    assert status.circuits_open == ["burning"]
    assert (burning.circuit, burning.circuit_origin) == ("OPEN", "by-framework")
    assert (echo.fallback, echo.fallback_origin) == ("spare", "by-framework")


async def test_ones_own_is_shown_before_what_someone_else_wrote(
    store: MemoryStore, views: LiveViews
) -> None:
    """As admission has it; closing one's own circuit shows the other again."""
    documents = store.log.world.documents
    documents["circuit", "echo"] = '{"state":"OPEN","reason":"theirs"}'
    documents["quota", "acme"] = '{"available":false,"reason":"theirs"}'
    documents["fallback", "echo"] = '{"agent_type":"theirs"}'
    await Operate(store).force_circuit("echo", "OPEN", "ours")
    await Operate(store).set_quota("acme", 0)
    await Operate(store).set_fallback("echo", "ours")
    circuit, quota = await views.circuit("echo"), await views.quota("acme")
    assert (circuit.reason, circuit.origin) == ("ours", "by-cp")
    assert (quota.used_up, quota.origin) == ("tenant quota exceeded: 0 of 0 in flight", "by-cp")
    assert await views.fallback("echo") == ("echo", "ours", "by-cp")
    await Operate(store).force_circuit("echo", "CLOSED")
    circuit = await views.circuit("echo")
    assert (circuit.state, circuit.reason, circuit.origin) == ("OPEN", "theirs", "by-framework")
