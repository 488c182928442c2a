"""How tests wait: for a condition, never for a time."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable

PAUSE_S = 0.005


async def until(predicate: Callable[[], bool | Awaitable[bool]], timeout_s: float = 10) -> None:
    """Return as soon as the predicate, sync or async, is true.

    Raises:
        AssertionError: it did not become true in time.

    """
    end_s = time.monotonic() + timeout_s
    while True:
        answer = predicate()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        if time.monotonic() >= end_s:
            name = getattr(predicate, "__name__", predicate)
            raise AssertionError(f"{name} did not become true within {timeout_s:g} s")
        await asyncio.sleep(PAUSE_S)
