"""A log as traffic leaves it: calls that are delivered, that wait for a wake, that fail.

Of a hundred executions eighty are delivered at once, fifteen are held until a wake brings them a
worker, three are rejected, and two end in the dead letters.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from redis import Redis

from by_cp.keys import RedisKeys
from by_cp.statemachine.codec import CODEC
from by_cp.statemachine.events import (
    BecameReady,
    Call,
    DeadLettered,
    Delivered,
    Event,
    Evidence,
    Failed,
    Held,
    Rejected,
    Requested,
    WakeRequested,
)
from by_cp.vocabulary import RoutePolicy

BATCH = 5000
AGENTS = 20
TENANTS = 50
COMMAND = '{"action_type":"ASK_AGENT","header":{"target_agent_type":"agent-00"},"body":{}}'
WOKEN, REJECTED, BURIED = 80, 95, 98
"""Of a hundred executions, the first of each kind; those before are delivered at once."""


def execution(number: int) -> list[Event]:
    """Return the whole history of one execution."""
    execution_id, cause = f"exec-{number:032x}", f"{number:016x}"
    agent_type, user_code = f"agent-{number % AGENTS:02}", f"tenant-{number % TENANTS:02}"
    kind = number % 100
    policy = RoutePolicy.FAIL_FAST if kind < WOKEN else RoutePolicy.WAKE_AND_QUEUE
    call = Call(
        *(agent_type, user_code, "eu", policy, 0, 30_000),
        *(f"session-{number % 1000}", f"trace-{number}", f"message-{number}", "client"),
    )
    ids = ((execution_id, version, cause) for version in itertools.count(1))
    events: list[Event] = [Requested(*next(ids), call, Evidence("CLOSED", 1, -1, 1, 3))]
    if kind < WOKEN:
        events.append(BecameReady(*next(ids), "ONLINE", agent_type))
        events.append(Delivered(*next(ids), agent_type))
        return events
    if REJECTED <= kind < BURIED:
        events.append(Rejected(*next(ids), "TENANT_QUOTA_EXCEEDED", "too many in flight"))
        return events
    events.append(Held(*next(ids), COMMAND, 46, 10))
    events.append(WakeRequested(*next(ids), until_ms=1))
    if kind < REJECTED:
        events.append(BecameReady(*next(ids), "WAKE", agent_type, f"{number + 1}-0"))
        events.append(Delivered(*next(ids), agent_type))
    else:
        events.append(Failed(*next(ids), "no room", f"{number + 1}-0"))
        events.append(DeadLettered(*next(ids), "no room"))
    return events


def events(count: int) -> Iterator[Event]:
    """Give so many events, one execution after the other."""
    histories = (execution(number) for number in itertools.count())
    return itertools.islice(itertools.chain.from_iterable(histories), count)


def fill(client: Redis, count: int) -> None:
    """Put so many events into the log, without any view."""
    left = events(count)
    while batch := list(itertools.islice(left, BATCH)):
        pipeline = client.pipeline(transaction=False)
        for event in batch:
            pipeline.xadd(RedisKeys.log(), {"e": CODEC.encode(event)})
        pipeline.execute()
