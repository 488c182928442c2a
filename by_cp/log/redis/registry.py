"""Workers' leases and registrations, in by-framework's keys and format."""

from __future__ import annotations

import asyncio
import time

import msgspec

from by_cp.errors import ServerError
from by_cp.keys import RedisKeys
from by_cp.log.pacing import room
from by_cp.log.redis import takeover
from by_cp.log.redis.calls import Caller
from by_cp.log.redis.streams import named_groups, unfinished


async def announce(
    caller: Caller,
    worker_id: str,
    agent_types: tuple[str, ...],
    ttl_ms: int,
    capacity: int = 0,
) -> None:
    """Renew a worker's lease, and register it for its agent types."""
    now_ms = time.time_ns() // 1_000_000  # by-framework's last_seen is the worker's own clock
    document = {"version": 1, "token": None, "last_seen": now_ms}
    lease = msgspec.json.encode(document | ({"capacity": capacity} if capacity else {}))
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


async def retire(caller: Caller, worker_id: str, group: str) -> None:
    """Remove a worker's lease and registrations.

    Of an agent type whose commands it took and did not finish it stays a registered worker, a dead
    one: so the others see that they are to take them over.
    """
    declared = RedisKeys.worker_declared_agent_types(worker_id)
    declared_types = [name.decode() for name in await caller.command("SMEMBERS", declared)]
    holders = await asyncio.gather(
        *(takeover.holders(caller, RedisKeys.ctrl_stream(name), group) for name in declared_types)
    )
    agent_types = [
        name
        for name, holding in zip(declared_types, holders, strict=True)
        if worker_id not in holding
    ]
    registrations = [
        *(("SREM", RedisKeys.agent_type_members(name), worker_id) for name in agent_types),
        *(("ZREM", RedisKeys.online(name), worker_id) for name in declared_types),
    ]
    await asyncio.gather(
        caller.command("DEL", RedisKeys.worker_online_lease(worker_id)),
        *(caller.command(*command) for command in registrations),
        caller.command("SREM", RedisKeys.KNOWN_WORKERS, worker_id),
        caller.command("DEL", declared),  # last: whoever is interrupted can begin again
    )


async def registered(caller: Caller, agent_type: str) -> set[str]:
    """Return the workers that registered for an agent type, dead ones included."""
    members = await caller.command("SMEMBERS", RedisKeys.agent_type_members(agent_type))
    return {member.decode() for member in members}


async def online(caller: Caller, agent_type: str) -> tuple[str, ...]:
    """Return the workers of an agent type whose lease holds."""
    return tuple(await _leases(caller, agent_type))


async def _leases(caller: Caller, agent_type: str) -> dict[str, bytes]:
    """Return the leases that hold, by worker."""
    workers = sorted(await registered(caller, agent_type))
    if not workers:
        return {}
    keys = [RedisKeys.worker_online_lease(worker) for worker in workers]
    leases = await caller.command("MGET", *keys)
    found = zip(workers, leases, strict=True)
    return {worker: lease for worker, lease in found if _holds(lease)}


async def room_of(caller: Caller, agent_type: str, group: str) -> int:
    """Return how many more commands the workers of an agent type have room for.

    What a worker took that is gone by now does not count: nobody works on it.
    """
    stream = RedisKeys.ctrl_stream(agent_type)
    leases, length, pending = await asyncio.gather(
        _leases(caller, agent_type),
        caller.command("XLEN", stream),
        _taken(caller, stream, group),
    )
    capacities = map(_capacity, leases.values())
    if pending is None:  # of whatever group the workers are, none of ours has read yet
        return room(capacities, int(length))
    undelivered, taken = pending
    working = sum(count for worker, count in taken.items() if worker in leases)
    return room(capacities, min(int(length), undelivered + working))


async def _taken(caller: Caller, stream: str, group: str) -> tuple[int, dict[str, int]] | None:
    """Return how much nobody has taken, and how much each consumer has; None without the group."""
    try:
        groups, summary = await asyncio.gather(
            caller.command("XINFO", "GROUPS", stream), caller.command("XPENDING", stream, group)
        )
    except ServerError:  # no stream, or no group yet
        return None
    found = named_groups(groups).get(group)
    if found is None:
        return None
    lag, taken = found.get("lag"), unfinished(summary)
    if lag is None:  # the server cannot tell, for entries were deleted; then all that is there
        lag = max(0, int(await caller.command("XLEN", stream)) - sum(taken.values()))
    return int(lag), taken


def _capacity(lease: bytes) -> int:
    try:
        document = msgspec.json.decode(lease)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0
    capacity = document.get("capacity") if isinstance(document, dict) else None
    return capacity if isinstance(capacity, int) and capacity > 0 else 0


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
