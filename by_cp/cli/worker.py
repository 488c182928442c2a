"""`by-cp worker`: runs an agent, a function of yours, as a worker."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Annotated

from cyclopts import Parameter

from by_cp import logs
from by_cp.cli.log_output import write_logs
from by_cp.cli.running import Url, run, server_url
from by_cp.control_plane import ControlPlane
from by_cp.errors import InvalidInput
from by_cp.logs import LogFormat, LogLevel
from by_cp.patience import Patience
from by_cp.worker import Handler

AGENT_TYPE_VARIABLE = "BY_CP_AGENT_TYPE"

log = logs.named("by_cp.worker")

IdleExitFlag = Annotated[float | None, Parameter(env_var="BY_CP_IDLE_EXIT_S")]
LogFormatFlag = Annotated[LogFormat, Parameter(env_var="BY_CP_LOG_FORMAT")]
LogLevelFlag = Annotated[LogLevel, Parameter(env_var="BY_CP_LOG_LEVEL")]


def worker(
    *,
    handler: str,
    agent_type: Annotated[list[str] | None, Parameter(negative=())] = None,
    worker_id: str | None = None,
    idle_exit_s: IdleExitFlag = None,
    log_format: LogFormatFlag = "auto",
    log_level: LogLevelFlag = "info",
    url: Url = None,
) -> int:
    """Run an agent, a function of yours, until it is stopped or idle.

    Ctrl-C or SIGTERM stops it; what it has in hand is finished first. A server that is away is
    waited for.

    Example: `by-cp worker --agent-type summarizer --handler agents:run`

    Exit codes: 0 stopped by SIGTERM, or idle; 130 by Ctrl-C; 1 an error; 2 wrong usage.

    Args:
        handler: The function that handles commands, as 'module:function'.
        agent_type: What it serves; may be repeated. By default $BY_CP_AGENT_TYPE.
        worker_id: Its name; it must be unique. By default one is made up.
        idle_exit_s: End after so many seconds without a command; by default never.
        log_format: `auto` is `console` on a terminal and `json` elsewhere.
        log_level: From which level on lines are logged.
        url: The server.

    """
    write_logs(log_format, log_level)

    async def work() -> int:
        agent_types = agent_type or [os.environ.get(AGENT_TYPE_VARIABLE, "")]
        if not all(agent_types):
            raise InvalidInput(f"say --agent-type, or set ${AGENT_TYPE_VARIABLE}")
        function = _loaded(handler)
        patience = Patience("connection", log)
        async with ControlPlane.connect(server_url(url), patience=patience) as plane:
            await plane.worker(
                agent_types,
                function,
                worker_id=worker_id,
                idle_exit_s=idle_exit_s,
            ).run()
        return 0

    return run(work(), terminated=0)


def _loaded(name: str) -> Handler:
    module_name, colon, function_name = name.partition(":")
    if not colon:
        raise InvalidInput(f"--handler takes 'module:function', not {name!r}")
    sys.path.insert(0, "")  # a module in the directory where the worker is started
    try:
        handler = getattr(importlib.import_module(module_name), function_name)
    except (ImportError, AttributeError) as error:
        raise InvalidInput(f"--handler {name!r} cannot be loaded: {error}") from error
    if not callable(handler):
        raise InvalidInput(f"--handler {name!r} is no function")
    loaded: Handler = handler
    return loaded
