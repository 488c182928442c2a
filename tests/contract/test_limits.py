"""Limits: what a tenant may have in flight, how often it may call, how much may be held."""

from __future__ import annotations

from by_cp.log.contract import Store
from by_cp.log.memory import ManualClock
from by_cp.statemachine.events import DepthSet, RateSet, Requested, TenantDepthSet
from by_cp.testing.invariants import in_flight_within_limits
from by_cp.vocabulary import RETRY_HINT_MS, ErrorCode, RoutePolicy
from tests.contract.acting import configure, online, request, set_quota, sweep

QUEUE_ONLY, WAIT, FAIL_FAST = (
    RoutePolicy.QUEUE_ONLY,
    RoutePolicy.WAKE_AND_WAIT,
    RoutePolicy.FAIL_FAST,
)
EXCEEDED = ErrorCode.TENANT_QUOTA_EXCEEDED


async def test_a_killed_callers_lease_comes_back_by_itself(
    store: Store, clock: ManualClock
) -> None:
    """At its deadline, whether a sweeper runs or not."""
    await set_quota(store, 1)
    await request(store, "killed", WAIT, user_code="acme", timeout_ms=5_000)
    assert (await request(store, "second", WAIT, user_code="acme")).code == EXCEEDED
    clock.advance(5_000)
    assert (await request(store, "third", WAIT, user_code="acme")).code == ""
    in_flight_within_limits(await store.read())
    await sweep(store)
    assert list((await store.views()).quotas["acme"].leases) == ["third"]


async def test_a_full_quota_says_when_to_try_again(store: Store) -> None:
    """Nobody knows when a place comes free; a hint keeps callers from asking in a loop."""
    await set_quota(store, 0)
    receipt = await request(store, "exec-1", QUEUE_ONLY, user_code="acme")
    assert (receipt.code, receipt.retry_after_ms) == (EXCEEDED, RETRY_HINT_MS)


async def test_a_rate_lets_a_burst_through_and_then_so_many(
    store: Store, clock: ManualClock
) -> None:
    """10 a second with a burst of 3: three at once, then one every 100 ms."""
    await online(store)
    await configure(store, RateSet("", "acme", 10, 1_000, 3))
    codes = [await request(store, f"burst-{n}", FAIL_FAST, user_code="acme") for n in range(4)]
    assert [receipt.code for receipt in codes] == ["", "", "", EXCEEDED]
    assert codes[-1].retry_after_ms == 100
    clock.advance(99)
    late = await request(store, "exec-99", FAIL_FAST, user_code="acme")
    assert (late.code, late.retry_after_ms) == (EXCEEDED, 1)
    clock.advance(1)
    assert (await request(store, "exec-100", FAIL_FAST, user_code="acme")).code == ""


async def test_only_what_is_accepted_costs(store: Store) -> None:
    """A call that finds nobody online has used nothing of its tenant's rate."""
    await configure(store, RateSet("", "acme", 1, 1_000, 1))
    for number in range(3):
        receipt = await request(store, f"exec-{number}", FAIL_FAST, user_code="acme")
        assert receipt.code == ErrorCode.AGENT_TYPE_UNAVAILABLE
    assert (await request(store, "held", QUEUE_ONLY, user_code="acme")).code == ""
    assert (await request(store, "next", QUEUE_ONLY, user_code="acme")).code == EXCEEDED


async def test_a_full_queue_rejects_what_would_be_held(store: Store) -> None:
    """What can be delivered at once is not in its way; the evidence says how full it was."""
    await configure(store, DepthSet("", "echo", 2))
    for number in range(2):
        assert (await request(store, f"exec-{number}", QUEUE_ONLY)).code == ""
    full = await request(store, "exec-2", QUEUE_ONLY)
    assert (full.code, full.retry_after_ms) == (ErrorCode.AGENT_QUEUE_FULL, RETRY_HINT_MS)
    assert full.reason == "the queue of agent_type 'echo' is full: 2 of 2 held"
    first = (await store.history("exec-2"))[0].event
    assert isinstance(first, Requested)
    assert (first.evidence.depth, first.evidence.depth_max) == (2, 2)
    await online(store)
    assert (await request(store, "exec-3", QUEUE_ONLY)).status == "DELIVER_NOW"


async def test_a_tenants_depth_is_its_own(store: Store) -> None:
    """One that fills its share leaves room for the others."""
    await configure(store, TenantDepthSet("", "acme", 1))
    assert (await request(store, "exec-1", QUEUE_ONLY, user_code="acme")).code == ""
    full = await request(store, "exec-2", QUEUE_ONLY, user_code="acme")
    assert (full.code, full.reason) == (EXCEEDED, "tenant quota exceeded: 1 of 1 held")
    assert (await request(store, "exec-3", QUEUE_ONLY, user_code="other")).code == ""
    await online(store)
    assert (await request(store, "exec-4", FAIL_FAST, user_code="acme")).code == ""
