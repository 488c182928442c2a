"""Appending by hand: one event, guarded by the table, by the version, and by what it needs."""

from __future__ import annotations

import pytest

from by_cp.errors import IllegalTransition, NothingToDeliver, VersionConflict
from by_cp.log.commands import Append, Configure
from by_cp.log.contract import Store
from by_cp.statemachine.events import (
    BecameReady,
    CircuitForced,
    DeadLettered,
    Delivered,
    FallbackSet,
    Held,
    QuotaSet,
    Rejected,
    Requested,
    WakeRequested,
)
from by_cp.statemachine.states import State
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import events_of, in_flight, online, release, request, state_of
from tests.contract.surroundings import Surroundings
from tests.making import make_call, make_request

READY = BecameReady("exec-1", 0, "", "WAKE", "echo", by="operator")


async def test_the_store_fills_in_version_and_cause(store: Store) -> None:
    """Whoever appends says what happened; the log says as which event of which call."""
    await request(store, "exec-1", RoutePolicy.QUEUE_ONLY)
    command = Append(event=READY)
    recorded = await store.execute(command)
    entry = (await store.history("exec-1"))[-1]
    assert (recorded.position, recorded.version) == (entry.position, 3)
    assert isinstance(entry.event, BecameReady)
    assert (entry.event.version, entry.event.cause) == (3, command.call_id)


async def test_the_expected_version_is_insisted_on(store: Store) -> None:
    """Whoever decided on what they read is told when the execution moved on since."""
    await request(store, "exec-1", RoutePolicy.QUEUE_ONLY)
    with pytest.raises(VersionConflict) as caught:
        await store.execute(Append(event=READY, expected_version=1))
    assert (caught.value.expected, caught.value.actual) == (1, 2)
    assert str(caught.value) == "execution 'exec-1' is at version 2, not at the expected 1"
    assert await state_of(store, "exec-1") == State.REQUESTED
    assert (await store.execute(Append(event=READY, expected_version=2))).version == 3


async def test_an_execution_that_is_not_there_has_version_zero(store: Store) -> None:
    """So a birth, too, can be guarded."""
    born = Requested("exec-1", 0, "", make_call())
    with pytest.raises(VersionConflict):
        await store.execute(Append(event=born, expected_version=1))
    assert (await store.execute(Append(event=born, expected_version=0))).version == 1


async def test_an_illegal_event_names_all_three(store: Store) -> None:
    """Execution, state and event; and nothing is written."""
    await request(store, "exec-1", RoutePolicy.SEND_ANYWAY)
    entries = await store.read()
    with pytest.raises(IllegalTransition, match=r"'exec-1' is DELIVERED: BecameReady"):
        await store.execute(Append(event=READY))
    assert await store.read() == entries


async def test_nothing_is_delivered_that_is_not_held(store: Store, around: Surroundings) -> None:
    """The table would allow it, but there is no command: a Delivered that delivers nothing lies."""
    await store.execute(Append(event=Requested("exec-1", 0, "", make_call())))
    await store.execute(Append(event=READY))
    with pytest.raises(NothingToDeliver, match="'exec-1'"):
        await store.execute(Append(event=Delivered("exec-1", 0, "", "echo")))
    assert await around.control_stream("echo") == []
    assert await state_of(store, "exec-1") == State.READY


async def test_an_appended_delivery_is_one(store: Store, around: Surroundings) -> None:
    """Effects belong to events, not to commands: a repair by hand hands the command over, too."""
    command = make_request("exec-1", RoutePolicy.QUEUE_ONLY, user_code="acme")
    await store.execute(command)
    await store.execute(Append(event=READY))
    await store.execute(Append(event=Delivered("exec-1", 0, "", "other")))
    assert await around.control_stream("other") == [("exec-1", command.command.addressed("other"))]
    assert await in_flight(store) == 0


async def test_a_second_held_holds_nothing_more(store: Store) -> None:
    """What is pending stays as it is; the tenant is charged once."""
    await request(store, "exec-1", RoutePolicy.QUEUE_ONLY, user_code="acme")
    before = (await store.views()).pending
    await store.execute(Append(event=Held("exec-1", 0, "", '{"header":{}}', 0, 0)))
    assert (await store.views()).pending == before
    assert await in_flight(store) == 1


async def test_a_rejection_by_hand_buries_only_what_it_is_given(store: Store) -> None:
    """`Rejected` lets go of the command; a `DeadLettered` after it must bring it along."""
    await request(store, "exec-1", RoutePolicy.QUEUE_ONLY)
    await store.execute(Append(event=Rejected("exec-1", 0, "", "", "no")))
    await store.execute(Append(event=DeadLettered("exec-1", 0, "", "no", "", '{"a":[]}', 0, 0)))
    assert (await store.views()).dead_letters["exec-1"].command == '{"a":[]}'


async def test_a_wake_by_hand_asks_the_manager(store: Store, around: Surroundings) -> None:
    """A queued command can be woken for after all; those who come later join it."""
    await request(store, "exec-1", RoutePolicy.QUEUE_ONLY)
    until_ms = 1_700_000_060_000
    await store.execute(Append(event=WakeRequested("exec-1", 0, "", until_ms=until_ms)))
    await request(store, "exec-2", RoutePolicy.WAKE_AND_QUEUE)
    [(_, asked)] = await around.signals()
    assert asked.execution_id == "exec-1"
    await online(store)
    assert (await release(store)).delivered == 2
    assert (await events_of(store, "exec-1"))[-1] == "Delivered"


# --- System events --------------------------------------------------------------------------------


async def test_settings_are_events_and_views(store: Store) -> None:
    """Who set what, and when, is in the log; what holds now is in the views."""
    for event in (
        CircuitForced("", "a:b", "OPEN", "maintenance", "me"),
        QuotaSet("", "acme", 3, "me"),
        FallbackSet("", "a:b", "c", "me"),
    ):
        command = Configure(event=event)
        recorded = await store.execute(command)
        entry = (await store.read())[-1]
        assert (recorded.position, recorded.version) == (entry.position, 0)
        assert getattr(entry.event, "cause", "") == command.call_id
    views = await store.views()
    assert (views.circuits["a:b"].state, views.circuits["a:b"].reason) == ("OPEN", "maintenance")
    assert views.quotas["acme"].limit == 3
    assert views.fallbacks["a:b"].selected == "c"


async def test_settings_can_be_taken_back(store: Store) -> None:
    """CLOSED, -1 and the empty name: as if nothing had been set."""
    for limit, selected, state in ((0, "other", "OPEN"), (-1, "", "CLOSED")):
        await store.execute(Configure(event=CircuitForced("", "echo", state)))
        await store.execute(Configure(event=QuotaSet("", "acme", limit)))
        await store.execute(Configure(event=FallbackSet("", "echo", selected)))
    await online(store, "other")
    receipt = await request(store, "exec-1", RoutePolicy.QUEUE_ONLY, user_code="acme")
    assert (receipt.status, receipt.agent_type) == ("QUEUE_PENDING", "echo")
