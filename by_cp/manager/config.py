"""What a manager can be told: the settings, once, for file, environment, flags and the docs.

A setting `wakes_max` is `wakes_max` in the file, `BY_CP_WAKES_MAX` in the environment and
`--wakes-max` on the command line. Its type, its bounds and its description stand here and nowhere
else; `by_cp.manager.loading` finds the values.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Final, NamedTuple, TypeAlias, get_args, get_type_hints

import msgspec
from msgspec import Meta, Struct

from by_cp.logs import LogFormat, LogLevel
from by_cp.urls import URL_DEFAULT

Text = Annotated[str, Meta(min_length=1)]
Seconds = Annotated[float, Meta(ge=0, le=86_400)]
Interval = Annotated[float, Meta(ge=0.01, le=3_600)]
Lease = Annotated[float, Meta(ge=1, le=3_600)]
Count = Annotated[int, Meta(ge=1)]
Count0 = Annotated[int, Meta(ge=0)]
Port = Annotated[int, Meta(ge=0, le=65_535)]


class ProcessAgent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Worker processes on the manager's own machine."""

    provider: ClassVar[str] = "process"

    command: Annotated[
        list[Text],
        Meta(min_length=1, description="The worker's program and its arguments, a list of texts."),
    ]
    processes_max: Annotated[
        Count, Meta(description="At most so many processes run at once, in each manager.")
    ] = 1
    warm_min: Annotated[
        Count0, Meta(description="So many run all the time, whether there is work or not.")
    ] = 0
    backlog_per_process: Annotated[
        Count,
        Meta(
            description="One process, up to `processes_max`, for each so many commands that wait."
        ),
    ] = 16
    idle_exit_s: Annotated[
        Seconds | None,
        Meta(
            description="A worker that had no work for so many seconds ends; not the warm ones. "
            "`by-cp worker` does that by itself, told by $BY_CP_IDLE_EXIT_S."
        ),
    ] = None
    env: Annotated[
        dict[str, str],
        Meta(description="More environment for the workers. `--check` shows the names only."),
    ] = {}
    directory: Annotated[
        Text | None, Meta(description="Where the workers run; by default where the manager does.")
    ] = None
    memory_mib: Annotated[
        Count | None,
        Meta(description="So much memory a process may allocate, in MiB; more fails."),
    ] = None
    cpu_s: Annotated[
        Count | None, Meta(description="So much CPU time it may use in its life, in seconds.")
    ] = None
    open_files: Annotated[
        Count | None, Meta(description="So many files and sockets it may have open.")
    ] = None
    log_mib: Annotated[
        Count, Meta(description="So large grows a log file, in MiB; the one before it is kept.")
    ] = 10


class WebhookAgent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An HTTP endpoint that wakes."""

    provider: ClassVar[str] = "webhook"

    url: Annotated[Text, Meta(description="The endpoint, `http://…` or `https://…`.")]
    secret_env: Annotated[
        Text,
        Meta(
            description="The environment variable with the secret that signs the requests. While "
            "it is being replaced it may hold two, the new one and the old one, with a space "
            "between."
        ),
    ]
    headers: Annotated[
        dict[str, str],
        Meta(description="More headers. `--check` shows the names only."),
    ] = {}
    timeout_s: Annotated[
        Seconds, Meta(description="How long the whole answer may take, in seconds.")
    ] = 30.0


class CommandAgent(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A program that is run for each wake."""

    provider: ClassVar[str] = "command"

    command: Annotated[
        list[Text], Meta(min_length=1, description="A program and its arguments, a list of texts.")
    ]
    timeout_s: Annotated[
        Seconds, Meta(description="How long it may take, in seconds; then it is killed.")
    ] = 60.0
    env: Annotated[
        dict[str, str],
        Meta(description="More environment for it. `--check` shows the names only."),
    ] = {}
    directory: Annotated[
        Text | None, Meta(description="Where it runs; by default where the manager does.")
    ] = None
    memory_mib: Annotated[
        Count | None, Meta(description="So much memory it may allocate, in MiB; more fails.")
    ] = None
    cpu_s: Annotated[Count | None, Meta(description="So much CPU time it may use, in seconds.")] = (
        None
    )
    open_files: Annotated[
        Count | None, Meta(description="So many files and sockets it may have open.")
    ] = None


