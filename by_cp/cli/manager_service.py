"""The manager as a service: connected, with its provider, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack

from by_cp import logs
from by_cp.control_plane import ControlPlane
from by_cp.manager.config import Settings
from by_cp.manager.health import Health
from by_cp.manager.health_server import served
from by_cp.manager.manager import Manager
from by_cp.manager.providers.backlog import held_in
from by_cp.manager.wiring import provider_of
from by_cp.patience import Patience

log = logs.named("by_cp.manager")


class ManagerService:
    """Runs a manager as its settings say."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._starting = asyncio.Timeout(None)
        self._manager: Manager | None = None
        self._connection = Patience("connection", log)
        self._health = Health(self._connection)

    async def run(self) -> None:
        """Run until stopped, or cancelled. A server that is away is waited for."""
        async with AsyncExitStack() as stack:
            try:
                async with self._starting:
                    self._manager = await self._started(stack)
            except TimeoutError:
                if self._starting.expired():  # stopped before there was anything to stop
                    return
                raise
            await self._manager.run()

    def stop(self) -> None:
        """Begin to stop; `run` returns when that is done."""
        if self._manager is not None:
            self._manager.stop(self._settings.shutdown_grace_s)
        else:
            self._starting.reschedule(asyncio.get_running_loop().time())

    async def _started(self, stack: AsyncExitStack) -> Manager:
        settings = self._settings
        if not settings.agents:
            log.warning("no_agents", hint="every wake is rejected; see --config and --worker")
        if settings.health_port is not None:
            health = served(self._health, settings.health_host, settings.health_port)
            port = await stack.enter_async_context(health)
            log.info("health_served", host=settings.health_host, port=port)
        connection = ControlPlane.connect(settings.url, patience=self._connection)
        plane = await stack.enter_async_context(connection)
        provider = provider_of(settings, held_in(plane.store), os.environ)
        await stack.enter_async_context(provider)
        manager = plane.manager(
            provider,
            wakes_max=settings.wakes_max,
            attempts_max=settings.attempts_max,
            attempt_pause_max_s=settings.attempt_pause_max_s,
            lease_s=settings.lease_s,
            gate_interval_s=settings.gate_interval_s,
            sweep_interval_s=settings.sweep_interval_s,
        )
        self._health.manager = manager
        return manager
