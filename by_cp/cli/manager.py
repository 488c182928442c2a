"""`by-cp manager`: wakes agents by starting worker processes, and releases what is held."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from by_cp.cli.running import Url, log_to_stderr, run, server_url
from by_cp.control_plane import ControlPlane
from by_cp.errors import InvalidInput
from by_cp.manager.providers.process import ProcessProvider


def manager(
    *,
    worker: Annotated[list[str] | None, Parameter(negative=())] = None,
    log_directory: Path | None = None,
    verbose: bool = False,
    url: Url = None,
) -> int:
    """Wake agents and release what is held, until it is stopped (Ctrl-C or SIGTERM).

    Any number of managers may run on one server.

    Args:
        worker: How to start an agent type's worker, as 'AGENT_TYPE=COMMAND LINE'; may be repeated.
            The worker finds the server in $BY_CP_URL and its agent type in $BY_CP_AGENT_TYPE.
        log_directory: Where the workers' output goes, a file for each agent type.
        verbose: Log every wake.
        url: The server.

    """
    log_to_stderr(verbose=verbose)

    async def work() -> int:
        commands = dict(map(_command, worker or ()))
        where = server_url(url)
        async with (
            ControlPlane.connect(where) as plane,
            ProcessProvider(commands, url=where, log_directory=log_directory) as provider,
        ):
            await plane.manager(provider).run()
        return 0

    return run(work())


def _command(text: str) -> tuple[str, list[str]]:
    """Split AGENT_TYPE=COMMAND LINE at its first `=`."""
    agent_type, equals, line = text.partition("=")
    try:
        command = shlex.split(line)
    except ValueError as error:
        raise InvalidInput(f"--worker {text!r} cannot be read: {error}") from error
    if not equals or not command:
        raise InvalidInput(f"--worker takes 'AGENT_TYPE=COMMAND LINE', not {text!r}")
    return agent_type, command
