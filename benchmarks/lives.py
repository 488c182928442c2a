"""A log for benchmarks: executions that are delivered at once, woken, rejected or buried."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from msgspec import structs
from redis import Redis

from by_cp.ids import new_execution_id
from by_cp.keys import RedisKeys
from by_cp.statemachine.codec import CODEC
from by_cp.statemachine.events import (
    BecameReady,
    Call,
    DeadLettered,
    Delivered,
    Evidence,
    ExecutionEvent,
    Failed,
    Held,
    Rejected,
    Requested,
    WakeAttempted,
    WakeRequested,
)
from by_cp.statemachine.position import Position
from by_cp.vocabulary import RoutePolicy

BATCH = 5_000
BEGIN_MS = 1_700_000_000_000
APART_MS = 200
"""Executions begin so far apart: a million events are about half a day."""
AGENT_TYPES, TENANTS = 20, 50
COMMAND = '{"action_type":"ASK_AGENT","header":{},"body":{"content":"' + "x" * 300 + '"}}'

Entry = tuple[Position, ExecutionEvent]
Step = tuple[int, ExecutionEvent]
"""How long after the execution began, in ms, and what happened."""


def entries(events: int) -> Iterator[Entry]:
    """Yield so many entries of a log, the same ones each time but for their ids."""
    return islice(_endless(), events)


def _endless() -> Iterator[Entry]:
    number = 0
    while True:
        yield from _life(number, BEGIN_MS + number * APART_MS)
        number += 1


def _life(number: int, begun_ms: int) -> Iterator[Entry]:
    """Yield one execution."""
    execution_id, cause = new_execution_id(begun_ms), f"{number:016x}"
    agent_type, user_code = f"agent-{number % AGENT_TYPES}", f"u{number % TENANTS}"
    make = KINDS[number % len(KINDS)]
    call = Call(
        *(agent_type, user_code, "eu", POLICIES[make], 0, 30_000),
        *(f"session-{number // 5}", f"{number:032x}", f"msg-{number:032x}", "client"),
    )
    for version, (since_ms, event) in enumerate(make(call, begun_ms), 1):
        position = f"{begun_ms + since_ms}-{version - 1}"
        own = structs.replace(event, execution_id=execution_id, version=version, cause=cause)
        yield position, own


def _at_once(call: Call, _: int) -> Iterator[Step]:
    yield 0, Requested("", 0, "", call, Evidence("CLOSED", 1, 100, 1, 3))
    yield 0, BecameReady("", 0, "", "ONLINE", call.agent_type)
    yield 0, Delivered("", 0, "", call.agent_type)


def _rejected(call: Call, _: int) -> Iterator[Step]:
    yield 0, Requested("", 0, "", call, Evidence("CLOSED", 1, 100, 0, 3))
    reason = f"No online worker found for agent_type {call.agent_type!r}"
    yield 0, Rejected("", 0, "", "AGENT_TYPE_UNAVAILABLE", reason)


def _woken(call: Call, begun_ms: int) -> Iterator[Step]:
    yield from _waking(call, begun_ms)
    epoch = f"{begun_ms + 5}-3"
    yield 90, BecameReady("", 0, "", "WAKE", call.agent_type, epoch, ("worker-1",), "manager-1")
    yield 90, Delivered("", 0, "", call.agent_type)


def _buried(call: Call, begun_ms: int) -> Iterator[Step]:
    yield from _waking(call, begun_ms)
    reason = "the image could not be pulled: no space left on the node"
    yield 120, Failed("", 0, "", reason, f"{begun_ms + 5}-3", "manager-1")
    yield 120, DeadLettered("", 0, "", reason, "manager-1")


def _waking(call: Call, begun_ms: int) -> Iterator[Step]:
    yield 0, Requested("", 0, "", call, Evidence("CLOSED", 1, 100, 0, 3))
    yield 0, Held("", 0, "", COMMAND, 10, 10)
    yield 0, WakeRequested("", 0, "", "", "", begun_ms + 30_000)
    yield 5, WakeAttempted("", 0, "", f"{begun_ms}-2", 1, begun_ms + 30_005, "", "manager-1")


KINDS = (*[_at_once] * 4, *[_rejected] * 2, *[_woken] * 3, _buried)
"""Of ten executions four are delivered at once, two rejected, three woken, and one buried."""

POLICIES = {
    **dict.fromkeys((_at_once, _rejected), RoutePolicy.FAIL_FAST),
    **dict.fromkeys((_woken, _buried), RoutePolicy.WAKE_AND_QUEUE),
}


def fill(client: Redis, events: int) -> list[tuple[str, list[Position]]]:
    """Put so many events into a server's log, and their heads; return each one's positions."""
    heads: dict[str, list[Position]] = {}
    log = entries(events)
    while batch := list(islice(log, BATCH)):
        pipeline = client.pipeline(transaction=False)
        for position, event in batch:
            pipeline.xadd(RedisKeys.log(), {"e": CODEC.encode(event)}, id=position)
            heads.setdefault(event.execution_id, []).append(position)
        pipeline.execute()
    pipeline = client.pipeline(transaction=False)
    for number, (execution_id, positions) in enumerate(heads.items(), 1):
        pipeline.hset(RedisKeys.head(execution_id), "p", ",".join(positions))
        if number % BATCH == 0:
            pipeline.execute()
    pipeline.execute()
    return list(heads.items())
