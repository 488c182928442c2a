"""What those who look on are told: counts, who is there, rows of views; without payloads."""

from __future__ import annotations

from msgspec import structs

from by_cp.log.commands import Buried, Redrive, Request
from by_cp.log.contract import Store
from by_cp.log.memory import ManualClock
from by_cp.projections.rows import PendingRow
from by_cp.statemachine.events import AgentPaused, CircuitPolicySet, DepthSet, RateSet
from by_cp.statemachine.states import State
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import (
    LEASE_MS,
    cancel,
    configure,
    force_circuit,
    online,
    release,
    request,
    set_fallback,
    set_quota,
    settle,
    state_of,
)
from tests.making import make_request

QUEUE = RoutePolicy.WAKE_AND_QUEUE


async def bury(store: Store, execution_id: str, **of_call: str) -> None:
    """Let a wake fail."""
    await request(store, execution_id, QUEUE, **of_call)
    await settle(store, execution_id, "FAILED", reason="no image")


async def test_everything_is_counted(store: Store) -> None:
    """Entries of the log, what is held for whom, dead letters."""
    nothing = await store.census()
    assert (nothing.log_entries, nothing.held, nothing.dead_letters) == (0, {}, 0)
    await bury(store, "dead")
    for number, agent_type in enumerate(("b", "a", "b")):
        await request(store, f"exec-{number}", QUEUE, agent_type=agent_type)
    counted = await store.census()
    assert counted.log_entries == len(await store.read())
    assert counted.held == {"a": 1, "b": 2}
    assert (counted.dead_letters, counted.quarantined) == (1, 0)


async def test_managers_are_listed_while_they_live(store: Store) -> None:
    """One that resigned is gone."""
    assert await store.managers() == []
    for name in ("manager-2", "manager-1"):
        await store.beat(name, LEASE_MS)
    assert await store.managers() == ["manager-1", "manager-2"]
    await store.resign("manager-2")
    assert await store.managers() == ["manager-1"]


async def test_workers_are_listed_by_agent_type(store: Store) -> None:
    """A worker may serve several; one that retired in order serves none."""
    await store.announce("worker-1", ("echo", "a:b"), LEASE_MS)
    await online(store, "echo", "worker-2")
    assert await store.workers() == {"a:b": ("worker-1",), "echo": ("worker-1", "worker-2")}
    await store.retire("worker-1")
    assert await store.workers() == {"echo": ("worker-2",)}


async def test_settings_are_rows_of_the_views(store: Store) -> None:
    """All of them, or those of one agent type and the policy of all."""
    await force_circuit(store, "OPEN")
    await force_circuit(store, "OPEN", agent_type="other")
    await set_fallback(store, "stand-in")
    await configure(
        store,
        AgentPaused("", "echo", "upgrade", "ann"),
        DepthSet("", "other", 7, "ann"),
        CircuitPolicySet("", "", 3, 1000, 1000, 1, 1000, "ann"),
    )
    views = await store.views()
    every = await store.settings()
    tables = ("circuits", "circuit_policies", "agents", "fallbacks")
    assert [getattr(every, t) for t in tables] == [getattr(views, t) for t in tables]
    assert not every.executions
    one = await store.settings("other")
    assert set(one.circuits) == set(one.agents) == {"other"}
    assert set(one.circuit_policies) == {""}
    assert not one.fallbacks


async def test_quotas_are_rows_of_the_view(store: Store) -> None:
    """Of one tenant or of all; of whom nothing is known there is none."""
    await set_quota(store, 5)
    await configure(store, RateSet("", "umbrella", 10, 1000, 2, "ann"))
    await request(store, "exec-1", QUEUE, user_code="acme")
    views = await store.views()
    assert {row.user_code: row for row in await store.quotas()} == views.quotas
    assert await store.quota("acme") == views.quotas["acme"]
    assert await store.quota("nobody") is None


async def test_pending_is_listed_in_order_and_what_is_delayed_last(
    store: Store, clock: ManualClock
) -> None:
    """As it will be delivered; by tenant if asked, with the command if asked."""
    late = make_request("late", QUEUE, user_code="acme")
    call = structs.replace(late.call, not_before_ms=clock.now_ms + 60_000)
    await store.execute(Request(execution_id="late", call=call, command=late.command))
    await request(store, "low", QUEUE, user_code="acme")
    await request(store, "high", QUEUE, priority=5)
    await request(store, "elsewhere", QUEUE, agent_type="other")
    found = await store.pending("echo", 10)
    assert [row.execution_id for row in found] == ["high", "low", "late"]
    assert {row.command for row in found} == {""}
    assert await store.pending("echo", 1) == found[:1]
    assert await store.pending("echo", 10, user_code="acme") == found[1:]
    views = await store.views()
    whole = [views.pending[name] for name in ("high", "low", "late")]
    assert await store.pending("echo", 10, payload=True) == whole


async def test_pending_goes_past_a_page(store: Store) -> None:
    """A few hundred are listed as well as three."""
    for number in range(410):
        await request(store, f"exec-{number}", RoutePolicy.QUEUE_ONLY)
    found: list[PendingRow] = await store.pending("echo", 1000)
    assert [row.execution_id for row in found] == [f"exec-{n}" for n in range(410)]


async def test_one_execution_is_its_head(store: Store) -> None:
    """As the view has it; None for one that is unknown."""
    await request(store, "exec-1", QUEUE)
    assert await store.execution("exec-1") == (await store.views()).executions["exec-1"]
    assert await store.execution("nobody") is None


async def test_the_log_can_be_read_backwards(store: Store) -> None:
    """The latest first, page by page."""
    for number in range(5):
        await request(store, f"exec-{number}", QUEUE)
    forward = await store.read()
    assert await store.read_back(count=100) == forward[::-1]
    first = await store.read_back(count=3)
    assert first + await store.read_back(first[-1].position, 100) == forward[::-1]


async def test_a_dead_letter_is_redriven_by_what_its_listing_says(store: Store) -> None:
    """The quota is paid and given back as if the execution had been read first."""
    await set_quota(store, 5)
    await bury(store, "exec-1", user_code="acme", region="eu")
    [letter] = await store.dead_letters()
    buried = Buried(letter.agent_type, letter.user_code, letter.region)
    await store.execute(Redrive(execution_id="exec-1", buried=buried, by="ann"))
    assert (await store.views()).quotas["acme"].in_flight == 1
    await online(store)
    await release(store)
    assert await state_of(store, "exec-1") == State.DELIVERED
    assert (await store.views()).quotas["acme"].in_flight == 0


async def test_what_is_cancelled_is_not_pending_any_more(store: Store) -> None:
    """Nor counted."""
    await request(store, "exec-1", QUEUE)
    await cancel(store, "exec-1")
    assert await store.pending("echo", 10) == []
    assert (await store.census()).held == {}
