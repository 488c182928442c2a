"""Telling a wake's outcome to everyone who waits for it.

Each batch is one atomic call. A final decision frees the group's claim with its first batch, so
from then on nobody joins this wake any more and the batches come to an end.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from by_cp.log.answers import Tally
from by_cp.log.commands import Member, Settle
from by_cp.log.contract import Store, WakeSignal
from by_cp.patience import Patience
from by_cp.statemachine.position import Position
from by_cp.wire import WakeupDecision

BATCH = 100
"""So many executions are settled in one call."""

PROGRESS_MEMBERS_MAX = 1_000
"""So many of those who wait are told how a wake goes; it costs an event for each."""

log = logging.getLogger("by_cp.manager")


class Wake(NamedTuple):
    """One wake of one group."""

    group: tuple[str, str, str]
    """Agent type, tenant, region."""
    epoch: Position

    @classmethod
    def of(cls, signal: WakeSignal) -> Wake:
        """Return the wake that a signal asks for."""
        request = signal.request
        group = (request.target_agent_type, request.user_code, request.region)
        return cls(group, signal.epoch)


class Settler:
    """Applies decisions to the members of wakes. `by` is its name in the log."""

    def __init__(self, store: Store, patience: Patience, by: str) -> None:
        self._store = store
        self._patience = patience
        self._by = by

    async def members(self, wake: Wake, count: int = BATCH) -> tuple[Member, ...]:
        """Return who waits for a wake."""
        group, epoch = wake
        return tuple(
            await self._patience.call(lambda: self._store.wake_members(group, epoch, count))
        )

    async def free(self, wake: Wake) -> None:
        """Free the claim of a wake for which nobody waits."""
        await self._apply(wake, WakeupDecision(), ())

    async def progress(self, wake: Wake, decision: WakeupDecision) -> None:
        """Show those who wait how the wake goes."""
        members = await self.members(wake, PROGRESS_MEMBERS_MAX)
        for first in range(0, len(members), BATCH):
            await self._apply(wake, decision, members[first : first + BATCH])

    async def settle(self, wake: Wake, decision: WakeupDecision) -> int:
        """Apply a final decision to all who wait for a wake; return how many were settled."""
        settled = 0
        refused: tuple[Member, ...] = ()
        members = await self.members(wake)
        while True:
            tally = await self._apply(wake, decision, members)
            settled += tally.settled
            before, members = members, await self.members(wake)
            if not members:
                return settled
            # Those who were listed may have been settled by someone else meanwhile. Only the same
            # ones listed again, and refused again, are a loop that would not end.
            if tally.settled == 0 and members == before == refused:
                log.error("event=settle_stuck wake=%s/%s members=%d", *wake, len(members))
                return settled
            refused = before if tally.settled == 0 else ()

    async def _apply(
        self, wake: Wake, decision: WakeupDecision, members: tuple[Member, ...]
    ) -> Tally:
        (agent_type, user_code, region), epoch = wake
        retry_after_ms = decision.retry_after_ms
        command = Settle(
            agent_type=agent_type,
            user_code=user_code,
            region=region,
            epoch=epoch,
            status=decision.status,
            members=members,
            selected=decision.selected_agent_type,
            reason=decision.reason,
            retry_after_ms=-1 if retry_after_ms is None else retry_after_ms,
            worker_ids=tuple(decision.worker_ids),
            by=self._by,
        )
        return await self._patience.call(lambda: self._store.execute(command))
