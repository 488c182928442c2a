"""Reading: histories, pages of the log, and views."""

from __future__ import annotations

import pytest

from by_cp.errors import UnknownExecution
from by_cp.log.contract import Store
from by_cp.log.memory import ManualClock
from by_cp.projections.folding import fold
from by_cp.statemachine.position import BEGINNING, time_ms
from by_cp.testing import invariants
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import (
    force_circuit,
    give_up,
    online,
    release,
    request,
    set_fallback,
    set_quota,
    settle,
)

QUEUE = RoutePolicy.WAKE_AND_QUEUE


async def something_of_everything(store: Store) -> None:
    """Fill the log."""
    await set_quota(store, 5)
    for number, policy in enumerate(RoutePolicy):
        await request(store, f"exec-{number}", policy, user_code="acme")
    await settle(store, "exec-2", "READY")
    await request(store, "exec-5", QUEUE, user_code="acme")
    await settle(store, "exec-5", "FAILED")
    await request(store, "exec-6", RoutePolicy.WAKE_AND_WAIT, region="eu")
    await give_up(store, "exec-6")
    await set_fallback(store, "other")
    await force_circuit(store, "OPEN", "other")
    await request(store, "exec-7", RoutePolicy.FAIL_FAST, agent_type="other")
    await request(store, "exec-8", QUEUE, agent_type="a:b {c}", user_code="ü", region="_")


async def test_history_has_one_executions_events_in_order(store: Store) -> None:
    """Whatever else happens in between."""
    await request(store, "exec-1", QUEUE)
    await request(store, "exec-2", QUEUE)
    await settle(store, "exec-1", "READY")
    entries = await store.history("exec-1")
    assert [entry.event.name for entry in entries] == [
        *("Requested", "Held", "WakeRequested", "BecameReady", "Delivered"),
    ]
    assert entries == [
        e for e in await store.read() if getattr(e.event, "execution_id", "") == "exec-1"
    ]


@pytest.mark.parametrize("execution_id", ["exec-9", "", "exec", "exec-1:", "*"])
async def test_an_unknown_execution_is_said_to_be_unknown(store: Store, execution_id: str) -> None:
    """A mistyped id is no pattern and no prefix."""
    await request(store, "exec-1", QUEUE)
    with pytest.raises(UnknownExecution):
        await store.history(execution_id)


async def test_the_log_is_read_in_pages(store: Store) -> None:
    """After a position, so many; put together they are the whole, and after the last is nothing."""
    await something_of_everything(store)
    whole = await store.read()
    for size in (1, 2, 7):
        pages, after = [], BEGINNING
        while page := await store.read(after, size):
            assert len(page) <= size
            pages += page
            after = page[-1].position
        assert pages == whole


async def test_an_empty_log_is_empty(store: Store) -> None:
    """Nothing to read, nothing held, nothing due, nothing in any view."""
    assert await store.read() == []
    assert await store.views() == fold([])
    assert (await store.held("echo", 10), await store.held_agent_types()) == ([], [])
    assert await store.due(10) == []
    assert await store.online("echo") == ()


async def test_positions_are_times_of_the_clock(store: Store, clock: ManualClock) -> None:
    """An entry's position says when it was appended; within a millisecond, a number counts on."""
    await request(store, "exec-1", RoutePolicy.FAIL_FAST)
    clock.advance(1_234)
    await request(store, "exec-2", RoutePolicy.FAIL_FAST)
    start = 1_700_000_000_000
    assert [entry.position for entry in await store.read()] == [
        *(f"{start}-0", f"{start}-1", f"{start + 1_234}-0", f"{start + 1_234}-1"),
    ]


async def test_a_clock_that_runs_backwards_turns_nothing_round(
    store: Store, clock: ManualClock
) -> None:
    """Servers' clocks are set back at times; the log's order is not."""
    await request(store, "exec-1", QUEUE, timeout_ms=1_000)
    clock.advance(-3_600_000)
    await request(store, "exec-2", RoutePolicy.WAKE_AND_WAIT, timeout_ms=1_000, region="eu")
    entries = await store.read()
    invariants.positions_increase(entries)
    assert time_ms(entries[-1].position) == 1_700_000_000_000
    assert (await store.views()).pending["exec-2"].deadline_ms == 1_700_000_001_000


async def test_views_are_the_fold_of_the_log(store: Store) -> None:
    """All the store knows beside the log can be made again from it."""
    await something_of_everything(store)
    entries, views = await store.read(), await store.views()
    invariants.views_are_the_fold(entries, views)
    invariants.versions_count_from_one(entries)
    invariants.quotas_count_what_is_held(views)
    invariants.nothing_accepted_is_lost(entries, views)


async def test_views_are_a_copy(store: Store) -> None:
    """What was read does not change in the reader's hands."""
    await request(store, "exec-1", QUEUE)
    views = await store.views()
    await online(store)
    await release(store)
    assert "exec-1" in views.pending
    assert views.executions["exec-1"].state == "WAKING"
