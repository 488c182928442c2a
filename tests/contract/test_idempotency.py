"""Idempotency: a client whose connection broke sends the same call again, and that is all right."""

from __future__ import annotations

import pytest
from msgspec import structs

from by_cp.errors import ExecutionConflict, RedriveRefused, TransitionError
from by_cp.log.commands import (
    Append,
    Command,
    Configure,
    GiveUp,
    Member,
    Redrive,
    Release,
    Settle,
    Sweep,
    new_call_id,
)
from by_cp.log.contract import Store
from by_cp.log.memory import ManualClock
from by_cp.statemachine.events import CircuitForced, QuotaSet, Rejected, Requested
from by_cp.statemachine.states import State
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import force_circuit, give_up, online, release, request, settle
from tests.contract.surroundings import Surroundings
from tests.making import make_call, make_request


async def prepared(store: Store, name: str, clock: ManualClock) -> Command[object]:
    """Make a command that will do something, and whatever must be there for it."""
    await request(store, "exec-1", RoutePolicy.WAKE_AND_WAIT, timeout_ms=1_000)
    head = (await store.views()).executions["exec-1"]
    members = (Member("exec-1"),)
    if name == "Redrive":
        await settle(store, "exec-1", "FAILED")
    if name == "Sweep":
        clock.advance(1_000)
    if name == "Release":
        await online(store)
    commands: dict[str, Command[object]] = {
        "Settle": Settle(
            agent_type="echo",
            user_code="",
            region="",
            epoch=head.epoch,
            status="STARTING",
            members=members,
        ),
        "Release": Release(agent_type="echo", members=members),
        "Sweep": Sweep(agent_type="echo", members=members),
        "GiveUp": GiveUp(execution_id="exec-1", reason="enough"),
        "Redrive": Redrive(execution_id="exec-1"),
        "Append": Append(event=Rejected("exec-1", 0, "", "", "no")),
        "Configure": Configure(event=QuotaSet("", "acme", 3)),
    }
    return commands[name]


NAMES = ["Settle", "Release", "Sweep", "GiveUp", "Redrive", "Append", "Configure"]


@pytest.mark.parametrize("name", NAMES)
async def test_the_same_call_sent_twice_appends_once(
    store: Store, around: Surroundings, clock: ManualClock, name: str
) -> None:
    """It is answered as the first time, even when time has passed and the world has moved on."""
    command = await prepared(store, name, clock)
    before = await store.read()
    first = await store.execute(command)
    after = await store.read()
    assert len(after) > len(before)
    clock.advance(500)
    assert await store.execute(command) == first
    assert await store.read() == after
    assert len(await around.control_stream("echo")) <= 1


@pytest.mark.parametrize("policy", RoutePolicy)
async def test_the_same_request_sent_twice_appends_once(
    store: Store, around: Surroundings, policy: RoutePolicy
) -> None:
    """The execution_id is its key, so a request may even come under a call id of its own."""
    command = make_request("exec-1", policy)
    first = await store.execute(command)
    entries = await store.read()
    again = await store.execute(structs.replace(command, call_id=new_call_id()))
    assert again.receipt == first.receipt
    assert await store.read() == entries
    assert len(await around.control_stream("echo")) <= 1
    assert len(await around.signals()) <= 1


async def test_a_repeated_request_is_not_decided_anew(store: Store) -> None:
    """It was rejected; that a worker came online since then is a matter for another request."""
    command = make_request("exec-1", RoutePolicy.FAIL_FAST)
    first = await store.execute(command)
    await online(store)
    assert await store.execute(command) == first


async def test_a_repeated_request_is_told_what_came_out_since(store: Store) -> None:
    """The first answer was lost, and the wake went on without the caller: now it hears the end."""
    command = make_request("exec-1", RoutePolicy.WAKE_AND_WAIT)
    assert (await store.execute(command)).outcome is None
    await settle(store, "exec-1", "READY")
    outcome = (await store.execute(command)).outcome
    assert outcome is not None
    assert (outcome.status, outcome.state) == ("WAIT_AND_DELIVER", State.DELIVERED)


async def test_an_id_names_one_command_for_ever(store: Store) -> None:
    """Another policy, another target, another payload: another command, settled or not."""
    command = make_request("exec-1", RoutePolicy.QUEUE_ONLY)
    await store.execute(command)
    others = (
        make_request("exec-1", RoutePolicy.FAIL_FAST),
        make_request("exec-1", RoutePolicy.QUEUE_ONLY, agent_type="other"),
        structs.replace(command, command=make_request("x", agent_type="echo").command),
    )
    for settled in (False, True):
        entries = await store.read()
        for other in others:
            with pytest.raises(ExecutionConflict, match="'exec-1' already exists"):
                await store.execute(other)
        assert await store.read() == entries
        if not settled:
            await online(store)
            await release(store)


async def test_an_id_that_an_append_has_taken_is_taken(store: Store) -> None:
    """What was born by hand is no request that could be repeated."""
    command = make_request("exec-1", RoutePolicy.QUEUE_ONLY)
    await store.execute(Append(event=Requested("exec-1", 0, "", command.call)))
    with pytest.raises(ExecutionConflict):
        await store.execute(command)


async def test_a_refusal_is_not_kept(store: Store) -> None:
    """The same call, sent again when its obstacle is gone, is executed."""
    await request(store, "exec-1", RoutePolicy.WAKE_AND_QUEUE)
    await settle(store, "exec-1", "FAILED")
    await force_circuit(store, "OPEN")
    command = Redrive(execution_id="exec-1")
    with pytest.raises(RedriveRefused):
        await store.execute(command)
    await force_circuit(store, "CLOSED")
    assert (await store.execute(command)).status == "QUEUE_PENDING"


async def test_two_calls_with_one_intention_are_two(store: Store) -> None:
    """The key of a call is its id, not its content: whoever means it twice, has it twice."""
    for _ in range(2):
        await store.execute(Configure(event=CircuitForced("", "echo", "CLOSED")))
    assert len(await store.read()) == 2


async def test_giving_up_twice_answers_twice(store: Store) -> None:
    """Two calls, one outcome: the second finds it settled and tells how."""
    await request(store, "exec-1", RoutePolicy.WAKE_AND_WAIT)
    assert await give_up(store, "exec-1") == await give_up(store, "exec-1")


async def test_a_redriven_execution_forgets_its_last_outcome(store: Store) -> None:
    """What was told of the life before is not the end of this one."""
    command = make_request("exec-1", RoutePolicy.WAKE_AND_WAIT)
    await store.execute(command)
    await settle(store, "exec-1", "FAILED")
    assert (await store.execute(command)).outcome is not None
    await store.execute(Redrive(execution_id="exec-1"))
    assert (await store.execute(command)).outcome is None


@pytest.mark.parametrize("name", ["GiveUp", "Redrive", "Append"])
async def test_refusals_change_nothing(store: Store, clock: ManualClock, name: str) -> None:
    """Whatever the reason: log, views and streams are as they were."""
    await request(store, "exec-1", RoutePolicy.SEND_ANYWAY)
    before = await store.read(), await store.views()
    commands: dict[str, Command[object]] = {
        "GiveUp": GiveUp(execution_id="exec-1", reason=""),
        "Redrive": Redrive(execution_id="exec-1"),
        "Append": Append(event=Requested("exec-1", 0, "", make_call())),
    }
    with pytest.raises(TransitionError):
        await store.execute(commands[name])
    assert (await store.read(), await store.views()) == before
