"""One blocked connection for all waiting callers of a process.

Outcomes come into the process's inbox, a stream of its own; one reader hands each to the future
that waits for it. The reader lives while anybody waits, and a little longer.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from by_cp import logs
from by_cp.errors import ByCpError
from by_cp.keys import RedisKeys
from by_cp.log.answers import Outcome
from by_cp.log.redis.encoding import decode_outcome
from by_cp.log.redis.streams import block_ms_within, read

if TYPE_CHECKING:
    from redis.asyncio import Redis

PAUSE_S = (0.05, 2.0)
"""First and longest pause after a failed read, in seconds; doubled in between, and jittered."""

log = logs.named(__name__)


class Inbox:
    """Hands told outcomes to those who wait for them."""

    def __init__(self, client: Redis) -> None:
        self.name = secrets.token_hex(8)
        self._key = RedisKeys.inbox(self.name)
        self._client = client
        self._waiting: dict[str, set[asyncio.Future[Outcome]]] = {}
        self._last_id = "0-0"
        self._reader: asyncio.Task[None] | None = None

    @contextmanager
    def waiting(self, execution_id: str) -> Iterator[asyncio.Future[Outcome]]:
        """Give the future of one execution's outcome."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.setdefault(execution_id, set()).add(future)
        if self._reader is None or self._reader.done() or self._reader.get_loop() is not loop:
            self._reader = loop.create_task(self._read())
        try:
            yield future
        finally:
            future.cancel()
            others = self._waiting.get(execution_id, set())
            others.discard(future)
            if not others:
                self._waiting.pop(execution_id, None)

    async def _read(self) -> None:
        pause_s = PAUSE_S[0]
        while self._waiting:
            try:
                await self._read_once()
                pause_s = PAUSE_S[0]
            except (RedisError, OSError) as error:
                # Nobody is lost by this: the outcomes stay in the stream, and whoever's time is
                # up asks the log itself.
                log.warning("inbox_not_read", error=str(error))
                await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - jitter
                pause_s = min(pause_s * 2, PAUSE_S[1])

    async def _read_once(self) -> None:
        block_ms = block_ms_within(self._client, 2000)
        found = await read(self._client, {self._key: self._last_id}, 1000, block_ms)
        for _, entry_id, fields in found:
            self._last_id = entry_id
            data = fields.get(b"o")
            if not data:
                continue
            try:
                outcome = decode_outcome(data)
            except ByCpError as error:
                # Whoever waits for it learns it from the log, when its time is up.
                log.warning("outcome_not_understood", error=str(error))
            else:
                self._hand_over(outcome)
        if found:
            await self._client.execute_command("XTRIM", self._key, "MINID", self._last_id)

    def _hand_over(self, outcome: Outcome) -> None:
        for future in self._waiting.get(outcome.execution_id, ()):
            if not future.done():
                future.set_result(outcome)
