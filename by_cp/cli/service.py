"""How a service ends: the first signal asks it to stop in order, the second stops it at once.

Exit codes: 0 after SIGTERM; 130 after Ctrl-C; 143 if a second SIGTERM cut the stop short; 1 after
an error.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Protocol

from by_cp import logs
from by_cp.errors import ByCpError

STEP_S = 2.5
"""So long may a step of a stop take that was told to hurry: to hand over takes up to two seconds,
if the server is away."""

SAME_S = 0.5
"""A signal that comes so soon after the first is the same: a terminal, and a wrapper, sent it."""

log = logs.named("by_cp.service")


class Service(Protocol):
    """What runs until it is told to stop."""

    async def run(self) -> None:
        """Run until stopped, or cancelled."""
        ...

    def stop(self) -> None:
        """Begin to stop; `run` returns when that is done."""
        ...


def serve(service: Service) -> int:
    """Run a service to its end, and return the exit code."""
    return asyncio.run(_served(service))


async def _served(service: Service) -> int:
    task = asyncio.create_task(service.run())
    stop = _Stop(service, task)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.on, number)
    try:
        await task
    except asyncio.CancelledError:
        if stop.hurry is None:  # somebody else's
            raise
    except ByCpError:  # it could not start; whoever called says so
        raise
    except Exception:
        log.exception("crashed")
        return 1
    finally:
        if stop.hurry is not None:
            stop.hurry.cancel()
    return stop.code


class _Stop:
    """What signals have asked for so far."""

    def __init__(self, service: Service, task: asyncio.Task[None]) -> None:
        self.code = 0
        self.hurry: asyncio.Task[None] | None = None
        self._service = service
        self._task = task
        self._first_s: float | None = None

    def on(self, number: signal.Signals) -> None:
        """Take a signal."""
        now_s = asyncio.get_running_loop().time()
        if self._first_s is None:
            self._first_s = now_s
            self.code = 0 if number == signal.SIGTERM else 128 + number
            log.info("stopping", signal=number.name)
            self._service.stop()
        elif now_s - self._first_s > SAME_S and self.hurry is None:
            self.code = 128 + number
            log.warning("stopping_at_once", signal=number.name)
            self.hurry = asyncio.create_task(self._cut_short())

    async def _cut_short(self) -> None:
        """Cancel the service, and again what it waits for then: a stop may have several steps."""
        while not self._task.done():
            self._task.cancel()
            await asyncio.wait((self._task,), timeout=STEP_S)
