"""Adopting: what a foreign client wrote into by-cp's streams becomes part of the log, once.

Such a client does the rest of its part as it always did: it delivers by itself when it waited and
is told READY, and believes that its command is held when it went on.
"""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from by_cp.errors import ExecutionConflict
from by_cp.log.answers import Receipt
from by_cp.log.commands import Adopt, Redrive
from by_cp.log.contract import Store
from by_cp.log.memory import ManualClock
from by_cp.statemachine.events import Delivered, Requested
from by_cp.statemachine.states import State
from by_cp.testing.invariants import views_are_the_fold
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import (
    events_of,
    force_circuit,
    in_flight,
    online,
    release,
    set_fallback,
    set_quota,
    settle,
    sweep,
)
from tests.contract.surroundings import Surroundings
from tests.making import make_request

WAIT, QUEUE, QUEUE_ONLY = (
    *(RoutePolicy.WAKE_AND_WAIT, RoutePolicy.WAKE_AND_QUEUE, RoutePolicy.QUEUE_ONLY),
)
POLICIES = [WAIT, QUEUE, QUEUE_ONLY]


def adoption(
    clock: ManualClock, policy: str, execution_id: str = "exec-1", **of_call: Any
) -> Adopt:
    """Make the adoption of what a foreign client wrote just now."""
    made = make_request(execution_id, policy, user_code="acme", **of_call)
    return Adopt(
        execution_id=execution_id,
        call=structs.replace(made.call, origin="by-framework"),
        command=made.command,
        written_ms=clock(),
    )


async def adopt(store: Store, clock: ManualClock, policy: str, **of_call: Any) -> Receipt:
    """Adopt it."""
    return await store.execute(adoption(clock, policy, **of_call))


async def state_of(store: Store, execution_id: str = "exec-1") -> State:
    """Return where it stands, and make sure that the views are the log's."""
    views = await store.views()
    views_are_the_fold(await store.read(), views)
    return views.executions[execution_id].state


async def test_its_origin_is_recorded(store: Store, clock: ManualClock) -> None:
    """A history says whose client began it."""
    await adopt(store, clock, QUEUE_ONLY)
    requested = (await store.history("exec-1"))[0].event
    assert isinstance(requested, Requested)
    assert requested.call.origin == "by-framework"


@pytest.mark.parametrize(
    ("policy", "status", "happened"),
    [
        (WAIT, "WAITING", ["Requested", "Held", "WakeRequested"]),
        (QUEUE, "QUEUE_PENDING", ["Requested", "Held", "WakeRequested"]),
        (QUEUE_ONLY, "QUEUE_PENDING", ["Requested", "Held"]),
    ],
)
async def test_it_is_held_and_woken_for_as_its_policy_says(
    store: Store, clock: ManualClock, policy: str, status: str, happened: list[str]
) -> None:
    """As if by-cp's own client had asked; and its tenant is charged."""
    receipt = await adopt(store, clock, policy)
    assert (receipt.status, receipt.agent_type) == (status, "echo")
    assert await events_of(store, "exec-1") == happened
    assert await in_flight(store) == 1
    await state_of(store)


@pytest.mark.parametrize("policy", POLICIES)
async def test_adopting_it_twice_changes_nothing(
    store: Store, around: Surroundings, clock: ManualClock, policy: str
) -> None:
    """Any number of managers may find the same entries, one after the other dies."""
    first = await adopt(store, clock, policy)
    clock.advance(5)
    entries = await store.read()
    assert await adopt(store, clock, policy) == first
    assert await store.read() == entries
    await online(store)
    await release(store)
    again = await adopt(store, clock, policy)
    assert again == first
    assert len(await around.control_stream("echo")) == (0 if policy == WAIT else 1)


async def test_another_command_of_the_same_id_is_refused(store: Store, clock: ManualClock) -> None:
    """by-framework's ids have 32 random bits: they are met again."""
    await adopt(store, clock, QUEUE)
    other = adoption(clock, QUEUE)
    command = make_request("exec-2", QUEUE).command
    with pytest.raises(ExecutionConflict):
        await store.execute(structs.replace(other, command=command))
    with pytest.raises(ExecutionConflict):
        await store.execute(make_request("exec-1", QUEUE, user_code="acme"))


