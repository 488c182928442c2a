"""`by-cp manager`: wakes agents through their providers, and releases what is held."""

from __future__ import annotations

import os
import shlex
from dataclasses import asdict, make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, get_args

from cyclopts import Group, Parameter

from by_cp.cli.log_output import write_logs
from by_cp.cli.manager_service import ManagerService
from by_cp.cli.service import serve
from by_cp.cli.settings_shown import show
from by_cp.control_plane import check_url
from by_cp.errors import InvalidInput
from by_cp.manager.config import Setting, Settings, settings_of
from by_cp.manager.health_server import check_installed
from by_cp.manager.loading import load
from by_cp.manager.wiring import check_agents


def _flag_of(setting: Setting) -> tuple[str, Any, None]:
    """Return a field of `Flags`; None is a flag that was not given."""
    default = setting.default
    shown = f"{default:g}" if isinstance(default, float) else default
    by_default = "" if default is None else f" By default {shown}."
    help_text = Parameter(help=setting.description + by_default, negative=())
    return setting.name, Annotated[get_args(setting.type)[0] | None, help_text], None


if TYPE_CHECKING:
    Flags: TypeAlias = Any
else:
    Flags = make_dataclass("Flags", map(_flag_of, settings_of(Settings)), kw_only=True)
    Flags.__module__ = __name__  # cyclopts takes it for a type of the standard library's otherwise

SETTINGS = Group(
    "Settings",
    help="Each may also stand in the file, as wakes_max = 64, or in the environment, as "
    "BY_CP_WAKES_MAX=64. A flag goes before the environment, and that before the file.",
)


def manager(
    *,
    config: Path | None = None,
    worker: Annotated[list[str] | None, Parameter(negative=())] = None,
    check: Annotated[bool, Parameter(negative=())] = False,
    flags: Annotated[Flags, Parameter(name="*", group=SETTINGS)] = Flags(),  # noqa: B008 - frozen
) -> int:
    """Wake agents and deliver what is held, until it is stopped.

    SIGTERM or Ctrl-C stops it in order: it takes no more wakes, and those that are under way may
    end. A second one stops it at once. Any number of managers may run on one server. A server that
    is away is waited for.

    Example: `by-cp manager --worker 'summarizer=by-cp worker --handler agents:run'`

    Exit codes: 0 stopped by SIGTERM; 130 by Ctrl-C; 143 by a second SIGTERM; 1 an error, such as
    a bad setting; 2 wrong usage.

    Args:
        config: The file with the settings, in TOML. By default $BY_CP_CONFIG, or none.
        worker: How to start an agent type's worker, as 'AGENT_TYPE=COMMAND LINE'; may be repeated.
            The worker finds the server in $BY_CP_URL and its agent type in $BY_CP_AGENT_TYPE.
        check: Only check the settings: print them as they would be used, secrets masked, and where
            each is from.
        flags: Settings.

    """
    loaded = load(
        config,
        environment=os.environ,
        flags={name: value for name, value in asdict(flags).items() if value is not None},
        workers=dict(map(_command, worker or ())),
    )
    check_url(loaded.settings.url)
    if loaded.settings.health_port is not None:
        check_installed()
    check_agents(loaded, os.environ)
    if check:
        show(loaded)
        return 0
    write_logs(loaded.settings.log_format, loaded.settings.log_level)
    return serve(ManagerService(loaded.settings))


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
