"""How a loop that must not end lives through a server that is away.

It says so once, tries again after pauses that grow and are never equal (so that many processes do
not come back in step), and says once that the server answers again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from by_cp.errors import ServerError

A = TypeVar("A")

PAUSE_MIN_S = 0.1
PAUSE_MAX_S = 5.0


def backoff_s(failures: int) -> float:
    """Return how long to pause, in seconds, after so many failures in a row."""
    longest_s = min(PAUSE_MAX_S, PAUSE_MIN_S * 2 ** min(failures, 10))
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
    """The patience of one loop. `what` names the loop in the log."""

    def __init__(self, what: str, logger: logging.Logger) -> None:
        self._what = what
        self._logger = logger
        self._failures = 0

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
                await asyncio.sleep(pause_s)

    async def pause_after(self, error: Exception) -> None:
        """Pause, longer after each failure in a row; the first one is logged."""
        self._failures += 1
        if not isinstance(error, ServerError):
            self._logger.error("loop=%s event=failed", self._what, exc_info=error)
        elif self._failures == 1:
            self._logger.warning('loop=%s event=server_away error="%s"', self._what, error)
        await asyncio.sleep(backoff_s(self._failures))

    def recovered(self) -> None:
        """Note that a call succeeded."""
        if self._failures:
            self._logger.info("loop=%s event=recovered failures=%d", self._what, self._failures)
        self._failures = 0
