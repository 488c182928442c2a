"""Sending, by whichever of the four callers, so that one suite holds for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec

from by_cp import AgentContext, ByaiAgentContext, ByaiGatewayClient, GatewayClient
from by_cp.log.contract import Delivery, Store, WakeSignal
from by_cp.statemachine.events import ExecutionEvent
from by_cp.vocabulary import WakeupDecisionStatus
from tests.making import make_settle


class Sent(NamedTuple):
    """What a caller was told, whoever it was."""

    accepted: bool
    execution_id: str
    message_id: str
    error: str
    error_code: str
    retry_after_ms: int | None


class Way(Protocol):
    """Sends a message to an agent type, with whatever arguments all callers have."""

    async def __call__(
        self, agent_type: str, content: str = "hello", *, user_code: str = "", **rest: Any
    ) -> Sent:
        """Send."""
        ...


def by_client(kind: type[GatewayClient]) -> Callable[[Store], Way]:
    """Send as a program does that is no agent."""

    def way(store: Store) -> Way:
        async def send(agent_type: str, content: str = "hello", **rest: Any) -> Sent:
            client = kind(redis_client=store)
            told = await client.send_message(agent_type, "session-1", content, **rest)
            return Sent(
                told.success,
                told.execution_id,
                told.message_id,
                told.error,
                told.error_code,
                told.retry_after_ms,
            )

        return send

    return way


def by_context(kind: type[AgentContext]) -> Callable[[Store], Way]:
    """Send as an agent does."""

    def way(store: Store) -> Way:
        async def send(
            agent_type: str, content: str = "hello", *, user_code: str = "", **rest: Any
        ) -> Sent:
            context = kind(
                "session-1", "trace-1", store, current_agent_id="caller", user_code=user_code
            )
            told = await context.call_agent(agent_type, content, **rest)
            return Sent(
                told["status"] == "QUEUED",
                told["execution_id"],
                told["message_id"],
                told.get("error", ""),
                told.get("error_code", ""),
                told.get("retry_after_ms"),
            )

        return send

    return way


WAYS = {
    "send_message": by_client(GatewayClient),
    "call_agent": by_context(AgentContext),
    "byai_send_message": by_client(ByaiGatewayClient),
    "byai_call_agent": by_context(ByaiAgentContext),
}


async def online(store: Store, *agent_types: str) -> None:
    """Let a worker be online for each of some agent types."""
    for agent_type in agent_types:
        await store.announce(f"worker-of-{agent_type}", (agent_type,), 60_000)


async def taken(store: Store, agent_type: str) -> list[Delivery]:
    """Take what was delivered to an agent type since the last time."""
    return await store.take_deliveries((agent_type,), "reader", 10_000, 0)


async def commands(store: Store, agent_type: str) -> list[dict[str, Any]]:
    """Take it, decoded."""
    return [msgspec.json.decode(delivery.data) for delivery in await taken(store, agent_type)]


async def signal(store: Store) -> WakeSignal:
    """Wait for a wake that the manager is asked for."""
    (found,) = await store.take_signals("manager-1", 1, 5_000)
    return found


async def settle(
    store: Store, wake: WakeSignal, status: str = WakeupDecisionStatus.READY, **rest: Any
) -> None:
    """Let a manager decide about all who wait for a wake."""
    request = wake.request
    group = (request.target_agent_type, request.user_code, request.region)
    members = await store.wake_members(group, 10_000)
    await store.execute(make_settle(wake, members, status, **rest))


async def event_names(store: Store, execution_id: str) -> list[str]:
    """Return what happened to an execution."""
    return [entry.event.name for entry in await store.history(execution_id)]


async def last_event(store: Store, execution_id: str) -> ExecutionEvent:
    """Return what happened to it last."""
    event = (await store.history(execution_id))[-1].event
    assert isinstance(event, ExecutionEvent)
    return event


async def nothing_written(store: Store, *agent_types: str) -> bool:
    """Whether neither the log nor the control streams hold anything."""
    return not await store.read() and not any([await taken(store, a) for a in agent_types])
