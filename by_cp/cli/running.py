"""How every subcommand runs: errors are one line, Ctrl-C is quiet, SIGTERM stops in order."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Coroutine
from typing import Annotated, Any

from cyclopts import Parameter

from by_cp.errors import ByCpError
from by_cp.urls import URL_DEFAULT, URL_VARIABLE

Url = Annotated[
    str | None,
    Parameter(help=f"The server; by default ${URL_VARIABLE}, then {URL_DEFAULT}."),
]

AsJson = Annotated[
    bool,
    Parameter(
        name="--json", negative=(), show_default=False, help="Print one JSON document, for scripts."
    ),
]

EXIT_CODES = "Exit codes: 0 done; 1 an error, in one line; 2 wrong usage; 130 Ctrl-C."

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

TERMINATED = 143
"""Exit code after SIGTERM: what was to be done was not, or not all."""


def help_of_group(summary: str, example: str) -> str:
    """Return the help of a group of commands: as that of a command, with an example."""
    return f"{summary}\n\nExample: `by-cp {example}`\n\n{EXIT_CODES}"


def server_url(given: str | None) -> str:
    """Return the URL that was given, or else the environment's, or else the usual one."""
    return given or os.environ.get(URL_VARIABLE) or URL_DEFAULT


def run(work: Coroutine[Any, Any, int], *, terminated: int = TERMINATED) -> int:
    """Run a subcommand to its end, and return its exit code.

    SIGTERM cancels it, once: a clean stop. A second one changes nothing.

    Args:
        work: what it does; returns its exit code.
        terminated: the exit code after SIGTERM. For a service, whose end that is, it is 0.

    """
    try:
        return asyncio.run(_until_terminated(work, terminated))
    except KeyboardInterrupt:
        return INTERRUPTED
    except ByCpError as error:
        return fail(str(error))


def fail(text: str, code: int = 1) -> int:
    """Say what is wrong in one line, and return the exit code."""
    print(f"by-cp: {text}", file=sys.stderr)  # noqa: T201 - it is a command
    return code


async def _until_terminated(work: Coroutine[Any, Any, int], code: int) -> int:
    task = asyncio.ensure_future(work)
    terminated = False

    def terminate() -> None:
        # Once: whoever signals a whole process group, and a wrapper in it that passes the signal
        # on, mean one stop. Who means "at once" has SIGKILL.
        nonlocal terminated
        if not terminated:
            terminated = True
            task.cancel()

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, terminate)
    try:
        return await task
    except asyncio.CancelledError:
        if terminated:
            return code
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        raise