@pytest.mark.parametrize("policy", [QUEUE, QUEUE_ONLY])
async def test_what_went_on_is_delivered(
    store: Store, around: Surroundings, clock: ManualClock, policy: str
) -> None:
    """By by-cp, as soon as a worker is online: now, or later."""
    command = adoption(clock, policy)
    text = command.command.whole.decode()
    await store.execute(command)
    await online(store)
    await release(store)
    receipt = await store.execute(adoption(clock, policy, "exec-2"))
    assert receipt.status == "DELIVER_NOW"
    delivered = await around.control_stream("echo")
    assert delivered[0] == ("exec-1", text)
    assert [execution_id for execution_id, _ in delivered] == ["exec-1", "exec-2"]
    assert await state_of(store) == State.DELIVERED
    assert await in_flight(store) == 0


async def test_who_waits_is_told_ready_and_delivers_by_itself(
    store: Store, around: Surroundings, clock: ManualClock
) -> None:
    """So nothing is put into the control stream for it, and the log says so."""
    await adopt(store, clock, WAIT)
    await settle(store, "exec-1", "READY")
    assert await state_of(store) == State.DELIVERED
    last = (await store.history("exec-1"))[-1].event
    assert isinstance(last, Delivered)
    assert last.handed_over
    assert await around.control_stream("echo") == []
    assert await in_flight(store) == 0


async def test_who_waits_is_told_at_once_when_a_worker_is_online(
    store: Store, around: Surroundings, clock: ManualClock
) -> None:
    """It came online after the client looked."""
    await online(store)
    receipt = await adopt(store, clock, WAIT)
    assert receipt.status == "DELIVER_NOW"
    assert await around.control_stream("echo") == []
    assert await state_of(store) == State.DELIVERED


async def test_a_fallback_stands_in(store: Store, around: Surroundings, clock: ManualClock) -> None:
    """For those who went on it is delivered there; those who wait are told where to deliver."""
    await set_fallback(store, "spare")
    await online(store, "spare")
    waits = await adopt(store, clock, WAIT)
    assert (waits.status, waits.agent_type) == ("FALLBACK_TO_OTHER_AGENT_TYPE", "spare")
    assert await around.control_stream("spare") == []
    await store.execute(adoption(clock, QUEUE, "exec-2"))
    [(execution_id, text)] = await around.control_stream("spare")
    assert (execution_id, '"target_agent_type":"spare"' in text) == ("exec-2", True)


async def test_who_waits_is_rejected_as_admission_says(store: Store, clock: ManualClock) -> None:
    """And hears it where it waits; the circuit may have opened since the client looked."""
    await force_circuit(store, "OPEN")
    receipt = await adopt(store, clock, WAIT)
    assert (receipt.status, receipt.code) == ("REJECT", "AGENT_CIRCUIT_OPEN")
    assert receipt.reason == "maintenance"
    assert await events_of(store, "exec-1") == ["Requested", "Held", "Rejected"]
    assert await state_of(store) == State.REJECTED


async def test_what_was_promised_is_held_whatever_admission_says(
    store: Store, around: Surroundings, clock: ManualClock
) -> None:
    """It is delivered once that is allowed."""
    await force_circuit(store, "OPEN")
    await set_quota(store, 0)
    assert (await adopt(store, clock, QUEUE)).status == "QUEUE_PENDING"
    assert await events_of(store, "exec-1") == ["Requested", "Held"]
    await online(store)
    await release(store)
    assert await around.control_stream("echo") == []
    await force_circuit(store, "CLOSED")
    await release(store)
    assert len(await around.control_stream("echo")) == 1
    await state_of(store)


async def test_who_waits_has_waited_since_it_wrote(store: Store, clock: ManualClock) -> None:
    """However late a manager finds it: a client that has given up is not told READY."""
    found_late = adoption(clock, WAIT, timeout_ms=1000)
    clock.advance(1000)
    await online(store)
    receipt = await store.execute(found_late)
    assert receipt.reason == "Timed out waiting for worker wakeup for agent_type 'echo'"
    assert await state_of(store) == State.REJECTED


async def test_a_wait_ends_with_its_time(store: Store, clock: ManualClock) -> None:
    """The sweeper tells it, whose client does not give up in the log."""
    await adopt(store, clock, WAIT, timeout_ms=1000)
    clock.advance(1000)
    await sweep(store)
    assert await state_of(store) == State.REJECTED


async def test_a_dead_letter_is_by_cps_to_deliver(
    store: Store, around: Surroundings, clock: ManualClock
) -> None:
    """Its client heard that the wake failed, and is gone."""
    command = adoption(clock, WAIT)
    await store.execute(command)
    await settle(store, "exec-1", "FAILED")
    await online(store)
    receipt = await store.execute(Redrive(execution_id="exec-1", by="operator"))
    assert receipt.status == "DELIVER_NOW"
    text = command.command.whole.decode()
    assert await around.control_stream("echo") == [("exec-1", text)]
    await state_of(store)
