"""Pauses, drains, chains of fallbacks, and the fair order between tenants."""

from __future__ import annotations

import pytest

from by_cp.errors import FallbackRefused
from by_cp.log.answers import Tally
from by_cp.log.commands import Release
from by_cp.log.contract import Store
from by_cp.statemachine.events import AgentDraining, AgentPaused, AgentResumed, FallbackSet
from by_cp.vocabulary import FALLBACKS_MAX, ErrorCode, RoutePolicy
from tests.contract.acting import configure, online, release, request, set_fallback

QUEUE_ONLY, QUEUE = RoutePolicy.QUEUE_ONLY, RoutePolicy.WAKE_AND_QUEUE


@pytest.mark.parametrize("policy", [RoutePolicy.FAIL_FAST, RoutePolicy.SEND_ANYWAY])
async def test_a_pause_rejects_what_cannot_wait(store: Store, policy: str) -> None:
    """With the operator's own words."""
    await online(store)
    await configure(store, AgentPaused("", "echo", "upgrade at noon"))
    receipt = await request(store, "exec-1", policy)
    assert (receipt.code, receipt.reason) == (ErrorCode.AGENT_PAUSED, "upgrade at noon")


async def test_a_pause_holds_what_can(store: Store) -> None:
    """Nothing of it is delivered before the pause ends, whoever is online."""
    await online(store)
    await configure(store, AgentPaused("", "echo"))
    for policy in (QUEUE, QUEUE_ONLY, RoutePolicy.WAKE_AND_WAIT):
        await request(store, f"exec-{policy}", policy)
    assert await release(store) == Tally(skipped=3)
    await configure(store, AgentResumed("", "echo"))
    assert await release(store) == Tally(delivered=3)


async def test_a_drain_delivers_what_is_held_and_accepts_nothing(store: Store) -> None:
    """So that an agent type can be taken away without losing anything."""
    await request(store, "exec-1", QUEUE_ONLY)
    await configure(store, AgentDraining("", "echo"))
    receipt = await request(store, "exec-2", QUEUE_ONLY)
    assert (receipt.code, receipt.reason) == (
        ErrorCode.AGENT_DRAINING,
        "the agent type is being drained",
    )
    await online(store)
    assert await release(store) == Tally(delivered=1)
    assert (await request(store, "exec-3", QUEUE_ONLY)).code == ErrorCode.AGENT_DRAINING


async def test_a_fallback_stands_in_for_a_paused_agent(store: Store) -> None:
    """It is there for when the agent itself is not."""
    await set_fallback(store, "other")
    await online(store, "other")
    await online(store, "echo", "worker-2")
    await configure(store, AgentPaused("", "echo"))
    assert (await request(store, "exec-1", RoutePolicy.FAIL_FAST)).agent_type == "other"


async def test_a_chain_of_fallbacks_is_followed_to_who_is_online(store: Store) -> None:
    """Whoever is paused in it is passed over."""
    await set_fallback(store, "b", "echo")
    await set_fallback(store, "c", "b")
    await set_fallback(store, "d", "c")
    for number, name in enumerate("bcd"):
        await online(store, name, f"worker-{number}")
    await configure(store, AgentPaused("", "b"))
    assert (await request(store, "exec-1", RoutePolicy.FAIL_FAST)).agent_type == "c"


async def test_a_circle_of_fallbacks_is_refused(store: Store) -> None:
    """At once, when it is set; a chain that is too long, too. Nothing is written."""
    await set_fallback(store, "b", "echo")
    await set_fallback(store, "c", "b")
    entries = await store.read()
    for agent_type, selected in (("c", "echo"), ("echo", "echo"), ("b", "b")):
        with pytest.raises(FallbackRefused):
            await configure(store, FallbackSet("", agent_type, selected))
    assert await store.read() == entries
    for number in range(FALLBACKS_MAX):
        await set_fallback(store, f"n{number}", f"n{number + 1}")
    with pytest.raises(FallbackRefused):
        await set_fallback(store, f"n{FALLBACKS_MAX}", "one too many")


async def test_tenants_take_turns(store: Store) -> None:
    """One that floods the queue is served as often as each other, not more."""
    for number in range(100):
        await request(store, f"flood-{number:03}", QUEUE_ONLY, user_code="flood")
    for tenant in ("a", "b"):
        for number in range(2):
            await request(store, f"{tenant}-{number}", QUEUE_ONLY, user_code=tenant)
    first = [member.execution_id for member in await store.held("echo", 7)]
    assert first == ["flood-000", "a-0", "b-0", "flood-001", "a-1", "b-1", "flood-002"]


async def test_who_comes_later_is_not_ahead_of_who_waited(store: Store) -> None:
    """A tenant that was silent has saved nothing up: it begins at the turn that is being served."""
    for number in range(10):
        await request(store, f"old-{number}", QUEUE_ONLY, user_code="old")
    await online(store)
    members = tuple(await store.held("echo", 5))
    await store.execute(Release(agent_type="echo", members=members))
    await store.retire("worker-1")
    for number in range(3):
        await request(store, f"new-{number}", QUEUE_ONLY, user_code="new")
    order = [member.execution_id for member in await store.held("echo", 4)]
    assert order == ["new-0", "old-5", "new-1", "old-6"]


async def test_priority_comes_before_turns(store: Store) -> None:
    """Fairness is among equals."""
    await request(store, "low", QUEUE_ONLY, user_code="a", priority=0)
    for number in range(3):
        await request(store, f"high-{number}", QUEUE_ONLY, user_code="b", priority=1)
    order = [member.execution_id for member in await store.held("echo", 10)]
    assert order == ["high-0", "high-1", "high-2", "low"]
