"""The controller: it hears of wakes, asks the provider, and tells everyone the outcome.

One signal is one wake of one group (agent type, tenant, region), however many callers wait for it.
Wakes run side by side, up to a bound, so that a slow agent delays no other. What a provider says
is believed as far as it can be seen: READY is READY once a worker is online.

A controller holds nothing that is not in the store. It may be killed at any moment, and any number
of them may run: a signal is taken by one, and another takes it over when that one is gone.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import Any, NoReturn

from by_cp.adapters import store_of
from by_cp.log.contract import Store, WakeSignal
from by_cp.manager.decisions import PROGRESS, WORKER_IDS_MAX, failed, understood
from by_cp.manager.naming import new_actor
from by_cp.manager.provider import WakeupProvider, WatchfulProvider
from by_cp.manager.settling import Settler, Wake
from by_cp.patience import Patience, backoff_s, heeding
from by_cp.vocabulary import WakeupDecisionStatus
from by_cp.wire import WakeupDecision, WakeupRequest

WAKE_MS_MIN = 1_000
"""A wake may take at least this long, however short its caller waits."""

BLOCK_MS = 1_000
"""How long one request for signals waits at the server."""

POLL_MIN_S = 0.02
POLL_MAX_S = 0.1
"""How often it is looked whether a worker came online."""

log = logging.getLogger("by_cp.manager")


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
    ) -> None:
        del dedupe_ttl_seconds
        self._store: Store = store_of(redis)
        self._provider = provider
        self._attempts_max = max(1, max_attempts)
        self._parallel_max = max(1, parallel_max)
        self.consumer = consumer or new_actor("controller")
        self._patience = Patience("controller", log)
        self._running: set[asyncio.Task[None]] = set()
        self._settler = Settler(self._store, self._patience, self.consumer)

    async def run(self) -> NoReturn:
        """Handle wakes until cancelled. A server that is away is waited for."""
        async with asyncio.TaskGroup() as wakes:
            await self._patience.repeat(lambda: self._start_some(wakes))

    async def _start_some(self, wakes: asyncio.TaskGroup) -> float:
        """Take as many wakes as there is room for, and start them."""
        free = self._parallel_max - len(self._running)
        if not free:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            return 0
        for signal in await self._take(free, BLOCK_MS):
            task = wakes.create_task(self._handle(signal))
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
        signals = await self._take(self._parallel_max, block_ms)
        await asyncio.gather(*(self._handle(signal) for signal in signals))
        return len(signals)

    async def _take(self, count: int, block_ms: int) -> list[WakeSignal]:
        return await self._store.take_signals(self.consumer, count, block_ms)

    async def _handle(self, signal: WakeSignal) -> None:
        """Do one wake, to the end. What goes wrong with it stops no other."""
        try:
            await self._wake(signal)
            await self._patience.call(lambda: self._store.finish_signal(signal))
        except Exception:
            # Not finished: it will be taken again, by whoever takes over what this one leaves.
            log.exception("event=wake_broken execution_id=%s", signal.request.execution_id)

    async def _wake(self, signal: WakeSignal) -> None:
        wake = Wake.of(signal)
        if await self._nobody_waits(wake):
            return
        decision = await self._decide(wake, signal.request)
        settled = await self._settler.settle(wake, decision)
        log.info(
            "event=wake_settled agent_type=%r user_code=%r region=%r epoch=%s status=%s "
            "settled=%d reason=%r",
            *(*wake.group, wake.epoch, decision.status, settled, decision.reason),
        )

    async def _nobody_waits(self, wake: Wake) -> bool:
        """Return whether all who waited have given up; then the claim is free again."""
        if await self._settler.members(wake, 1):
            return False
        await self._settler.free(wake)
        # Someone may have joined just before it was free; nobody can from now on.
        return not await self._settler.members(wake, 1)

    async def _decide(self, wake: Wake, request: WakeupRequest) -> WakeupDecision:
        """Ask the provider and see what comes of it, within the time that the request has."""
        online = await self._online(request.target_agent_type)
        if online:
            return _ready(request, online, "a worker is online")
        wake_ms = max(request.timeout_ms, WAKE_MS_MIN)
        said = ""
        limit = asyncio.timeout(wake_ms / 1000)
        try:
            async with limit:
                decision = await self._asked(request)
                said = decision.status
                if said in PROGRESS:
                    await self._settler.progress(wake, decision)
                elif said != WakeupDecisionStatus.READY:
                    return decision
                return await self._ready_or_failed(request, decision)
        except TimeoutError:
            if not limit.expired():
                raise
        if not said:
            return failed(request, f"provider timed out after {wake_ms:,} ms")
        return failed(
            request, f"provider said {said}, but no worker came online within {wake_ms:,} ms"
        )

    async def _asked(self, request: WakeupRequest) -> WakeupDecision:
        """Ask the provider, again if it raises and may be asked again."""
        attempt = 1
        while True:
            try:
                return understood(await heeding(self._provider.wakeup(request)), request)
            except Exception as error:
                log.warning(
                    "event=provider_raised agent_type=%r attempt=%d of=%d",
                    *(request.target_agent_type, attempt, self._attempts_max),
                    exc_info=True,
                )
                if attempt >= self._attempts_max:
                    return failed(request, _raised(error))
            await asyncio.sleep(backoff_s(attempt))
            attempt += 1

    async def _ready_or_failed(
        self, request: WakeupRequest, decision: WakeupDecision
    ) -> WakeupDecision:
        """Wait for a worker to come online, or for a watchful provider to see that none will."""
        coming = asyncio.create_task(self._came_online(request))
        watching = asyncio.create_task(self._watched(request))
        try:
            await asyncio.wait((coming, watching), return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                return _ready(request, coming.result(), decision.reason)
            return watching.result()
        finally:
            coming.cancel()
            watching.cancel()
            await asyncio.gather(coming, watching, return_exceptions=True)

    async def _watched(self, request: WakeupRequest) -> WakeupDecision:
        """Return how the wake failed, if the provider notices; else never."""
        if isinstance(self._provider, WatchfulProvider):
            try:
                decision = understood(await self._provider.watch(request), request)
            except Exception as error:
                log.warning(
                    "event=provider_raised agent_type=%r", request.target_agent_type, exc_info=True
                )
                return failed(request, _raised(error))
            if decision.status not in {*PROGRESS, WakeupDecisionStatus.READY}:
                return decision
        never: asyncio.Future[WakeupDecision] = asyncio.get_running_loop().create_future()
        return await never

    async def _came_online(self, request: WakeupRequest) -> tuple[str, ...]:
        pause_s = POLL_MIN_S
        while not (workers := await self._online(request.target_agent_type)):
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, POLL_MAX_S)
        return workers

    async def _online(self, agent_type: str) -> tuple[str, ...]:
        return await self._patience.call(lambda: self._store.online(agent_type))


def _ready(request: WakeupRequest, workers: tuple[str, ...], reason: str) -> WakeupDecision:
    return dataclasses.replace(
        failed(request, reason),
        status=WakeupDecisionStatus.READY,
        worker_ids=list(workers[:WORKER_IDS_MAX]),
    )


def _raised(error: Exception) -> str:
    text = f": {error}" if str(error) else ""
    return f"provider raised {type(error).__name__}{text}"
