"""Redriving: a dead letter's other life."""

from __future__ import annotations

import pytest

from by_cp.errors import IllegalTransition, NothingToDeliver, RedriveRefused, UnknownExecution
from by_cp.log.answers import Receipt
from by_cp.log.commands import Append, Redrive
from by_cp.log.contract import Store
from by_cp.statemachine.events import AgentDraining, DeadLettered
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import (
    configure,
    events_of,
    force_circuit,
    give_up,
    in_flight,
    online,
    release,
    request,
    set_quota,
    settle,
)
from tests.contract.surroundings import Surroundings
from tests.making import make_request

QUEUE = RoutePolicy.WAKE_AND_QUEUE


async def bury(store: Store, execution_id: str, policy: str = QUEUE, status: str = "FAILED") -> str:
    """Send a command to its grave; return its text."""
    command = make_request(execution_id, policy, user_code="acme")
    await store.execute(command)
    await settle(store, execution_id, status)
    return command.command.whole.decode()


async def redrive(store: Store, execution_id: str) -> Receipt:
    """Give it another life."""
    return await store.execute(Redrive(execution_id=execution_id, by="operator"))


@pytest.mark.parametrize("status", ["FAILED", "REJECTED"])
async def test_a_redriven_command_is_delivered_whole(
    store: Store, around: Surroundings, status: str
) -> None:
    """With a worker online, at once, byte for byte; it is no dead letter any more."""
    text = await bury(store, "exec-1", status=status)
    await online(store)
    receipt = await redrive(store, "exec-1")
    assert (receipt.status, receipt.agent_type) == ("DELIVER_NOW", "echo")
    assert await around.control_stream("echo") == [("exec-1", text)]
    assert (await store.views()).dead_letters == {}
    assert await in_flight(store) == 0


async def test_a_redriven_command_wakes_again(store: Store, around: Surroundings) -> None:
    """Nobody is online: it is held and woken for, as its policy said at first."""
    await bury(store, "exec-1")
    receipt = await redrive(store, "exec-1")
    assert receipt.status == "QUEUE_PENDING"
    assert (await events_of(store, "exec-1"))[-3:] == ["Redriven", "Held", "WakeRequested"]
    assert len(await around.signals()) == 2
    assert await in_flight(store) == 1


async def test_a_redriven_command_has_no_deadline(store: Store) -> None:
    """The caller who waited is long gone; so a rejection buries it again instead of telling."""
    text = await bury(store, "exec-1", RoutePolicy.WAKE_AND_WAIT)
    await redrive(store, "exec-1")
    pending = (await store.views()).pending["exec-1"]
    assert (pending.deadline_ms, pending.command) == (0, text)
    await settle(store, "exec-1", "REJECTED", reason="still no budget")
    buried = (await store.views()).dead_letters["exec-1"]
    assert (buried.reason, buried.command) == ("still no budget", text)


async def test_a_queue_only_command_waits_again(store: Store, around: Surroundings) -> None:
    """It never woke anybody, and does not now."""
    await request(store, "exec-1", RoutePolicy.QUEUE_ONLY)
    await give_up(store, "exec-1")
    assert (await redrive(store, "exec-1")).status == "QUEUE_PENDING"
    assert (await events_of(store, "exec-1"))[-2:] == ["Redriven", "Held"]
    assert await around.signals() == []


async def test_it_can_be_buried_and_redriven_again_and_again(store: Store) -> None:
    """Its payload survives any number of lives."""
    text = await bury(store, "exec-1")
    for _ in range(3):
        await redrive(store, "exec-1")
        await settle(store, "exec-1", "FAILED")
    assert (await store.views()).dead_letters["exec-1"].command == text
    await online(store)
    await redrive(store, "exec-1")
    assert await events_of(store, "exec-1") == [
        *("Requested", "Held", "WakeRequested", "Failed", "DeadLettered"),
        *(("Redriven", "Held", "WakeRequested", "Failed", "DeadLettered") * 3),
        *("Redriven", "Held", "BecameReady", "Delivered"),
    ]


async def test_a_redriven_command_is_released_like_any_other(store: Store) -> None:
    """It stands in pending, at its priority."""
    await bury(store, "exec-1")
    await redrive(store, "exec-1")
    await online(store)
    assert (await release(store)).delivered == 1


async def test_an_open_circuit_refuses_it(store: Store) -> None:
    """The reason is the circuit's; the dead letter stays as it was."""
    await bury(store, "exec-1")
    await force_circuit(store, "OPEN")
    before = await store.views()
    with pytest.raises(RedriveRefused, match="the circuit is open: maintenance"):
        await redrive(store, "exec-1")
    assert await store.views() == before


async def test_a_drain_refuses_it(store: Store) -> None:
    """By-cp says so, and why it is drained if that is known."""
    await bury(store, "exec-1")
    for why, said in (("", "is being drained$"), ("upgrade", "is being drained: upgrade$")):
        await configure(store, AgentDraining("", "echo", why, "operator"))
        with pytest.raises(RedriveRefused, match=said):
            await redrive(store, "exec-1")


async def test_a_used_quota_refuses_it(store: Store, around: Surroundings) -> None:
    """By-cp's own or a hand-written one: another life counts as in flight, too."""
    await bury(store, "exec-1")
    await set_quota(store, 0)
    with pytest.raises(RedriveRefused, match="0 of 0 in flight"):
        await redrive(store, "exec-1")
    await set_quota(store, -1)
    await around.write_by_hand("quota", "acme", '{"available":false,"reason":"unpaid"}')
    with pytest.raises(RedriveRefused, match="unpaid"):
        await redrive(store, "exec-1")


async def test_only_a_dead_letter_can_be_redriven(store: Store) -> None:
    """What is held, delivered or rejected is not dead."""
    await request(store, "held", QUEUE)
    await request(store, "rejected", RoutePolicy.FAIL_FAST)
    await request(store, "delivered", RoutePolicy.SEND_ANYWAY)
    for execution_id in ("held", "rejected", "delivered"):
        with pytest.raises(IllegalTransition) as caught:
            await redrive(store, execution_id)
        assert caught.value.event == "Redriven"
    with pytest.raises(UnknownExecution):
        await redrive(store, "never")


async def test_a_dead_letter_without_a_command_cannot_be_redriven(store: Store) -> None:
    """It was rejected at once and buried by hand, as a trace; there is nothing to deliver."""
    await request(store, "exec-1", RoutePolicy.FAIL_FAST)
    await store.execute(Append(event=_buried("exec-1")))
    with pytest.raises(NothingToDeliver, match="'exec-1'"):
        await redrive(store, "exec-1")


def _buried(execution_id: str) -> DeadLettered:
    return DeadLettered(execution_id, 0, "", "to keep a trace", "operator")
