"""The live views: the server's rows, as the same rows that a fold gives."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from typing import Any

import msgspec

from by_cp.keys import RedisKeys, unquote
from by_cp.log.redis.calls import Caller
from by_cp.log.redis.histories import call_of
from by_cp.projections.rows import (
    NO_LIMIT,
    AgentRow,
    AvailabilityRow,
    CircuitPolicyRow,
    CircuitRow,
    DeadLetterRow,
    ExecutionRow,
    FallbackRow,
    PendingRow,
    QuotaRow,
    WakeMemberRow,
    WakeRow,
)
from by_cp.projections.views import Views
from by_cp.statemachine.states import State

Hash = dict[str, bytes]


async def live_views(caller: Caller) -> Views:
    """Read every live row.

    Not one atomic moment: rows that change meanwhile are read as they are when they are reached.
    """
    views = Views()
    await _read_executions(caller, views)
    await _read_agents(caller, views)
    async for user_code, fields in hashes(caller, RedisKeys.view_quota("")):
        views.quotas[user_code] = await quota_row(caller, user_code, fields)
    async for name, fields in hashes(caller, RedisKeys.wake("")):
        if "z" not in fields:
            wake = _wake_row(name, fields)
            views.wakes[wake.group] = wake
    return views


async def _read_executions(caller: Caller, views: Views) -> None:
    async for execution_id, head in hashes(caller, RedisKeys.head("")):
        row = await execution_row(caller, execution_id, head)
        if row is None:
            continue
        views.executions[execution_id] = row
        if row.held_at:
            views.pending[execution_id] = await pending_row(caller, row, head)
        elif row.state == State.DEADLETTER:
            views.dead_letters[execution_id] = await _dead_letter_row(caller, row, head)
        if row.joined_at:
            views.wake_members[execution_id] = WakeMemberRow(
                execution_id, row.group, row.epoch, row.call.priority, row.joined_at
            )


async def _read_agents(caller: Caller, views: Views) -> None:
    await read_settings(caller, views)
    prefix = RedisKeys.control_plane_agent_availability("")
    async for agent_type, fields in hashes(caller, prefix):
        views.availability[agent_type] = AvailabilityRow(
            agent_type, fields["s"].decode(), fields["e"].decode(), fields["p"].decode()
        )


async def read_settings(caller: Caller, views: Views) -> None:
    """Read what is set for agent types, and how their circuits stand."""
    async for agent_type, fields in hashes(caller, RedisKeys.view_circuit("")):
        add_agent(views, agent_type, fields)
    async for agent_type, fields in hashes(caller, RedisKeys.view_fallback("")):
        add_fallback(views, agent_type, fields)


def add_agent(views: Views, agent_type: str, fields: Hash) -> None:
    """Make those rows of one agent type that its hash has."""
    if "p" in fields:
        views.circuits[agent_type] = circuit_row(agent_type, fields)
    if "mp" in fields:
        views.agents[agent_type] = agent_row(agent_type, fields)
    if "cp" in fields:
        views.circuit_policies[agent_type] = _policy_row(agent_type, fields)


def add_fallback(views: Views, agent_type: str, fields: Hash) -> None:
    """Make the row of one agent type's fallback, if it has one."""
    if fields:
        target, position = fields["t"].decode(), fields["p"].decode()
        views.fallbacks[agent_type] = FallbackRow(agent_type, target, position)


async def execution_row(caller: Caller, execution_id: str, head: Hash) -> ExecutionRow | None:
    """Make the row of one head; None if it expired meanwhile."""
    positions = head["p"].decode().split(",")
    found = await call_of(caller, execution_id)
    if found is None:
        return None
    call, _ = found
    return ExecutionRow(
        execution_id,
        call,
        State(head["s"].decode()),
        int(head["v"]),
        positions[-1],
        head.get("h", b"").decode(),
        head.get("u") == b"1",
        head.get("e", b"").decode(),
        head.get("j", b"").decode(),
    )


async def quota_row(caller: Caller, user_code: str, fields: Hash) -> QuotaRow:
    """Make the row of one tenant's quota."""
    reply = await caller.command("ZRANGE", RedisKeys.leases(user_code), 0, -1, "WITHSCORES")
    leases = {name.decode(): _lease_ms(score) for name, score in _pairs(reply)}
    return QuotaRow(
        user_code,
        len(leases),
        int(fields.get("l", NO_LIMIT)),
        fields["p"].decode(),
        leases,
        int(fields.get("rc", 0)),
        int(fields.get("rp", 0)),
        int(fields.get("rb", 0)),
        int(fields.get("t", 0)),
        int(fields.get("d", NO_LIMIT)),
    )


def circuit_row(agent_type: str, fields: Hash) -> CircuitRow:
    """Make the row of one circuit."""
    permits = fields.get("b", b"").decode()
    struck = fields.get("k", b"").decode()
    return CircuitRow(
        agent_type,
        fields.get("s", b"CLOSED").decode(),
        int(fields.get("f", 0)),
        fields.get("e", b"").decode(),
        fields.get("r", b"").decode(),
        fields["p"].decode(),
        fields.get("x") == b"1",
        int(fields.get("u", 0)),
        int(fields.get("o", 0)),
        tuple(int(ms) for ms in struck.split(",") if ms),
        {
            wake: int(until_ms)
            for wake, _, until_ms in (p.partition("=") for p in permits.split(",") if p)
        },
    )


