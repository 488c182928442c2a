"""The adopter: it serves foreign clients, which write into by-cp's streams as they always did.

What they write there becomes part of the log, and from then on it is treated as all else is: woken
for, answered, held, delivered once, buried. Any number of adopters may run: each reads everything,
and the log takes it once. None keeps what the streams do not have, so any may be killed.

A client that queues writes twice: the request for a wake, then the command to hold. Only the second
is a promise to its caller, so it is what is adopted; the request waits for it. And after both it
writes the execution into its session, where a worker looks for it; a worker that is faster would
write another. So a command waits for that, too, but not for long: some clients never do it.

by-framework's own gate leaves in the stream what it has delivered. Whatever a worker has taken, as
its session tells, is not delivered again; nor is what is older than sessions are kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from by_cp import logs
from by_cp.adapters import store_of
from by_cp.errors import (
    ExecutionConflict,
    InvalidInput,
    ServerError,
    ServerUnreachable,
)
from by_cp.interop import documents
from by_cp.interop.documents import Asked, Queued
from by_cp.log.commands import Adopt
from by_cp.log.contract import SharedStore, Written
from by_cp.patience import Patience
from by_cp.registration import QUEUED
from by_cp.vocabulary import SESSION_TTL_MS, WakeupDecisionStatus
from by_cp.wire import WakeupDecision

BLOCK_MS = 1_000
"""How long one request for new entries waits at the server, at most."""

LOOK_S = 0.02
"""How often it is looked whether a session knows a command by now."""

SESSION_S = 0.5
"""So long a client may take to write its execution into the session."""

COMMAND_S = 60.0
"""So long a client may take to write the command after the request for its wake."""

NOT_TAKEN = ("", QUEUED, "CANCELLING")
"""How an execution may stand in its session before a worker has taken it."""

RETRY_S = 1.0
"""After so long something is tried again that the server refused; others need not wait for it."""

log = logs.named("by_cp.manager")


class _Item:
    """One entry, until it is adopted or set aside."""

    def __init__(self, entry: Written, since_s: float) -> None:
        self.entry = entry
        self.since_s = since_s
        self.due_s = since_s
        self.found: Asked | Queued | None = None
        self.reason = ""
        """Why it must be set aside."""
        try:
            self.found = documents.parsed(entry)
        except InvalidInput as error:
            self.reason = str(error)

    @property
    def priority(self) -> int:
        """Higher is adopted first."""
        return self.found.document.priority if self.found is not None else 0


def _system_ms() -> int:
    return time.time_ns() // 1_000_000


class Adopter:
    """Adopts what foreign clients write.

    Args:
        redis: a store on a server, or the `redis.asyncio` client of one.
        clock: tells seconds, from any beginning.
        now_ms: tells the time, in ms since 1970.

    Raises:
        TypeError: it is a store into which nobody else writes.

    """

    def __init__(
        self,
        redis: Any,
        *,
        clock: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = _system_ms,
    ) -> None:
        store = store_of(redis)
        if not isinstance(store, SharedStore):
            raise TypeError(f"nobody else writes into a {type(store).__name__}: nothing to adopt")
        self._store = store
        self._source = store.written()
        self._clock = clock
        self._now_ms = now_ms
        self.patience = Patience("adopter", log)
        self._items: list[_Item] = []
        self._asked: dict[str, _Item] = {}
        """By execution_id, the oldest first: requests whose command has not come yet."""

    async def run(self) -> NoReturn:
        """Adopt until cancelled. A server that is away is waited for."""
        await self.patience.repeat(self._pass)

    async def _pass(self) -> float:
        now_s = self._clock()
        due_s = min((item.due_s for item in self._items), default=now_s + BLOCK_MS / 1000)
        await self.run_once(max(1, min(BLOCK_MS, int((due_s - now_s) * 1000))))
        return 0

    async def run_once(self, block_ms: int = 0) -> int:
        """Adopt what is there and complete, and return how much that was.

        Args:
            block_ms: how long to wait for the first, in milliseconds; 0 is not at all.

        Raises:
            ServerUnreachable: the server is away; what was read and not adopted is tried again.

        """
        for entry in await self._source.read(block_ms):
            self._place(_Item(entry, self._clock()))
        self._drop_orphans()
        now_s = self._clock()
        # In this order they reach the server; whose worker is online is delivered at once.
        due = sorted((i for i in self._items if i.due_s <= now_s), key=lambda i: -i.priority)
        ends = await asyncio.gather(*map(self._advanced, due), return_exceptions=True)
        over = {id(item) for item, end in zip(due, ends, strict=True) if end is True}
        self._items = [item for item in self._items if id(item) not in over]
        for end in ends:
            if isinstance(end, BaseException):
                raise end
        return sum(not item.reason for item in due if id(item) in over)

    def _place(self, item: _Item) -> None:
        """Put an entry where it waits: for its turn, or for its client to write the command."""
        if not isinstance(item.found, Asked) or not item.found.queues:
            self._items.append(item)
            return
        execution_id = item.found.document.execution_id
        before = self._asked.pop(execution_id, None)
        if before is not None:
            self._give_up(before, "it was written twice")
        self._asked[execution_id] = item

    def _drop_orphans(self) -> None:
        """Give up requests whose command never came: their clients have promised nothing."""
        while self._asked:
            execution_id, item = next(iter(self._asked.items()))
            if self._clock() - item.since_s < COMMAND_S:
                return
            del self._asked[execution_id]
            self._give_up(item, "its command was never queued")

    def _give_up(self, item: _Item, reason: str) -> None:
        item.reason = reason
        item.due_s = self._clock()
        self._items.append(item)

    async def _advanced(self, item: _Item) -> bool:
        """Bring an entry to its end, if it is complete; return whether it is over."""
        try:
            if not item.reason and not await self._is_complete(item):
                item.due_s = self._clock() + LOOK_S
                return False
            if not item.reason:
                await self._adopt(item)
            if item.reason:
                await self._set_aside(item)
        except ServerUnreachable:
            raise
        except ServerError as error:
            item.due_s = self._clock() + RETRY_S
            log.warning("not_adopted", entry=item.entry.entry_id, error=error)
            return False
        return True

    async def _is_complete(self, item: _Item) -> bool:
        """Tell whether a command's client has written all that it will; or why not to adopt it."""
        if not isinstance(item.found, Queued):
            return True
        status = await self._status(item.found)
        if status is None and item.entry.written_ms < self._now_ms() - SESSION_TTL_MS:
            item.reason = "it is too old to tell whether it was delivered"
            return True
        if status not in (None, *NOT_TAKEN):
            item.reason = f"it was delivered before: its execution is {status}"
        return status is not None or self._clock() - item.since_s >= SESSION_S

    async def _status(self, queued: Queued) -> str | None:
        """Return how a command's execution stands in its session; None if it is not there."""
        document = queued.document
        try:
            return await self._store.registered_status(document.session_id, document.execution_id)
        except ServerUnreachable:
            raise
        except ServerError:  # whatever stands there, it is no registry
            return None

    async def _adopt(self, item: _Item) -> None:
        """Adopt an entry, or find out why it cannot be."""
        try:
            if isinstance(item.found, Queued):
                await self._adopt_command(item.found)
            elif item.found is not None:
                await self._execute(documents.adoption_of_wait(item.found))
        except (InvalidInput, ExecutionConflict) as error:
            # Of a wait's conflict: its client listens under this id, so it can have no other.
            item.reason = str(error)

    async def _adopt_command(self, queued: Queued) -> None:
        execution_id = queued.document.execution_id
        asked = self._asked.get(execution_id)
        request = asked.found if asked is not None and isinstance(asked.found, Asked) else None
        adoption = documents.adoption_of_command(queued, request)
        try:
            await self._execute(adoption)
        except ExecutionConflict:
            await self._execute(documents.under_another_id(adoption))
        self._asked.pop(execution_id, None)

    async def _execute(self, adoption: Adopt) -> None:
        receipt = await self._store.execute(adoption)
        log.info(
            "adopted",
            execution_id=receipt.execution_id,
            agent_type=adoption.call.agent_type,
            policy=adoption.call.policy,
            status=receipt.status,
        )

    async def _set_aside(self, item: _Item) -> None:
        """Set an entry aside, and tell whoever may wait for it."""
        moved = await self._store.set_aside(item.entry, item.reason)
        execution_id = documents.execution_id_of(item.entry)
        if moved and execution_id:
            status = WakeupDecisionStatus.FAILED
            # Whatever else stands at that key, nobody waits there.
            with suppress(ServerError):
                await self._store.show(
                    WakeupDecision(execution_id=execution_id, status=status, reason=item.reason)
                )
