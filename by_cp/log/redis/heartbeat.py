"""Managers' signs of life.

A manager lives while its lease does. The set of all names is only for those who list them: which
consumers a group has does not tell, for Redis before 7.2 makes a consumer with its first entry.
"""

from __future__ import annotations

import asyncio
import time

from by_cp.keys import RedisKeys
from by_cp.log.redis.calls import Caller

FORGOTTEN_MS = 3_600_000
"""So long after its lease lapsed, in milliseconds, the name of a manager is dropped."""


async def beat(caller: Caller, name: str, ttl_ms: int) -> None:
    """Renew a manager's lease."""
    now_ms = time.time_ns() // 1_000_000
    await asyncio.gather(
        caller.command("SET", RedisKeys.manager(name), "1", "PX", ttl_ms),
        caller.command("ZADD", RedisKeys.managers(), now_ms + ttl_ms, name),
        caller.command("ZREMRANGEBYSCORE", RedisKeys.managers(), 0, now_ms - FORGOTTEN_MS),
    )


async def resign(caller: Caller, name: str) -> None:
    """End a manager's lease."""
    await asyncio.gather(
        caller.command("DEL", RedisKeys.manager(name)),
        caller.command("ZREM", RedisKeys.managers(), name),
    )


async def alive(caller: Caller) -> list[str]:
    """Return the managers whose lease holds, by name."""
    known = await caller.command("ZRANGE", RedisKeys.managers(), 0, -1)
    names = sorted(name.decode() for name in known)
    leases = await asyncio.gather(
        *(caller.command("EXISTS", RedisKeys.manager(name)) for name in names)
    )
    return [name for name, lives in zip(names, leases, strict=True) if lives]
