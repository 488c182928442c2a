"""What the participants do, in the fewest words; and how tests look at what came of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from by_cp.log.answers import Attempted, Outcome, Receipt, Tally
from by_cp.log.commands import (
    Attempt,
    Cancel,
    Configure,
    GiveUp,
    Mature,
    Member,
    Release,
    Rouse,
    Settle,
    Sweep,
)
from by_cp.log.contract import Store
from by_cp.statemachine.events import CircuitForced, FallbackSet, QuotaSet, SystemEvent
from by_cp.statemachine.states import State
from tests.making import make_request

LEASE_MS = 3_600_000
"""A server's leases run on its own clock; so long that none lapses during a test."""


# --- Callers --------------------------------------------------------------------------------------


async def request(store: Store, execution_id: str, policy: str, **of_call: Any) -> Receipt:
    """Ask for a delivery to `echo`, or whom `of_call` names."""
    answer = await store.execute(make_request(execution_id, policy, **of_call))
    return answer.receipt


async def give_up(store: Store, execution_id: str, reason: str = "it takes too long") -> Outcome:
    """Wait no longer."""
    return await store.execute(GiveUp(execution_id=execution_id, reason=reason))


# --- The manager ----------------------------------------------------------------------------------


async def settle(
    store: Store, leader: str, status: str, members: Iterable[Member] | None = None, **rest: Any
) -> Tally:
    """Answer the wake that an execution waits for, to all who wait in its group."""
    views = await store.views()
    head = views.executions[leader]
    agent_type, user_code, region = head.group
    claim = views.wakes.get(head.group)
    epoch = rest.pop("epoch", claim.epoch if claim else head.epoch)
    if members is None:
        members = await store.wake_members(head.group, 1000)
    return await store.execute(
        Settle(
            agent_type=agent_type,
            user_code=user_code,
            region=region,
            epoch=epoch,
            status=status,
            members=tuple(members),
            by="manager",
            **rest,
        )
    )


async def release(store: Store, agent_type: str = "echo", count: int = 1000) -> Tally:
    """Deliver what is held for an agent type, as the gate does."""
    members = tuple(await store.held(agent_type, count))
    return await store.execute(Release(agent_type=agent_type, members=members, by="gate"))


async def sweep(store: Store, count: int = 1000) -> Tally:
    """Expire what is due, as the sweeper does; all of one agent type."""
    due = await store.due(count)
    agent_type = due[0].agent_type if due else "echo"
    assert {late.agent_type for late in due} <= {agent_type}
    members = tuple(late.member for late in due)
    return await store.execute(Sweep(agent_type=agent_type, members=members, by="sweeper"))


# --- Workers and operators ------------------------------------------------------------------------


async def online(store: Store, agent_type: str = "echo", worker_id: str = "worker-1") -> None:
    """Let a worker come online."""
    await store.announce(worker_id, (agent_type,), LEASE_MS)


async def force_circuit(store: Store, state: str, agent_type: str = "echo") -> None:
    """Open or close a circuit."""
    event = CircuitForced("", agent_type, state, "maintenance", "operator")
    await store.execute(Configure(event=event))


async def set_quota(store: Store, limit: int, user_code: str = "acme") -> None:
    """Limit how many commands of a tenant may be in flight."""
    await store.execute(Configure(event=QuotaSet("", user_code, limit, "operator")))


async def set_fallback(store: Store, selected: str, agent_type: str = "echo") -> None:
    """Let another agent type stand in."""
    await store.execute(Configure(event=FallbackSet("", agent_type, selected, "operator")))


async def configure(store: Store, *events: SystemEvent) -> None:
    """Set something else."""
    for event in events:
        await store.execute(Configure(event=event))


async def attempt(store: Store, waits: str, *, reason: str = "", by: str = "manager") -> Attempted:
    """Begin an attempt of the wake that an execution waits for."""
    views = await store.views()
    head = views.executions[waits]
    agent_type, user_code, region = head.group
    return await store.execute(
        Attempt(
            agent_type=agent_type,
            user_code=user_code,
            region=region,
            wake=head.epoch,
            members=tuple(await store.wake_members(head.group, 10)),
            lasts_ms=30_000,
            reason=reason,
            by=by,
        )
    )


async def rouse(store: Store, agent_type: str = "echo") -> Tally:
    """Ask for wakes for what waits for none, as the gate does."""
    members = tuple(await store.held(agent_type, 1000))
    return await store.execute(Rouse(agent_type=agent_type, members=members, by="gate"))


async def mature(store: Store, agent_type: str = "echo") -> Tally:
    """Let go what was delayed, as the gate does."""
    members = tuple(due.member for due in await store.matured(1000))
    return await store.execute(Mature(agent_type=agent_type, members=members, by="gate"))


async def cancel(store: Store, execution_id: str, reason: str = "") -> Outcome:
    """Take a command back."""
    return await store.execute(Cancel(execution_id=execution_id, reason=reason, by="operator"))


async def names_of(store: Store) -> list[str]:
    """Return the names of all events of the log."""
    return [entry.event.name for entry in await store.read()]


# --- What came of it ------------------------------------------------------------------------------


async def state_of(store: Store, execution_id: str) -> State:
    """Return where an execution stands."""
    return (await store.views()).executions[execution_id].state


async def events_of(store: Store, execution_id: str) -> list[str]:
    """Return the names of an execution's events."""
    return [entry.event.name for entry in await store.history(execution_id)]


async def in_flight(store: Store, user_code: str = "acme") -> int:
    """Return how many commands of a tenant are in flight."""
    row = (await store.views()).quotas.get(user_code)
    return row.in_flight if row else 0
