"""Requests: what becomes of a command under each policy."""

from __future__ import annotations

import pytest

from by_cp.log.contract import Store
from by_cp.statemachine.events import (
    BecameReady,
    Event,
    ExecutionEvent,
    Held,
    Rejected,
    Requested,
    WakeRequested,
)
from by_cp.statemachine.states import State
from by_cp.vocabulary import WAITING, AvailabilityStatus, ErrorCode, RoutePolicy
from tests.contract.acting import (
    events_of,
    in_flight,
    online,
    request,
    set_fallback,
    state_of,
)
from tests.contract.surroundings import Surroundings
from tests.making import make_request

HOLDING = [RoutePolicy.WAKE_AND_WAIT, RoutePolicy.WAKE_AND_QUEUE, RoutePolicy.QUEUE_ONLY]


async def test_fail_fast_fails_when_nobody_is_online(store: Store, around: Surroundings) -> None:
    """The default: the caller hears at once that there is nobody, and the log keeps why."""
    receipt = await request(store, "exec-1", RoutePolicy.FAIL_FAST)
    assert receipt.status == AvailabilityStatus.REJECT
    assert receipt.code == ErrorCode.AGENT_TYPE_UNAVAILABLE
    assert receipt.reason == "No online worker found for agent_type 'echo'"

    requested, rejected = [entry.event for entry in await store.history("exec-1")]
    assert isinstance(requested, Requested)
    assert requested.evidence.workers_online == 0
    assert isinstance(rejected, Rejected)
    assert (rejected.code, rejected.by) == (receipt.code, "admission")
    assert await around.control_stream("echo") == []


@pytest.mark.parametrize("policy", RoutePolicy)
async def test_whoever_is_online_gets_the_command_at_once(
    store: Store, around: Surroundings, policy: RoutePolicy
) -> None:
    """With a worker online the policy does not matter."""
    await online(store)
    command = make_request("exec-1", policy)
    receipt = (await store.execute(command)).receipt
    assert receipt.status == AvailabilityStatus.DELIVER_NOW
    assert await events_of(store, "exec-1") == ["Requested", "BecameReady", "Delivered"]
    assert await around.control_stream("echo") == [("exec-1", command.command.whole.decode())]


async def test_send_anyway_does_not_look(store: Store, around: Surroundings) -> None:
    """Nobody is online, and yet it is written into the control stream."""
    receipt = await request(store, "exec-1", RoutePolicy.SEND_ANYWAY)
    assert receipt.status == AvailabilityStatus.DELIVER_NOW
    [(execution_id, _)] = await around.control_stream("echo")
    assert execution_id == "exec-1"
    requested, ready, _ = [entry.event for entry in await store.history("exec-1")]
    assert isinstance(requested, Requested)
    assert requested.evidence.workers_online == -1, "it was not looked at"
    assert isinstance(ready, BecameReady)
    assert ready.how == "SEND_ANYWAY"


async def test_wake_and_wait_holds_wakes_and_has_a_deadline(
    store: Store, around: Surroundings
) -> None:
    """The caller is to wait; if nothing comes in time, the command must not be delivered later."""
    receipt = await request(store, "exec-1", RoutePolicy.WAKE_AND_WAIT, timeout_ms=5_000)
    assert receipt.status == WAITING
    _, held, wake = await store.history("exec-1")
    assert isinstance(held.event, Held)
    assert held.event.deadline_ms == 1_700_000_005_000
    assert isinstance(wake.event, WakeRequested)
    [(epoch, asked)] = await around.signals()
    assert epoch == wake.position, "the leader's own event names the wake"
    assert (asked.execution_id, asked.target_agent_type) == ("exec-1", "echo")
    assert asked.timeout_ms == 5_000


async def test_wake_and_queue_holds_wakes_and_never_expires(
    store: Store, around: Surroundings
) -> None:
    """Nobody waits, so there is no deadline."""
    receipt = await request(store, "exec-1", RoutePolicy.WAKE_AND_QUEUE)
    assert receipt.status == AvailabilityStatus.QUEUE_PENDING
    assert await state_of(store, "exec-1") == State.WAKING
    assert (await store.views()).pending["exec-1"].deadline_ms == 0
    assert len(await around.signals()) == 1


