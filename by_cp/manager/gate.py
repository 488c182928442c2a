"""The gate: it delivers what is held as soon as a worker is online, whoever started it.

That is what QUEUE_ONLY waits for, and what is left of a wake whose manager died. A release is one
atomic call for each batch, so any number of gates may run: what one delivers, the others skip.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, NoReturn

from by_cp.adapters import store_of
from by_cp.errors import UnknownExecution
from by_cp.log.commands import Member, Release, Sweep
from by_cp.log.contract import Store
from by_cp.manager.naming import new_actor
from by_cp.patience import Patience
from by_cp.statemachine.events import Requested

BATCH = 50
"""So many commands are delivered in one call."""

AT_ONCE = 16
"""So many agent types are looked at side by side."""

log = logging.getLogger("by_cp.manager")


class DeliveryGate:
    """Releases held commands.

    Args:
        redis: a store, or the `redis.asyncio` client of one.
        interval_s: how long to pause, in seconds, when there was nothing to release.
        by: the gate's name in the log.

    """

    def __init__(self, redis: Any, *, interval_s: float = 0.25, by: str | None = None) -> None:
        self._store: Store = store_of(redis)
        self._interval_s = interval_s
        self._by = by or new_actor("gate")
        self._patience = Patience("gate", log)

    async def run(self) -> NoReturn:
        """Release until cancelled. A server that is away is waited for."""
        await self._patience.repeat(self._pass)

    async def _pass(self) -> float:
        released = await self.run_once()
        return 0 if released else self._interval_s

    async def run_once(self) -> int:
        """Release what can be released now, for all agent types; return how much that was."""
        agent_types = await self._store.held_agent_types()
        released = 0
        for first in range(0, len(agent_types), AT_ONCE):
            some = agent_types[first : first + AT_ONCE]
            released += sum(await asyncio.gather(*map(self._release, some)))
        return released

    async def dispatch_ready(self, agent_type: str) -> int:
        """Release all that is held for an agent type, and return how much that was.

        In by-framework one names the execution whose wake is ready. That works too: then its agent
        type is meant.
        """
        if not await self._store.held(agent_type, 1):
            try:
                first = (await self._store.history(agent_type))[0].event
            except UnknownExecution:
                return 0
            if isinstance(first, Requested):
                agent_type = first.call.agent_type
        return await self._release(agent_type)

    async def _release(self, agent_type: str) -> int:
        """Release batch by batch, until nothing is left or a batch makes no progress."""
        released = 0
        while await self._store.online(agent_type):
            members = tuple(await self._store.held(agent_type, BATCH))
            if not members:
                break
            delivered = await self._deliver(agent_type, members)
            released += delivered
            if not delivered and not await self._expire(agent_type, members):
                break
        if released:
            log.info("event=released agent_type=%r commands=%d", agent_type, released)
        return released

    async def _deliver(self, agent_type: str, members: tuple[Member, ...]) -> int:
        command = Release(agent_type=agent_type, members=members, by=self._by)
        return (await self._patience.call(lambda: self._store.execute(command))).delivered

    async def _expire(self, agent_type: str, members: tuple[Member, ...]) -> int:
        """Expire those past their deadline: they may stand before others that can be delivered."""
        command = Sweep(agent_type=agent_type, members=members, by=self._by)
        return (await self._patience.call(lambda: self._store.execute(command))).settled
