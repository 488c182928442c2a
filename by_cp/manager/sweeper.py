"""The sweeper: it expires executions whose time is up.

A living caller gives up by itself, at the same moment. The sweeper is for those that died, and for
commands that were to be delivered by some time.
"""

from __future__ import annotations

from typing import Any, NoReturn

from by_cp import logs
from by_cp.adapters import store_of
from by_cp.log.commands import Member, Sweep
from by_cp.log.contract import Store
from by_cp.manager.naming import new_actor
from by_cp.patience import Patience

BATCH = 100
"""So many executions are asked for at once."""

log = logs.named("by_cp.manager")


class Sweeper:
    """Expires what is past its deadline.

    Args:
        redis: a store, or the `redis.asyncio` client of one.
        interval_s: how long to pause, in seconds, when nothing more is due.
        by: the sweeper's name in the log.

    """

    def __init__(self, redis: Any, *, interval_s: float = 0.5, by: str | None = None) -> None:
        self._store: Store = store_of(redis)
        self._interval_s = interval_s
        self._by = by or new_actor("sweeper")
        self.patience = Patience("sweeper", log)

    async def run(self) -> NoReturn:
        """Sweep until cancelled. A server that is away is waited for."""
        await self.patience.repeat(self._pass)

    async def _pass(self) -> float:
        expired = await self.run_once()
        return 0 if expired >= BATCH else self._interval_s

    async def run_once(self) -> int:
        """Expire up to `BATCH` executions that are due now; return how many that were."""
        groups: dict[str, list[Member]] = {}
        for due in await self._store.due(BATCH):
            groups.setdefault(due.agent_type, []).append(due.member)
        expired = 0
        for agent_type, members in groups.items():
            command = Sweep(agent_type=agent_type, members=tuple(members), by=self._by)
            tally = await self._store.execute(command)
            expired += tally.settled
        if expired:
            log.info("expired", executions=expired)
        return expired
