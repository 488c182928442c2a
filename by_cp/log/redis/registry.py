"""Workers' leases and registrations, in by-framework's keys and format."""

from __future__ import annotations

import asyncio
import time

import msgspec

from by_cp.keys import RedisKeys
from by_cp.log.redis.calls import Caller


async def announce(
    caller: Caller, worker_id: str, agent_types: tuple[str, ...], ttl_ms: int
) -> None:
    """Renew a worker's lease, and register it for its agent types."""
    now_ms = time.time_ns() // 1_000_000  # by-framework's last_seen is the worker's own clock
    lease = msgspec.json.encode({"version": 1, "token": None, "last_seen": now_ms})
    registrations = [
        command
        for agent_type in agent_types
        for command in (
            ("SADD", RedisKeys.agent_type_members(agent_type), worker_id),
            ("ZADD", RedisKeys.online(agent_type), now_ms, worker_id),
        )
    ]
    # Sent together and in this order: whoever is registered has a lease already.
    await asyncio.gather(
        caller.command("SET", RedisKeys.worker_online_lease(worker_id), lease, "PX", ttl_ms),
        caller.command("SADD", RedisKeys.KNOWN_WORKERS, worker_id),
        caller.command("SADD", RedisKeys.worker_declared_agent_types(worker_id), *agent_types),
        *(caller.command(*command) for command in registrations),
    )


async def retire(caller: Caller, worker_id: str) -> None:
    """Remove a worker's lease and registrations."""
    declared = RedisKeys.worker_declared_agent_types(worker_id)
    agent_types = [name.decode() for name in await caller.command("SMEMBERS", declared)]
    registrations = [
        command
        for agent_type in agent_types
        for command in (
            ("SREM", RedisKeys.agent_type_members(agent_type), worker_id),
            ("ZREM", RedisKeys.online(agent_type), worker_id),
        )
    ]
    await asyncio.gather(
        caller.command("DEL", RedisKeys.worker_online_lease(worker_id)),
        *(caller.command(*command) for command in registrations),
        caller.command("SREM", RedisKeys.KNOWN_WORKERS, worker_id),
        caller.command("DEL", declared),  # last: whoever is interrupted can begin again
    )


async def online(caller: Caller, agent_type: str) -> tuple[str, ...]:
    """Return the workers of an agent type whose lease holds."""
    members = await caller.command("SMEMBERS", RedisKeys.agent_type_members(agent_type))
    workers = sorted(member.decode() for member in members)
    if not workers:
        return ()
    keys = [RedisKeys.worker_online_lease(worker) for worker in workers]
    leases = await caller.command("MGET", *keys)
    return tuple(worker for worker, lease in zip(workers, leases, strict=True) if _holds(lease))


def _holds(lease: bytes | None) -> bool:
    """Tell whether a lease is one: a claim that no worker has confirmed yet has last_seen 0."""
    if lease is None:
        return False
    try:
        document = msgspec.json.decode(lease)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return True  # written by an old by-framework, which had no document there
    if not isinstance(document, dict):
        return True
    last_seen = document.get("last_seen")
    return isinstance(last_seen, (int, float)) and last_seen > 0
