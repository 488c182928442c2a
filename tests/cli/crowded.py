"""A server on which everything is: long and odd names, large numbers, what failed and what is held.

It is what a listing must stay readable with.
"""

from __future__ import annotations

from typing import Any

from by_cp.control_plane import ControlPlane
from by_cp.keys import RedisKeys
from by_cp.vocabulary import RoutePolicy
from tests.contract.acting import LEASE_MS, force_circuit, settle

LONG = "document-summarizer-with-retrieval-for-the-legal-department-2"
WIDE = "要約エージェント・東京リージョン"
SPACED = "an agent: with {odd} [red]signs[/] & \N{PILE OF POO}"
ECHO = "echo"
AGENT_TYPES = (LONG, WIDE, SPACED, ECHO)

TENANT = "acme-corporation-europe-middle-east-and-africa-subsidiary-7"
REASON = (
    "the image registry.example.com/agents/summarizer:2026-11-24 cannot be pulled: "
    "toomanyrequests: You have reached your unauthenticated pull rate limit (100 in 6 hours)"
)
MILLIONS = 12_345_678
GENERATED = "exec-019d7a3b6c48{:014x}"
"""Ids as long as those that by-cp makes."""

POISON = "1700000000000-0"
"""An entry that was set aside; two more follow it."""

HELD = GENERATED.format(1)
DEAD = GENERATED.format(0xDEAD)
"""A dead letter; two more follow it."""


async def crowd(plane: ControlPlane) -> None:
    """Fill an empty server."""
    store = plane.store
    for number, agent_type in enumerate(AGENT_TYPES):
        await _bury(plane, agent_type, GENERATED.format(0xDEAD + number))
    await _limits(plane)
    for number, agent_type in enumerate(AGENT_TYPES):
        tenant = TENANT if number else ""
        for more in range(3):
            await _send(
                *(plane, agent_type, GENERATED.format(1 + number * 3 + more)),
                user_code=tenant,
                priority=500_000 * more,
            )
    await _send(plane, LONG, f"an id of one's own, {'x' * 80}", user_code=TENANT)
    now_ms = await store.now_ms()
    await _send(plane, ECHO, "later", not_before_ms=now_ms + 1_000_000_000)
    await _send(plane, ECHO, "soon", expires_at_ms=now_ms + 600_000_000)
    await store.announce(f"worker-{LONG}", (LONG, "busy"), LEASE_MS)
    await plane.operate.pause(WIDE, REASON, "ann")
    await plane.operate.drain(SPACED, "", "ann")
    await plane.operate.force_circuit(LONG, "OPEN", REASON, "ann")
    await plane.operate.set_fallback(LONG, WIDE)
    await plane.operate.set_fallback(ECHO, f"stand-in-for-{LONG}")
    await store.take_signals("manager-1", 1, 0)
    for replica in range(3):
        await store.beat(f"manager-by-cp-manager-7d9f8b6c5-x{replica}-14-a3f{replica}", LEASE_MS)
    await _poison(plane)


async def _bury(plane: ControlPlane, agent_type: str, execution_id: str) -> None:
    await _send(
        *(plane, agent_type, execution_id), policy=RoutePolicy.WAKE_AND_QUEUE, user_code=TENANT
    )
    await settle(plane.store, execution_id, "FAILED", reason=REASON)
    await force_circuit(plane.store, "AUTO", agent_type)


async def _limits(plane: ControlPlane) -> None:
    operate = plane.operate
    await operate.set_quota(TENANT, MILLIONS)
    await operate.set_rate(TENANT, MILLIONS, 3_600_000, MILLIONS)
    await operate.set_quota("東京支社" * 8, 1_000_000_000)
    for agent_type in AGENT_TYPES:
        await operate.set_depth(MILLIONS, agent_type=agent_type)
    await operate.set_depth(MILLIONS, user_code=TENANT)


async def _send(
    plane: ControlPlane,
    agent_type: str,
    execution_id: str,
    *,
    policy: RoutePolicy = RoutePolicy.QUEUE_ONLY,
    **rest: Any,
) -> None:
    response = await plane.client.send_message(
        agent_type, "session-1", "hello", route_policy=policy, execution_id=execution_id, **rest
    )
    assert response.success, response.error


async def _poison(plane: ControlPlane) -> None:
    """Entries that nobody can read, as they stand when they were set aside."""
    redis: Any = plane.redis
    for number in range(3):
        fields = {
            b"data": b'{"header": "\x1b[31mno' + b"x" * 200 * number,
            b"by-cp:from": RedisKeys.control_plane_wakeup_stream().encode(),
            b"by-cp:reason": REASON.encode(),
        }
        await redis.xadd(RedisKeys.quarantine(), fields, id=f"1700000000000-{number}")
