"""How much work waits for an agent type."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from by_cp.log.contract import Store

Backlog: TypeAlias = Callable[[str], Awaitable[int]]
"""Returns how many commands wait for a worker of an agent type; it need not count beyond what all
its processes could take."""

COUNTED_MAX = 1_000


def held_in(store: Store) -> Backlog:
    """Return the backlog that is held in a store: what its agents' workers have no room for."""

    async def backlog(agent_type: str) -> int:
        return len(await store.held(agent_type, COUNTED_MAX))

    return backlog
