"""One wake, attempt by attempt: ask the provider, believe what can be seen, tell everyone."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import NamedTuple

from by_cp import logs
from by_cp.log.contract import Store, WakeSignal
from by_cp.manager.decisions import PROGRESS, WORKER_IDS_MAX, failed, understood
from by_cp.manager.provider import (
    Decision,
    ProviderUnavailable,
    WakeupProvider,
    WatchfulProvider,
    ask,
)
from by_cp.manager.settling import Attempting, Settler, Wake
from by_cp.patience import Patience, backoff_s, heeding
from by_cp.vocabulary import ATTEMPT_MS_MIN, WakeupDecisionStatus
from by_cp.wire import WakeupDecision, WakeupRequest

POLL_MIN_S = 0.02
POLL_MAX_S = 0.1
"""How often it is looked whether a worker came online."""

log = logs.named("by_cp.manager")


class AttemptFailed(Exception):
    """The provider could not be asked, and may be asked again."""

    def __init__(self, reason: str, retry_after_s: float = 0) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class Attempts(NamedTuple):
    """How often a provider is asked that raises, and how patiently."""

    attempts_max: int
    pause_max_s: float


class Waker:
    """Does wakes. It has no state of its own; any number of wakes may run in it."""

    def __init__(
        self,
        store: Store,
        provider: WakeupProvider,
        settler: Settler,
        patience: Patience,
        attempts: Attempts,
    ) -> None:
        self._store = store
        self._provider = provider
        self._settler = settler
        self._patience = patience
        self._attempts = attempts

    async def wake(self, signal: WakeSignal) -> None:
        """Do one wake, to its end, within the time that its request has.

        When this returns the signal is done with: the wake came out, or it is another's by now.
        """
        wake = Wake.of(signal)
        loop = asyncio.get_running_loop()
        end_s = loop.time() + max(signal.request.timeout_ms, ATTEMPT_MS_MIN) / 1000
        gone = signal.taken_over_from
        reason = f"manager {gone} is gone" if gone else ""
        tries = 1
        while True:
            attempting = await self._settler.begin(wake, end_s - loop.time(), reason)
            if attempting is None:
                return
            request = dataclasses.replace(
                signal.request, epoch=attempting.epoch, attempt=attempting.number
            )
            try:
                decision = await self._decide(attempting, request, end_s - loop.time())
            except AttemptFailed as failure:
                pause_s = max(backoff_s(tries, self._attempts.pause_max_s), failure.retry_after_s)
                log.warning("attempt_failed", attempt=attempting.number, reason=failure.reason)
                if tries < self._attempts.attempts_max and loop.time() + pause_s < end_s:
                    await asyncio.sleep(pause_s)
                    reason, tries = failure.reason, tries + 1
                    continue
                decision = failed(request, failure.reason)
            await self._tell(attempting, decision)
            return

    async def _tell(self, attempting: Attempting, decision: WakeupDecision) -> None:
        settled = await self._settler.settle(attempting, decision)
        log.info(
            "wake_settled",
            agent_type=attempting.wake.group[0],
            epoch=attempting.epoch,
            attempt=attempting.number,
            status=decision.status,
            settled=settled,
            reason=decision.reason,
        )

    async def _decide(
        self, attempting: Attempting, request: WakeupRequest, left_s: float
    ) -> WakeupDecision:
        """Ask the provider and see what comes of it."""
        online = await self._online(request.target_agent_type)
        if online:
            return _ready(request, online, "a worker is online")
        said = ""
        limit = asyncio.timeout(max(left_s, 0))
        try:
            async with limit:
                decision = await self._asked(attempting, request)
                said = decision.status
                if said in PROGRESS:
                    await self._settler.progress(attempting, decision)
                elif said != WakeupDecisionStatus.READY:
                    return decision
                return await self._ready_or_failed(request, decision)
        except TimeoutError:
            if not limit.expired():
                raise
        within = f"within {max(request.timeout_ms, ATTEMPT_MS_MIN):,} ms"
        if not said:
            return failed(request, f"provider timed out: it did not answer {within}")
        return failed(request, f"provider said {said}, but no worker came online {within}")

    async def _asked(self, attempting: Attempting, request: WakeupRequest) -> WakeupDecision:
        """Ask the provider once.

        Raises:
            AttemptFailed: it raised.

        """

        async def show(news: Decision) -> None:
            decision = understood(news, request)
            if decision.status in PROGRESS:
                await self._settler.progress(attempting, decision)

        try:
            return understood(await heeding(ask(self._provider, request, show)), request)
        except ProviderUnavailable as error:
            raise AttemptFailed(str(error), (error.retry_after_ms or 0) / 1000) from error
        except Exception as error:
            log.warning("provider_raised", agent_type=request.target_agent_type, exc_info=True)
            raise AttemptFailed(_raised(error)) from error

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
                log.warning("provider_raised", agent_type=request.target_agent_type, exc_info=True)
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
