"""Listings: who waits, for what, next first; and who is online."""

from __future__ import annotations

from by_cp.log.commands import Member
from by_cp.log.contract import Store
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import LEASE_MS, online, release, request, settle

QUEUE = RoutePolicy.WAKE_AND_QUEUE


async def test_held_is_listed_by_priority_then_by_age(store: Store) -> None:
    """As many as one asks for, with all that a release needs to know of them."""
    for execution_id, priority in (("low", -1_000_000), ("first", 0), ("second", 0), ("high", 7)):
        await request(store, execution_id, QUEUE, priority=priority, user_code="acme", region="eu")
    order = ["high", "first", "second", "low"]
    assert await store.held("echo", 10) == [Member(name, "acme", "eu") for name in order]
    assert await store.held("echo", 2) == [Member(name, "acme", "eu") for name in order[:2]]


async def test_age_is_that_of_the_log(store: Store) -> None:
    """More than ten within one millisecond: the eleventh does not sort before the second."""
    for number in range(25):
        await request(store, f"exec-{number}", RoutePolicy.QUEUE_ONLY)
    members = await store.held("echo", 100)
    assert [member.execution_id for member in members] == [f"exec-{n}" for n in range(25)]


async def test_names_with_slashes_are_listed_whole(store: Store) -> None:
    """An execution_id may contain what an index separates its parts with."""
    for execution_id in ("a/b/c", "/", "x:y/{z}", "ü 🦜"):
        await request(store, execution_id, QUEUE, region="/")
    held = {member.execution_id for member in await store.held("echo", 10)}
    assert held == {"a/b/c", "/", "x:y/{z}", "ü 🦜"}


async def test_agent_types_are_listed_while_anything_is_held_for_them(store: Store) -> None:
    """A gate looks at those alone, however many agent types there ever were."""
    for agent_type in ("b", "a:b", "ü", "b"):
        number = len(await store.read())
        await request(store, f"exec-{number}", QUEUE, agent_type=agent_type)
    assert await store.held_agent_types() == ["a:b", "b", "ü"]
    await online(store, "b")
    await release(store, "b")
    assert await store.held_agent_types() == ["a:b", "ü"]


async def test_wake_members_are_those_of_one_group(store: Store) -> None:
    """Whichever wake of the group they joined: its latest attempt tells them all."""
    await request(store, "exec-1", QUEUE, priority=1)
    await request(store, "exec-2", QUEUE, priority=2)
    await request(store, "elsewhere", QUEUE, region="eu")
    group = (await store.views()).executions["exec-1"].group
    await settle(store, "exec-1", "FAILED", [Member("exec-2")])
    await request(store, "exec-3", QUEUE)
    assert await store.wake_members(group, 10) == [Member("exec-1"), Member("exec-3")]
    assert await store.wake_members(group, 1) == [Member("exec-1")]
    assert await store.wake_members(("other", "", ""), 10) == []


async def test_workers_are_online_for_their_agent_types(store: Store) -> None:
    """Until they go; a worker may serve several."""
    await store.announce("worker-1", ("echo", "a:b"), LEASE_MS)
    await store.announce("worker-2", ("echo",), LEASE_MS)
    assert await store.online("echo") == ("worker-1", "worker-2")
    assert await store.online("a:b") == ("worker-1",)
    await store.retire("worker-1")
    assert await store.online("echo") == ("worker-2",)
    assert await store.online("a:b") == ()


async def test_a_worker_that_renews_its_lease_is_one_worker(store: Store) -> None:
    """It does so every few seconds."""
    for _ in range(3):
        await store.announce("worker-1", ("echo",), LEASE_MS)
    assert await store.online("echo") == ("worker-1",)


async def test_retiring_who_never_came_is_harmless(store: Store) -> None:
    """A worker that failed to start cleans up like every other."""
    await store.retire("worker-9")
    assert await store.online("echo") == ()