def agent_row(agent_type: str, fields: Hash) -> AgentRow:
    """Make the row of what operators said of one agent type."""
    return AgentRow(
        agent_type,
        fields.get("m", b"RUNNING").decode(),
        fields.get("mr", b"").decode(),
        int(fields.get("dl", NO_LIMIT)),
        fields["mp"].decode(),
    )


def _policy_row(agent_type: str, fields: Hash) -> CircuitPolicyRow:
    return CircuitPolicyRow(
        agent_type,
        failures_max=int(fields["cf"]),
        window_ms=int(fields["cw"]),
        open_ms=int(fields["co"]),
        probes_max=int(fields["cn"]),
        probe_ms=int(fields["ct"]),
        position=fields["cp"].decode(),
    )


def _wake_row(name: str, fields: Hash) -> WakeRow:
    agent_type, user_code, region = (unquote(part) for part in name.split(":"))
    return WakeRow(
        (agent_type, user_code, region),
        fields["w"].decode(),
        fields["l"].decode(),
        int(fields["u"]),
        fields["t"].decode(),
        int(fields["n"]),
        fields["p"].decode(),
    )


def _pairs(reply: Any) -> Iterator[tuple[bytes, float]]:
    """Undo what redis-py makes of scores, by protocol version: pairs, or a flat list."""
    flat: list[Any] = []
    for item in reply:
        flat += item if isinstance(item, (list, tuple)) else (item,)
    return zip(flat[::2], map(float, flat[1::2]), strict=True)


def _lease_ms(score: float) -> int:
    return 0 if math.isinf(score) else int(score)


async def raw_range(caller: Caller, stream: str, entry_id: str) -> list[Any]:
    """Read one entry of a stream: [] or [(id, [field, value, …])]."""
    reply = await caller.command("XRANGE", stream, entry_id, entry_id)
    return [(key, _flat(fields)) for key, fields in reply]


async def _document(caller: Caller, stream: str, head: Hash) -> bytes:
    [(_, fields)] = await raw_range(caller, stream, head["q"].decode())
    data: bytes = fields[1]
    return data


def _command(document: bytes, head: Hash) -> str:
    offset = int(head["k"])
    return document[offset:-1].decode() if offset else ""


async def pending_row(
    caller: Caller, row: ExecutionRow, head: Hash, *, payload: bool = True
) -> PendingRow:
    """Make the row of one held command. `payload` reads the command."""
    stream = RedisKeys.control_plane_delivery_pending_stream()
    return PendingRow(
        execution_id=row.execution_id,
        agent_type=row.call.agent_type,
        user_code=row.call.user_code,
        region=row.call.region,
        priority=row.call.priority,
        command=_command(await _document(caller, stream, head), head) if payload else "",
        name_at=int(head["n"]),
        name_size=int(head["z"]),
        deadline_ms=int(head.get("d", 0)),
        position=row.held_at,
        not_before_ms=int(head.get("a", 0)),
        expires_at_ms=int(head.get("y", 0)),
        rank=int(head.get("r", 0)),
    )


async def _dead_letter_row(caller: Caller, row: ExecutionRow, head: Hash) -> DeadLetterRow:
    document = await _document(caller, RedisKeys.control_plane_deadletter_stream(), head)
    return DeadLetterRow(
        execution_id=row.execution_id,
        agent_type=row.call.agent_type,
        user_code=row.call.user_code,
        reason=msgspec.json.decode(document)["reason"],
        command=_command(document, head),
        name_at=int(head.get("n", 0)),
        name_size=int(head.get("z", 0)),
        position=row.position,
    )


async def hashes(caller: Caller, prefix: str) -> AsyncIterator[tuple[str, Hash]]:
    """Give every hash whose key begins with a prefix, by the rest of its key."""
    pattern = _escaped(prefix) + "*"
    seen: set[str] = set()  # a scan may give a key twice
    cursor = 0
    while True:
        cursor, keys = await caller.command("SCAN", cursor, "MATCH", pattern, "COUNT", 1000)
        names = [name for name in (key.decode() for key in keys) if name not in seen]
        seen.update(names)
        hashes = await asyncio.gather(*(caller.command("HGETALL", name) for name in names))
        for name, reply in zip(names, map(_flat, hashes), strict=True):
            pairs = zip(reply[::2], reply[1::2], strict=True)
            fields = {field.decode(): value for field, value in pairs}
            if fields:  # else it expired meanwhile
                yield name[len(prefix) :], fields
        if int(cursor) == 0:
            return


async def hash_at(caller: Caller, key: str) -> Hash:
    """Read one hash; {} if there is none."""
    reply = _flat(await caller.command("HGETALL", key))
    return {f.decode(): value for f, value in zip(reply[::2], reply[1::2], strict=True)}


def _escaped(prefix: str) -> str:
    return "".join(f"\\{c}" if c in "*?[]\\" else c for c in prefix)


def _flat(reply: Any) -> list[Any]:
    """Undo what redis-py makes of pairs, by protocol version: a dict or a flat list."""
    if isinstance(reply, dict):
        return [part for pair in reply.items() for part in pair]
    return list(reply)
