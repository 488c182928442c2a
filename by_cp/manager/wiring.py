"""From settings to the objects that they describe."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from by_cp.errors import InvalidInput
from by_cp.limits import Limits
from by_cp.manager.config import Agent, CommandAgent, ProcessAgent, Settings, WebhookAgent
from by_cp.manager.loading import AGENTS, Loaded, quoted
from by_cp.manager.provider import WakeupProvider
from by_cp.manager.providers.backlog import Backlog
from by_cp.manager.providers.command import CommandProvider
from by_cp.manager.providers.process import ProcessProvider
from by_cp.manager.providers.routed import RoutedProvider
from by_cp.manager.providers.spec import WorkerSpec
from by_cp.manager.providers.webhook import WebhookProvider

MIB = 1024 * 1024
PATTERN = frozenset("*?[")


def provider_of(
    settings: Settings, backlog: Backlog, environment: Mapping[str, str]
) -> RoutedProvider:
    """Return the provider for the settings' agent types. Use it as a context: that closes it.

    Args:
        settings: the manager's.
        backlog: how much work waits.
        environment: the variables, in which webhooks' secrets are.

    Raises:
        InvalidInput: a provider does not accept what it is given.
        MissingExtra: what a provider needs is not installed.

    """
    specs = {
        agent_type: _spec(agent)
        for agent_type, agent in settings.agents.items()
        if isinstance(agent, ProcessAgent)
    }
    processes = ProcessProvider(
        specs,
        url=settings.url,
        log_directory=_path(settings.worker_log_directory),
        ready_timeout_s=settings.worker_ready_timeout_s,
        stop_grace_s=settings.worker_stop_grace_s,
        backlog=backlog,
    )
    routes: dict[str, WakeupProvider] = {}
    for agent_type, agent in settings.agents.items():
        match agent:
            case ProcessAgent():
                routes[agent_type] = processes
            case WebhookAgent():
                routes[agent_type] = _webhook(agent, environment)
            case CommandAgent():
                routes[agent_type] = _command(agent, settings.url)
    return RoutedProvider(routes)


def check_agents(loaded: Loaded, environment: Mapping[str, str]) -> None:
    """Make sure that the providers will accept what they are given; nothing is started.

    Raises:
        InvalidInput: one does not; it is told with the agent type's source.
        MissingExtra: what a provider needs is not installed.

    """
    for agent_type, agent in loaded.settings.agents.items():
        try:
            _check(agent_type, agent, environment)
        except InvalidInput as error:
            source = loaded.sources[f"{AGENTS}.{agent_type}"]
            raise InvalidInput(f"{source}: {AGENTS}.{quoted(agent_type)}: {error}") from error


def _check(agent_type: str, agent: Agent, environment: Mapping[str, str]) -> None:
    match agent:
        case ProcessAgent():
            if PATTERN & set(agent_type):
                raise InvalidInput('a pattern is for "webhook" and "command", not for "process"')
            _spec(agent)
        case WebhookAgent():
            _webhook(agent, environment)
        case CommandAgent():
            _command(agent, "")


def _spec(agent: ProcessAgent) -> WorkerSpec:
    return WorkerSpec(
        command=agent.command,
        processes_max=agent.processes_max,
        backlog_per_process=agent.backlog_per_process,
        warm_min=agent.warm_min,
        idle_exit_s=agent.idle_exit_s,
        env=agent.env,
        directory=_path(agent.directory),
        limits=_limits(agent),
        log_bytes_max=agent.log_mib * MIB,
    )


def _webhook(agent: WebhookAgent, environment: Mapping[str, str]) -> WebhookProvider:
    secrets = environment.get(agent.secret_env, "").split()
    if not secrets:
        raise InvalidInput(f"secret_env: ${agent.secret_env} is not set")
    return WebhookProvider(
        agent.url, secret=secrets, headers=agent.headers, timeout_s=agent.timeout_s
    )


def _command(agent: CommandAgent, url: str) -> CommandProvider:
    return CommandProvider(
        agent.command,
        url=url,
        env=agent.env,
        directory=_path(agent.directory),
        timeout_s=agent.timeout_s,
        limits=_limits(agent),
    )


def _limits(agent: ProcessAgent | CommandAgent) -> Limits:
    return Limits(
        memory_bytes=None if agent.memory_mib is None else agent.memory_mib * MIB,
        cpu_s=agent.cpu_s,
        open_files=agent.open_files,
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text).expanduser()
