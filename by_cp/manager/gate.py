"""The gate: it delivers what is held as soon as a worker is online, whoever started it.

That is what QUEUE_ONLY waits for, and what is left of a wake whose manager died. It delivers no
more at once than the workers have room for, so that what is still held keeps its fair order and may
be cancelled. What nobody is online for, though its policy asks for a wake, it rouses: what was held
during a pause, what was delayed, and wakes that were lost.

A release is one atomic call for each batch, so any number of gates may run: what one delivers, the
others skip.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn

from by_cp import logs
from by_cp.adapters import store_of
from by_cp.errors import UnknownExecution
from by_cp.log.answers import Tally
from by_cp.log.commands import Command, Mature, Member, Release, Rouse, Sweep
from by_cp.log.contract import Store
from by_cp.manager.naming import new_actor
from by_cp.patience import Patience
from by_cp.statemachine.events import Requested

BATCH = 50
"""So many commands are delivered in one call."""

ROUSE_INTERVAL_S = 1.0
"""How often it is looked whether what is held for an agent type waits for no wake."""

AT_ONCE = 16
"""So many agent types are looked at side by side."""

log = logs.named("by_cp.manager")


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
        self.patience = Patience("gate", log)
        self._roused_s: dict[str, float] = {}

    async def run(self) -> NoReturn:
        """Release until cancelled. A server that is away is waited for."""
        await self.patience.repeat(self._pass)

    async def _pass(self) -> float:
        released = await self.run_once()
        return 0 if released else self._interval_s

    async def run_once(self) -> int:
        """Release what can be released now, for all agent types; return how much that was."""
        await self._mature()
        agent_types = await self._store.held_agent_types()
        self._roused_s = {name: self._roused_s.get(name, 0) for name in agent_types}
        released = 0
        for first in range(0, len(agent_types), AT_ONCE):
            some = agent_types[first : first + AT_ONCE]
            released += sum(await asyncio.gather(*map(self._release_or_rouse, some)))
        return released

    async def dispatch_ready(self, agent_type: str) -> int:
        """Release what is held for an agent type and there is room for; return how much that was.

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

    async def _release_or_rouse(self, agent_type: str) -> int:
        if await self._store.online(agent_type):
            return await self._release(agent_type)
        now_s = asyncio.get_running_loop().time()
        if now_s - self._roused_s.get(agent_type, 0) >= ROUSE_INTERVAL_S:
            self._roused_s[agent_type] = now_s
            await self._rouse(agent_type)
        return 0

    async def _release(self, agent_type: str) -> int:
        """Release batch by batch, while anything is held, there is room, and it makes progress."""
        released = 0
        while room := await self._store.room(agent_type):
            members = tuple(await self._store.held(agent_type, min(BATCH, room)))
            if not members:
                break
            delivered = (await self._execute(Release, agent_type, members)).delivered
            released += delivered
            # Those past their time may stand before others that can be delivered.
            if not delivered and not (await self._execute(Sweep, agent_type, members)).settled:
                break
        if released:
            log.info("released", agent_type=agent_type, commands=released)
        return released

    async def _rouse(self, agent_type: str) -> None:
        """Ask for wakes for what waits for none: from the front, as far as there is any."""
        looked = BATCH
        members = await self._store.held(agent_type, looked)
        while members:
            tally = await self._execute(Rouse, agent_type, tuple(members))
            if not tally.progressed:
                return
            log.info("roused", agent_type=agent_type, commands=tally.progressed)
            members = (await self._store.held(agent_type, looked + BATCH))[looked:]
            looked += BATCH

    async def _mature(self) -> None:
        """Let delayed commands go whose time has come."""
        groups: dict[str, list[Member]] = {}
        for due in await self._store.matured(BATCH):
            groups.setdefault(due.agent_type, []).append(due.member)
        for agent_type, members in groups.items():
            await self._execute(Mature, agent_type, tuple(members))

    async def _execute(
        self, kind: Callable[..., Command[Tally]], agent_type: str, members: tuple[Member, ...]
    ) -> Tally:
        command = kind(agent_type=agent_type, members=members, by=self._by)
        return await self.patience.call(lambda: self._store.execute(command))
