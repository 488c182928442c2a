"""Listings for those who look on: what is held, who is there, how much there is of everything."""

from __future__ import annotations

import asyncio

from by_cp.keys import RedisKeys
from by_cp.log.contract import Census
from by_cp.log.redis import histories, registry, rows
from by_cp.log.redis.calls import Caller
from by_cp.projections.rows import ExecutionRow, PendingRow, QuotaRow
from by_cp.projections.views import Views

PAGE = 200


async def census(caller: Caller) -> Census:
    """Count what there is."""
    log, dead, quarantined, depths = await asyncio.gather(
        caller.command("XLEN", RedisKeys.log()),
        caller.command("XLEN", RedisKeys.control_plane_deadletter_stream()),
        caller.command("XLEN", RedisKeys.quarantine()),
        rows.hash_at(caller, RedisKeys.pending_depth()),
    )
    held = {agent_type: int(count) for agent_type, count in sorted(depths.items())}
    return Census(int(log), held, int(dead), int(quarantined))


async def workers(caller: Caller) -> dict[str, tuple[str, ...]]:
    """Return the workers that are online, by agent type; () where all registered ones are gone."""
    known = await caller.command("SMEMBERS", RedisKeys.KNOWN_WORKERS)
    declared = await asyncio.gather(
        *(
            caller.command("SMEMBERS", RedisKeys.worker_declared_agent_types(name.decode()))
            for name in known
        )
    )
    agent_types = sorted({name.decode() for names in declared for name in names})
    found = await asyncio.gather(*(registry.online(caller, name) for name in agent_types))
    return dict(zip(agent_types, found, strict=True))


async def pending(
    caller: Caller, agent_type: str, count: int, *, user_code: str | None, payload: bool
) -> list[PendingRow]:
    """Return what is held for an agent type, next first, and then what is delayed."""
    found: list[PendingRow] = []
    for key in (RedisKeys.pending_index(agent_type), RedisKeys.delayed()):
        first = 0
        while len(found) < count:
            names = await caller.command("ZRANGE", key, first, first + PAGE - 1)
            first += len(names)
            ids = [name.decode() for name in names]
            if key != RedisKeys.delayed():
                ids = [histories.id_of(name) for name in ids]
            page = await asyncio.gather(*(_held(caller, e, payload=payload) for e in ids))
            found += [
                row
                for row in page
                if row is not None
                and row.agent_type == agent_type
                and user_code in (None, row.user_code)
            ]
            if len(names) < PAGE:
                break
    return found[:count]


async def _held(caller: Caller, execution_id: str, *, payload: bool) -> PendingRow | None:
    head = await rows.hash_at(caller, RedisKeys.head(execution_id))
    row = await rows.execution_row(caller, execution_id, head) if head else None
    if row is None or not row.held_at:
        return None
    return await rows.pending_row(caller, row, head, payload=payload)


async def execution(caller: Caller, execution_id: str) -> ExecutionRow | None:
    """Return an execution's head; None if there is none, or none any more."""
    head = await rows.hash_at(caller, RedisKeys.head(execution_id))
    return await rows.execution_row(caller, execution_id, head) if head else None


async def quota(caller: Caller, user_code: str) -> QuotaRow | None:
    """Return one tenant's quota."""
    fields = await rows.hash_at(caller, RedisKeys.view_quota(user_code))
    return await rows.quota_row(caller, user_code, fields) if fields else None


async def settings(caller: Caller, agent_type: str | None) -> Views:
    """Return circuits, policies, agents and fallbacks: all, or those of one agent type."""
    views = Views()
    if agent_type is None:
        await rows.read_settings(caller, views)
        return views
    own, general, fallback = await asyncio.gather(
        rows.hash_at(caller, RedisKeys.view_circuit(agent_type)),
        rows.hash_at(caller, RedisKeys.view_circuit("")),
        rows.hash_at(caller, RedisKeys.view_fallback(agent_type)),
    )
    rows.add_agent(views, agent_type, own)
    rows.add_agent(views, "", general)
    rows.add_fallback(views, agent_type, fallback)
    return views


async def tenants(caller: Caller) -> list[QuotaRow]:
    """Return every tenant's quota."""
    return [
        await rows.quota_row(caller, user_code, fields)
        async for user_code, fields in rows.hashes(caller, RedisKeys.view_quota(""))
    ]
