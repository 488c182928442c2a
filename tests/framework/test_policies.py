"""What each route policy does: the same whether a program or an agent sends."""

from __future__ import annotations

import asyncio

import pytest

from by_cp import RoutePolicy
from by_cp.errors import InvalidInput
from by_cp.log.commands import Configure
from by_cp.log.contract import Store
from by_cp.statemachine.events import CircuitForced, FallbackSet, QuotaSet, Rejected
from by_cp.vocabulary import WakeupDecisionStatus
from tests.framework.sending import (
    Way,
    commands,
    event_names,
    last_event,
    online,
    settle,
    signal,
    taken,
)
from tests.waiting import until

HOLDING = [RoutePolicy.WAKE_AND_QUEUE, RoutePolicy.QUEUE_ONLY]
LOOKING = [policy for policy in RoutePolicy if policy is not RoutePolicy.SEND_ANYWAY]


@pytest.mark.parametrize("policy", RoutePolicy)
async def test_every_policy_delivers_at_once_to_who_is_online(
    store: Store, way: Way, policy: str
) -> None:
    """With a worker online the policies do not differ."""
    await online(store, "echo")

    sent = await way("echo", route_policy=policy)

    (delivery,) = await taken(store, "echo")
    assert sent.accepted
    assert delivery.execution_id == sent.execution_id
    assert await event_names(store, sent.execution_id) == ["Requested", "BecameReady", "Delivered"]


async def test_fail_fast_is_the_default_and_fails(store: Store, way: Way) -> None:
    """Nobody online: the caller hears it at once, in by-framework's words, and can look it up."""
    sent = await way("echo")

    assert not sent.accepted
    assert sent.error_code == "AGENT_TYPE_UNAVAILABLE"
    assert sent.error == "No online worker found for agent_type 'echo'"
    assert await event_names(store, sent.execution_id) == ["Requested", "Rejected"]
    assert await taken(store, "echo") == []


async def test_send_anyway_does_not_look_who_is_online(store: Store, way: Way) -> None:
    """Nobody is online, and the command is in the control stream all the same."""
    sent = await way("echo", route_policy=RoutePolicy.SEND_ANYWAY)

    assert sent.accepted
    assert len(await taken(store, "echo")) == 1
    requested = (await store.history(sent.execution_id))[0].event
    assert requested.evidence.workers_online == -1  # type: ignore[attr-defined]  # not looked at


@pytest.mark.parametrize("policy", HOLDING)
async def test_queueing_policies_hold_the_command(store: Store, way: Way, policy: str) -> None:
    """The caller goes on; the command is held for its agent type, and only one policy wakes."""
    sent = await way("echo", route_policy=policy)

    assert sent.accepted
    assert await taken(store, "echo") == []
    assert [member.execution_id for member in await store.held("echo", 10)] == [sent.execution_id]
    wakes = await store.take_signals("manager-1", 10, 0)
    assert len(wakes) == (policy == RoutePolicy.WAKE_AND_QUEUE)


async def test_wake_and_wait_is_told_when_it_was_delivered(store: Store, way: Way) -> None:
    """The caller waits for the wake, and returns when its command has been delivered."""
    sending = asyncio.create_task(way("echo", route_policy=RoutePolicy.WAKE_AND_WAIT))
    wake = await signal(store)
    await online(store, "echo")
    await settle(store, wake)

    sent = await sending

    (delivery,) = await taken(store, "echo")
    assert sent.accepted
    assert delivery.execution_id == sent.execution_id == wake.request.execution_id
    names = await event_names(store, sent.execution_id)
    assert names == ["Requested", "Held", "WakeRequested", "BecameReady", "Delivered"]


@pytest.mark.parametrize(
    ("decision", "reason", "told"),
    [
        (WakeupDecisionStatus.REJECTED, "not for you", "not for you"),
        (WakeupDecisionStatus.REJECTED, "", "Wakeup rejected for agent_type 'echo'"),
        (WakeupDecisionStatus.FAILED, "no machine", "no machine"),
        (WakeupDecisionStatus.FAILED, "", "Wakeup failed for agent_type 'echo'"),
        (WakeupDecisionStatus.FALLBACK, "", "the decision names no fallback"),
    ],
)
async def test_wake_and_wait_is_told_why_it_failed(
    store: Store, way: Way, decision: str, reason: str, told: str
) -> None:
    """Whatever ends the wake, the caller hears of it, with the reason."""
    sending = asyncio.create_task(way("echo", route_policy=RoutePolicy.WAKE_AND_WAIT))
    await settle(store, await signal(store), decision, reason=reason)

    sent = await sending

    assert (sent.accepted, sent.error_code, sent.error) == (False, "AGENT_TYPE_UNAVAILABLE", told)
    assert await taken(store, "echo") == []


async def test_a_rejection_says_when_to_try_again(store: Store, way: Way) -> None:
    """What the provider says about it reaches the caller."""
    sending = asyncio.create_task(way("echo", route_policy=RoutePolicy.WAKE_AND_WAIT))
    wake = await signal(store)
    await settle(store, wake, WakeupDecisionStatus.REJECTED, retry_after_ms=1_500)

    assert (await sending).retry_after_ms == 1_500


