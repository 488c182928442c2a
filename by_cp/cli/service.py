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
    received: list[signal.Signals] = []
    hurrying: list[asyncio.Task[None]] = []
    task = asyncio.create_task(service.run())

    def on(number: signal.Signals) -> None:
        received.append(number)
        if len(received) == 1:
            log.info("stopping", signal=number.name)
            service.stop()
        elif len(received) == 2:  # noqa: PLR2004 - the second
            log.warning("stopping_at_once", signal=number.name)
            hurrying.append(asyncio.create_task(_cut_short(task)))

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on, number)
    try:
        await task
    except asyncio.CancelledError:
        if len(received) < 2:  # noqa: PLR2004 - somebody else's
            raise
        return 128 + received[1]
    except ByCpError:  # it could not start; whoever called says so
        raise
    except Exception:
        log.exception("crashed")
        return 1
    finally:
        for hurry in hurrying:
            hurry.cancel()
    return 0 if received[:1] != [signal.SIGINT] else 128 + signal.SIGINT


async def _cut_short(task: asyncio.Task[None]) -> None:
    """Cancel a service, and again whatever it waits for then: its stop may have several steps."""
    while not task.done():
        task.cancel()
        await asyncio.wait((task,), timeout=STEP_S)
