"""Workers' leases and registrations, in by-framework's keys and format."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec

from by_cp.keys import RedisKeys
from by_cp.log.redis.streams import RAW

if TYPE_CHECKING:
    from redis.asyncio import Redis


async def announce(
    client: Redis, worker_id: str, agent_types: tuple[str, ...], ttl_ms: int
) -> None:
    """Renew a worker's lease, and register it for its agent types."""
    now_ms = time.time_ns() // 1_000_000  # by-framework's last_seen is the worker's own clock
    lease = msgspec.json.encode({"version": 1, "token": None, "last_seen": now_ms})
    async with client.pipeline(transaction=True) as pipeline:
        pipeline.set(RedisKeys.worker_online_lease(worker_id), lease, px=ttl_ms)
        pipeline.sadd(RedisKeys.KNOWN_WORKERS, worker_id)
        pipeline.sadd(RedisKeys.worker_declared_agent_types(worker_id), *agent_types)
        for agent_type in agent_types:
            pipeline.sadd(RedisKeys.agent_type_members(agent_type), worker_id)
            pipeline.zadd(RedisKeys.online(agent_type), {worker_id: now_ms})
        await pipeline.execute()


async def retire(client: Redis, worker_id: str) -> None:
    """Remove a worker's lease and registrations."""
    declared = RedisKeys.worker_declared_agent_types(worker_id)
    agent_types = [_text(name) for name in await client.smembers(declared)]
    async with client.pipeline(transaction=True) as pipeline:
        pipeline.delete(RedisKeys.worker_online_lease(worker_id), declared)
        pipeline.srem(RedisKeys.KNOWN_WORKERS, worker_id)
        for agent_type in agent_types:
            pipeline.srem(RedisKeys.agent_type_members(agent_type), worker_id)
            pipeline.zrem(RedisKeys.online(agent_type), worker_id)
        await pipeline.execute()


async def online(client: Redis, agent_type: str) -> tuple[str, ...]:
    """Return the workers of an agent type whose lease holds."""
    members = await client.smembers(RedisKeys.agent_type_members(agent_type))
    workers = sorted(_text(member) for member in members)
    if not workers:
        return ()
    keys = [RedisKeys.worker_online_lease(worker) for worker in workers]
    leases = await client.execute_command("MGET", *keys, **RAW)
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


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