async def test_ten_who_wait_for_one_agent_share_one_wake(store: Store, way: Way) -> None:
    """One wake, ten answers, ten deliveries: each execution's own."""
    sending = [
        asyncio.create_task(way("echo", route_policy=RoutePolicy.WAKE_AND_WAIT)) for _ in range(10)
    ]
    wake = await signal(store)

    async def joined() -> bool:
        return len(await store.wake_members(("echo", "", ""), 20)) == 10

    await until(joined)
    await online(store, "echo")
    await settle(store, wake)

    sent = await asyncio.gather(*sending)

    assert all(one.accepted for one in sent)
    assert await store.take_signals("manager-1", 10, 0) == []
    delivered = [delivery.execution_id for delivery in await taken(store, "echo")]
    assert sorted(delivered) == sorted(one.execution_id for one in sent)


@pytest.mark.parametrize("policy", RoutePolicy)
async def test_an_open_circuit_stops_every_policy(store: Store, way: Way, policy: str) -> None:
    """Not even SEND_ANYWAY goes past a circuit, and the reason is the circuit's."""
    await online(store, "echo")
    await store.execute(Configure(event=CircuitForced("", "echo", "OPEN", "on fire")))

    sent = await way("echo", route_policy=policy)

    assert (sent.accepted, sent.error_code) == (False, "AGENT_CIRCUIT_OPEN")
    assert sent.error == "on fire"
    assert await taken(store, "echo") == []


@pytest.mark.parametrize("policy", RoutePolicy)
async def test_a_used_quota_stops_every_policy(store: Store, way: Way, policy: str) -> None:
    """The tenant's quota applies to whatever its callers send; other tenants' does not."""
    await online(store, "echo")
    await store.execute(Configure(event=QuotaSet("", "acme", 0)))

    sent = await way("echo", user_code="acme", route_policy=policy)
    other = await way("echo", user_code="umbrella", route_policy=policy)

    assert (sent.accepted, sent.error_code) == (False, "TENANT_QUOTA_EXCEEDED")
    assert other.accepted
    assert len(await taken(store, "echo")) == 1


@pytest.mark.parametrize("policy", LOOKING)
async def test_a_configured_fallback_gets_the_command_under_its_own_name(
    store: Store, way: Way, policy: str
) -> None:
    """The other agent type's stream holds it, its header says so, and all else is as it was."""
    await online(store, "parrot")
    await store.execute(Configure(event=FallbackSet("", "echo", "parrot")))
    metadata = {"list": [], "object": {}, "big": 2**60, "face": "🙂", "echo": "echo"}

    sent = await way("echo", "for echo", route_policy=policy, metadata=metadata)

    (command,) = await commands(store, "parrot")
    assert sent.accepted
    assert command["header"]["target_agent_type"] == "parrot"
    assert command["header"]["metadata"] == metadata
    assert command["body"]["content"] == "for echo"
    assert await taken(store, "echo") == []


async def test_a_wake_may_end_with_a_fallback(store: Store, way: Way) -> None:
    """What the provider chooses instead gets the command, addressed to it."""
    sending = asyncio.create_task(way("echo", route_policy=RoutePolicy.WAKE_AND_WAIT))
    wake = await signal(store)
    await online(store, "parrot")
    await settle(store, wake, WakeupDecisionStatus.FALLBACK, selected="parrot")

    sent = await sending

    (command,) = await commands(store, "parrot")
    assert sent.accepted
    assert command["header"]["target_agent_type"] == "parrot"


async def test_the_route_reaches_the_manager_and_the_log(store: Store, way: Way) -> None:
    """Region, priority, timeout, tenant and metadata are what the caller said."""
    sent = await way(
        "echo",
        user_code="acme",
        route_policy=RoutePolicy.WAKE_AND_QUEUE,
        availability_timeout_ms=1_234,
        region="eu",
        priority=7,
        metadata={"size": "large"},
    )

    request = (await signal(store)).request
    assert request.execution_id == sent.execution_id
    assert request.policy == "WAKE_AND_QUEUE"
    assert (request.user_code, request.region) == ("acme", "eu")
    assert (request.priority, request.timeout_ms) == (7, 1_234)
    assert request.metadata == {"size": "large"}
    assert (request.session_id, request.message_id) == ("session-1", sent.message_id)


async def test_rejections_stay_in_the_history(store: Store, way: Way) -> None:
    """Who asks later finds the code, the reason and who decided."""
    sent = await way("echo")

    event = await last_event(store, sent.execution_id)
    assert isinstance(event, Rejected)
    assert (event.code, event.reason, event.by) == (sent.error_code, sent.error, "admission")


async def test_a_delayed_command_is_held_and_an_expired_one_refused(store: Store, way: Way) -> None:
    """Both times are moments on the log's clock; what cannot be held cannot be delayed."""
    now_ms = await store.now_ms()
    await online(store, "echo")
    later_ms = now_ms + 60_000

    queued = RoutePolicy.QUEUE_ONLY
    delayed = await way("echo", route_policy=queued, not_before_ms=later_ms)
    expired = await way("echo", expires_at_ms=now_ms)

    assert await event_names(store, delayed.execution_id) == ["Requested", "Held"]
    assert expired.error_code == "COMMAND_EXPIRED"
    with pytest.raises(InvalidInput, match="not_before_ms needs a policy that holds"):
        await way("echo", not_before_ms=later_ms)
