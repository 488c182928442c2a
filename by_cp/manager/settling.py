"""Telling a wake's outcome to everyone who waits for it.

Each batch is one atomic call. A final decision frees the group's claim with its first batch: who
comes later leads a new wake, and so the batches come to an end. The log takes a decision from the
group's latest attempt alone.
"""

from __future__ import annotations

from typing import NamedTuple

from by_cp import logs
from by_cp.log.answers import Tally
from by_cp.log.commands import Attempt, Member, Settle
from by_cp.log.contract import Store, WakeSignal
from by_cp.patience import Patience
from by_cp.statemachine.position import Position
from by_cp.wire import WakeupDecision

BATCH = 50
"""So many executions are settled in one call. They are told when it is done, so the shorter it is
the sooner the first hear; below this the calls cost more than that gains (`benchmarks/`)."""

BEGIN_MEMBERS = 10
"""So many of those who wait are named when an attempt begins: one of them has the event."""

PROGRESS_MEMBERS_MAX = 1_000
"""So many of those who wait are told how a wake goes; it costs an event for each."""

log = logs.named("by_cp.manager")


class Wake(NamedTuple):
    """One wake of one group."""

    group: tuple[str, str, str]
    """Agent type, tenant, region."""
    name: Position

    @classmethod
    def of(cls, signal: WakeSignal) -> Wake:
        """Return the wake that a signal asks for."""
        request = signal.request
        group = (request.target_agent_type, request.user_code, request.region)
        return cls(group, signal.epoch)


class Attempting(NamedTuple):
    """One attempt of a wake."""

    wake: Wake
    epoch: Position
    """Its fencing token."""
    number: int


class Settler:
    """Begins attempts, and applies decisions to those who wait. `by` is its name in the log."""

    def __init__(self, store: Store, patience: Patience, by: str) -> None:
        self._store = store
        self._patience = patience
        self._by = by

    async def _members(self, wake: Wake, count: int = BATCH) -> tuple[Member, ...]:
        group = wake.group
        return tuple(await self._patience.call(lambda: self._store.wake_members(group, count)))

    async def begin(self, wake: Wake, lasts_s: float, reason: str) -> Attempting | None:
        """Begin an attempt; None if nobody waits any more, or another wake has the claim.

        Who is listed may be settled before the attempt begins; then the next ones are named. That
        nobody waits is believed only of an empty list.
        """
        agent_type, user_code, region = wake.group
        while True:
            members = await self._members(wake, BEGIN_MEMBERS)
            command = Attempt(
                agent_type=agent_type,
                user_code=user_code,
                region=region,
                wake=wake.name,
                members=members,
                lasts_ms=max(0, int(lasts_s * 1000)),
                reason=reason,
                by=self._by,
            )
            begun = await self._patience.call(lambda c=command: self._store.execute(c))  # type: ignore[misc]
            if begun.epoch:
                return Attempting(wake, begun.epoch, begun.attempt)
            if begun.why_not != "NOBODY" or not members:
                log.info("wake_not_begun", agent_type=agent_type, why=begun.why_not)
                return None

    async def progress(self, attempting: Attempting, decision: WakeupDecision) -> None:
        """Show those who wait how the wake goes."""
        members = await self._members(attempting.wake, PROGRESS_MEMBERS_MAX)
        for first in range(0, len(members), BATCH):
            await self._apply(attempting, decision, members[first : first + BATCH])

    async def settle(self, attempting: Attempting, decision: WakeupDecision) -> int:
        """Apply a final decision to all who wait; return how many were settled.

        None at all are if a later attempt has the claim: what this one brings is not wanted then.
        """
        settled = 0
        members = await self._members(attempting.wake)
        tally = await self._apply(attempting, decision, members)
        while members:
            settled += tally.settled
            before, members = members, await self._members(attempting.wake)
            if not members:
                break
            tally = await self._apply(attempting, decision, members)
            # Those who were listed may have been settled by someone else meanwhile. Only the same
            # ones, listed and skipped again, are not for this attempt to settle.
            if tally.settled == 0 and set(members) <= set(before):
                break
        return settled

    async def _apply(
        self, attempting: Attempting, decision: WakeupDecision, members: tuple[Member, ...]
    ) -> Tally:
        agent_type, user_code, region = attempting.wake.group
        retry_after_ms = decision.retry_after_ms
        command = Settle(
            agent_type=agent_type,
            user_code=user_code,
            region=region,
            epoch=attempting.epoch,
            status=decision.status,
            members=members,
            selected=decision.selected_agent_type,
            reason=decision.reason,
            retry_after_ms=-1 if retry_after_ms is None else retry_after_ms,
            worker_ids=tuple(decision.worker_ids),
            by=self._by,
        )
        return await self._patience.call(lambda: self._store.execute(command))
