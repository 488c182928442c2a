"""Every state, every event: what a store does with them, through `Append` and nothing else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from msgspec import structs

from by_cp.errors import IllegalTransition
from by_cp.log.commands import Append, Settle
from by_cp.log.contract import Store
from by_cp.projections.rows import ExecutionRow
from by_cp.statemachine.events import (
    EXECUTION_EVENTS,
    BecameReady,
    DeadLettered,
    Delivered,
    ExecutionEvent,
    Failed,
    Held,
    Redriven,
    Rejected,
    Requested,
    WakeAttempted,
    WakeProgressed,
    WakeRequested,
    event_name,
)
from by_cp.statemachine.states import State
from by_cp.statemachine.table import TABLE
from by_cp.testing.invariants import views_are_the_fold
from by_cp.vocabulary import ErrorCode, RoutePolicy
from tests.making import make_call, make_request

ID = "exec-1"
REQUEST = make_request(ID, RoutePolicy.WAKE_AND_QUEUE, user_code="acme", region="eu")

SAMPLES: tuple[ExecutionEvent, ...] = (
    Requested(ID, 0, "", REQUEST.call),
    Held(
        *(ID, 0, "", REQUEST.command.whole.decode()),
        *(len(REQUEST.command.before), len(REQUEST.command.name)),
    ),
    WakeRequested(ID, 0, "", until_ms=1_700_000_030_000),
    WakeAttempted(ID, 0, "", "1700000000000-2", 1, 1_700_000_030_000, by="manager"),
    WakeProgressed(ID, 0, "", "STARTING", "pulling", "manager"),
    BecameReady(ID, 0, "", "ONLINE", "echo", by="gate"),
    Delivered(ID, 0, "", "echo"),
    Failed(ID, 0, "", "no image", by="manager"),
    Rejected(ID, 0, "", ErrorCode.AGENT_TYPE_UNAVAILABLE, "no budget", 1000, "manager"),
    DeadLettered(ID, 0, "", "no image", "manager"),
    Redriven(ID, 0, "", "operator"),
)
"""One event of each kind, as a store is asked to append it."""

BY_NAME = {sample.name: sample for sample in SAMPLES}

WAYS: dict[State | None, tuple[str, ...]] = {
    None: (),
    State.REQUESTED: ("Requested", "Held"),
    State.WAKING: ("Requested", "Held", "WakeRequested"),
    State.READY: ("Requested", "Held", "BecameReady"),
    State.FAILED: ("Requested", "Held", "WakeRequested", "Failed"),
    State.REJECTED: ("Requested", "Held", "Rejected"),
    State.DELIVERED: ("Requested", "Held", "BecameReady", "Delivered"),
    State.DEADLETTER: ("Requested", "Held", "WakeRequested", "Failed", "DeadLettered"),
}
"""To each state, a way through events: `Delivered` needs a held command, so all hold one."""

Builder = Callable[[Store], Awaitable[None]]


def by_append(state: State | None) -> Builder:
    """Build an execution in a state, event by event."""

    async def build(store: Store) -> None:
        for name in WAYS[state]:
            await store.execute(Append(event=BY_NAME[name]))

    return build


def by_request(policy: RoutePolicy) -> Builder:
    """Build an execution in the state in which a request leaves it while nobody is online."""

    async def build(store: Store) -> None:
        call = make_call(policy, user_code="acme", region="eu")
        await store.execute(structs.replace(REQUEST, call=call))

    return build


async def _bury(store: Store) -> None:
    await store.execute(REQUEST)
    head = (await store.views()).executions[ID]
    [member] = await store.wake_members(head.group, 1)
    agent_type, user_code, region = head.group
    await store.execute(
        Settle(
            agent_type=agent_type,
            user_code=user_code,
            region=region,
            epoch=head.epoch,
            status="FAILED",
            members=(member,),
        )
    )


BUILDERS: tuple[tuple[str, State | None, Builder], ...] = (
    *((f"{state or 'new'}-by-append", state, by_append(state)) for state in WAYS),
    ("REQUESTED-by-request", State.REQUESTED, by_request(RoutePolicy.QUEUE_ONLY)),
    ("WAKING-by-request", State.WAKING, by_request(RoutePolicy.WAKE_AND_WAIT)),
    ("REJECTED-by-request", State.REJECTED, by_request(RoutePolicy.FAIL_FAST)),
    ("DELIVERED-by-request", State.DELIVERED, by_request(RoutePolicy.SEND_ANYWAY)),
    ("DEADLETTER-by-settle", State.DEADLETTER, _bury),
)
"""(name, state, how to get there): by bare events, and by by-cp's own commands."""

PAIRS = tuple(
    pytest.param(state, build, event_name(event_type), id=f"{name}-{event_name(event_type)}")
    for name, state, build in BUILDERS
    for event_type in EXECUTION_EVENTS
)


async def head_of(store: Store) -> ExecutionRow | None:
    """Return the execution's head."""
    return (await store.views()).executions.get(ID)


async def check_pair(store: Store, state: State | None, build: Builder, name: str) -> None:
    """Append one event in one state, and compare what comes of it with the table."""
    await build(store)
    before, entries = await head_of(store), await store.read()
    assert (before.state if before else None) == state

    append = Append(event=BY_NAME[name])
    if (state, name) in TABLE:
        recorded = await store.execute(append)
        after, version = await head_of(store), (before.version if before else 0) + 1
        assert after is not None
        assert (after.state, after.version) == (TABLE[state, name].dest, version)
        assert (recorded.position, recorded.version) == (after.position, version)
        written = structs.replace(append.event, version=version, cause=append.call_id)
        assert await store.read() == [*entries, (recorded.position, written)]
    else:
        with pytest.raises(IllegalTransition) as caught:
            await store.execute(append)
        error = caught.value
        assert (error.execution_id, error.state, error.event) == (ID, state or "", name)
        assert await store.read() == entries
        assert await head_of(store) == before
    views_are_the_fold(await store.read(), await store.views())
