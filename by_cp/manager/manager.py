"""The manager: everything that by-cp does on the side of those who run the agents, together.

A controller, a gate, a sweeper, a listener and, where others write into its streams, an adopter.
Any number of managers may run.
"""

from __future__ import annotations

import asyncio
from typing import Any

from by_cp import logs
from by_cp.adapters import store_of
from by_cp.interop.adopter import Adopter
from by_cp.log.contract import SharedStore
from by_cp.manager.controller import LEASE_MS, WakeupController
from by_cp.manager.gate import DeliveryGate
from by_cp.manager.listener import DecisionListener
from by_cp.manager.provider import Supervisor, WakeupProvider
from by_cp.manager.supervising import supervised
from by_cp.manager.sweeper import Sweeper
from by_cp.patience import PAUSE_MAX_S, Patience

log = logs.named("by_cp.manager")


class Manager:
    """Everything that by-cp does on the side of those who run the agents.

    Args:
        redis: a store, or the `redis.asyncio` client of one.
        provider: what starts the workers.
        wakes_max: so many wakes run at once.
        attempts_max: how often a provider that raises is asked, within the wake's time.
        gate_interval_s: how long the gate pauses, in seconds, when there was nothing to deliver.
        sweep_interval_s: how long the sweeper pauses, in seconds, when nothing more is due.
        attempt_pause_max_s: so long, in seconds, the pause before a provider is asked again grows.
        lease_s: when it gave no sign of life for so many seconds, others take over what it has.

    """

    def __init__(
        self,
        redis: Any,
        provider: WakeupProvider,
        *,
        wakes_max: int = 64,
        attempts_max: int = 3,
        gate_interval_s: float = 0.25,
        sweep_interval_s: float = 0.5,
        attempt_pause_max_s: float = PAUSE_MAX_S,
        lease_s: float = LEASE_MS / 1000,
    ) -> None:
        store = store_of(redis)
        self.provider = provider
        self.controller = WakeupController(
            store,
            provider,
            max_attempts=attempts_max,
            parallel_max=wakes_max,
            attempt_pause_max_s=attempt_pause_max_s,
            lease_ms=round(lease_s * 1000),
        )
        self.gate = DeliveryGate(store, interval_s=gate_interval_s)
        self.sweeper = Sweeper(store, interval_s=sweep_interval_s)
        self.listener = DecisionListener(store, consumer=self.controller.consumer)
        self._adopters = (Adopter(store),) if isinstance(store, SharedStore) else ()
        self._stopping = asyncio.Event()
        self._grace_s = 0.0

    @property
    def loops(self) -> tuple[Patience, ...]:
        """How each of the loops fares."""
        others = (self.gate, self.sweeper, self.listener, *self._adopters)
        return *self.controller.loops, *(part.patience for part in others)

    @property
    def wakes_in_flight(self) -> int:
        """How many wakes it has taken and not finished."""
        return self.controller.wakes_in_flight

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping.is_set()

    async def run(self) -> None:
        """Manage until stopped or cancelled. What is unfinished then is another manager's."""
        log.info("manager_started", controller=self.controller.consumer)
        try:
            async with asyncio.TaskGroup() as parts:
                controlling = parts.create_task(self.controller.run())
                loops: list[asyncio.Task[None]] = [
                    parts.create_task(part.run())
                    for part in (self.gate, self.sweeper, self.listener, *self._adopters)
                ]
                if isinstance(self.provider, Supervisor):
                    loops.append(parts.create_task(supervised(self.provider)))
                await self._stopping.wait()
                self.controller.stop(self._grace_s)
                await controlling
                for loop in loops:
                    loop.cancel()
        finally:
            log.info("manager_stopped", controller=self.controller.consumer)

    def stop(self, grace_s: float = 0) -> None:
        """Begin to stop; `run` returns when that is done.

        Args:
            grace_s: so long, in seconds, may wakes that are under way go on; what is left then is
                handed over to another manager.

        """
        self._grace_s = grace_s
        self._stopping.set()
