"""Reads: histories, pages of the log, and the listings of what is held, waited for, and due."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from by_cp.ids import time_of
from by_cp.keys import RedisKeys
from by_cp.log.commands import Member
from by_cp.log.contract import Due, Entry
from by_cp.log.redis.calls import Caller
from by_cp.log.redis.encoding import decode_call
from by_cp.statemachine.codec import CODEC
from by_cp.statemachine.events import Call, ExecutionEvent, Requested
from by_cp.statemachine.position import BEGINNING, Position

PAGE = 1000
SKEW_MS = 3_600_000
"""How far a client's clock, of which an execution_id has its time, may be ahead of the server's."""


async def history(caller: Caller, execution_id: str) -> list[Entry]:
    """Return an execution's events: its head names their positions.

    Once the head has expired the log is searched, from the time in the execution_id on.
    """
    head = await caller.command("HGET", RedisKeys.head(execution_id), "p")
    if head is None:
        return await _search(caller, execution_id)
    replies = await asyncio.gather(
        *(
            caller.command("XRANGE", RedisKeys.log(), position, position)
            for position in head.decode().split(",")
        )
    )
    return [entry for reply in replies for entry in _entries(reply)]


async def page(caller: Caller, after: Position, count: int) -> list[Entry]:
    """Return entries after a position."""
    start = "-" if after == BEGINNING else f"({after}"
    reply = await caller.command("XRANGE", RedisKeys.log(), start, "+", "COUNT", count)
    return list(_entries(reply))


async def page_back(caller: Caller, before: Position, count: int) -> list[Entry]:
    """Return entries before a position, or with "" the last ones; the latest first."""
    end = f"({before}" if before else "+"
    reply = await caller.command("XREVRANGE", RedisKeys.log(), end, "-", "COUNT", count)
    return list(_entries(reply))


async def _search(caller: Caller, execution_id: str) -> list[Entry]:
    time_ms = time_of(execution_id)
    after = BEGINNING if time_ms is None else f"{max(time_ms - SKEW_MS, 0)}-0"
    found: list[Entry] = []
    while entries := await page(caller, after, PAGE):
        after = entries[-1].position
        found += [
            entry
            for entry in entries
            if isinstance(entry.event, ExecutionEvent) and entry.event.execution_id == execution_id
        ]
    return found


def _entries(reply: Any) -> Iterable[Entry]:
    for entry_id, fields in reply:
        data = fields[b"e"] if isinstance(fields, dict) else fields[1]
        yield Entry(entry_id.decode(), CODEC.decode(data))


async def call_of(caller: Caller, execution_id: str) -> tuple[Call, str] | None:
    """Return the Call of an execution, and the inbox that waits for it; None if it is unknown.

    The head of an execution that was settled at once no longer has its Call: its first event does.
    """
    body, inbox, positions = await caller.command(
        "HMGET", RedisKeys.head(execution_id), "b", "i", "p"
    )
    if positions is None:
        return None
    if body is not None:
        return decode_call(body), (inbox or b"").decode()
    first = positions.decode().partition(",")[0]
    reply = await caller.command("XRANGE", RedisKeys.log(), first, first)
    for entry in _entries(reply):
        if isinstance(entry.event, Requested):
            return entry.event.call, ""
    return None


async def members(caller: Caller, key: str, count: int) -> list[Member]:
    """Return the first of an index, next first."""
    found: list[Member] = []
    first = 0
    while len(found) < count:
        page_size = min(count, PAGE)
        names = await caller.command("ZRANGE", key, first, first + page_size - 1)
        first += len(names)
        ids = [id_of(name.decode()) for name in names]
        for execution_id, (body, inbox) in await _heads(caller, ids):
            if body is not None:
                found.append(_member(execution_id, body, inbox))
        if len(names) < page_size:
            break
    return found[:count]


def id_of(name: str) -> str:
    """Return the execution of an index entry: `position/id`, or `rank/position/id`."""
    first, _, rest = name.partition("/")
    return rest if "-" in first else rest.partition("/")[2]


async def due(caller: Caller, key: str, now_ms: int, count: int) -> list[Due]:
    """Return those of an index by time whose time has come."""
    names = await caller.command("ZRANGEBYSCORE", key, "-inf", now_ms, "LIMIT", 0, count)
    heads = await _heads(caller, [name.decode() for name in names])
    return [
        Due(decode_call(body).agent_type, _member(execution_id, body, inbox))
        for execution_id, (body, inbox) in heads
        if body is not None
    ]


async def _heads(caller: Caller, ids: list[str]) -> list[tuple[str, Any]]:
    heads = await asyncio.gather(
        *(caller.command("HMGET", RedisKeys.head(e), "b", "i") for e in ids)
    )
    return list(zip(ids, heads, strict=True))


def _member(execution_id: str, body: bytes, inbox: bytes | None) -> Member:
    call = decode_call(body)
    return Member(execution_id, call.user_code, call.region, (inbox or b"").decode())