Agent: TypeAlias = ProcessAgent | WebhookAgent | CommandAgent
"""How an agent type is woken."""

PROVIDERS: Final[dict[str, type[Agent]]] = {
    kind.provider: kind for kind in (ProcessAgent, WebhookAgent, CommandAgent)
}
"""What `provider` may say in an agent's table, and what else is in the table then."""


class Settings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All settings of a manager."""

    url: Annotated[
        Text,
        Meta(
            description="The server: `redis://user:password@host:port/db`, `rediss://…`, `unix://…`."
        ),
    ] = URL_DEFAULT
    wakes_max: Annotated[Count, Meta(description="So many wakes run at once, in each manager.")] = (
        64
    )
    attempts_max: Annotated[
        Count,
        Meta(description="How often a provider that raises is asked, within the wake's time."),
    ] = 3
    attempt_pause_max_s: Annotated[
        Interval,
        Meta(
            description="The pause before it is asked again doubles with each attempt, up to so "
            "many seconds."
        ),
    ] = 5.0
    lease_s: Annotated[
        Lease,
        Meta(
            description="A manager that gave no sign of life for so many seconds is taken for "
            "dead: the others take over its wakes."
        ),
    ] = 10.0
    gate_interval_s: Annotated[
        Interval,
        Meta(description="How long the gate pauses when there was nothing to deliver, in seconds."),
    ] = 0.25
    sweep_interval_s: Annotated[
        Interval,
        Meta(description="How long the sweeper pauses when nothing more is due, in seconds."),
    ] = 0.5
    shutdown_grace_s: Annotated[
        Seconds,
        Meta(
            description="How long wakes that are under way may go on after SIGTERM, in seconds; "
            "what is unfinished then is another manager's."
        ),
    ] = 20.0
    health_host: Annotated[
        Text, Meta(description="Where `/livez` and `/readyz` are served: a name or an address.")
    ] = "127.0.0.1"
    health_port: Annotated[
        Port | None,
        Meta(description="The port for it; 0 takes a free one. Without one they are not served."),
    ] = None
    log_format: Annotated[
        LogFormat, Meta(description="`auto` is `console` on a terminal and `json` elsewhere.")
    ] = "auto"
    log_level: Annotated[LogLevel, Meta(description="From which level on lines are logged.")] = (
        "info"
    )
    worker_log_directory: Annotated[
        Text | None,
        Meta(
            description="Where worker processes' output goes, a file for each agent type. Without "
            "one it is removed when the manager stops."
        ),
    ] = None
    worker_ready_timeout_s: Annotated[
        Seconds,
        Meta(
            description="A worker process that was awaited for so many seconds, and brought no "
            "worker online, is replaced."
        ),
    ] = 30.0
    worker_stop_grace_s: Annotated[
        Seconds,
        Meta(
            description="How long a worker process may finish what it handles after SIGTERM, in "
            "seconds; then it is killed."
        ),
    ] = 35.0
    agents: dict[Text, Agent] = {}


class Setting(NamedTuple):
    """One setting, or one key of an agent's table, as people see it."""

    name: str
    type: Any
    default: Any
    """`msgspec.NODEFAULT` if it must be given."""
    description: str


def settings_of(struct: type[Struct]) -> list[Setting]:
    """Return what a Struct can be told, in order; but for `agents`, which are tables."""
    hints = get_type_hints(struct, include_extras=True)
    found = []
    for field in msgspec.structs.fields(struct):
        described = [m.description for m in get_args(hints[field.name])[1:] if isinstance(m, Meta)]
        if any(described):
            [text] = filter(None, described)
            makes = field.default_factory
            default = field.default if makes is msgspec.NODEFAULT else makes()
            found.append(Setting(field.name, hints[field.name], default, text))
    return found
