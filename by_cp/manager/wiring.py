"""From settings to the objects that they describe."""

from __future__ import annotations

from pathlib import Path

from by_cp.manager.config import Settings
from by_cp.manager.providers.process import ProcessProvider


def provider_of(settings: Settings) -> ProcessProvider:
    """Return the provider for the settings' agent types. It must be closed, or used as a context.

    Raises:
        InvalidInput: a provider does not accept what it is given.

    """
    directory = settings.worker_log_directory
    return ProcessProvider(
        {name: agent.command for name, agent in settings.agents.items()},
        url=settings.url,
        log_directory=None if directory is None else Path(directory).expanduser(),
    )
