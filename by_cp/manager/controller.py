"""The controller: it hears of wakes, asks the provider, and tells everyone the outcome.

One signal is one wake of one group (agent type, tenant, region), however many callers wait for it.
Wakes run side by side, up to a bound, so that a slow agent delays no other. Each time the provider
is asked is an attempt, an event of its own with an epoch of its own; the log takes an outcome from
the latest attempt alone, so a controller that was thought dead and comes back changes nothing.

A controller holds nothing that is not in the store. It may be killed at any moment, and any number
of them may run: a signal is taken by one, and taken over by another when that one gives no sign of
life any more.
"""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

from by_cp import logs
from by_cp.adapters import store_of
from by_cp.log.contract import Store, WakeSignal
from by_cp.manager.naming import new_actor
from by_cp.manager.provider import WakeupProvider
from by_cp.manager.settling import Settler
from by_cp.manager.waking import Attempts, Waker
from by_cp.patience import PAUSE_MAX_S, Patience

BLOCK_MS = 500
"""How long one request for signals waits at the server; so long may a stop take, too."""

LEASE_MS = 10_000
"""A manager that gave no sign of life for so long is taken over from."""

log = logs.named("by_cp.manager")


class WakeupController:
    """Wakes agents through a provider.

    Args:
        redis: a store, or the `redis.asyncio` client of one.
        provider: what starts the workers.
        dedupe_ttl_seconds: by-framework's; without meaning here, because a claim lasts as long as
            its wake and not longer.
        max_attempts: how often a provider that raises is asked, within the wake's time.
        parallel_max: how many wakes run at once.
        consumer: this controller's name in the log; it must be unique.
        lease_ms: how long its signs of life hold.
        attempt_pause_max_s: so long, in seconds, the pause before a provider is asked again grows.

    """

    def __init__(
        self,
        redis: Any,
        provider: WakeupProvider,
        dedupe_ttl_seconds: int = 30,
        max_attempts: int = 1,
        *,
        parallel_max: int = 64,
        consumer: str | None = None,
        lease_ms: int = LEASE_MS,
        attempt_pause_max_s: float = PAUSE_MAX_S,
    ) -> None:
        del dedupe_ttl_seconds
        self._store: Store = store_of(redis)
        self._parallel_max = max(1, parallel_max)
        self._lease_ms = lease_ms
        self.consumer = consumer or new_actor("controller")
        self.patience = Patience("controller", log)
        self._heart = Patience("heartbeat", log)
        self._running: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        self._grace_s = 0.0
        # Not the loop's own: wakes that get on would hide that the loop is stuck.
        self._wakes = Patience("wakes", log)
        settler = Settler(self._store, self._wakes, self.consumer)
        attempts = Attempts(max(1, max_attempts), attempt_pause_max_s)
        self._waker = Waker(self._store, provider, settler, self._wakes, attempts)

    @property
    def loops(self) -> tuple[Patience, ...]:
        """How its loops fare."""
        return self.patience, self._heart

    @property
    def wakes_in_flight(self) -> int:
        """How many wakes it has taken and not finished."""
        return len(self._running)

    async def run(self) -> None:
        """Handle wakes until stopped or cancelled. A server that is away is waited for.

        Wakes that are under way then go on for as long as `stop` said; what is left after that is
        another controller's.
        """
        self._stopping.clear()
        beating = asyncio.create_task(self._heart.repeat(self._beat))
        try:
            taking = asyncio.create_task(self._take_on())
            stopping = asyncio.create_task(self._stopping.wait())
            try:
                await asyncio.wait((taking, stopping), return_when=asyncio.FIRST_COMPLETED)
            finally:
                await _ended(taking, stopping)
            if self._running:
                log.info("handing_over", wakes=len(self._running), grace_s=self._grace_s)
                await asyncio.wait(tuple(self._running), timeout=self._grace_s)
        finally:
            await _ended(beating, *self._running)
            await self._resign()

    def stop(self, grace_s: float = 0) -> None:
        """Take no more wakes; `run` returns once those under way are done, or after the grace."""
        self._grace_s = grace_s
        self._stopping.set()

    async def _take_on(self) -> NoReturn:
        """Take wakes, once it is known that this controller lives: else they were taken over."""
        await self._heart.call(lambda: self._store.beat(self.consumer, self._lease_ms))
        await self.patience.repeat(self._start_some)

    async def _beat(self) -> float:
        await self._store.beat(self.consumer, self._lease_ms)
        return self._lease_ms / 4000

    async def _resign(self) -> None:
        """Let others take over at once; if the server is away they will when the lease lapses."""
        try:
            async with asyncio.timeout(2):
                await self._store.resign(self.consumer)
        except Exception as error:  # noqa: BLE001 - it stops all the same
            log.warning("not_resigned", controller=self.consumer, error=str(error))

    async def _start_some(self) -> float:
        """Take as many wakes as there is room for, and start them."""
        free = self._parallel_max - len(self._running)
        if not free:
            timeout_s = BLOCK_MS / 1000  # not longer: a loop that takes no step looks stuck
            await asyncio.wait(
                self._running, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            return 0
        for signal in await self._take(free, BLOCK_MS):
            task = asyncio.create_task(self._handle(signal))
            self._running.add(task)
            task.add_done_callback(self._running.discard)
        return 0

    async def run_once(self, last_id: object = None, block_ms: int = 0) -> int:
        """Handle the wakes that are asked for now, and return how many that were.

        Args:
            last_id: by-framework's; without meaning here, because the store knows what is done.
            block_ms: how long to wait for the first, in milliseconds; 0 is not at all.

        """
        del last_id
        await self._store.beat(self.consumer, self._lease_ms)
        signals = await self._take(self._parallel_max, block_ms)
        await asyncio.gather(*(self._handle(signal) for signal in signals))
        return len(signals)

    async def _take(self, count: int, block_ms: int) -> list[WakeSignal]:
        """Take what managers left that are gone, and then what is new."""
        left = await self._store.take_over_signals(self.consumer, count)
        if left:
            log.info("taken_over", wakes=len(left), managers={s.taken_over_from for s in left})
            return left
        return await self._store.take_signals(self.consumer, count, block_ms)

    async def _handle(self, signal: WakeSignal) -> None:
        """Do one wake, to the end. What goes wrong with it stops no other."""
        with logs.about(execution_id=signal.request.execution_id):
            try:
                await self._waker.wake(signal)
                await self._wakes.call(lambda: self._store.finish_signal(signal))
            except Exception:
                # Not finished: it will be taken again, by whoever takes over what this one leaves.
                log.exception("wake_broken")


async def _ended(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for their ends."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
