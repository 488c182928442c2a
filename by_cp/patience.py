"""How a loop that must not end lives through a server that is away.

It says so once, tries again after pauses that grow and are never equal (so that many processes do
not come back in step), and says once that the server answers again.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from by_cp import logs
from by_cp.errors import ServerError

A = TypeVar("A")

PAUSE_MIN_S = 0.1
PAUSE_MAX_S = 5.0


def backoff_s(failures: int, pause_max_s: float = PAUSE_MAX_S) -> float:
    """Return how long to pause, in seconds, after so many failures in a row."""
    longest_s = min(pause_max_s, PAUSE_MIN_S * 2 ** min(failures, 10))
    return random.uniform(longest_s / 2, longest_s)  # noqa: S311 - no secret


async def heeding(awaitable: Awaitable[A]) -> A:
    """Await, and heed a cancellation that came meanwhile but was swallowed.

    Before Python 3.12 `asyncio.wait_for` swallows a cancellation that comes just when what it waits
    for is done (bpo-37658), and redis-py sends every command through it. Without this, about every
    third cancellation and timeout of a loop that asks the server often would be lost.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    answer = await awaitable
    if task is not None and task.cancelling() > before:
        raise asyncio.CancelledError
    return answer


class Patience:
    """The patience of one loop, and how the loop fares.

    Args:
        what: names the loop in the log.
        logger: where it complains.
        clock: only for tests: the time, in seconds.

    Attributes:
        failures: how often in a row it failed, up to now.
        server_away: whether its last step failed because of the server.
        succeeded_s: when it last succeeded; None if it never did.
        due_s: when its next step is due. A loop that fails and tries again is on time; one that is
            stuck is late, and later and later.

    """

    def __init__(
        self,
        what: str,
        logger: logging.Logger | logs.Log,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.what = what
        self.failures = 0
        self.server_away = False
        self.succeeded_s: float | None = None
        self.due_s = clock()
        self._log = logs.named(logger.name)
        self._clock = clock

    async def call(self, attempt: Callable[[], Awaitable[A]]) -> A:
        """Call until the server answers, and return what it answered.

        `attempt` must be safe to repeat: the same command object, not a new one each time. Errors
        that are not the server's are raised.
        """
        while True:
            try:
                answer = await heeding(attempt())
            except ServerError as error:
                await self.pause_after(error)
            else:
                self.recovered()
                return answer

    async def repeat(self, step: Callable[[], Awaitable[float]]) -> NoReturn:
        """Take a step for ever; each returns how many seconds to pause before the next.

        Nothing but a cancellation ends it: a step that raises is logged, with its traceback if it
        is not the server that failed, and taken again after a pause.
        """
        while True:
            try:
                pause_s = await heeding(step())
            except Exception as error:  # noqa: BLE001 - one bad entry must not stop all the others
                await self.pause_after(error)
            else:
                self.recovered()
                self.due_s = self._clock() + pause_s
                await asyncio.sleep(pause_s)

    async def pause_after(self, error: Exception) -> None:
        """Pause, longer after each failure in a row; the first one is logged."""
        self.failures += 1
        self.server_away = isinstance(error, ServerError)
        if not self.server_away:
            self._log.error("loop_failed", loop=self.what, exc_info=error)
        elif self.failures == 1:
            self._log.warning("server_away", loop=self.what, error=str(error))
        pause_s = backoff_s(self.failures)
        self.due_s = self._clock() + pause_s
        await asyncio.sleep(pause_s)

    def recovered(self) -> None:
        """Note that a call succeeded."""
        self.due_s = self.succeeded_s = self._clock()
        if self.failures:
            self._log.info("recovered", loop=self.what, failures=self.failures)
        self.failures = 0
        self.server_away = False
