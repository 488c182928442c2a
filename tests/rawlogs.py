"""Logs for what works on their bytes: entries put there without asking anyone."""

from __future__ import annotations

from typing import Any

from redis import Redis

from by_cp.keys import RedisKeys
from by_cp.log.rawlog import Page, Pages
from by_cp.statemachine.codec import CODEC
from by_cp.statemachine.events import Delivered, Event, Requested
from tests.making import make_call


def lives(count: int, *, begin: int = 0) -> list[Event]:
    """Return the events of executions that were requested and delivered: two for each."""
    call = make_call(user_code="acme")
    found: list[Event] = []
    for number in range(begin, begin + (count + 1) // 2):
        found.append(Requested(f"exec-{number}", 1, f"call-{number}", call))
        found.append(Delivered(f"exec-{number}", 2, f"call-{number}", "echo"))
    return found[:count]


def append(client: Redis, count: int, *, begin: int = 0, key: str | None = None) -> Page:
    """Append so many events to the log, and return them as the log has them."""
    data = [CODEC.encode(event) for event in lives(count, begin=begin)]
    return append_bytes(client, data, key=key)


def append_bytes(client: Redis, data: list[bytes], *, key: str | None = None) -> Page:
    """Append entries, whatever they hold, and return them as the log has them."""
    pipeline = client.pipeline(transaction=False)
    for item in data:
        pipeline.xadd(key or RedisKeys.log(), {"e": item})
    positions: list[Any] = pipeline.execute()
    return [(position.decode(), item) for position, item in zip(positions, data, strict=True)]


def all_of(log: Pages, **which: Any) -> Page:
    """Read everything, as one page."""
    return [entry for page in log.pages(**which) for entry in page]
