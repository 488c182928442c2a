"""The manager: a controller, a gate and a sweeper, together. Any number of managers may run."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from by_cp.adapters import store_of
from by_cp.manager.controller import WakeupController
from by_cp.manager.gate import DeliveryGate
from by_cp.manager.provider import Supervisor, WakeupProvider
from by_cp.manager.sweeper import Sweeper
from by_cp.patience import Patience

log = logging.getLogger("by_cp.manager")


class Manager:
    """Everything that by-cp does on the side of those who run the agents.

    Args:
        redis: a store, or the `redis.asyncio` client of one.
        provider: what starts the workers.

    """

    def __init__(self, redis: Any, provider: WakeupProvider) -> None:
        store = store_of(redis)
        self.provider = provider
        self.controller = WakeupController(store, provider)
        self.gate = DeliveryGate(store)
        self.sweeper = Sweeper(store)

    async def run(self) -> None:
        """Manage until cancelled. What is unfinished then is taken over by another manager."""
        log.info("event=manager_started controller=%s", self.controller.consumer)
        try:
            async with asyncio.TaskGroup() as parts:
                parts.create_task(self.controller.run())
                parts.create_task(self.gate.run())
                parts.create_task(self.sweeper.run())
                if isinstance(self.provider, Supervisor):
                    parts.create_task(_supervised(self.provider))
        finally:
            log.info("event=manager_stopped controller=%s", self.controller.consumer)


async def _supervised(provider: Supervisor) -> None:
    """Run what a provider does between wakes, again if it raises: it must not end the others."""
    patience = Patience("provider", log)
    while True:
        try:
            await provider.run()
        except Exception as error:  # noqa: BLE001 - it is the user's code
            await patience.pause_after(error)
        else:
            return
