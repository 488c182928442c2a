"""Providers for tests. They are providers, not mocks: each does what it says, to the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from by_cp.log.contract import Store
from by_cp.vocabulary import WakeupDecisionStatus
from by_cp.wire import WakeupDecision, WakeupRequest


class Answering:
    """Says what it is told to say, and notes what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[WakeupRequest] = []

    async def wakeup(self, request: WakeupRequest) -> WakeupDecision | Mapping[str, Any]:
        """Return the answer, or raise it."""
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer  # type: ignore[no-any-return]


class Starting(Answering):
    """Brings a worker online, when it may, and says READY or what else it is told to say."""

    def __init__(self, store: Store, status: str = WakeupDecisionStatus.READY) -> None:
        super().__init__({"status": status})
        self._store = store
        self.may_start = asyncio.Event()
        self.may_start.set()
        self.asleep: set[str] = set()
        """Agent types that may not start, ever."""

    async def wakeup(self, request: WakeupRequest) -> WakeupDecision | Mapping[str, Any]:
        """Start a worker."""
        answer = await super().wakeup(request)
        agent_type = request.target_agent_type
        if agent_type in self.asleep:
            await asyncio.Event().wait()
        await self.may_start.wait()
        await self._store.announce(f"worker-of-{agent_type}", (agent_type,), 60_000)
        return answer


class Watching(Answering):
    """Says STARTING and later, when it is told, that it came to nothing."""

    def __init__(self, verdict: Any) -> None:
        super().__init__({"status": WakeupDecisionStatus.STARTING})
        self.verdict = verdict
        self.may_tell = asyncio.Event()

    async def watch(self, request: WakeupRequest) -> WakeupDecision | Mapping[str, Any]:
        """Return the verdict, or raise it, when that may be told."""
        self.asked.append(request)
        await self.may_tell.wait()
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict  # type: ignore[no-any-return]


class Supervising(Answering):
    """Has something to do between wakes: each time it is run it does the next of its acts."""

    def __init__(self, *acts: Callable[[], Awaitable[object]]) -> None:
        super().__init__({"status": WakeupDecisionStatus.FAILED})
        self._acts = iter(acts)
        self.runs = 0

    async def run(self) -> None:
        """Do the next act."""
        self.runs += 1
        await next(self._acts)()
