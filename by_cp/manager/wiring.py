"""From settings to the objects that they describe."""

from __future__ import annotations

from pathlib import Path

from by_cp.errors import InvalidInput
from by_cp.limits import Limits
from by_cp.manager.config import ProcessAgent, Settings
from by_cp.manager.loading import AGENTS, Loaded, quoted
from by_cp.manager.providers.backlog import Backlog
from by_cp.manager.providers.process import ProcessProvider
from by_cp.manager.providers.spec import WorkerSpec

MIB = 1024 * 1024


def provider_of(settings: Settings, backlog: Backlog) -> ProcessProvider:
    """Return the provider for the settings' agent types. It must be closed, or used as a context.

    Args:
        settings: the manager's.
        backlog: how much work waits.

    Raises:
        InvalidInput: a provider does not accept what it is given.

    """
    return ProcessProvider(
        {agent_type: _spec(agent) for agent_type, agent in settings.agents.items()},
        url=settings.url,
        log_directory=_path(settings.worker_log_directory),
        ready_timeout_s=settings.worker_ready_timeout_s,
        stop_grace_s=settings.worker_stop_grace_s,
        backlog=backlog,
    )


def check_agents(loaded: Loaded) -> None:
    """Make sure that the providers will accept what they are given; nothing is started.

    Raises:
        InvalidInput: one does not; it is told with the agent type's source.

    """
    for agent_type, agent in loaded.settings.agents.items():
        try:
            _spec(agent)
        except InvalidInput as error:
            source = loaded.sources[f"{AGENTS}.{agent_type}"]
            raise InvalidInput(f"{source}: {AGENTS}.{quoted(agent_type)}: {error}") from error


def _spec(agent: ProcessAgent) -> WorkerSpec:
    return WorkerSpec(
        command=agent.command,
        processes_max=agent.processes_max,
        backlog_per_process=agent.backlog_per_process,
        warm_min=agent.warm_min,
        idle_exit_s=agent.idle_exit_s,
        env=agent.env,
        directory=_path(agent.directory),
        limits=Limits(
            memory_bytes=None if agent.memory_mib is None else agent.memory_mib * MIB,
            cpu_s=agent.cpu_s,
            open_files=agent.open_files,
        ),
        log_bytes_max=agent.log_mib * MIB,
    )


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text).expanduser()