async def test_queue_only_holds_and_wakes_nobody(store: Store, around: Surroundings) -> None:
    """It waits for a worker that comes online by itself."""
    receipt = await request(store, "exec-1", RoutePolicy.QUEUE_ONLY)
    assert receipt.status == AvailabilityStatus.QUEUE_PENDING
    assert await events_of(store, "exec-1") == ["Requested", "Held"]
    assert await around.signals() == []


@pytest.mark.parametrize("policy", HOLDING)
async def test_what_is_held_is_in_flight(store: Store, policy: RoutePolicy) -> None:
    """The tenant is charged for what by-cp holds, under whatever policy."""
    await request(store, "exec-1", policy, user_code="acme")
    assert await in_flight(store) == 1


@pytest.mark.parametrize("policy", [RoutePolicy.FAIL_FAST, RoutePolicy.SEND_ANYWAY])
async def test_what_is_decided_at_once_was_never_in_flight(
    store: Store, policy: RoutePolicy
) -> None:
    """Rejected or delivered in the call that asked, it costs the tenant nothing."""
    await request(store, "exec-1", policy, user_code="acme")
    assert await in_flight(store) == 0
    assert (await store.views()).quotas == {}


async def test_receipt_says_where_the_log_stands(store: Store) -> None:
    """Its position is that of the last event that the call appended."""
    for number, policy in enumerate(RoutePolicy):
        receipt = await request(store, f"exec-{number}", policy)
        entries = await store.read()
        assert receipt.position == entries[-1].position


def cause_and_version(event: Event) -> tuple[str, int]:
    """What the store fills in."""
    assert isinstance(event, ExecutionEvent)
    return event.cause, event.version


async def test_all_events_of_a_call_share_its_cause(store: Store) -> None:
    """Whoever reads the log sees what happened together."""
    command = make_request("exec-1", RoutePolicy.WAKE_AND_WAIT)
    await store.execute(command)
    events = [entry.event for entry in await store.history("exec-1")]
    assert [cause_and_version(event) for event in events] == [
        (command.call_id, version) for version in (1, 2, 3)
    ]


async def test_fallback_takes_the_command_under_its_own_name(
    store: Store, around: Surroundings
) -> None:
    """Who stands in finds itself addressed; nothing else in the command is changed."""
    await set_fallback(store, 'stand "in"/2')
    await online(store, 'stand "in"/2')
    command = make_request("exec-1", RoutePolicy.FAIL_FAST)
    receipt = (await store.execute(command)).receipt
    assert receipt.status == AvailabilityStatus.FALLBACK_TO_OTHER_AGENT_TYPE
    assert receipt.agent_type == 'stand "in"/2'
    [(_, text)] = await around.control_stream('stand "in"/2')
    assert text == command.command.addressed('stand "in"/2')
    assert await around.control_stream("echo") == []


async def test_fallback_that_sleeps_is_none(store: Store) -> None:
    """Only a fallback with a worker online helps; else the policy decides as if there were none."""
    await set_fallback(store, "other")
    receipt = await request(store, "exec-1", RoutePolicy.QUEUE_ONLY)
    assert receipt.status == AvailabilityStatus.QUEUE_PENDING
    assert receipt.agent_type == "echo"


async def test_those_of_one_group_share_one_wake(store: Store, around: Surroundings) -> None:
    """However many callers of a tenant and region want an agent, the manager is asked once."""
    for number in range(10):
        await request(store, f"exec-{number}", RoutePolicy.WAKE_AND_WAIT, user_code="acme")
    [(_, asked)] = await around.signals()
    assert asked.execution_id == "exec-0"
    members = await store.wake_members(("echo", "acme", ""), 100)
    assert [member.execution_id for member in members] == [f"exec-{n}" for n in range(10)]


async def test_other_groups_have_wakes_of_their_own(store: Store, around: Surroundings) -> None:
    """Agent type, tenant and region make a group; names that look alike when joined do not."""
    groups = [("a:b", "c", ""), ("a", "b:c", ""), ("a", "b", "c"), ("a", "", ""), ("a", "_", "")]
    for number, (agent_type, user_code, region) in enumerate(groups):
        await request(
            store,
            f"exec-{number}",
            RoutePolicy.WAKE_AND_QUEUE,
            agent_type=agent_type,
            user_code=user_code,
            region=region,
        )
    assert len(await around.signals()) == len(groups)
