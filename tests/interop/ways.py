"""The ways in which a program may come to by-cp, so that one suite holds for all of them."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import by_framework
from by_framework.core.registry import WorkerRegistry
from redis.asyncio import Redis

import by_cp

SESSION = "session-1"


class Told(NamedTuple):
    """What a caller was told."""

    accepted: bool
    error: str
    error_code: str


ACCEPTED = Told(accepted=True, error="", error_code="")


class Send(Protocol):
    """Sends a message to an agent type, with whatever arguments all callers have."""

    async def __call__(
        self, agent_type: str, content: str = "hello", *, user_code: str = "", **rest: Any
    ) -> Told:
        """Send."""
        ...


def by_client(client: Any) -> Send:
    """Send as a program does that is no agent, with by-cp's client or by-framework's."""

    async def send(agent_type: str, content: str = "hello", **rest: Any) -> Told:
        told = await client.send_message(agent_type, SESSION, content, **rest)
        return Told(told.success, told.error, told.error_code)

    return send


def by_context(kind: type[Any], redis: Redis) -> Send:
    """Send as an agent does, with by-cp's context or by-framework's."""

    async def send(
        agent_type: str, content: str = "hello", *, user_code: str = "", **rest: Any
    ) -> Told:
        caller = kind(
            *(SESSION, "trace-1", redis),
            current_agent_id="caller",
            message_id="parent-1",
            user_code=user_code,
        )
        told = await caller.call_agent(agent_type, content, **rest)
        accepted = told["status"] == "QUEUED"
        return Told(accepted, told.get("error", ""), told.get("error_code", ""))

    return send


def ways(redis: Redis) -> dict[str, Send]:
    """Return the ways, by their names. Those of by-framework are its own until it is switched."""
    stock = by_framework.GatewayClient(registry=WorkerRegistry(redis))
    return {
        "by_cp.send_message": by_client(by_cp.GatewayClient(redis_client=redis)),
        "by_cp.call_agent": by_context(by_cp.AgentContext, redis),
        "by_framework.send_message": by_client(stock),
        "by_framework.call_agent": by_context(by_framework.AgentContext, redis),
    }


NAMES = [
    *("by_cp.send_message", "by_cp.call_agent"),
    *("by_framework.send_message", "by_framework.call_agent"),
    *("by_framework.send_message, switched", "by_framework.call_agent, switched"),
]
"""All the ways: by-cp's client, by-framework's as it is, and by-framework's on by-cp's router."""
